import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { SAML_LIMITS } from "../adapters/saml/structure.ts";
import { FORM, type House, PASSWORD, withHouse } from "./identity_given.ts";
import { Browser } from "./provider_browser.ts";
import {
  ENTRY,
  ISSUER,
  newSigner,
  respond,
  type Said,
  type Signer,
  unsigned,
  type Wish,
  wishIn,
  wrappings,
} from "./saml_given.ts";

const WORKS = { name: "works", kind: "saml", entry_point: ENTRY, issuer: ISSUER, certificate: { env: "WORKS" } };

/** A server of ours that knows a provider of SAML as `works`, and what it signs with. */
const withWorks = async (
  use: (house: House, signer: Signer) => Promise<void>,
  more: object = {},
  said: Readonly<Record<string, string>> = {},
): Promise<void> => {
  const signer = await newSigner();
  const providers = [{ ...WORKS, username: "username", ...more }];
  await withHouse((house) => use(house, signer), {
    said: { IDENTITY__PROVIDERS: JSON.stringify(providers), ...said },
    secrets: { WORKS: signer.certificate },
  });
};

const hidden = (page: string, name: string): string => new RegExp(`name="${name}" value="([^"]+)"`).exec(page)![1]!;
const textOf = (html: string): string => html.replaceAll("&#x2B;", "+").replaceAll("&amp;", "&");

interface Came {
  readonly status: number;
  readonly page: string;
  readonly browser: Browser;
}

/** Goes to the provider, and says what it wants there. */
const away = async (house: House) => {
  const browser = new Browser();
  const left = await browser.go(`${house.url}/sign-in/saml/works?next=/account`);
  await left.body?.cancel();
  const location = left.headers.get("location")!;
  assert.ok(location.startsWith(`${ENTRY}?`), location);
  return { browser, wish: wishIn(location) };
};

/** The provider's page posts an answer to us, whose page takes it on. */
const back = async (house: House, { browser, wish }: { browser: Browser; wish: Wish }, xml: string): Promise<Came> => {
  const post = (url: string, fields: Record<string, string>, headers: Record<string, string>) =>
    browser.go(url, { method: "POST", headers: { ...FORM, ...headers }, body: new URLSearchParams(fields).toString() });
  const answer = { SAMLResponse: Buffer.from(xml).toString("base64"), RelayState: wish.state };
  const site = { origin: "https://idp.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  const posted = await post(wish.back, answer, site);
  const page = await posted.text();
  if (posted.status !== 200) return { status: posted.status, page, browser };
  const [, action] = /<form method="post" action="([^"]+)"/.exec(page)!;
  const taken = { SAMLResponse: textOf(hidden(page, "SAMLResponse")), RelayState: hidden(page, "RelayState") };
  assert.deepEqual(taken, answer);
  const came = await post(`${house.url}${action}`, taken, { origin: house.url });
  return { status: came.status, page: await came.text(), browser };
};

const come = async (house: House, said: Said, change = (xml: string) => xml): Promise<Came> => {
  const left = await away(house);
  return await back(house, left, change(await respond(left.wish, said)));
};

const session = (house: House, { browser }: Came) => browser.cookie(house.url, "__Host-daybook_session");
const last = (house: House) => {
  const { method, provider, reason } = house.told("identity.signin.failed").at(-1)!.data;
  return [method, provider, reason];
};

Deno.test("who a provider of SAML vouches for signs in, with the roles of their groups, and a second time as the same", () =>
  withWorks(async (house, signer) => {
    const said = { subject: "0001", username: "ada", groups: ["platform", "all"], signer };
    const came = await come(house, said);
    assert.equal(came.status, 200, came.page);
    const shown = await (await came.browser.go(`${house.url}/account`)).text();
    assert.match(shown, /<td[^>]*>saml<\/td><td[^>]*>operator<\/td>/);
    const added = house.told("identity.link.added").map(({ data }) => [data.provider, data.protocol, data.because]);
    assert.deepEqual(added, [["works", "saml", "created"]]);
    assert.equal(house.told("identity.account.created")[0]!.data.name, "ada");
    assert.equal((await come(house, { ...said, groups: [] })).status, 200);
    assert.equal(house.told("identity.account.created").length, 1);
    assert.deepEqual(house.told("identity.session.started").at(-1)!.data.roles, []);
    assert.ok(!JSON.stringify(house.told().map(({ data }) => data)).includes("0001"), "the subject is in no event");
  }, { create: true, roles: { platform: "operator" } }));

Deno.test("an assertion that is unsigned, tampered with, signed by another or too weakly, expired, or for another is refused", () =>
  withWorks(async (house, signer) => {
    const said = { subject: "0001", username: "ada", signer };
    assert.equal((await come(house, said)).status, 200);
    const sessions = house.told("identity.session.started").length;
    const none = (xml: string) => xml;
    for (
      const [reason, lie, change] of [
        ["unsigned", {}, unsigned],
        ["wrong_signature", {}, (xml: string) => xml.replace(">0001<", ">0002<")],
        ["wrong_signature", {}, (xml: string) => xml.replace(/(NotOnOrAfter=")\d{4}/g, "$19999")],
        ["wrong_signature", { signer: await newSigner() }, none],
        ["wrong_signature", { digest: "sha1" }, none],
        ["expired", { until: -120_000 }, none],
        ["wrong_audience", { audience: "https://another.example" }, none],
        ["wrong_audience", { recipient: "https://another.example/callback" }, none],
        ["wrong_audience", { destination: "https://another.example/callback" }, none],
        ["wrong_issuer", { issuer: "https://another.example" }, none],
        ["wrong_state", { answers: "_another" }, none],
        ["provider_refused", { format: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" }, none],
        ["provider_refused", {}, (xml: string) => xml.replace(">0001<", ">00<!-- -->01<")],
        ["provider_refused", {}, (xml: string) => `<!DOCTYPE x [<!ENTITY e "e">]>${xml}`],
        ["provider_refused", {}, (xml: string) => xml.replace(/<saml:Assertion .*<\/saml:Assertion>/s, "")],
        ["provider_refused", {}, () => "<a"],
        ["provider_refused", {}, () => `<samlp:Response xmlns:samlp="${"x".repeat(SAML_LIMITS.response_bytes_max)}"/>`],
        [
          "provider_refused",
          {},
          (xml: string) =>
            xml.replace("</samlp:Response>", `${"<a/>".repeat(SAML_LIMITS.elements_max)}</samlp:Response>`),
        ],
      ] as readonly (readonly [string, Partial<Said>, (xml: string) => string])[]
    ) {
      const came = await come(house, { ...said, ...lie }, change);
      const told = JSON.stringify(lie).slice(0, 80);
      assert.deepEqual([told, came.status, session(house, came)], [told, 401, undefined]);
      assert.deepEqual([told, ...last(house)], [told, "saml", "works", reason]);
    }
    assert.equal(house.told("identity.session.started").length, sessions);
    assert.deepEqual([house.lines, house.told("identity.account.locked")], [[], []]);
  }, { create: true }));

Deno.test("an assertion that is wrapped in what is not signed is refused in every known way", () =>
  withWorks(async (house, signer) => {
    const names = Object.keys(wrappings(await respond((await away(house)).wish, { subject: "0001", signer }), "0002"));
    assert.equal(names.length, 13);
    for (const name of names) {
      const came = await come(house, { subject: "0001", signer }, (xml) => wrappings(xml, "0002")[name]!);
      assert.deepEqual([name, came.status, ...last(house)], [name, 401, "saml", "works", "wrapped"]);
    }
    assert.deepEqual(house.told("identity.account.created", "identity.session.started"), []);
  }, { create: true }));

Deno.test("an assertion counts once, in the browser that had begun, and for what it had begun", () =>
  withWorks(async (house, signer) => {
    const said = { subject: "0001", username: "ada", signer };
    const left = await away(house);
    const xml = await respond(left.wish, said);
    const other = await back(house, { browser: new Browser(), wish: left.wish }, xml);
    assert.deepEqual([other.status, ...last(house)], [401, "saml", "works", "wrong_state"]);
    assert.equal((await back(house, left, xml)).status, 200);
    const again = await back(house, left, xml);
    assert.deepEqual([again.status, ...last(house)], [401, "saml", "works", "replayed"]);
    const later = await away(house);
    const old = await back(house, later, xml);
    assert.deepEqual(
      [old.status, ...last(house)],
      [401, "saml", "works", "wrong_state"],
      "an old one for a new request",
    );
    const unasked = await back(house, { browser: new Browser(), wish: { ...left.wish, state: "made-up" } }, xml);
    assert.deepEqual([unasked.status, ...last(house)], [401, "saml", "works", "wrong_state"], "nobody had asked");
  }, { create: true }));

Deno.test("who was away for too long begins again", () =>
  withWorks(
    async (house, signer) => {
      const left = await away(house);
      const xml = await respond(left.wish, { subject: "0001", username: "ada", signer });
      const until = Number(left.browser.cookie(house.url, "__Secure-daybook_flow")!.split(".")[3]);
      while (Date.now() < until) await new Promise((resolve) => setTimeout(resolve, until - Date.now()));
      const late = await back(house, left, xml);
      assert.deepEqual([late.status, ...last(house)], [401, "saml", "works", "expired"]);
    },
    { create: true },
    { IDENTITY__AWAY_MS: "1000" },
  ));

Deno.test("only the page that a provider posts to takes what another site sends, and it does nothing with it", () =>
  withWorks(async (house, signer) => {
    await house.person("ada");
    const before = house.told().length;
    const body = new URLSearchParams({ SAMLResponse: "QUFB", RelayState: "x" }).toString();
    const foreign = { ...FORM, origin: "https://idp.example" };
    const send = (path: string, more = body, headers: Record<string, string> = foreign) =>
      house.send(path, { body: more, headers });
    assert.equal((await send("/sign-in/saml/works/callback")).status, 200);
    assert.equal((await send("/sign-in/saml/works/finish")).status, 403);
    assert.equal(
      (await send("/sign-in", new URLSearchParams({ name: "ada", password: PASSWORD }).toString())).status,
      403,
    );
    for (
      const wrong of [
        "SAMLResponse=%3Cscript%3E&RelayState=x",
        "SAMLResponse=QUFB",
        "RelayState=x",
        `${body}&RelayState=y`,
      ]
    ) assert.equal((await send("/sign-in/saml/works/callback", wrong)).status, 400, wrong);
    const long = (chars: number) =>
      new URLSearchParams({ SAMLResponse: "A".repeat(chars), RelayState: "x" }).toString();
    assert.equal((await send("/sign-in/saml/works/callback", long(262_145))).status, 400);
    assert.equal((await send("/sign-in/saml/works/callback", long(524_288))).status, 413);
    assert.equal((await send("/sign-in/saml/nobody/callback")).status, 404);
    assert.equal(
      (await send("/sign-in/saml/works/callback", "{}", { "content-type": "application/json" })).status,
      415,
    );
    assert.equal(house.told().length, before);
    const { body: metadata } = await house.send("/sign-in/saml/works/metadata");
    assert.match(metadata, new RegExp(`Location="${house.url}/sign-in/saml/works/callback"`));
    assert.match(metadata, /WantAssertionsSigned="true"/);
    assert.ok(signer);
  }));

Deno.test("a subject has at most 1,024 characters", () =>
  withWorks(async (house, signer) => {
    const said = (chars: number) => ({ subject: "s".repeat(chars), username: `ada-${chars}`, signer });
    assert.equal((await come(house, said(1_024))).status, 200);
    assert.deepEqual([(await come(house, said(1_025))).status, ...last(house)], [
      401,
      "saml",
      "works",
      "provider_refused",
    ]);
  }, { create: true }));

Deno.test("an account is linked with a provider of SAML by its holder, and with none by its name", () =>
  withWorks(async (house, signer) => {
    await house.person("ada");
    const refused = await come(house, { subject: "0001", username: "ada", signer });
    assert.deepEqual([refused.status, ...last(house)], [401, "saml", "works", "not_linked"]);
    const browser = new Browser();
    const form = (path: string, fields: Record<string, string>) =>
      browser.go(`${house.url}${path}`, {
        method: "POST",
        headers: FORM,
        body: new URLSearchParams(fields).toString(),
      });
    await (await form("/sign-in", { name: "ada", password: PASSWORD })).body?.cancel();
    const csrf = hidden(await (await browser.go(`${house.url}/account/links`)).text(), "csrf");
    const sent = await (await form("/account/links", { csrf, provider: "works" })).text();
    const wish = wishIn(textOf(/http-equiv="refresh" content="0; url=([^"]+)"/.exec(sent)![1]!));
    const linked = await back(house, { browser, wish }, await respond(wish, { subject: "0001", signer }));
    assert.match(linked.page, /Linked/);
    assert.equal((await come(house, { subject: "0001", signer })).status, 200);
  }));
