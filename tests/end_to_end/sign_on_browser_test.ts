/** Signing in by a provider's word as a person meets it: a real provider on another site, a real browser. */
import assert from "node:assert/strict";
import { namedUrl, PASSWORD, withHouse } from "../identity_given.ts";
import { CLIENT, withProvider } from "../oidc_given.ts";
import { ISSUER, newSigner, respond, wishIn } from "../saml_given.ts";
import { noBrowser, pictures, withBrowser } from "./browser_given.ts";

const missing = noBrowser();
const SCREEN = { width: 390, height: 844 };

Deno.test("a person links their account with a provider of OpenID Connect, and signs in there", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  const taken = await pictures("sign-on-oidc");
  await withProvider(async (given) => {
    const corp = { name: "corp", title: "Corp", kind: "oidc", issuer: given.issuer, client_id: CLIENT.id };
    const providers = [{ ...corp, client_secret: { env: "CORP" }, roles: { platform: "operator" } }];
    const said = { IDENTITY__PROVIDERS: JSON.stringify(providers) };
    await withHouse(async (house) => {
      // The provider is at an address, we are at a name: to a browser these are two sites.
      const url = namedUrl(house.url);
      given.redirects = [`${url}/sign-in/oidc/corp/callback`];
      given.people.set("0001", { name: "ada", groups: ["platform"] });
      await house.person("ada");
      await withBrowser(url, SCREEN, async ({ page, context, complaints }) => {
        // Its pages want a font from elsewhere.
        await context.route(/fonts\.googleapis\.com/, (route) => route.abort());
        const seen = (name: string) => taken(page, name);
        const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
        /** What the provider asks: who it is, and whether we may know. */
        const vouch = async () => {
          await page.fill("input[name=login]", "0001");
          await page.fill("input[name=password]", "any");
          await page.locator("button[type=submit]").click();
          await page.getByRole("button", { name: "Continue" }).click();
        };
        await page.goto(`${url}/sign-in?next=/account/links`);
        await page.fill("#name", "ada");
        await page.fill("#password", PASSWORD);
        await seen("sign-in");
        await press("Sign in");
        await press("Link with Corp");
        await vouch();
        await page.getByRole("button", { name: "Remove" }).waitFor();
        await seen("linked");

        await context.clearCookies();
        await page.goto(`${url}/sign-in?next=/account`);
        await page.getByRole("link", { name: "Sign in with Corp" }).click();
        await vouch();
        await page.getByRole("heading", { name: "Sessions" }).waitFor();
        const proven = page.locator("tbody tr", { hasText: "this one" }).locator("td");
        assert.deepEqual((await proven.allInnerTexts()).slice(1, 3), ["oidc", "operator"]);
        await seen("sessions");

        await context.clearCookies();
        await page.goto(`${url}/sign-in/oidc/corp/callback?code=x&state=y`);
        await page.getByRole("alert").waitFor();
        await seen("refused");
        // What the provider's own pages complain of is theirs.
        const ours = complaints.filter((complaint) => complaint.includes(`(${url}`));
        const others = ours.filter((complaint) => !/status of 4\d\d/.test(complaint));
        assert.deepEqual(others, []);
      });
    }, { said, secrets: { CORP: CLIENT.secret } });
  });
});

Deno.test("a provider of SAML on another site has the browser post its word to us, and a person is signed in", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  const taken = await pictures("sign-on-saml");
  const signer = await newSigner();
  const idp = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    if (!request.url.includes("SAMLRequest=")) return new Response(null, { status: 204 });
    const wish = wishIn(request.url);
    const xml = await respond(wish, { subject: "0001", username: "ada", groups: ["platform"], signer });
    const page = `<!doctype html><title>Provider</title><form method="post" action="${wish.back}">
      <input type="hidden" name="SAMLResponse" value="${btoa(xml)}">
      <input type="hidden" name="RelayState" value="${wish.state}"><button>Vouch</button></form>`;
    return new Response(page, { headers: { "content-type": "text/html" } });
  });
  const works = { name: "works", title: "Works", kind: "saml", issuer: ISSUER, certificate: { env: "WORKS" } };
  const more = { username: "username", create: true, roles: { platform: "operator" } };
  const providers = [{ ...works, ...more, entry_point: `http://127.0.0.1:${idp.addr.port}/sso` }];
  try {
    await withHouse(async (house) => {
      const url = namedUrl(house.url);
      await withBrowser(url, SCREEN, async ({ page, complaints }) => {
        await page.goto(`${url}/sign-in?next=/account`);
        await page.getByRole("link", { name: "Sign in with Works" }).click();
        await page.getByRole("button", { name: "Vouch" }).click();
        await page.getByRole("heading", { name: "Sessions" }).waitFor();
        const proven = page.locator("tbody tr", { hasText: "this one" }).locator("td");
        assert.deepEqual((await proven.allInnerTexts()).slice(1, 3), ["saml", "operator"]);
        await taken(page, "sessions");
        assert.deepEqual(complaints.filter((complaint) => complaint.includes(`(${url}`)), []);
      });
      // Without scripts the page that takes it on has a button.
      await withBrowser(url, { ...SCREEN, scripts: false }, async ({ page }) => {
        await page.goto(`${url}/sign-in/saml/works?next=/account`);
        await page.getByRole("button", { name: "Vouch" }).click();
        await page.getByRole("button", { name: "Go on" }).click();
        await page.getByRole("heading", { name: "Sessions" }).waitFor();
      });
    }, { said: { IDENTITY__PROVIDERS: JSON.stringify(providers) }, secrets: { WORKS: signer.certificate } });
  } finally {
    await idp.shutdown();
  }
});
