/** Keys of accounts: shown once, known by what they begin with, never more than the account, replaced with an overlap. */
import assert from "node:assert/strict";
import { usesOf } from "../adapters/program/access/uses.ts";
import { whoCould } from "../adapters/program/access/who_could.ts";
import { Secret, TOTP } from "otpauth";
import { systemClock } from "../adapters/system/world.ts";
import { clockAhead } from "./clock_given.ts";
import { inFolder } from "./folder_given.ts";
import { code, type House, PASSWORD, withHouse } from "./identity_given.ts";

const grant = (house: House, account: string, role: string) =>
  house.send(`/accounts/${account}/grant`, { as: house.token, body: { role } });
const revoke = (house: House, account: string, role: string) =>
  house.send(`/accounts/${account}/revoke`, { as: house.token, body: { role } });

/** Somebody with a role, signed in. */
const signedIn = async (house: House, name: string, role: string) => {
  const account = await house.person(name);
  assert.equal((await grant(house, account, role)).status, 200);
  return { account, as: (await house.signIn(name)).body.access_token as string };
};
const issue = (house: House, as: string, body: Record<string, unknown>) => house.send("/auth/keys", { as, body });
const statuses = async (house: House, key: string) => [
  (await house.send("/events?limit=1", { as: key })).status,
  (await house.send("/commands/commits.branch.move/shop", { as: key, body: { branch: "b", to: "a".repeat(40) } }))
    .status,
  (await house.send("/dead-letters", { as: key })).status,
];

Deno.test("a key is shown once, does what its account may within its scopes, and what it does is its own", () =>
  withHouse(async (house) => {
    const { account, as } = await signedIn(house, "alice", "operator");
    const made = await issue(house, as, { name: "nightly", scopes: ["read", "command"], days: 7 });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { key, token, until } = made.body;
    assert.match(token, /^dbk_[a-z2-7]{16}_[a-z2-7]{52}$/);
    assert.ok(Math.abs(Date.parse(until) - Date.now() - 7 * 86_400_000) < 60_000);
    assert.deepEqual(await statuses(house, token), [200, 200, 403]);
    const reading = (await issue(house, as, { name: "reading", scopes: ["read"] })).body.token;
    assert.deepEqual(await statuses(house, reading), [200, 403, 403]);
    const [moved] = house.told("commits.branch.moved");
    assert.deepEqual([moved!.authtype, moved!.authid, (moved as never)["authpolicies"]], ["api_key", key, "operator"]);
    const { body: { keys } } = await house.send("/auth/keys", { as });
    const [first] = keys.filter((one: { key: string }) => one.key === key);
    assert.deepEqual([first.prefix, first.name, first.scopes], [`dbk_${key.slice(2)}`, "nightly", ["read", "command"]]);
    assert.ok(Date.now() - Date.parse(first.used) < 60_000, "when it was last shown");
    const secret = token.split("_")[2];
    for (const answer of [keys, house.told(), house.lines]) assert.ok(!JSON.stringify(answer).includes(secret));
    const [issued] = house.told("identity.key.issued").filter(({ data }) => data.key === key);
    assert.deepEqual(issued!.data, {
      key,
      kind: "api",
      account,
      prefix: `dbk_${key.slice(2)}`,
      scopes: ["read", "command"],
      until,
    });
    // Less of the account is less of its keys, at once.
    await revoke(house, account, "operator");
    assert.deepEqual(await statuses(house, token), [403, 403, 403]);
    await grant(house, account, "viewer");
    assert.deepEqual(await statuses(house, token), [200, 403, 403]);
    const could = await whoCould(house.log, { action: "events.read", resource: "log" });
    assert.ok(could.principals.some(({ id, account: whose }) => id === key && whose === account));
    assert.equal((await house.send(`/accounts/${account}/disable`, { as: house.token, body: {} })).status, 200);
    assert.equal((await house.send("/events", { as: token })).status, 401);
    assert.equal(house.told("identity.key.revoked").length, 2);
    await house.send(`/accounts/${account}/enable`, { as: house.token, body: {} });
    assert.equal((await house.send("/events", { as: token })).status, 401, "revoked is for good");
  }));

Deno.test("a key that takes another's place is made for as long as that one was", () =>
  withHouse(async (house) => {
    const { as } = await signedIn(house, "alice", "viewer");
    for (const [days, meant] of [[2, 2], [undefined, 90]] as const) {
      const { body: { key } } = await issue(house, as, { name: "ci", scopes: ["read"], days });
      const { body: { until } } = await house.send(`/auth/keys/${key}/rotate`, { as, body: {} });
      assert.equal(Math.round((Date.parse(until) - Date.now()) / 86_400_000), meant);
    }
  }));

Deno.test("a key that is replaced counts through the overlap, then not; one that is revoked counts no more", () =>
  withHouse(async (house) => {
    const { as } = await signedIn(house, "alice", "viewer");
    const { body: { key, token } } = await issue(house, as, { name: "ci", scopes: ["read"] });
    const rotate = (key: string) => house.send(`/auth/keys/${key}/rotate`, { as, body: {} });
    const next = await rotate(key);
    assert.equal(next.status, 201, JSON.stringify(next.body));
    const status = async (token: string) => (await house.send("/events?limit=1", { as: token })).status;
    assert.deepEqual([await status(token), await status(next.body.token)], [200, 200]);
    const again = await rotate(key);
    assert.deepEqual([again.status, again.body.code], [409, "replaced_already"]);
    const [{ data }] = house.told("identity.key.rotated") as never as [{ data: Record<string, string> }];
    assert.deepEqual([data.key, data.by], [key, next.body.key]);
    using _later = clockAhead(Date.parse(data.until!) - Date.now());
    assert.deepEqual([await status(token), await status(next.body.token)], [401, 200]);
    assert.equal((await rotate(key)).body.code, "no_key", "its time is over");
    const revoked = await house.send(`/auth/keys/${next.body.key}/revoke`, { as, body: { because: "compromised" } });
    assert.deepEqual([revoked.status, revoked.body.revoked], [200, true]);
    assert.equal(await status(next.body.token), 401);
    const twice = await house.send(`/auth/keys/${next.body.key}/revoke`, { as, body: {} });
    assert.deepEqual([twice.status, twice.body.revoked], [200, false]);
    const none = await house.send("/auth/keys/t%20one/revoke", { as, body: {} });
    assert.deepEqual([none.status, none.body], [200, { key: "t one", revoked: false }]);
    for (const none of ["t_aaaaaaaaaaaaaaaa", "x", "..%2F..", "%00"]) {
      assert.equal((await rotate(none)).status, 409, none);
    }
  }, { said: { IDENTITY__API_KEYS__OVERLAP_MS: "60000" } }));

Deno.test("nobody gives a key what they have not, another person a key, or a key a key; nor does a token make one", () =>
  withHouse(async (house) => {
    const { account, as } = await signedIn(house, "alice", "viewer");
    const before = house.told().length;
    const refused = await issue(house, as, { name: "more", scopes: ["read", "admin"] });
    assert.deepEqual([refused.status, code(refused), refused.body.scopes], [403, "forbidden", ["admin"]]);
    for (
      const body of [
        {},
        { name: "x" },
        { name: "x", scopes: [] },
        { name: "x", scopes: ["root"] },
        { name: "x", scopes: ["read"], days: 0 },
        { name: "x", scopes: ["read"], days: 367 },
        { name: "x", scopes: ["read"], account: "u_nobodyatall000000" },
        { name: "x", scopes: ["read"], tenant: "acme" },
        { name: "", scopes: ["read"] },
        { name: "a\u202eb", scopes: ["read"] },
        { name: "a".repeat(101), scopes: ["read"] },
      ]
    ) assert.equal((await issue(house, as, body)).status, 400, JSON.stringify(body));
    const others = await house.send(`/accounts/${account}/keys`, {
      as: house.token,
      body: { name: "impersonation", scopes: ["read"] },
    });
    assert.deepEqual([others.status, code(others)], [403, "forbidden"]);
    assert.equal((await issue(house, house.token, { name: "x", scopes: ["read"] })).status, 403, "a token has no keys");
    assert.equal(house.told().length, before);
    const nobodys = await house.send("/accounts/u_nobodyOfThisName00000/keys", { as: house.token });
    assert.deepEqual([nobodys.status, code(nobodys)], [404, "no_account"]);
    const { body: { token, key } } = await issue(house, as, { name: "ok", scopes: ["read"] });
    assert.equal((await issue(house, token, { name: "child", scopes: ["read"] })).status, 403);
    const { as: other } = await signedIn(house, "bob", "viewer");
    assert.equal((await house.send(`/auth/keys/${key}/revoke`, { as: other, body: {} })).body.revoked, false);
    assert.equal((await house.send("/events?limit=1", { as: token })).status, 200, "bob revoked nothing");
    // Nor is it a way into a page's session.
    const page = await house.send("/login", {
      method: "POST",
      body: `token=${token}`,
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.equal(page.status, 401);
  }));

Deno.test("keys of an account are looked at without those of all others", () =>
  withHouse(async (house) => {
    const { as } = await signedIn(house, "alice", "operator");
    const other = await signedIn(house, "bob", "operator");
    const made = async (whose: string) =>
      (await issue(house, whose, { name: "nightly", scopes: ["read"], days: 7 })).body.key as string;
    const [first] = [await made(as), await made(other.as)];
    const { tokens } = house.keys;
    const list = tokens.list.bind(tokens);
    tokens.list = () => {
      throw new Error("all of them");
    };
    try {
      const second = await made(as);
      const { body: { keys } } = await house.send("/auth/keys", { as });
      assert.deepEqual(keys.map(({ key }: { key: string }) => key).sort(), [first, second].sort());
      assert.equal((await house.send(`/auth/keys/${second}/revoke`, { as, body: {} })).status, 200);
    } finally {
      tokens.list = list;
    }
    assert.equal(list().filter(({ revoked }) => revoked !== undefined).length, 1);
  }));

Deno.test("a service has keys that an administrator makes, reads and revokes; so many and no more", () =>
  withHouse(async (house) => {
    const { body: { account } } = await house.send("/accounts", {
      as: house.token,
      body: { name: "robot", kind: "service" },
    });
    await grant(house, account, "operator");
    const make = () =>
      house.send(`/accounts/${account}/keys`, { as: house.token, body: { name: "bot", scopes: ["ingest"] } });
    const first = await make();
    assert.equal(first.status, 201, JSON.stringify(first.body));
    const event = { specversion: "1.0", id: "1", source: "/x", type: "x.y.z", data: {} };
    const send = () =>
      house.send("/events", {
        as: first.body.token,
        body: JSON.stringify(event),
        headers: { "content-type": "application/cloudevents+json" },
      });
    assert.equal((await send()).status, 201);
    assert.equal((await make()).status, 201);
    const third = await make();
    assert.deepEqual([third.status, third.body.code], [409, "too_many_keys"]);
    const { body: { keys } } = await house.send(`/accounts/${account}/keys`, { as: house.token });
    assert.equal(keys.length, 2);
    const gone = await house.send(`/accounts/${account}/keys/${first.body.key}/revoke`, { as: house.token, body: {} });
    assert.equal(gone.status, 200);
    assert.equal((await send()).status, 401);
    const none = await house.send("/accounts/u_nobodyatall000000/keys", {
      as: house.token,
      body: { name: "x", scopes: ["read"] },
    });
    assert.deepEqual([none.status, code(none)], [404, "no_account"]);
  }, { said: { IDENTITY__API_KEYS__EACH_MAX: "2" } }));

Deno.test("a key that is revoked as it is made, because its account is disabled beside it, is answered as made", () =>
  inFolder((data) =>
    withHouse(async (house) => {
      const { body: { account } } = await house.send("/accounts", {
        as: house.token,
        body: { name: "robot", kind: "service" },
      });
      const to = (path: string, body: unknown) => house.send(`/accounts/${account}/${path}`, { as: house.token, body });
      for (let round = 0; round < 10; round++) {
        // What waits behind the first of them is decided at once, and told together.
        const [, , made, ...disabled] = await Promise.all([
          to("grant", { role: "viewer" }),
          to("revoke", { role: "viewer" }),
          to("keys", { name: "nightly", scopes: ["read"] }),
          ...Array.from({ length: 4 }, () => to("disable", {})),
        ]);
        assert.deepEqual(disabled.map(({ status }) => status), [200, 200, 200, 200]);
        assert.ok([201, 409].includes(made.status), JSON.stringify(made.body));
        if (made.status === 201) {
          const [issued] = house.told("identity.key.issued").filter(({ data }) => data.key === made.body.key);
          assert.equal(made.body.until, issued!.data.until);
          assert.equal((await house.send("/events", { as: made.body.token })).status, 401);
        }
        assert.equal((await to("enable", {})).status, 200);
      }
    }, { data })
  ));

Deno.test("a privileged role counts for a key that was made in a session with a second factor", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    await grant(house, account, "administrator");
    const { body: { access_token: weak } } = await house.signIn("ada");
    assert.equal((await issue(house, weak, { name: "x", scopes: ["admin"] })).status, 403);
    const { body: { factor, secret } } = await house.send("/auth/factors/totp", {
      as: weak,
      body: { password: PASSWORD },
    });
    const totp = new TOTP({ secret: Secret.fromBase32(secret) }).generate();
    const { body: { codes } } = await house.send("/auth/factors/confirm", { as: weak, body: { factor, code: totp } });
    const { body: { ticket } } = await house.signIn("ada");
    const { body: { access_token: as } } = await house.send("/auth/second", { body: { ticket, code: codes[0] } });
    const stale = await issue(house, as, { name: "x", scopes: ["admin"] });
    if (stale.status === 403) {
      assert.equal(code(stale), "factor_wanted");
      await house.send("/auth/factors/verify", { as, body: { code: codes[1] } });
    }
    const { body: { token } } = await issue(house, as, { name: "x", scopes: ["admin"] });
    assert.equal((await house.send("/dead-letters", { as: token })).status, 200);
    assert.equal((await house.send("/events", { as: token })).status, 403, "of admin alone");
  }));

Deno.test("who was erased has no keys left; and when one was last used is kept without a write for each request", () =>
  inFolder(async (data) => {
    let token = "";
    await withHouse(async (house) => {
      const { account, as } = await signedIn(house, "alice", "viewer");
      ({ body: { token } } = await issue(house, as, { name: "ci", scopes: ["read"] }));
      for (let i = 0; i < 20; i++) await house.send("/events?limit=1", { as: token });
      const erased = await house.send("/operations/erase-subject", { as: house.token, body: { subject: account } });
      assert.equal(erased.status, 200, JSON.stringify(erased.body));
      assert.equal((await house.send("/events", { as: token })).status, 401);
    }, { data });
    await withHouse(async (house) => {
      assert.equal((await house.send("/events", { as: token })).status, 401);
    }, { data });
  }));

Deno.test("uses are kept every so often, and once more at the end", async () => {
  let kept = 0, due = () => {};
  const child = usesOf({ flushUses: () => void kept++ }, {
    ...systemClock,
    schedule: (_, call) => (due = call, () => {}),
  });
  const stop = new AbortController();
  const run = child.run(stop.signal, { ready() {} } as never);
  due();
  await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(kept, 1);
  stop.abort();
  await run;
  assert.ok(kept >= 2);
});

Deno.test("the page makes, replaces and revokes keys, for forms of its own session alone", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    await grant(house, account, "viewer");
    const form = (path: string, fields: Record<string, string>, cookie = "") =>
      house.send(path, {
        method: "POST",
        body: new URLSearchParams(fields).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded", cookie, accept: "text/html" },
      });
    const signIn = await form("/sign-in", { name: "alice", password: PASSWORD });
    assert.equal(signIn.status, 303, String(signIn.body));
    const cookie = signIn.headers.get("set-cookie")!.split(";")[0]!;
    const read = async () =>
      String((await house.send("/account/keys", { headers: { cookie, accept: "text/html" } })).body);
    const csrf = /name="csrf" value="([^"]+)"/.exec(await read())![1]!;
    const made = await form("/account/keys", { csrf, name: "<b>ci", days: "30", read: "on" }, cookie);
    assert.equal(made.status, 201, String(made.body).slice(-400));
    const token = /dbk_[a-z2-7]{16}_[a-z2-7]{52}/.exec(String(made.body))![0];
    assert.equal((await house.send("/events?limit=1", { as: token })).status, 200);
    const listed = await read();
    assert.ok(listed.includes("&lt;b&gt;ci") && !listed.includes(token), "the name is text, the key is not there");
    const key = `t_${token.split("_")[1]}`;
    const before = house.told().length;
    for (
      const [path, fields] of [
        ["/account/keys", { csrf: "x", name: "ci", days: "30", read: "on" }],
        ["/account/keys/rotate", { csrf: "x", key }],
        ["/account/keys/revoke", { csrf: "x", key }],
        ["/account/keys", { csrf, name: "ci", days: "30", admin: "on" }],
        ["/account/keys", { csrf, name: "ci", days: "30" }],
        ["/account/keys", { csrf, name: "ci", days: "1e9", read: "on" }],
        ["/account/keys", { csrf, name: "ci", days: "30", read: "on", account: "u_nobodyatall000000" }],
      ] as const
    ) {
      const { status } = await form(path, fields, cookie);
      assert.ok(status === 400 || status === 403, `${path} ${JSON.stringify(fields)} ${status}`);
    }
    assert.equal(house.told().length, before);
    for (
      const [fields, says] of [
        [
          { name: "nightly\u202e", days: "30", read: "on" },
          "Say what it is for, in at most 100 characters that can all be seen.",
        ],
        [{ name: "nightly", days: "30" }, "Tick at least one scope."],
        [{ name: "nightly", days: "0" }, "Tick at least one scope. Say for how many days, 1 to 366."],
      ] as const
    ) {
      const told = await form("/account/keys", { csrf, ...fields }, cookie);
      assert.equal(/role="alert">(.*?)</.exec(String(told.body))![1], says);
    }
    assert.equal((await form("/account/keys/rotate", { csrf, key }, cookie)).status, 201);
    assert.equal((await form("/account/keys/revoke", { csrf, key }, cookie)).status, 200);
    assert.equal((await house.send("/events?limit=1", { as: token })).status, 401);
  }));

Deno.test("who does something by a key of theirs approves it no more than in a session", () =>
  withHouse(async (house) => {
    const { account, as } = await signedIn(house, "ada", "operator");
    const { body: { key, token } } = await issue(house, as, { name: "nightly", scopes: ["command"] });
    const until = new Date(systemClock.now() + 86_400_000).toISOString();
    const except = (approvedby: string) =>
      house.send("/commands/controls.exception.grant/sinks-recover", {
        as: token,
        body: { until, why: "It is replaced", approvedby },
      });
    for (const own of [key, account]) assert.equal((await except(own)).body.code, "approved_by_oneself", own);
    assert.equal((await except("u_bbbbbbbbbbbbbbbb")).status, 200);
    assert.deepEqual(house.told("controls.exception.granted").map(({ authid }) => authid), [key]);
  }));

Deno.test("who agreed to a role is on record: somebody else than who gives or takes it, also by a key", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    const made = await house.send("/accounts", { as: house.token, body: { name: "robot", kind: "service" } });
    const robot = made.body.account as string;
    assert.equal((await grant(house, robot, "administrator")).status, 200);
    const keyed = { as: house.token, body: { name: "bot", scopes: ["admin"] } };
    const { body: { key, token } } = await house.send(`/accounts/${robot}/keys`, keyed);
    const change = (verb: string, approvedby: string) =>
      house.send(`/accounts/${account}/${verb}`, { as: token, body: { role: "auditor", approvedby } });
    for (const verb of ["grant", "revoke"]) {
      for (const own of [key, robot]) assert.equal((await change(verb, own)).body.code, "own_approval", verb);
      assert.equal((await change(verb, "")).status, 400);
      assert.equal((await change(verb, "u_bbbbbbbbbbbbbbbb")).status, 200, verb);
    }
    const told = house.told("identity.role.granted", "identity.role.revoked").slice(-2);
    const by = [key, "u_bbbbbbbbbbbbbbbb"];
    assert.deepEqual(told.map(({ authid, data }) => [authid, data.approvedby]), [by, by]);
  }));

Deno.test("who was erased is given nothing more that would let nobody in; what they have can be taken away", () =>
  withHouse(async (house) => {
    const { account } = await signedIn(house, "alice", "viewer");
    const erased = await house.send("/operations/erase-subject", { as: house.token, body: { subject: account } });
    assert.equal(erased.status, 200, JSON.stringify(erased.body));
    const about = (verb: string, body: unknown) =>
      house.send(`/accounts/${account}/${verb}`, { as: house.token, body });
    const size = house.log.size;
    for (const [verb, body] of [["invite", {}], ["grant", { role: "operator" }], ["enable", {}]] as const) {
      const refused = await about(verb, body);
      assert.deepEqual([refused.status, refused.body.code], [409, "account_erased"], verb);
    }
    assert.equal(
      house.told().filter(({ position, type }) => position >= size && type.startsWith("identity.")).length,
      0,
    );
    assert.equal((await about("revoke", { role: "viewer" })).status, 200);
    assert.equal((await about("disable", {})).status, 200);
  }));
