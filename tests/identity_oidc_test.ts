import assert from "node:assert/strict";
import { SIGN_ON } from "../adapters/program/identity/sign_on.ts";
import { clockAhead } from "./clock_given.ts";
import { FORM, type House, PASSWORD, withHouse } from "./identity_given.ts";
import { CLIENT, type Given, type Lie, withProvider } from "./oidc_given.ts";
import { Browser } from "./provider_browser.ts";
import { checkTooMany } from "./too_many_given.ts";

const CORP = { name: "corp", kind: "oidc", client_id: CLIENT.id, client_secret: { env: "CORP" } };

/** A provider, and a server of ours that knows it as `corp`, and again as `works`. */
const withBoth = (
  use: (house: House, given: Given) => Promise<void>,
  more: object = {},
  works: object = {},
  said: Readonly<Record<string, string>> = {},
) =>
  withProvider((given) => {
    const { issuer } = given;
    const providers = [{ ...CORP, issuer, ...more }, { ...CORP, name: "works", issuer, ...works }];
    return withHouse(async (house) => {
      given.redirects = ["corp", "works"].map((name) => callback(house, name));
      given.people.set("0001", { name: "ada", groups: ["platform"] });
      given.people.set("0002", { name: "bob", groups: [] });
      await use(house, given);
    }, { said: { ...said, IDENTITY__PROVIDERS: JSON.stringify(providers) }, secrets: { CORP: CLIENT.secret } });
  });

const callback = (house: House, name = "corp") => `${house.url}/sign-in/oidc/${name}/callback`;

interface Came {
  readonly status: number;
  readonly page: string;
  readonly browser: Browser;
}
const seen = async (browser: Browser, response: Response): Promise<Came> => ({
  status: response.status,
  page: await response.text(),
  browser,
});

/** Where the browser goes when somebody signs in, and where the provider sends it back to. */
const away = async (house: House, { login = "0001", browser = new Browser(), name = "corp" } = {}) => {
  const left = await browser.go(`${house.url}/sign-in/oidc/${name}?next=/account`);
  await left.body?.cancel();
  assert.equal(left.status, 303);
  return { browser, back: await browser.vouchedFor(left.headers.get("location")!, login, callback(house, name)) };
};
const come = async (house: House, options: { login?: string; name?: string } = {}): Promise<Came> => {
  const { browser, back } = await away(house, options);
  return await seen(browser, await browser.go(back));
};

const session = (house: House, { browser }: Came) => browser.cookie(house.url, "__Host-daybook_session");
const refusals = (house: House) =>
  house.told("identity.signin.failed").map(({ data }) => [data.method, data.provider, data.reason]);

/** Somebody with a password, signed in, whose account is linked to this login. */
const linked = async (house: House, name: string, login: string) => {
  const account = await house.person(name);
  const browser = new Browser();
  const form = (path: string, fields: Record<string, string>) =>
    browser.go(`${house.url}${path}`, { method: "POST", headers: FORM, body: new URLSearchParams(fields).toString() });
  await (await form("/sign-in", { name, password: PASSWORD })).body?.cancel();
  const shown = await (await browser.go(`${house.url}/account/links`)).text();
  const csrf = /name="csrf" value="([^"]+)"/.exec(shown)![1]!;
  const sent = await (await form("/account/links", { csrf, provider: "corp" })).text();
  const location = /http-equiv="refresh" content="0; url=([^"]+)"/.exec(sent)![1]!.replaceAll("&amp;", "&");
  const came = await seen(browser, await browser.go(await browser.vouchedFor(location, login, callback(house))));
  return { account, browser, csrf, form, came };
};

Deno.test("who is linked signs in by the provider's word, with the roles of their groups, and loses them with the groups", () =>
  withBoth(async (house, given) => {
    const { account, came } = await linked(house, "ada", "0001");
    assert.match(came.page, /Linked/);
    const added = house.told("identity.link.added").map(({ data }) => [data.account, data.provider, data.because]);
    assert.deepEqual(added, [[account, "corp", "asked"]]);
    const entered = await come(house);
    assert.deepEqual([entered.status, /url=\/account"/.test(entered.page)], [200, true], entered.page);
    const shown = await entered.browser.go(`${house.url}/account`);
    assert.match(await shown.text(), /<td[^>]*>oidc<\/td><td[^>]*>operator<\/td>/);
    assert.deepEqual(house.told("identity.signin.succeeded").at(-1)!.data.methods, ["oidc"]);
    const granted = house.told("identity.role.granted").at(-1)!;
    assert.deepEqual([granted.data.before, granted.data.after, granted.authid], [[], ["operator"], "identity.corp"]);

    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "viewer" } });
    given.people.set("0001", { name: "ada", groups: ["elsewhere"] });
    assert.equal((await come(house)).status, 200);
    const revoked = house.told("identity.role.revoked").at(-1)!.data;
    assert.deepEqual([revoked.role, revoked.before, revoked.after], ["operator", ["operator", "viewer"], ["viewer"]]);
    assert.deepEqual(
      house.told("identity.session.started").at(-1)!.data.roles,
      ["viewer"],
      "what is given by hand stays",
    );
    const row = await house.send(`/views/identity.accounts/${account}?wait=${house.told().at(-1)!.position}`, {
      as: house.token,
    });
    assert.deepEqual(row.body.row.links.map(({ provider, protocol }: Record<string, string>) => [provider, protocol]), [
      ["corp", "oidc"],
    ]);
    const text = JSON.stringify(house.told().map(({ data }) => data));
    assert.ok(!text.includes("0001"), "who they are there is in no event");
  }, { roles: { platform: "operator" } }));

Deno.test("nobody is linked by a name: who is not known here is refused, or gets an account of a name that nobody has", () =>
  withBoth(
    async (house) => {
      await house.person("ada");
      const taken = await come(house);
      assert.deepEqual([taken.status, session(house, taken)], [401, undefined]);
      assert.match(taken.page, /No account is linked/);
      const made = await come(house, { login: "0002" });
      assert.equal(made.status, 200, made.page);
      const { account, because } = house.told("identity.link.added").at(-1)!.data;
      assert.equal(because, "created");
      assert.equal(house.told("identity.account.created").at(-1)!.data.account, account);
      assert.equal((await come(house, { login: "0002" })).status, 200);
      assert.equal(house.told("identity.account.created").length, 2, "the second time it is there");
      const other = await come(house, { login: "0002", name: "works" });
      assert.equal(other.status, 401, "another provider's word is another's");
      assert.deepEqual(refusals(house), [["oidc", "corp", "not_linked"], ["oidc", "works", "not_linked"]]);
      assert.equal((await house.signIn("bob", "any password at all")).status, 401, "such an account has no password");
    },
    { create: true },
    { create: false },
  ));

Deno.test("a provider's word counts only if it is for us, for now, for this sign-in and signed by the provider", () =>
  withBoth(async (house, given) => {
    await linked(house, "ada", "0001");
    const sessions = house.told("identity.session.started").length;
    for (
      const [reason, lie] of [
        ["wrong_nonce", { claims: (held) => ({ ...held, nonce: "another" }) }],
        ["wrong_nonce", { claims: ({ nonce: _, ...held }) => held }],
        ["wrong_issuer", { claims: (held) => ({ ...held, iss: "https://id.example" }) }],
        ["wrong_audience", { claims: (held) => ({ ...held, aud: "another" }) }],
        ["wrong_audience", { claims: (held) => ({ ...held, aud: [CLIENT.id, "another"], azp: "another" }) }],
        ["expired", { claims: (held) => ({ ...held, exp: Math.floor(Date.now() / 1000) - 60 }) }],
        ["wrong_signature", { signed: "by_another" }],
        ["wrong_signature", { signed: "not_at_all" }],
        ["provider_refused", { claims: ({ sub: _, ...held }) => held }],
      ] as readonly (readonly [string, Lie])[]
    ) {
      given.lie = lie;
      const came = await come(house);
      assert.deepEqual([came.status, session(house, came)], [401, undefined]);
      assert.deepEqual(refusals(house).at(-1), ["oidc", "corp", reason]);
    }
    given.lie = undefined;
    assert.equal(house.told("identity.session.started").length, sessions);
    assert.equal((await come(house)).status, 200);
    assert.deepEqual(house.told("identity.account.locked"), []);
  }));

Deno.test("an answer counts once, in the browser that had begun, and from the provider that was asked", () =>
  withBoth(async (house) => {
    await linked(house, "ada", "0001");
    const { browser, back } = await away(house);
    const refused = async (by: Browser, url: string, reason: string) => {
      const response = await by.go(url, { headers: { accept: "application/json" } });
      const body = await response.json();
      assert.deepEqual([response.status, body.type, body.reason], [401, "urn:daybook:problem:sign_on_refused", reason]);
      assert.equal(refusals(house).at(-1)![2], reason);
    };
    await refused(new Browser(), back, "wrong_state");
    const another = await away(house, { login: "0002" });
    await refused(another.browser, back, "wrong_state");
    await refused(browser, back.replace(/state=[^&]+/, "state=x"), "wrong_state");
    await refused(browser, back.replace(/&state=[^&]+/, ""), "wrong_state");
    await refused(browser, back.replace("/corp/", "/works/"), "mixed_up");
    assert.equal((await seen(browser, await browser.go(back))).status, 200);
    await refused(browser, back, "replayed");
    const mixed = await away(house);
    await refused(mixed.browser, mixed.back.replace(/iss=[^&]+/, "iss=https%3A%2F%2Fid.example"), "mixed_up");
    const bare = await away(house);
    await refused(bare.browser, bare.back.replace(/&?iss=[^&]+/, ""), "provider_refused");
    const said = await away(house);
    await refused(said.browser, said.back.replace(/code=[^&]+/, "error=access_denied"), "provider_refused");
    const guessed = await away(house);
    await refused(guessed.browser, guessed.back.replace(/code=[^&]+/, "code=guessed"), "provider_refused");
    const late = await away(house);
    // `identity.away_ms`
    using _later = clockAhead(10 * 60_000);
    await refused(late.browser, late.back, "expired");
  }));

Deno.test("whoever leaves for a provider or comes back counts as one who tries, and an address that has had enough waits", () =>
  withBoth(
    async (house) => {
      const { browser, back } = await away(house);
      for (let i = 0; (await house.signIn("nobody", `${PASSWORD} ${i}`)).status !== 429; i++) assert.ok(i < 10);
      for (const url of [back, `${house.url}/sign-in/oidc/corp`]) {
        const response = await browser.go(url, { headers: { accept: "application/json" } });
        assert.deepEqual([response.status, checkTooMany(response)], [429, "signin_address"]);
        await response.body?.cancel();
      }
      assert.deepEqual(house.told("identity.session.started"), []);
    },
    {},
    {},
    { IDENTITY__RATE__ADDRESS_MAX: "5" },
  ));

Deno.test("a second factor is asked for after a provider's word as after a password, and privileges want it", () =>
  withBoth(async (house) => {
    const { account } = await linked(house, "ada", "0001");
    const { body: { access_token: as } } = await house.signIn("ada");
    const { body: { factor, secret } } = await house.send("/auth/factors/totp", { as, body: { password: PASSWORD } });
    const { Secret, TOTP } = await import("otpauth");
    const totp = new TOTP({ secret: Secret.fromBase32(secret) });
    const confirmed = await house.send("/auth/factors/confirm", { as, body: { factor, code: totp.generate() } });
    await house.send(`/accounts/${account}/grant`, { as: house.token, body: { role: "administrator" } });
    const came = await come(house);
    assert.equal(session(house, came), undefined);
    const ticket = /name="ticket" value="([^"]+)"/.exec(came.page)![1]!;
    const body = new URLSearchParams({ ticket, code: confirmed.body.codes[0], next: "/account" }).toString();
    const entered = await came.browser.go(`${house.url}/sign-in/second`, { method: "POST", headers: FORM, body });
    await entered.body?.cancel();
    assert.equal(entered.status, 303);
    const { factors, privileged } = house.told("identity.session.started").at(-1)!.data;
    assert.deepEqual([factors, privileged], [["oidc", "backup_code"], true]);
  }));

Deno.test("what is kept of a link, or of a password, is no seed of a second factor", () =>
  withBoth(async (house) => {
    await linked(house, "ada", "0001");
    // A session alone: nobody shows the password.
    const { body: { access_token: as } } = await house.signIn("ada");
    const { body: { links: [{ link }] } } = await house.send("/auth/links", { as });
    const { TOTP, Secret } = await import("otpauth");
    const seed = new Secret({ buffer: new TextEncoder().encode("oidc\ncorp\n0001").buffer });
    const known = new TOTP({ secret: seed, algorithm: "SHA1", digits: 6, period: 30 });
    const confirmed = await house.send("/auth/factors/confirm", { as, body: { factor: link, code: known.generate() } });
    assert.deepEqual([confirmed.status, house.told("identity.factor.enrolled")], [401, []]);
  }));

Deno.test("a link is taken away by who is signed in, never the last way in, and a disabled account stays shut", () =>
  withBoth(async (house) => {
    const { account, browser, csrf, form } = await linked(house, "ada", "0001");
    const again = await linked(house, "eve", "0001");
    assert.equal(again.came.status, 401, "one person there is one account here");
    assert.deepEqual(refusals(house).at(-1), ["oidc", "corp", "used_before"]);
    assert.equal((await house.send(`/accounts/${account}/disable`, { as: house.token, body: {} })).status, 200);
    assert.equal((await come(house)).status, 401);
    assert.equal((await house.send(`/accounts/${account}/enable`, { as: house.token, body: {} })).status, 200);
    await (await form("/sign-in", { name: "ada", password: PASSWORD })).body?.cancel();
    const shown = await (await browser.go(`${house.url}/account/links`)).text();
    const fresh = /name="csrf" value="([^"]+)"/.exec(shown)![1]!;
    const link = /name="link" value="([^"]+)"/.exec(shown)![1]!;
    assert.notEqual(csrf, fresh);
    const old = await form("/account/links/remove", { csrf, link });
    await old.body?.cancel();
    assert.equal(old.status, 403, "a form of a session that is over");
    const removed = await form("/account/links/remove", { csrf: fresh, link });
    assert.match(await removed.text(), /Nobody else vouches/);
    assert.equal((await come(house)).status, 401);
    assert.equal((await linked(house, "fay", "0001")).came.status, 200, "whom nobody is linked to any more");

    const only = await come(house, { login: "0002" });
    const page = await (await only.browser.go(`${house.url}/account/links`)).text();
    const named = (name: string) => new RegExp(`name="${name}" value="([^"]+)"`).exec(page)![1]!;
    const body = new URLSearchParams({ csrf: named("csrf"), link: named("link") }).toString();
    const last = await only.browser.go(`${house.url}/account/links/remove`, { method: "POST", headers: FORM, body });
    assert.deepEqual([last.status, /could not sign in/.test(await last.text())], [409, true]);
  }, { create: true }));

Deno.test("a provider that does not answer, or names hosts that nobody has allowed, is 503 and told to the operator", async () => {
  let asked = 0;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    asked++;
    const { origin } = new URL(request.url);
    return Response.json({
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      // The same machine by another name.
      token_endpoint: `${origin.replace("127.0.0.1", "localhost")}/token`,
      jwks_uri: `${origin}/jwks`,
    });
  });
  try {
    await withBoth(
      async (house, given) => {
        const left = await house.send("/sign-in/oidc/works");
        assert.equal(left.status, 303);
        const state = new URL(left.headers.get("location")!).searchParams.get("state");
        const cookie = left.headers.get("set-cookie")!.split(";", 1)[0]!;
        const back = await house.send(`/sign-in/oidc/works/callback?code=x&state=${state}`, { headers: { cookie } });
        assert.deepEqual([back.status, back.headers.has("retry-after"), asked], [503, true, 1]);
        assert.match(house.lines.join(""), /provider works cannot be asked: .*the provider names localhost:\d+, which/);
        assert.equal((await house.send("/sign-in/oidc/nobody")).status, 404);
        assert.equal((await house.send("/sign-in/oidc/corp/callback")).status, 401, "nothing was begun");
        assert.ok(given.issuer);
      },
      {},
      { issuer: `http://127.0.0.1:${server.addr.port}` },
    );
  } finally {
    await server.shutdown();
  }
  await withBoth(
    async (house) => {
      const left = await house.send("/sign-in/oidc/works");
      assert.deepEqual([left.status, left.body.type], [503, "urn:daybook:problem:provider_unavailable"]);
    },
    {},
    { issuer: `http://127.0.0.1:${server.addr.port}` },
  );
});

Deno.test("a provider that is down behind its front, or does not know us, is told to the operator, and counts against nobody", async () => {
  const refusal = (error: string, status: number, headers?: HeadersInit) => () =>
    Response.json({ error }, { status, headers });
  const page = { headers: { "content-type": "text/html" } };
  const answers: readonly (readonly [() => Response, string | undefined])[] = [
    [() => new Response("busy", { status: 503 }), "unexpected HTTP response status code, 503"],
    [() => new Response("<p>We are back soon", page), "unexpected response content-type, 200"],
    [() => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }), "code, 307"],
    [refusal("slow_down", 429), "it answered 429"],
    [refusal("invalid_client", 401), "it says invalid_client"],
    // As RFC 6749 section 5.2 has it of a client that authenticates by `Authorization`, which we do.
    [refusal("invalid_client", 401, { "www-authenticate": 'Basic realm="works"' }), "it answered 401"],
    [refusal("invalid_grant", 400), undefined],
  ];
  let token = answers[0]![0];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { origin: issuer, pathname } = new URL(request.url);
    if (pathname === "/token") return token();
    const [authorization_endpoint, token_endpoint] = [`${issuer}/authorize`, `${issuer}/token`];
    return Response.json({ issuer, authorization_endpoint, token_endpoint, jwks_uri: `${issuer}/jwks` });
  });
  try {
    await withBoth(
      async (house) => {
        for (const [answer, told] of answers) {
          token = answer;
          const left = await house.send("/sign-in/oidc/works");
          const state = new URL(left.headers.get("location")!).searchParams.get("state");
          const cookie = left.headers.get("set-cookie")!.split(";", 1)[0]!;
          const back = await house.send(`/sign-in/oidc/works/callback?code=x&state=${state}`, { headers: { cookie } });
          assert.equal(back.status, told === undefined ? 401 : 503, told);
          const line = house.lines.at(-1) ?? "";
          assert.ok(told === undefined || line.includes(told), line);
        }
        assert.deepEqual(refusals(house), [["oidc", "works", "provider_refused"]]);
      },
      {},
      { issuer: `http://127.0.0.1:${server.addr.port}` },
    );
  } finally {
    await server.shutdown();
  }
});

Deno.test("where to go on is a path of ours, and what is too long to be kept is the front page", () =>
  withBoth(async (house) => {
    await linked(house, "ada", "0001");
    for (
      const [next, to] of [
        ["//evil.example", "/"],
        ["https://evil.example", "/"],
        ["/account", "/account"],
        [`/${"a".repeat(SIGN_ON.next_chars_max)}`, "/"],
      ] as const
    ) {
      const browser = new Browser();
      const left = await browser.go(`${house.url}/sign-in/oidc/corp?next=${encodeURIComponent(next)}`);
      await left.body?.cancel();
      const back = await browser.vouchedFor(left.headers.get("location")!, "0001", callback(house));
      assert.match((await seen(browser, await browser.go(back))).page, new RegExp(`url=${to}"`), next);
    }
  }));
