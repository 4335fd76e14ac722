/** Attacks on a running server: seen, answered on every route, listed, and taken back by a command. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { inFolder } from "./folder_given.ts";
import { type Answer, code, type House, PASSWORD, type Said, withHouse } from "./identity_given.ts";
import { until } from "./until.ts";

const PROXIED: Said = { SERVER__BEHIND_PROXY: "127.0.0.1", SERVER__HOSTS: "[a.example]" };
const BAD = { forwarded: "for=198.51.100.9" };

/** Until the log has so many facts of a type: rules follow it by themselves. */
const told = (house: House, type: string, count = 1) =>
  until(`${count} of ${type}`, () => house.told(type), (facts) => facts.length >= count);

/** Until such a request has this status: what was decided is at the door a moment later. */
const answered = (status: number, ask: () => Promise<{ readonly status: number }>) =>
  until(`the status ${status}`, async () => (await ask()).status, (seen) => seen === status);

const guess = (house: House, name: string, password: string, headers: Record<string, string> = {}) =>
  house.send("/auth/sign-in", { body: { name, password }, headers });

/** By which a factor is shown and a session ended, on pages and elsewhere. */
const PROVING =
  /^\/(?:account\/(?:factors|factors\/verify|factors\/verify-passkey|sign-out)|auth\/(?:sign-out(?:-everywhere)?|factors\/verify|passkeys\/verify(?:\/options)?))$/;

/** Every route that the server says it has, with something in place of what is variable. */
const routesOf = async (house: House): Promise<readonly (readonly [method: string, path: string])[]> => {
  const { body: { paths } } = await house.send("/openapi.json", { as: house.token });
  return Object.entries(paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path.replaceAll(/\{[^}]*\}/g, "x")] as const)
  );
};

Deno.test("an address that guesses is blocked on every route and no other is, until somebody takes it back", () =>
  withHouse(async (house) => {
    await house.person("ada");
    for (let i = 0; i < 6; i++) assert.equal((await guess(house, `name${i % 2}`, `guess ${i}`, BAD)).status, 401);
    const [taken] = await told(house, "threats.response.taken");
    const { subject, response, rule } = taken!.data;
    assert.deepEqual([response, rule, subject.kind], ["block", "guessing", "address"]);
    await answered(403, () => house.send("/livez", { headers: BAD }));
    const routes = await routesOf(house);
    assert.ok(routes.length > 40);
    for (const [method, path] of [...routes, ["GET", "/nothing"] as const, ["GET", "/sign-in"] as const]) {
      const refused = await house.send(path, { method, as: house.token, headers: BAD });
      assert.deepEqual([refused.status, code(refused)], [403, "address_refused"], `${method} ${path}`);
      assert.ok(Number(refused.headers.get("retry-after")) > 500, `${method} ${path}`);
    }
    assert.equal((await house.send("/livez")).status, 200);
    assert.equal((await guess(house, "ada", PASSWORD)).status, 200);
    const [refused] = await told(house, "kernel.address.refused");
    assert.deepEqual([refused!.data.rule, refused!.data.address], ["guessing", "198.51.100.9"]);

    const lift = await house.send(`/commands/threats.response.lift/address:${subject.id}`, {
      as: house.token,
      body: { response: "block" },
    });
    assert.equal(lift.status, 200, JSON.stringify(lift.body));
    await answered(200, () => house.send("/livez", { headers: BAD }));
    const forged = await house.send(`/commands/threats.threat.detect/address:${subject.id}`, {
      as: house.token,
      body: { rule: "guessing", score: 1, evidence: [1], count: 1, first: taken!.time, last: taken!.time },
    });
    assert.deepEqual([forged.status, forged.body.code], [409, "not_a_rule"]);

    const detected = house.told("threats.threat.detected")[0]!;
    const evidence = house.told().filter(({ position }) => detected.data.evidence.includes(position));
    assert.deepEqual([evidence.length, new Set(evidence.map(({ type }) => type))], [
      6,
      new Set(["identity.signin.failed"]),
    ]);
    const threats = await house.send(`/views/identity.threats?wait=${house.told().at(-1)!.position}`, {
      as: house.token,
    });
    assert.deepEqual(
      threats.body.rows.map((
        { row }: { row: Record<string, unknown> },
      ) => [row.rule, row.kind, row.response, row.lifted, row.times]),
      [["guessing", "address", "block", true, 1]],
    );
    const health = await house.send("/views/health.threats/guessing", { as: house.token });
    assert.deepEqual([health.body.row.detections, health.body.row.responses], [1, 1]);
    assert.ok(!JSON.stringify([threats.body, health.body]).includes("198.51"));
    // Controls may have been looked at, and alerted of, before.
    const raised = () => house.told("alerts.alert.raised").filter(({ stream }) => stream === "alerts/attack-seen");
    const [alert] = await until("the alert", raised, ({ length }) => length > 0);
    assert.equal(alert!.data.position, detected.position);
  }, { said: { ...PROXIED, THREATS__ADDRESS_FAILURES: "6", ALERTING__EVERY_MS: "100" } }));

Deno.test("networks that are never blocked are not, and what is only told leaves everybody as they were", async () => {
  const run = (said: Said, headers: Record<string, string>) =>
    withHouse(async (house) => {
      for (let i = 0; i < 4; i++) await guess(house, `name${i}`, `guess ${i}`, headers);
      await told(house, "threats.threat.detected");
      if (said.THREATS__RESPOND === undefined) await told(house, "threats.response.taken");
      for (let i = 0; i < 5; i++) assert.equal((await house.send("/livez", { headers })).status, 200);
      if (said.THREATS__RESPOND !== undefined) assert.deepEqual(house.told("threats.response.taken"), []);
    }, { said: { ...PROXIED, THREATS__ADDRESS_FAILURES: "4", ...said } });
  await run({}, {});
  await run({ THREATS__RESPOND: "false" }, BAD);
});

Deno.test("an address is one however the proxy writes it: with a port that changes, in brackets, as IPv6 wraps it", () =>
  withHouse(async (house) => {
    const written = [
      (i: number) => `for="198.51.100.9:${40_000 + i}"`,
      () => 'for="[2001:DB8::9]"',
      (i: number) => `for="[2001:db8::a]:${40_000 + i}"`,
      () => 'for="[::ffff:198.51.100.11]"',
    ];
    for (const [n, forwarded] of written.entries()) {
      for (let i = 0; i < 6; i++) {
        await guess(house, `name${n}${i % 2}`, `guess ${n} ${i}`, { forwarded: forwarded(i) });
      }
      await told(house, "threats.response.taken", n + 1);
      await answered(403, () => house.send("/livez", { headers: { forwarded: forwarded(99) } }));
    }
    assert.equal((await house.send("/livez")).status, 200);
    const seen = house.told("identity.signin.failed").map(({ data }) => data.address_pseudonym);
    assert.deepEqual([...new Set(seen)].length, 4, seen.join(" "));
  }, { said: { ...PROXIED, THREATS__ADDRESS_FAILURES: "6" } }));

Deno.test("brute force on one account locks it for longer each time; who unlocks it takes that back", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    for (let i = 0; i < 4; i++) await guess(house, "ada", `guess ${i}`);
    const [taken] = await told(house, "threats.response.taken");
    assert.deepEqual([taken!.data.response, taken!.data.subject], ["lockout", { kind: "account", id: account }]);
    await told(house, "identity.account.locked");
    const locked = house.told("identity.account.locked").at(-1)!;
    assert.deepEqual([locked.data.because, locked.data.until], ["threat", taken!.data.until]);
    assert.equal((await house.signIn("ada")).status, 401);
    const unlock = await house.send(`/accounts/${account}/unlock`, { as: house.token, method: "POST" });
    assert.ok(unlock.status < 300, JSON.stringify(unlock.body));
    await told(house, "threats.response.lifted");
    assert.equal((await house.signIn("ada")).status, 200);
    for (let i = 0; i < 4; i++) await guess(house, "ada", `another ${i}`);
    const [, second] = await told(house, "threats.response.taken", 2);
    const lasts = Date.parse(second!.data.until) - Date.parse(house.told("threats.threat.detected").at(-1)!.data.last);
    assert.deepEqual([second!.data.step, lasts], [1, 1_200_000]);
    // And by the command alone.
    await told(house, "identity.account.locked", 2);
    const lift = await house.send(`/commands/threats.response.lift/account:${account}`, {
      as: house.token,
      body: { response: "lockout" },
    });
    assert.equal(lift.status, 200, JSON.stringify(lift.body));
    await told(house, "identity.account.unlocked", 2);
    assert.equal((await house.signIn("ada")).status, 200);
  }, { said: { THREATS__ACCOUNT_FAILURES: "4" } }));

Deno.test("taking back a threat's lock leaves the one that wrong passwords led to; unlocking the account takes both", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    for (let i = 0; i < 4; i++) await guess(house, "ada", `guess ${i}`);
    await told(house, "identity.account.locked", 2);
    const locks = async () => {
      const { body } = await house.send(`/views/identity.accounts/${account}?wait=${house.log.size - 1}`, {
        as: house.token,
      });
      return body.row.locks.map(({ because }: { because: string }) => because).sort();
    };
    assert.deepEqual(await locks(), ["failures", "threat"]);
    const lift = () =>
      house.send(`/commands/threats.response.lift/account:${account}`, {
        as: house.token,
        body: { response: "lockout" },
      });
    assert.equal((await lift()).status, 200);
    const [unlocked] = await told(house, "identity.account.unlocked");
    assert.deepEqual([unlocked!.version, unlocked!.data.because], [2, "threat"]);
    assert.deepEqual(await locks(), ["failures"]);
    assert.equal((await house.signIn("ada")).status, 401, "wrong passwords have locked it as well");
    assert.equal((await lift()).status, 200);
    const unlock = await house.send(`/accounts/${account}/unlock`, { as: house.token, method: "POST" });
    assert.ok(unlock.status < 300, JSON.stringify(unlock.body));
    assert.deepEqual(await locks(), []);
    assert.equal((await house.signIn("ada")).status, 200);
  }, { said: { THREATS__ACCOUNT_FAILURES: "4", IDENTITY__LOCKOUT__FAILURES_MAX: "4" } }));

/** A refresh token that is shown a second time. */
const reuse = async (house: House, refresh_token: string): Promise<void> => {
  assert.equal((await house.send("/auth/refresh", { body: { refresh_token } })).status, 200);
  assert.equal((await house.send("/auth/refresh", { body: { refresh_token } })).status, 401);
};

/** Backup codes of who has set up one-time codes in this session. */
const enrolled = async (house: House, as: string): Promise<readonly string[]> => {
  const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
  const totp = new TOTP({ secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: 30 });
  const { body: { codes } } = await house.send("/auth/factors/confirm", {
    as,
    body: { factor, code: totp.generate() },
  });
  return codes;
};

/** A session of who shows a second factor. */
const entered = async (house: House, name: string, code: string): Promise<Answer["body"]> => {
  const { body: { ticket } } = await house.signIn(name);
  const signed = await house.send("/auth/second", { body: { ticket, code } });
  assert.equal(signed.status, 200, JSON.stringify(signed.body));
  return signed.body;
};

Deno.test("a token that was used twice asks who is in another session for a second factor on every route; who has none signs in again", () =>
  withHouse(async (house) => {
    const plain = await house.person("bob");
    const [one, two] = [await house.signIn("bob"), await house.signIn("bob")];
    await reuse(house, one.body.refresh_token);
    await answered(401, () => house.send("/auth/sessions", { as: two.body.access_token }));
    const ended = house.told("identity.session.ended").map(({ data }) => [data.account, data.because]);
    assert.deepEqual(ended, [[plain, "refresh_reused"], [plain, "threat"]]);
    assert.equal((await house.signIn("bob")).status, 200);

    const account = await house.person("ada");
    assert.equal(
      (await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "operator" } })).status,
      200,
    );
    const { body: { access_token: first } } = await house.signIn("ada");
    const { body: { token: key } } = await house.send("/auth/keys", {
      as: first,
      body: { name: "nightly", scopes: ["read", "command"] },
    });
    const codes = await enrolled(house, first);
    const enter = (code: string) => entered(house, "ada", code);
    const [stolen, mine] = [await enter(codes[0]!), await enter(codes[1]!)];
    const as = mine.access_token;
    assert.equal((await house.send("/views", { as })).status, 200);
    assert.equal((await house.send("/views", { as: key })).status, 200);
    await reuse(house, stolen.refresh_token);
    await until(
      "a factor is wanted",
      async () => code(await house.send("/views", { as })),
      (seen) => seen === "factor_wanted",
    );
    // Whatever they may otherwise do: what their role has not, or there is not, is refused for that, what needs nobody answers, all else asks for a factor.
    const answers = new Map<string | undefined, number>();
    for (const [method, path] of await routesOf(house)) {
      if (PROVING.test(path) || method === "GET" && path.startsWith("/auth/")) continue;
      const asked = await house.send(path, { method, as });
      const because = asked.status === 403 ? code(asked) : asked.status < 300 ? "open" : `${asked.status}`;
      answers.set(because, (answers.get(because) ?? 0) + 1);
      const isOpen = (await house.send(path, { method })).status !== 401;
      assert.ok(["factor_wanted", "forbidden", "404"].includes(because!) || isOpen, `${method} ${path}: ${because}`);
    }
    assert.ok(answers.get("factor_wanted")! > 25, JSON.stringify([...answers]));
    assert.equal((await house.send("/auth/sessions", { as })).status, 200);
    // A key cannot show any, and nobody takes it back for themselves.
    const lifting = { body: { response: "step_up" } };
    const lifts = `/commands/threats.response.lift/account:${account}`;
    for (const path of ["/views", "/auth/sessions"]) {
      assert.equal(code(await house.send(path, { as: key })), "factor_wanted", path);
    }
    assert.equal(code(await house.send(lifts, { as: key, ...lifting })), "factor_wanted");
    assert.equal(code(await house.send(lifts, { as: house.tokenOf(["command"]), ...lifting })), "forbidden");
    const shown = await house.send("/auth/factors/verify", { as, body: { code: codes[2] } });
    assert.ok(shown.status < 300, JSON.stringify(shown.body));
    assert.equal((await house.send("/views", { as })).status, 200);
    assert.equal(code(await house.send(lifts, { as, ...lifting })), "forbidden");
    const lift = await house.send(lifts, { as: house.token, ...lifting });
    assert.equal(lift.status, 200, JSON.stringify(lift.body));
    const later = (await enter(codes[3]!)).access_token;
    await answered(200, () => house.send("/views", { as: later }));
    await answered(200, () => house.send("/views", { as: key }));
  }));

Deno.test("who gives a privileged role with a key a moment after their account was given one is seen", () =>
  withHouse(async (house) => {
    const [ada, bob] = [await house.person("ada"), await house.person("bob")];
    const grant = (account: string, as: string) =>
      house.send(`/accounts/${account}/grant`, { as, body: { role: "administrator" } });
    assert.equal((await grant(ada, house.token)).status, 200);
    const [first, second] = await enrolled(house, (await house.signIn("ada")).body.access_token);
    const { access_token: as } = await entered(house, "ada", first!);
    assert.equal((await house.send("/auth/factors/verify", { as, body: { code: second } })).status, 204);
    const made = await house.send("/auth/keys", { as, body: { name: "nightly", scopes: ["admin"] } });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const given = await grant(bob, made.body.token);
    assert.equal(given.status, 200, JSON.stringify(given.body));
    const [seen] = await told(house, "threats.threat.detected");
    assert.deepEqual([seen!.data.rule, seen!.stream], ["privilege_chain", `threats/account:${bob}`]);
  }));

Deno.test("two sign-ins elsewhere that nobody can have made are seen by their places, which lie sealed", () =>
  withHouse(async (house) => {
    const observe = (id: string, time: string, place: string) =>
      house.send("/events", {
        as: house.token,
        headers: { "content-type": "application/cloudevents+json" },
        body: JSON.stringify({
          specversion: "1.0",
          type: "identity.signin.observed",
          source: "/hosts/gate/vpn",
          id,
          time,
          datacontenttype: "application/json",
          data: { service: "vpn", outcome: "accepted", name: "ada", address: "192.0.2.1", place },
        }),
      });
    assert.equal((await observe("1", "2026-11-20T08:00:00Z", "48.14,11.58")).status, 201);
    assert.equal((await observe("2", "2026-11-20T09:00:00Z", "40.71,-74.01")).status, 201);
    assert.equal((await observe("3", "2026-11-21T09:00:00Z", "48.14,11.58")).status, 201);
    const [detected, ...more] = await told(house, "threats.threat.detected");
    assert.deepEqual(more, []);
    const { rule, subject, count, evidence } = detected!.data;
    assert.deepEqual([rule, subject.kind, evidence.length], ["impossible_travel", "name", 2]);
    assert.ok(count > 6_400 && count < 6_600);
    const seen = house.told("identity.signin.observed");
    assert.deepEqual(evidence, seen.slice(0, 2).map(({ position }) => position));
    const raw = await house.send(`/events/${seen[0]!.position}`, {
      as: house.token,
      headers: { accept: "application/octet-stream" },
    });
    assert.ok(!String(raw.body).includes("48.14"));
  }));

Deno.test("a block stands after a restart, and rules do not look at what was before they began", async () => {
  await inFolder(async (folder) => {
    const said = { ...PROXIED, THREATS__ADDRESS_FAILURES: "3", THREATS__RESPOND: "true" };
    await withHouse(async (house) => {
      for (let i = 0; i < 3; i++) await guess(house, "ada", `guess ${i}`, BAD);
      await told(house, "threats.response.taken");
    }, { said, data: folder });
    await withHouse(async (house) => {
      assert.equal(code(await house.send("/livez", { headers: BAD })), "address_refused");
      assert.equal(house.told("threats.threat.detected").length, 1);
    }, { said, data: folder });
  });
});
