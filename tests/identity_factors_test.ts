import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { inFolder } from "./folder_given.ts";
import { FORM, form, type House, PASSWORD, withHouse } from "./identity_given.ts";

const STEP_MS = 30_000;
const code = (answer: { readonly body: { readonly type?: string } }) =>
  answer.body.type?.replace("urn:daybook:problem:", "");

/** Steps count from when a secret was first used here, so that a step that ends meanwhile changes nothing. */
const firstUsed = new Map<string, number>();

/** The code of a step of the clock: of then, the next, the one before. */
const codeAt = (secret: string, step = 0): string => {
  const at = firstUsed.get(secret) ?? Date.now();
  firstUsed.set(secret, at);
  return new TOTP({ secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: 30 })
    .generate({ timestamp: at + step * STEP_MS });
};

/** Somebody with one-time codes, whose code of now was taken. */
const withCodes = async (house: House, name: string) => {
  const account = await house.person(name);
  const { body: { access_token: as } } = await house.signIn(name);
  const begun = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
  assert.equal(begun.status, 200, JSON.stringify(begun.body));
  const { factor, secret, uri, svg } = begun.body as Record<"factor" | "secret" | "uri" | "svg", string>;
  const confirmed = await house.send("/auth/factors/confirm", { as, body: { factor, code: codeAt(secret) } });
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  return { account, as, factor, secret, uri, svg, backup: confirmed.body.codes as readonly string[] };
};

const ticketOf = async (house: House, name: string): Promise<string> => {
  const answer = await house.signIn(name);
  assert.deepEqual([answer.status, code(answer)], [403, "factor_wanted"]);
  return answer.body.ticket;
};
const second = (house: House, ticket: string, code: string) => house.send("/auth/second", { body: { ticket, code } });

Deno.test("codes are those of RFC 6238", () => {
  // Appendix B, SHA-1, of which the last six digits.
  const totp = new TOTP({ secret: Secret.fromUTF8("12345678901234567890"), algorithm: "SHA1", digits: 6, period: 30 });
  for (const [seconds, code] of [[59, "287082"], [1_111_111_109, "081804"], [20_000_000_000, "353130"]] as const) {
    assert.equal(totp.generate({ timestamp: seconds * 1_000 }), code);
  }
});

Deno.test("one-time codes are set up with a picture and a first code, asked for then, and each taken once", () =>
  withHouse(async (house) => {
    const { uri, svg, secret, backup } = await withCodes(house, "alice");
    assert.match(uri, /^otpauth:\/\/totp\/.*alice\?.*secret=[A-Z2-7]{32}&algorithm=SHA1&digits=6&period=30$/);
    assert.match(svg, /^<svg /);
    // ISO/IEC 18004 section 6.3.8: four modules are left free on each side.
    const [side, places] = [Number(/viewBox="0 0 (\d+)/.exec(svg)![1]), [...svg.matchAll(/M(\d+),(\d+)h(\d+)/g)]];
    const [xs, ys, module] = [
      places.map(([, x]) => Number(x)),
      places.map(([, , y]) => Number(y)),
      Number(places[0]![3]),
    ];
    assert.deepEqual([Math.min(...xs), Math.min(...ys)], [4 * module, 4 * module]);
    assert.deepEqual([Math.max(...xs), Math.max(...ys)], [side - 5 * module, side - 5 * module]);
    assert.equal(new Set(backup).size, 10);
    assert.ok(backup.every((one) => /^[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}$/.test(one)));
    const ticket = await ticketOf(house, "alice");
    assert.equal((await second(house, ticket, codeAt(secret))).status, 401, "the code that set it up was taken");
    assert.equal((await second(house, ticket, "000000")).status, 401);
    const next = codeAt(secret, 1);
    const signed = await second(house, ticket, next);
    assert.equal(signed.status, 200);
    assert.equal((await second(house, ticket, next)).status, 401, "and so was this one");
    const failed = house.told("identity.signin.failed").map(({ data }) => [data.method, data.reason]);
    assert.deepEqual(failed.filter(([, reason]) => reason === "used_before").length >= 2, true, JSON.stringify(failed));
    const started = house.told("identity.session.started").at(-1)!.data;
    assert.deepEqual(started.factors, ["password", "totp"]);
  }));

Deno.test("of many who show the same code at once one gets in", () =>
  withHouse(async (house) => {
    const { secret } = await withCodes(house, "alice");
    const ticket = await ticketOf(house, "alice");
    const next = codeAt(secret, 1);
    const answers = await Promise.all(Array.from({ length: 8 }, () => second(house, ticket, next)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  }));

Deno.test("a code of two steps ago or ahead is none", () =>
  withHouse(async (house) => {
    const { secret } = await withCodes(house, "alice");
    const totp = new TOTP({ secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: 30 });
    const stepNow = () => Math.floor(Date.now() / STEP_MS);
    for (const steps of [2, -2]) {
      for (let tries = 0;; tries++) {
        assert.ok(tries < 20, "no step was long enough");
        const [now, before] = [stepNow(), house.told("identity.signin.failed").length];
        const ticket = await ticketOf(house, "alice");
        const answer = await second(house, ticket, totp.generate({ timestamp: (now + steps) * STEP_MS }));
        // A step that ends meanwhile makes it another question.
        if (stepNow() !== now) continue;
        const reasons = house.told("identity.signin.failed").slice(before).map(({ data }) => data.reason);
        assert.deepEqual([steps, answer.status, reasons], [steps, 401, ["wrong_secret"]]);
        break;
      }
    }
    const ticket = await ticketOf(house, "alice");
    assert.equal((await second(house, ticket, codeAt(secret, 100))).status, 401);
  }));

Deno.test("a backup code lets in once, however it is written, and new ones replace the old", () =>
  withHouse(async (house) => {
    const { backup, secret } = await withCodes(house, "alice");
    const ticket = await ticketOf(house, "alice");
    assert.equal((await second(house, ticket, backup[4]!.toUpperCase().replaceAll("-", " "))).status, 200);
    assert.equal((await second(house, ticket, backup[4]!)).status, 401);
    const { body: { access_token: as } } = await second(house, ticket, backup[9]!);
    const factors = await house.send("/auth/factors", { as });
    assert.deepEqual(factors.body.factors.map(({ kind, left }: { kind: string; left?: number }) => [kind, left]), [
      ["totp", undefined],
      ["backup_codes", 8],
    ]);
    const refused = await house.send("/auth/factors/backup-codes", { method: "POST", as });
    assert.deepEqual([refused.status, code(refused)], [403, "factor_wanted"]);
    assert.equal((await house.send("/auth/factors/verify", { as, body: { code: codeAt(secret, 1) } })).status, 204);
    const renewed = await house.send("/auth/factors/backup-codes", { method: "POST", as });
    assert.equal(renewed.body.codes.length, 10);
    assert.equal((await second(house, ticket, backup[0]!)).status, 401);
    assert.equal((await second(house, ticket, renewed.body.codes[0])).status, 200);
    for (const { data } of house.told()) {
      assert.ok(!JSON.stringify(data ?? null).includes(backup[0]!.replaceAll("-", "")));
    }
  }));

Deno.test("a ticket is the password's and nothing else: not another account's, not after a change, not made up", () =>
  withHouse(async (house) => {
    const alice = await withCodes(house, "alice");
    const bob = await withCodes(house, "bob");
    const ticket = await ticketOf(house, "alice");
    assert.equal((await second(house, ticket, codeAt(bob.secret, 1))).status, 401);
    for (
      const made of [
        ticket.slice(0, -2) + "AA",
        ticket.replace("dbt_", "dbi_"),
        "dbt_x",
        ticket.replace(alice.account, bob.account),
      ]
    ) {
      assert.equal((await second(house, made, codeAt(bob.secret, 1))).status, 401, made);
    }
    const change = { current: PASSWORD, next: "small boats at dawn" };
    assert.equal((await house.send("/auth/password", { as: alice.as, body: change })).status, 204);
    assert.equal((await second(house, ticket, alice.backup[0]!)).status, 401);
    assert.equal(house.told("identity.signin.failed").at(-1)!.data.reason, "changed_meanwhile");
  }));

Deno.test("wrong codes lock the account like wrong passwords", () =>
  withHouse(async (house) => {
    const { backup } = await withCodes(house, "alice");
    const ticket = await ticketOf(house, "alice");
    for (let i = 0; i < 3; i++) await second(house, ticket, "aaaa-aaaa-aaaa");
    assert.equal(house.told("identity.account.locked").length, 1);
    assert.equal((await second(house, ticket, backup[0]!)).status, 401);
    assert.equal((await house.signIn("alice")).status, 401);
  }, { said: { IDENTITY__LOCKOUT__FAILURES_MAX: "3" } }));

Deno.test("an administrator's privileges want the second factor, and it cannot be taken away without a fresh code", () =>
  withHouse(async (house) => {
    const { account, secret, factor, backup } = await withCodes(house, "alice");
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "administrator" } });
    const { body: { access_token: as } } = await second(house, await ticketOf(house, "alice"), codeAt(secret, 1));
    const make = () => house.send("/accounts", { as, body: { name: "carol" } });
    assert.equal(code(await make()), "factor_wanted", "what changes who may come in wants a fresh one");
    assert.equal(code(await house.send("/operations/erase-subject", { as, body: {} })), "factor_wanted");
    assert.equal((await house.send("/views", { as })).status, 200);
    assert.ok(house.told("identity.session.started").at(-1)!.data.privileged);
    for (
      const [path, method, body] of [
        [`/auth/factors/${factor}`, "DELETE", undefined],
        ["/auth/factors/totp", "POST", { password: PASSWORD }],
      ] as const
    ) {
      assert.deepEqual(code(await house.send(path, { method, as, body })), "factor_wanted");
    }
    assert.equal((await house.send("/auth/factors/verify", { as, body: { code: "123" } })).status, 401);
    assert.equal(house.told("identity.factor.removed").length, 0);
    assert.equal((await house.send("/auth/factors/verify", { as, body: { code: backup[0] } })).status, 204);
    assert.equal((await make()).status, 201);
    assert.equal((await house.send(`/auth/factors/${factor}`, { method: "DELETE", as })).status, 204);
    assert.deepEqual(house.told("identity.factor.removed").map(({ data }) => data.kind), ["totp", "backup_codes"]);
  }));

Deno.test("who has lost everything is helped by an administrator, and signs in with the password alone", () =>
  withHouse(async (house) => {
    const { account, as } = await withCodes(house, "alice");
    assert.equal((await house.send(`/accounts/${account}/reset-factors`, { as: house.token, body: {} })).status, 200);
    const nobody = await house.send("/accounts/u_nobodyOfThisName00000/reset-factors", { as: house.token, body: {} });
    assert.deepEqual([nobody.status, code(nobody)], [404, "no_account"]);
    assert.equal((await house.send("/auth/sessions", { as })).status, 401);
    assert.equal((await house.signIn("alice")).status, 200);
    assert.deepEqual(house.told("identity.factor.removed").map(({ data }) => [data.kind, data.because]), [
      ["totp", "reset"],
      ["backup_codes", "reset"],
    ]);
  }));

Deno.test("all second factors go with a reset, also where their holder takes one away at once, and all is told", () =>
  inFolder((data) =>
    withHouse(async (house) => {
      const { account, as, factor, backup } = await withCodes(house, "alice");
      assert.equal((await house.send("/auth/factors/verify", { as, body: { code: backup[0] } })).status, 204);
      const add = async () => {
        const { body } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
        const shown = { factor: body.factor, code: codeAt(body.secret) };
        assert.equal((await house.send("/auth/factors/confirm", { as, body: shown })).status, 200);
        return body.factor as string;
      };
      const reset = () => house.send(`/accounts/${account}/reset-factors`, { as: house.token, body: {} });
      const factors = [factor, await add(), await add()];
      const [removed, ...resets] = await Promise.all([
        house.send(`/auth/factors/${factor}`, { as, method: "DELETE" }),
        reset(),
        reset(),
      ]);
      assert.ok([204, 401, 404, 409].includes(removed.status), JSON.stringify(removed));
      const gone = house.told("identity.factor.removed").map(({ data, position }) => [data.factor, position]);
      assert.deepEqual(factors.filter((each) => !gone.some(([factor]) => factor === each)), []);
      // Between them they tell of all that was recorded for them.
      const asked = house.told("identity.factor.removed").filter(({ data }) => data.because === "reset");
      const told = resets.flatMap(({ body: { facts = [] } }) =>
        facts.map((fact: { position: number }) => fact.position)
      );
      assert.deepEqual(asked.map(({ position }) => position).filter((position) => !told.includes(position)), []);
      assert.equal((await house.signIn("alice")).status, 200);
    }, { data })
  ));

Deno.test("setting up wants the password, and what is not confirmed counts nowhere", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { body: { access_token: as } } = await house.signIn("alice");
    assert.equal((await house.send("/auth/factors/totp", { as, body: { password: "not this one" } })).status, 401);
    const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
    assert.equal((await house.signIn("alice")).status, 200);
    for (
      const [of, code] of [[factor, "000000"], ["another-factor-aaaa", codeAt(secret)], [factor, codeAt(secret, 5)]]
    ) {
      assert.equal((await house.send("/auth/factors/confirm", { as, body: { factor: of, code } })).status, 401);
    }
    assert.equal(house.told("identity.factor.enrolled").length, 0);
  }));

Deno.test("with the pages a person sets up codes, signs in with one, and sees what is left", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const password = { name: "alice", password: PASSWORD, next: "/account" };
    const first = await house.send("/sign-in", { body: form(password), headers: FORM });
    const cookie = first.headers.get("set-cookie")!.split(";", 1)[0]!;
    const get = async (path: string) =>
      (await house.send(path, { headers: { cookie, accept: "text/html" } })).body as string;
    const named = (page: string, name: string) => new RegExp(`name="${name}" value="([^"]+)"`).exec(page)![1]!;
    const csrf = named(await get("/account/factors"), "csrf");
    const post = (path: string, fields: Record<string, string>) =>
      house.send(path, { body: form({ csrf, ...fields }), headers: { ...FORM, cookie } });
    const setUp = await post("/account/factors/totp", { current: PASSWORD });
    assert.match(setUp.body, /<svg [^>]+>/);
    const [factor, secret] = [named(setUp.body, "factor"), named(setUp.body, "secret")];
    const wrongly = await post("/account/factors/confirm", { factor, secret, code: "000000" });
    assert.equal(wrongly.status, 401);
    assert.doesNotMatch(wrongly.body, /Open it with/, "there is no picture to open");
    assert.ok(wrongly.body.includes(secret.match(/.{1,4}/g)!.join(" ")));
    const shown = await post("/account/factors/confirm", { factor, secret, code: codeAt(secret) });
    assert.equal([...(shown.body as string).matchAll(/<li[ >]/g)].length, 10);
    assert.match(await get("/account/factors"), /Backup codes, 10 left/);
    for (
      const [path, fields] of [["/account/keys", { name: "ci", days: "30", read: "on" }], ["/device", {
        code: "BCDF-GHJK",
      }]] as const
    ) {
      const unproven = await house.send(path, {
        body: form({ csrf, ...fields }),
        headers: { ...FORM, cookie, accept: "text/html" },
      });
      assert.equal(unproven.status, 403, path);
      assert.match(unproven.body, /<a href="\/account\/factors">Show a code or a passkey<\/a>/);
      assert.doesNotMatch(unproven.body, /\/auth\//);
    }
    assert.equal(
      (await house.send("/account/factors/remove", { body: form({ csrf: "x", factor }), headers: { ...FORM, cookie } }))
        .status,
      403,
    );

    const asked = await house.send("/sign-in", { body: form(password), headers: FORM });
    assert.equal(asked.status, 200);
    assert.equal(asked.headers.get("set-cookie"), null);
    const ticket = named(asked.body, "ticket");
    const wrong = await house.send("/sign-in/second", { body: form({ ticket, code: "000000" }), headers: FORM });
    assert.equal(wrong.status, 401);
    const entered = await house.send("/sign-in/second", {
      body: form({ ticket, code: codeAt(secret, 1), next: "/account" }),
      headers: FORM,
    });
    assert.deepEqual([entered.status, entered.headers.get("location")], [303, "/account"]);
  }));
