import assert from "node:assert/strict";
import {
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
  UnsecuredJWT,
} from "jose";
import { KEYS } from "../actors/identity/actor.ts";
import { signingKeyOf } from "../adapters/jose/access_tokens.ts";
import { KeysFault } from "../adapters/keys/fault.ts";
import type { KvLog } from "../adapters/kv/log.ts";
import { LogFault } from "../events/log.ts";
import { type House, PASSWORD, withHouse } from "./identity_given.ts";

const problem = (code: string) => `urn:daybook:problem:${code}`;

const signedIn = async (house: House, name = "alice") => {
  const { status, body } = await house.signIn(name);
  assert.equal(status, 200, JSON.stringify(body));
  return body as { access_token: string; refresh_token: string; account: string; session: string; expires_in: number };
};
const sessions = (house: House, as: string) => house.send("/auth/sessions", { as });

Deno.test("an access token says who, for whom and until when, and others can check it by the published keys", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const { access_token, session, expires_in } = await signedIn(house);
    assert.equal(expires_in, 300);
    const { body: jwks, headers } = await house.send("/.well-known/jwks.json");
    assert.equal(headers.get("content-type"), "application/jwk-set+json");
    assert.deepEqual(Object.keys(jwks.keys[0]).sort(), ["alg", "crv", "kid", "kty", "use", "x"], "nothing private");
    const header = decodeProtectedHeader(access_token);
    assert.deepEqual([header.alg, header.typ, header.kid], ["EdDSA", "at+jwt", jwks.keys[0].kid]);
    const { payload } = await jwtVerify(access_token, await importJWK(jwks.keys[0], "EdDSA"), { audience: "daybook" });
    assert.deepEqual([payload.sub, payload.sid, payload.exp! - payload.iat!], [account, session, 300]);
    assert.match(payload.iss!, /^daybook\//);
  }));

/** Signs as the house does, with its own key. */
const signedByHouse = async (house: House, kid: string) => {
  const key = signingKeyOf(kid, house.keys.accounts.read(KEYS, kid)!);
  const own = await importJWK(key.jwk, "EdDSA");
  return (claims: JWTPayload) => new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid }).sign(own);
};

Deno.test("of what our own key signed, another issuer, another audience and what is over count for nothing", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { access_token } = await signedIn(house);
    const claims = decodeJwt(access_token);
    const sign = await signedByHouse(house, decodeProtectedHeader(access_token).kid!);
    const status = async (more: JWTPayload) => (await sessions(house, await sign({ ...claims, ...more }))).status;
    const now = () => Math.floor(Date.now() / 1_000);
    assert.equal(await status({}), 200);
    assert.equal(await status({ iss: "daybook/another" }), 401);
    assert.equal(await status({ iss: undefined! }), 401);
    assert.equal(await status({ aud: "another" }), 401);
    assert.equal(await status({ aud: undefined! }), 401);
    assert.equal(await status({ exp: now() - 1 }), 401);
    assert.equal(await status({ exp: undefined! }), 401);
    // One that was good goes on being asked: a busy machine may be late for the first time, and then takes another.
    for (let tries = 0;; tries++) {
      assert.ok(tries < 20, "it was late each time");
      const exp = now() + 2;
      const soon = await sign({ ...claims, exp });
      if ((await sessions(house, soon)).status !== 200) continue;
      while (Date.now() < exp * 1_000) await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal((await sessions(house, soon)).status, 401);
      return;
    }
  }, { said: { SERVER__RATE__DENIED_MAX: "1000" } }));

Deno.test("a tenant's own times are those of its sessions", () =>
  withHouse(async (house) => {
    await house.person("alice");
    await house.person("bob", PASSWORD, "acme");
    for (const name of ["alice", "bob"]) await signedIn(house, name);
    const lasts = house.told("identity.session.started").map(({ time, data: { idle_until, until } }) =>
      [idle_until, until].map((end) => Date.parse(end) - Date.parse(time))
    );
    assert.deepEqual(lasts, [[1_800_000, 43_200_000], [120_000, 180_000]]);
  }, { said: { IDENTITY__TENANTS__ACME__IDLE_MS: "120000", IDENTITY__TENANTS__ACME__ABSOLUTE_MS: "180000" } }));

Deno.test("JWT attacks: no algorithm, another algorithm, another key, a foreign kid, what is not signed", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { access_token } = await signedIn(house);
    assert.equal((await sessions(house, access_token)).status, 200);
    const [head, body, signature] = access_token.split(".") as [string, string, string];
    const claims = JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/")));
    const part = (value: unknown) =>
      new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
    const { body: { keys: [jwk] } } = await house.send("/.well-known/jwks.json");
    const { kid } = jwk;
    const own = await generateKeyPair("EdDSA", { extractable: true });
    const forged = (protectedHeader: Record<string, unknown>) =>
      new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", typ: "at+jwt", kid, ...protectedHeader })
        .sign(own.privateKey);
    const publicBytes = new TextEncoder().encode(JSON.stringify(jwk));
    const bad: Record<string, string> = {
      none: new UnsecuredJWT(claims).encode(),
      "none with a header of ours": `${part({ alg: "none", typ: "at+jwt", kid })}.${body}.`,
      "none in capitals": `${part({ alg: "nOnE", typ: "at+jwt", kid })}.${body}.${signature}`,
      "the public key as an HMAC key": await new SignJWT(claims).setProtectedHeader({
        alg: "HS256",
        typ: "at+jwt",
        kid,
      }).sign(publicBytes),
      "a key of one's own": await forged({}),
      "a key that comes along": await forged({ jwk: await exportJWK(own.publicKey) }),
      "a key from elsewhere": await forged({ jku: "https://evil.example/jwks.json" }),
      "a kid that is a path": await forged({ kid: "../../../../dev/null" }),
      "a kid that is SQL": await forged({ kid: "x' UNION SELECT 'aaaa" }),
      "a kid of another secret": await forged({ kid: claims.sid }),
      "no kid": await forged({ kid: undefined }),
      "another payload": `${head}.${part({ ...claims, sub: "u_bbbbbbbbbbbbbbbb" })}.${signature}`,
      "another type": `${part({ alg: "EdDSA", kid })}.${body}.${signature}`,
      "no signature": `${head}.${body}.`,
      "cut": access_token.slice(0, -4),
      "long": `${access_token}${"A".repeat(4_000)}`,
    };
    for (const [what, token] of Object.entries(bad)) {
      const answer = await sessions(house, token);
      assert.deepEqual([what, answer.status], [what, 401]);
      assert.ok(!JSON.stringify(answer.body).includes(token), what);
    }
    assert.equal((await sessions(house, access_token)).status, 200);
  }, { said: { SERVER__RATE__DENIED_MAX: "1000" } }));

Deno.test("an access token of another house is not taken, though its session's name were the same", () =>
  withHouse((one) =>
    withHouse(async (other) => {
      for (const house of [one, other]) await house.person("alice");
      const { access_token, refresh_token } = await signedIn(one);
      assert.equal((await sessions(other, access_token)).status, 401);
      assert.equal((await other.send("/auth/refresh", { body: { refresh_token } })).status, 401);
    })
  ));

Deno.test("a refresh token counts once; used again, it ends its session, and that is told", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const first = await signedIn(house);
    const other = await signedIn(house);
    const refresh = (refresh_token: string) => house.send("/auth/refresh", { body: { refresh_token } });
    const second = await refresh(first.refresh_token);
    assert.equal(second.status, 200);
    assert.notEqual(second.body.refresh_token, first.refresh_token);
    assert.equal((await sessions(house, second.body.access_token)).status, 200);
    const again = await refresh(first.refresh_token);
    assert.deepEqual([again.status, again.body.type], [401, problem("refresh_refused")]);
    assert.equal((await refresh(second.body.refresh_token)).status, 401, "nor does the newest count any more");
    assert.equal((await sessions(house, second.body.access_token)).status, 401, "nor an access token of it");
    assert.equal((await sessions(house, other.access_token)).status, 200, "another session goes on");
    const [reused] = house.told("identity.refresh.reused");
    const { address_pseudonym: _, agent_pseudonym: __, ...told } = reused!.data;
    assert.equal(told.account, account);
    assert.deepEqual([told.session, told.generation, told.current], [first.session, 0, 1]);
    assert.deepEqual(house.told("identity.session.ended").map(({ data }) => data.because), ["refresh_reused"]);
    // What a reused token leads to for the rest of the account is told of in threats_test.ts.
  }, { said: { THREATS__RESPOND: "false" } }));

Deno.test("of many who refresh with the same token at once one at most gets new ones, and the session ends", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { refresh_token } = await signedIn(house);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => house.send("/auth/refresh", { body: { refresh_token } })),
    );
    assert.ok(answers.filter(({ status }) => status === 200).length <= 1);
    assert.equal(house.told("identity.refresh.reused").length, 1);
    assert.equal(house.told("identity.session.refreshed").length, 1);
  }));

Deno.test("a refresh whose answer was lost can be repeated under the same Idempotency-Key, as long as it is the newest", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { refresh_token } = await signedIn(house);
    const refresh = (token: string, key: string) =>
      house.send("/auth/refresh", { body: { refresh_token: token }, headers: { "idempotency-key": key } });
    const first = await refresh(refresh_token, "try-1");
    const again = await refresh(refresh_token, "try-1");
    assert.deepEqual([first.status, again.status], [200, 200]);
    assert.equal(again.body.refresh_token, first.body.refresh_token);
    assert.equal(house.told("identity.session.refreshed").length, 1);
    const next = await refresh(again.body.refresh_token, "try-2");
    assert.equal(next.status, 200);
    assert.equal((await refresh(refresh_token, "try-1")).status, 401, "by now it has been exchanged");
    assert.equal(house.told("identity.refresh.reused").length, 1);
    assert.equal((await refresh(next.body.refresh_token, "try-3")).status, 401);
    assert.equal((await refresh(refresh_token, "a b")).status, 400);
  }));

Deno.test("a refresh token that was changed anywhere is not taken, and harms no session", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const { refresh_token, access_token } = await signedIn(house);
    const [head, session, generation, mac] = refresh_token.split(".") as [string, string, string, string];
    for (
      const token of [
        `${head}.${session}.1.${mac}`,
        `${head}.${session.slice(0, -1)}${session.endsWith("A") ? "B" : "A"}.${generation}.${mac}`,
        `${head}.${session}.${generation}.${mac.startsWith("A") ? "B" : "A"}${mac.slice(1)}`,
        refresh_token.replace("dbr_", "dbc_"),
        refresh_token.slice(0, -1),
        "dbr_",
        "x",
        `${refresh_token}.x`,
        "dbr_" + "a".repeat(400),
      ]
    ) assert.equal((await house.send("/auth/refresh", { body: { refresh_token: token } })).status, 401, token);
    assert.equal((await sessions(house, access_token)).status, 200);
    assert.equal(house.told("identity.refresh.reused").length, 0);
  }));

Deno.test("an account has so many sessions and no more: one more ends the oldest, and a tenant may say otherwise", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const all = [];
    for (let i = 0; i < 4; i++) all.push(await signedIn(house));
    const statuses = await Promise.all(
      all.map(async ({ access_token }) => (await sessions(house, access_token)).status),
    );
    assert.deepEqual(statuses, [401, 401, 200, 200]);
    assert.deepEqual(house.told("identity.session.ended").map(({ data }) => [data.session, data.because]), [
      [all[0]!.session, "too_many"],
      [all[1]!.session, "too_many"],
    ]);
    const made = await house.send("/accounts", { as: house.token, body: { name: "bob", tenant: "acme" } });
    await house.send("/auth/invitation", { body: { code: made.body.code, password: PASSWORD } });
    const [first, second] = [await signedIn(house, "bob"), await signedIn(house, "bob")];
    assert.equal((await sessions(house, first.access_token)).status, 401);
    assert.equal((await sessions(house, second.access_token)).status, 200);
  }, { said: { IDENTITY__SESSIONS__CONCURRENT_MAX: "2", IDENTITY__TENANTS__ACME__CONCURRENT_MAX: "1" } }));

Deno.test("signing out ends this session, everywhere ends all, and each can be ended from another", () =>
  withHouse(async (house) => {
    await house.person("alice");
    await house.person("bob");
    const [a, b, c] = [await signedIn(house), await signedIn(house), await signedIn(house)];
    const bob = await signedIn(house, "bob");
    const alive = async () =>
      await Promise.all(
        [a, b, c, bob].map(async ({ access_token }) => (await sessions(house, access_token)).status === 200),
      );
    assert.equal((await house.send("/auth/sign-out", { method: "POST", as: a.access_token })).status, 204);
    assert.deepEqual(await alive(), [false, true, true, true]);
    assert.equal(
      (await house.send(`/auth/sessions/${c.session}`, { method: "DELETE", as: b.access_token })).status,
      204,
    );
    assert.deepEqual(await alive(), [false, true, false, true]);
    assert.equal(
      (await house.send(`/auth/sessions/${bob.session}`, { method: "DELETE", as: b.access_token })).status,
      404,
    );
    assert.equal(
      (await house.send(`/auth/sessions/${c.session}`, { method: "DELETE", as: b.access_token })).status,
      404,
    );
    const d = await signedIn(house);
    assert.equal(
      (await house.send("/auth/sign-out-everywhere", { as: d.access_token, body: { keep: true } })).status,
      204,
    );
    assert.equal((await sessions(house, d.access_token)).status, 200);
    assert.equal((await house.send("/auth/sign-out-everywhere", { method: "POST", as: d.access_token })).status, 204);
    assert.equal((await sessions(house, d.access_token)).status, 401);
    assert.deepEqual(await alive(), [false, false, false, true]);
  }));

Deno.test("a changed password ends every other session, and the old one opens nothing", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const [mine, other] = [await signedIn(house), await signedIn(house)];
    const change = (current: string, next: string) =>
      house.send("/auth/password", { as: mine.access_token, body: { current, next } });
    const wrong = await change("not this one", "small boats at dawn");
    assert.deepEqual([wrong.status, wrong.body.type], [401, problem("signin_refused")]);
    assert.equal((await change(PASSWORD, "password")).status, 422);
    assert.equal((await change(PASSWORD, "small boats at dawn")).status, 204);
    assert.equal((await sessions(house, mine.access_token)).status, 200);
    assert.equal((await sessions(house, other.access_token)).status, 401);
    assert.equal((await house.signIn("alice")).status, 401);
    assert.equal((await house.signIn("alice", "small boats at dawn")).status, 200);
    assert.equal(house.told("identity.signin.failed")[0]!.data.failures, 1, "a wrong current password counts");
  }));

Deno.test("who is disabled, offboarded, signed out or given another role by an administrator is out at once", () =>
  withHouse(async (house) => {
    for (const verb of ["disable", "offboard", "sign-out", "grant"] as const) {
      const account = await house.person(verb);
      const { access_token, refresh_token } = await signedIn(house, verb);
      assert.equal((await sessions(house, access_token)).status, 200);
      const body = verb === "grant" ? { role: "viewer" } : {};
      assert.equal((await house.send(`/accounts/${account}/${verb}`, { as: house.token, body })).status, 200);
      assert.equal((await sessions(house, access_token)).status, 401, verb);
      assert.equal((await house.send("/auth/refresh", { body: { refresh_token } })).status, 401, verb);
      const can = verb === "sign-out" || verb === "grant" ? 200 : 401;
      assert.equal((await house.signIn(verb)).status, can, verb);
    }
    const [left, disabled] = house.told("identity.account.offboarded", "identity.account.disabled").slice(-2);
    assert.deepEqual([left!.type, disabled!.type], ["identity.account.offboarded", "identity.account.disabled"]);
    assert.equal(left!.recordedat, disabled!.recordedat);
  }));

Deno.test("an account may do what its roles say and nothing else; without a role only what is its own", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const can = async () => {
      const { access_token: as } = await signedIn(house);
      const event = { specversion: "1.0", id: crypto.randomUUID(), source: "urn:t", type: "a.b.made", data: {} };
      const tried = [
        await sessions(house, as),
        await house.send("/views", { as }),
        await house.send("/events", { as, body: event, headers: { "content-type": "application/cloudevents+json" } }),
        await house.send("/commands/commits.branch.delete/x", { as, body: { branch: "main" } }),
        await house.send("/accounts", { as, body: { name: "other" } }),
      ];
      return tried.map(({ status }) => status < 300);
    };
    const role = (verb: string, role: string) =>
      house.send(`/accounts/${account}/${verb}`, { as: house.token, body: { role } });
    assert.deepEqual(await can(), [true, false, false, false, false]);
    await role("grant", "viewer");
    assert.deepEqual(await can(), [true, true, false, false, false]);
    await role("grant", "operator");
    assert.deepEqual(await can(), [true, true, true, true, false]);
    await role("revoke", "operator");
    assert.deepEqual(await can(), [true, true, false, false, false]);
    await role("grant", "administrator");
    assert.deepEqual(await can(), [true, true, false, false, false], "privileges want a second factor");
    assert.equal((await role("grant", "emperor")).status, 400);
    assert.ok(house.told("identity.session.started").every(({ data }) => !data.privileged));
  }));

Deno.test("a key that is rotated out goes on counting for the overlap, and the new one signs at once", () =>
  withHouse(async (house) => {
    await house.person("alice");
    const before = await signedIn(house);
    const rotated = await house.send("/signing-keys/rotate", { method: "POST", as: house.token, body: {} });
    assert.equal(rotated.status, 200);
    const after = await signedIn(house);
    assert.equal(decodeProtectedHeader(after.access_token).kid, rotated.body.key);
    assert.notEqual(decodeProtectedHeader(before.access_token).kid, rotated.body.key);
    for (const { access_token } of [before, after]) assert.equal((await sessions(house, access_token)).status, 200);
    const { body: { keys } } = await house.send("/.well-known/jwks.json");
    assert.equal(keys.length, 2);
    assert.deepEqual(house.told("identity.key.issued", "identity.key.rotated").map(({ type }) => type.split(".")[2]), [
      "issued",
      "issued",
      "rotated",
    ]);
  }));

Deno.test("who was erased is out at once, and their name leads to somebody else from then on", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const { access_token, refresh_token } = await signedIn(house);
    const erased = await house.send("/operations/erase-subject", { as: house.token, body: { subject: account } });
    assert.equal(erased.status, 200);
    assert.equal(house.told("privacy.subject.erased").length, 1);
    assert.equal((await sessions(house, access_token)).status, 401);
    assert.equal((await house.send("/auth/refresh", { body: { refresh_token } })).status, 401);
    assert.equal((await house.signIn("alice")).status, 401);
    assert.notEqual(await house.person("alice"), account);
    assert.equal((await house.signIn("alice")).status, 200);
  }));

Deno.test("of a log that is fenced nobody learns whether they may come in: that is 503, and ends no session", () =>
  withHouse(async (house) => {
    const account = await house.person("alice");
    const { access_token, refresh_token } = await signedIn(house);
    assert.equal((await sessions(house, access_token)).status, 200);
    const unproven = (await signedIn(house)).access_token;
    (house.log as KvLog).fence(new LogFault("fenced", "the disk failed"));
    for (
      const answer of [
        await house.signIn("alice"),
        await house.signIn("nobody"),
        await house.send("/auth/refresh", { body: { refresh_token } }),
        await sessions(house, access_token),
        await sessions(house, unproven),
        await house.send(`/accounts/${account}/unlock`, { method: "POST", as: house.token }),
      ]
    ) {
      assert.deepEqual([answer.status, answer.body.type], [503, problem("unwritable")]);
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
    }
    assert.equal(
      (await house.send("/events?limit=1", { as: house.token })).status,
      200,
      "who needs no account reads on",
    );
    const page = await house.send("/account", { as: access_token, headers: { accept: "text/html" } });
    assert.deepEqual([page.status, page.headers.get("content-type")], [503, "text/html; charset=utf-8"]);
    assert.ok(!house.lines.some((line) => line.includes("request")), house.lines.join(""));
  }));

Deno.test("a sign-in that cannot be sealed is 503, whoever has the name", () =>
  withHouse(async (house) => {
    await house.person("alice");
    house.keys.sealer.seal = () => {
      throw new KeysFault("full", "no room on the disk");
    };
    for (const name of ["alice", "nobody"]) {
      const { status, body } = await house.signIn(name, "another tall tree");
      assert.deepEqual([status, body.type], [503, problem("unwritable")], name);
    }
  }));

Deno.test("sessions and keys are the same after a restart, and tokens of before go on", async () => {
  const data = await Deno.makeTempDir();
  try {
    let kept: Awaited<ReturnType<typeof signedIn>> | undefined;
    await withHouse(async (house) => {
      await house.person("alice");
      kept = await signedIn(house);
    }, { data });
    await withHouse(async (house) => {
      assert.equal((await sessions(house, kept!.access_token)).status, 200);
      assert.equal((await house.send("/auth/refresh", { body: { refresh_token: kept!.refresh_token } })).status, 200);
      assert.equal((await house.send("/auth/refresh", { body: { refresh_token: kept!.refresh_token } })).status, 401);
      const { body } = await house.send(
        "/views/identity.sessions?wait=" + (house.told("identity.session.ended")[0]!.position),
        { as: house.token },
      );
      assert.deepEqual(
        body.rows.map(({ row }: { row: { state: string; reused: boolean } }) => [row.state, row.reused]),
        [["ended", true]],
      );
    }, { data });
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});
