/** Signing in by a provider's word as a person meets it: a real provider on another site, a real browser. */
import assert from "node:assert/strict";
import { namedUrl, PASSWORD, withHouse } from "../identity_given.ts";
import { CLIENT, withProvider } from "../oidc_given.ts";
import { noBrowser, withBrowser } from "./browser_given.ts";

const missing = noBrowser();
const SCREEN = { width: 390, height: 844 };

Deno.test("a person links their account with a provider of OpenID Connect, and signs in there", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  const shots = await Deno.makeTempDir({ prefix: "daybook-sign-on-" });
  console.log(`pictures: ${shots}`);
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
        let number = 0;
        const seen = (name: string) =>
          page.screenshot({ path: `${shots}/${String(++number).padStart(2, "0")}-${name}.png`, fullPage: true });
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
