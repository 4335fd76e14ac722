import assert from "node:assert/strict";
import { Once } from "../adapters/program/identity/once.ts";
import { clockAhead } from "./clock_given.ts";
import { code, type House, namedUrl, PASSWORD, withHouse } from "./identity_given.ts";
import { Authenticator, type Lies, withPasskey } from "./passkey_given.ts";
import { checkTooMany } from "./too_many_given.ts";
import { until } from "./until.ts";

const password = PASSWORD;

const asking = async (house: House, step?: string) =>
  (await house.send("/auth/passkeys/options", { body: step === undefined ? {} : { step }, by: "name" })).body;
const present = (house: House, ticket: string, response: unknown) =>
  house.send("/auth/passkeys/sign-in", { body: { ticket, response }, by: "name" });
/** Signs in with a passkey alone, honestly or not. */
const enter = async (house: House, authenticator: Authenticator, lies?: Lies) => {
  const { ticket, options } = await asking(house);
  return await present(house, ticket, authenticator.show(options, lies));
};
const reasons = (house: House) => house.told("identity.signin.failed").map(({ data }) => [data.method, data.reason]);

Deno.test("a passkey is set up with the password, lets in without it, and counts as more than a password", () =>
  withHouse(async (house) => {
    const { account, authenticator, made, codes } = await withPasskey(house, "alice", { password });
    assert.equal(made.status, 200, JSON.stringify(made.body));
    assert.equal(codes.length, 10, "the first second factor brings backup codes");
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "administrator" } });
    const signed = await enter(house, authenticator);
    assert.equal(signed.status, 200, JSON.stringify(signed.body));
    assert.equal(signed.body.account, account);
    const started = house.told("identity.session.started").at(-1)!.data;
    assert.deepEqual([started.factors, started.privileged, started.roles], [["passkey"], true, ["administrator"]]);
    const [, claims] = signed.body.access_token.split(".");
    assert.deepEqual(JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/"))).amr, ["hwk"]);
    const verified = house.told("identity.factor.verified").map(({ data }) => [data.kind, data.counter]);
    assert.deepEqual(verified, [["passkey", 0], ["passkey", 1]]);
    const text = JSON.stringify(house.told().map(({ data }) => data));
    assert.ok(!text.includes(authenticator.show({ rpId: "localhost" }).id), "what names the passkey is in no event");
  }));

Deno.test("a passkey is a second factor after the password, and shows within a session that it is still there", () =>
  withHouse(async (house) => {
    const { account, authenticator } = await withPasskey(house, "alice", { password });
    const asked = await house.signIn("alice");
    assert.deepEqual([asked.status, code(asked)], [403, "factor_wanted"]);
    const step = asked.body.ticket;
    const { ticket, options } = await asking(house, step);
    assert.equal(options.allowCredentials.length, 1);
    const body = { step, ticket, response: authenticator.show(options, { verified: false }) };
    const signed = await house.send("/auth/passkeys/second", { body, by: "name" });
    assert.equal(signed.status, 200, "after the password its holder need not be verified");
    assert.deepEqual(house.told("identity.session.started").at(-1)!.data.factors, ["password", "passkey"]);
    const as = signed.body.access_token;
    assert.equal(code(await house.send("/auth/factors/backup-codes", { as, method: "POST" })), "factor_wanted");
    const proof = (await house.send("/auth/passkeys/verify/options", { as, method: "POST", by: "name" })).body;
    const shown = { ticket: proof.ticket, response: authenticator.show(proof.options) };
    assert.equal((await house.send("/auth/passkeys/verify", { as, body: shown, by: "name" })).status, 204);
    assert.equal((await house.send("/auth/factors/backup-codes", { as, method: "POST" })).body.codes.length, 10);
    assert.equal(house.told("identity.factor.verified").at(-1)!.data.session, signed.body.session);
    assert.equal(account, signed.body.account);
  }));

Deno.test("a counter that does not grow is refused, and said to be a suspected clone", () =>
  withHouse(async (house) => {
    const { account, authenticator, as } = await withPasskey(house, "alice", { password });
    assert.equal((await enter(house, authenticator, { counter: 5 })).status, 200);
    for (const counter of [5, 4, 0]) {
      const refused = await enter(house, authenticator, { counter });
      assert.deepEqual([refused.status, code(refused)], [401, "signin_refused"]);
    }
    const step = (await house.signIn("alice")).body.ticket;
    const second = await asking(house, step);
    const body = { step, ticket: second.ticket, response: authenticator.show(second.options, { counter: 5 }) };
    assert.equal((await house.send("/auth/passkeys/second", { body, by: "name" })).status, 401);
    const proof = (await house.send("/auth/passkeys/verify/options", { as, method: "POST", by: "name" })).body;
    const shown = { ticket: proof.ticket, response: authenticator.show(proof.options, { counter: 5 }) };
    assert.equal((await house.send("/auth/passkeys/verify", { as, body: shown, by: "name" })).status, 401);
    const suspected = house.told("identity.clone.suspected").map(({ data }) => [data.account, data.counter, data.held]);
    assert.deepEqual(suspected, [5, 4, 0, 5, 5].map((counter) => [account, counter, 5]));
    assert.deepEqual(new Set(reasons(house).map(String)), new Set(["passkey,clone_suspected"]));
    const wait = house.told().at(-1)!.position;
    const row = await house.send(`/views/identity.accounts/${account}?wait=${wait}`, { as: house.token });
    assert.equal(row.body.row.factors[0].suspected, 5, "the view counts them");
    assert.equal((await enter(house, authenticator, { counter: 6 })).status, 200, "the one that counts on goes on");
  }));

Deno.test("a passkey without a counter lets in again and again, and its answer only once", () =>
  withHouse(async (house) => {
    const authenticator = new Authenticator(namedUrl(house.url), false);
    await withPasskey(house, "alice", { password, authenticator });
    assert.equal((await enter(house, authenticator)).status, 200);
    const { ticket, options } = await asking(house);
    const response = authenticator.show(options);
    const answers = await Promise.all(Array.from({ length: 6 }, () => present(house, ticket, response)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401, 401, 401]);
    assert.deepEqual(reasons(house), Array.from({ length: 5 }, () => ["passkey", "replayed"]));
    assert.equal(house.told("identity.clone.suspected").length, 0);
  }));

Deno.test("what was asked elsewhere, of somebody else, for something else, or made up lets nobody in, and locks nobody out", () =>
  withHouse(async (house) => {
    const { account, authenticator } = await withPasskey(house, "alice", { password });
    const bob = await withPasskey(house, "bob", { password });
    const url = namedUrl(house.url);
    for (
      const [lies, reason] of [
        [{ origin: url.replace(/\d+$/, "1") }, "wrong_origin"],
        [{ origin: url.replace("http:", "https:") }, "wrong_origin"],
        [{ origin: "http://localhost.example" }, "wrong_origin"],
        [{ crossOrigin: true }, "wrong_origin"],
        [{ rp: "localhost.example" }, "wrong_secret"],
        [{ type: "webauthn.create" }, "wrong_secret"],
        [{ challenge: "another-challenge-aaaaaa" }, "wrong_secret"],
        [{ verified: false }, "wrong_secret"],
        [{ present: false }, "wrong_secret"],
        [{ id: "AAAA" }, "not_enrolled"],
        [{ account: bob.account }, "not_enrolled"],
        [{ account: "u_aaaaaaaaaaaaaaaaaaaa" }, "unknown_account"],
        [{ account: "nobody" }, "unknown_account"],
      ] as const
    ) {
      const refused = await enter(house, authenticator, lies);
      const told = JSON.stringify(lies);
      assert.deepEqual([told, refused.status, code(refused)], [told, 401, "signin_refused"]);
      assert.deepEqual([told, ...reasons(house).at(-1)!], [told, "passkey", reason]);
    }
    const { ticket, options } = await asking(house);
    const good = authenticator.show(options);
    const forged = {
      ...good,
      response: { ...good.response, signature: bob.authenticator.show(options).response.signature },
    };
    assert.equal((await present(house, ticket, forged)).status, 401, "another's signature");
    for (const made of [ticket.slice(0, -2) + "AA", "dbp_x", ticket.replace("dbp_in", "dbp_second")]) {
      assert.equal((await present(house, made, good)).status, 401, made);
    }
    const step = (await house.signIn("alice")).body.ticket;
    const second = await asking(house, step);
    assert.equal(
      (await present(house, second.ticket, authenticator.show(second.options))).status,
      401,
      "for the second step",
    );
    const body = { step, ticket, response: good };
    assert.equal((await house.send("/auth/passkeys/second", { body, by: "name" })).status, 401, "for the first step");
    assert.deepEqual(house.told("identity.account.locked"), []);
    assert.equal((await enter(house, authenticator)).status, 200);
    assert.equal((await house.send(`/accounts/${account}/disable`, { as: house.token, body: {} })).status, 200);
    assert.equal((await enter(house, authenticator)).status, 401);
    assert.equal(reasons(house).at(-1)![1], "disabled");
  }, { said: { IDENTITY__LOCKOUT__FAILURES_MAX: "3" } }));

Deno.test("a passkey gets in while the password is locked, and the lock stays", () =>
  withHouse(async (house) => {
    const { account, authenticator } = await withPasskey(house, "alice", { password });
    for (let i = 0; i < 3; i++) await house.signIn("alice", "not this one");
    assert.equal(house.told("identity.account.locked").length, 1);
    assert.equal((await enter(house, authenticator)).status, 200);
    assert.equal((await house.signIn("alice")).status, 401);
    assert.equal(reasons(house).at(-1)![1], "locked");
    const wait = house.told().at(-1)!.position;
    const row = await house.send(`/views/identity.accounts/${account}?wait=${wait}`, { as: house.token });
    assert.equal(row.body.row.locked, true);
  }, { said: { IDENTITY__LOCKOUT__FAILURES_MAX: "3" } }));

Deno.test("who is asked for a second factor because of a threat is led to where it is shown, and shows a passkey there", () =>
  withHouse(async (house) => {
    const { authenticator } = await withPasskey(house, "alice", { password });
    const FORM = { "content-type": "application/x-www-form-urlencoded", accept: "text/html" };
    const text = (html: string) => html.replaceAll("&quot;", '"').replaceAll("&amp;", "&");
    /** Answers what the page's form asks the authenticator. */
    const answered = (page: string, more: Record<string, string> = {}) => {
      const form = page.slice(page.indexOf("data-passkey"));
      const options = JSON.parse(text(/data-options="([^"]+)"/.exec(form)![1]!));
      const ticket = /name="ticket" value="([^"]+)"/.exec(form)![1]!;
      return new URLSearchParams({ ...more, ticket, response: JSON.stringify(authenticator.show(options)) }).toString();
    };
    const signIn = (await house.send("/sign-in", { by: "name" })).body as string;
    const entered = await house.send("/sign-in/passkey", { body: answered(signIn), headers: FORM, by: "name" });
    assert.equal(entered.status, 303, entered.body);
    const headers = { ...FORM, cookie: entered.headers.get("set-cookie")!.split(";", 1)[0]! };
    const get = (path: string) => house.send(path, { headers, by: "name" });
    assert.equal((await get("/account")).status, 200);

    const { body: { refresh_token } } = await enter(house, authenticator);
    for (const status of [200, 401]) {
      assert.equal((await house.send("/auth/refresh", { body: { refresh_token } })).status, status);
    }
    const led = await until("who is signed in is led away", () => get("/account"), ({ status }) => status !== 200);
    assert.deepEqual([led.status, led.headers.get("location")], [303, "/account/factors"]);
    const page = (await get("/account/factors")).body as string;
    const csrf = /name="csrf" value="([^"]+)"/.exec(page)![1]!;
    const path = "/account/factors/verify-passkey";
    assert.equal((await house.send(path, { body: answered(page, { csrf }), headers, by: "name" })).status, 200);
    assert.equal((await get("/account")).status, 200);
  }));

Deno.test("a challenge that waited too long is over", () =>
  withHouse(async (house) => {
    const { authenticator } = await withPasskey(house, "alice", { password });
    const { ticket, options } = await asking(house);
    const response = authenticator.show(options);
    using _later = clockAhead(Number(ticket.split(".")[3]) - Date.now());
    assert.equal((await present(house, ticket, response)).status, 401);
    assert.deepEqual(reasons(house), [["passkey", "expired"]]);
  }));

Deno.test("at every door a try counts, and an address that has had enough waits", () =>
  withHouse(async (house) => {
    const { as, authenticator } = await withPasskey(house, "alice", { password });
    const step = (await house.signIn("alice")).body.ticket;
    await house.person("bob");
    const bob = (await house.signIn("bob")).body.access_token;
    const shown = ({ ticket, options }: Awaited<ReturnType<typeof asking>>) => ({
      ticket,
      response: authenticator.show(options),
    });
    const proof = (await house.send("/auth/passkeys/verify/options", { as, method: "POST", by: "name" })).body;
    const [alone, second, again] = [shown(await asking(house)), shown(await asking(house, step)), shown(proof)];
    const doors: readonly (readonly [path: string, body: object, as?: string])[] = [
      ["/auth/passkeys/sign-in", alone],
      ["/auth/passkeys/second", { step, ...second }],
      ["/auth/passkeys/verify", again, as],
      ["/auth/second", { ticket: step, code: "000000" }],
      ["/auth/factors/confirm", { factor: "none", code: "000000" }, bob],
      ["/auth/factors/verify", { code: "000000" }, as],
      ["/auth/password", { current: password, next: `${password} of late` }, as],
      ["/auth/factors/totp", { password }, bob],
      ["/auth/invitation", { code: "none", password }],
      ["/auth/device", {}],
      ["/auth/device/answer", { user_code: "BCDF-GHJK", allow: true }, bob],
    ];
    for (let i = 0; (await house.signIn("nobody", `${password} ${i}`)).status !== 429; i++) assert.ok(i < 50);
    for (const [path, body, as] of doors) {
      const answer = await house.send(path, { body, as, by: "name" });
      assert.equal(answer.status, 429, `${path}: ${JSON.stringify(answer.body)}`);
      assert.equal(checkTooMany(answer), "signin_address", path);
    }
  }, { said: { IDENTITY__RATE__ADDRESS_MAX: "20" } }));

Deno.test("setting up wants the password, an answer to what was asked, and a passkey that is not there yet", () =>
  withHouse(async (house) => {
    const { as, authenticator, codes } = await withPasskey(house, "alice", { password });
    const verify = { as, body: { code: codes[0] } };
    assert.equal(
      code(await house.send("/auth/factors/passkeys/options", { as, method: "POST", by: "name" })),
      "factor_wanted",
    );
    assert.equal((await house.send("/auth/factors/verify", verify)).status, 204);
    const another = new Authenticator(namedUrl(house.url));
    const set = async (
      by: Authenticator,
      { lies, ...more }: { lies?: Lies; password?: string; ticket?: string } = {},
    ) => {
      const { ticket, options } =
        (await house.send("/auth/factors/passkeys/options", { as, method: "POST", by: "name" })).body;
      const body = { ticket, response: by.make(options, lies), password, ...more };
      return await house.send("/auth/factors/passkeys", { as, body, by: "name" });
    };
    assert.equal((await set(another, { password: "not this one" })).status, 401);
    assert.equal((await set(authenticator)).status, 401, "it is set up already");
    for (
      const lies of [{ origin: "http://localhost:1" }, { rp: "example.com" }, { verified: false }, {
        challenge: "AAAA",
      }]
    ) {
      assert.equal((await set(another, { lies })).status, 401, JSON.stringify(lies));
    }
    assert.equal(
      (await set(another, { ticket: (await asking(house)).ticket })).status,
      401,
      "a challenge for signing in",
    );
    assert.equal(house.told("identity.factor.enrolled").length, 2);
    assert.equal((await set(another)).status, 204, "there are backup codes already");
    const listed = await house.send("/auth/factors", { as });
    const [, , { factor }] = listed.body.factors;
    const rename = (label: unknown, of = factor) =>
      house.send(`/auth/factors/${of}`, { method: "PUT", as, body: { label } });
    assert.equal((await rename("Key ring")).status, 204);
    assert.equal((await rename("x", "another-factor-aaaa")).status, 404);
    assert.deepEqual([(await rename("")).status, (await rename("x".repeat(65))).status], [400, 400]);
    const after = await house.send("/auth/factors", { as });
    assert.deepEqual(after.body.factors.map(({ label }: { label?: string }) => label), [
      "Laptop",
      undefined,
      "Key ring",
    ]);
    assert.equal((await house.send(`/auth/factors/${factor}`, { method: "DELETE", as })).status, 204);
    assert.equal((await enter(house, another)).status, 401, "it lets nobody in any more");
    assert.equal((await enter(house, authenticator)).status, 200);
  }));

Deno.test("what is no answer of an authenticator, or comes by an address, is one clear problem", () =>
  withHouse(async (house) => {
    const { authenticator } = await withPasskey(house, "alice", { password });
    const { ticket, options } = await asking(house);
    const good = authenticator.show(options);
    const before = house.told().length;
    for (
      const response of [
        null,
        {},
        { ...good, id: "not base64url!" },
        { ...good, type: "password" },
        { ...good, response: {} },
        { ...good, response: { ...good.response, signature: "A".repeat(9_000) } },
        { ...good, response: { ...good.response, clientDataJSON: 7 } },
      ]
    ) assert.deepEqual(code(await present(house, ticket, response)), "invalid_data");
    const by = await house.send("/auth/passkeys/sign-in", { body: { ticket, response: good } });
    assert.deepEqual([by.status, code(by)], [409, "no_passkeys"]);
    assert.equal(house.told().length, before);
    for (const part of ["clientDataJSON", "authenticatorData", "signature"] as const) {
      const spoilt = { ...good, response: { ...good.response, [part]: "AAAA" } };
      assert.equal((await present(house, ticket, spoilt)).status, 401, part);
    }
    assert.deepEqual(house.lines, []);
  }));

Deno.test("what may come once is remembered until its time is over, and no more than there is room for", () => {
  const clock = { ms: 0 };
  const once = new Once({ max: 2, now: () => clock.ms });
  assert.deepEqual([once.take("a", 10), once.take("a", 10), once.take("b", 20), once.take("c", 30)], [
    true,
    false,
    true,
    "full",
  ]);
  clock.ms = 10;
  assert.deepEqual([once.take("c", 30), once.take("b", 20)], [true, false]);
});
