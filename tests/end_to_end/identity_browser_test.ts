/** The pages of an account as a person meets them: a real server, a real browser. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { noBrowser, withBrowser } from "./browser_given.ts";
import { type Started, withStarted } from "./browser_server.ts";

const missing = noBrowser();
const PASSWORD = "tall trees in rain";
/** Where pictures of the pages are kept; nowhere unless somebody asks. */
const SHOTS = Deno.env.get("DAYBOOK_SHOTS");

const invited = async ({ url, token }: Started): Promise<string> => {
  const response = await fetch(`${url}/accounts`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "ada" }),
  });
  assert.equal(response.status, 201);
  return (await response.json()).code;
};

Deno.test("a person chooses a password, signs in, sets up one-time codes, signs in with one, allows a terminal, signs out", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  await withStarted(async (started) => {
    const { url } = started;
    const code = await invited(started);
    // They work without scripts, so a browser without any shows it.
    await withBrowser(
      url,
      { width: 390, height: 844, scripts: false },
      async ({ page, context, complaints, strangers }) => {
        let number = 0;
        const seen = async (name: string) => {
          const [within, width] = await page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
          ) as [number, number];
          assert.ok(within <= width, `${name} is ${within - width} px wider than the screen`);
          if (SHOTS) {
            await page.screenshot({
              path: `${SHOTS}/${String(++number).padStart(2, "0")}-${name}.png`,
              fullPage: true,
            });
          }
        };
        const press = (name: string) => page.getByRole("button", { name, exact: true }).click();

        await page.goto(`${url}/welcome?code=${encodeURIComponent(code)}`);
        await page.fill("#password", "password");
        await page.fill("#again", "password");
        await press("Set the password");
        await page.getByRole("alert").waitFor();
        await seen("welcome");
        await page.fill("#password", PASSWORD);
        await page.fill("#again", PASSWORD);
        await press("Set the password");

        await page.fill("#name", "ada");
        await page.fill("#password", "not this one");
        await press("Sign in");
        await page.getByRole("alert").waitFor();
        await seen("sign-in");
        assert.equal(await page.inputValue("#name"), "ada");
        await page.fill("#password", PASSWORD);
        await press("Sign in");
        await page.goto(`${url}/account`);
        await seen("account");

        await page.getByRole("link", { name: "Second factors" }).click();
        await seen("factors");
        await page.fill("#current", PASSWORD);
        await press("Set up one-time codes");
        await page.getByRole("img", { name: "QR code for an authenticator" }).waitFor();
        await seen("set-up");
        const totp = new TOTP({ secret: Secret.fromBase32(await page.inputValue("input[name=secret]")) });
        const at = Date.now();
        await page.fill("#code", totp.generate({ timestamp: at }));
        await press("Set it up");
        const codes = await page.locator("ol li").allInnerTexts();
        assert.equal(codes.length, 10);
        await seen("backup-codes");

        await context.clearCookies();
        await page.goto(`${url}/account`);
        assert.equal(new URL(page.url()).pathname, "/login");
        await page.getByRole("link", { name: "Sign in with its name" }).click();
        await page.fill("#name", "ada");
        await page.fill("#password", PASSWORD);
        await press("Sign in");
        await page.locator("#code").waitFor();
        await seen("second");
        await page.fill("#code", totp.generate({ timestamp: at + 30_000 }));
        await press("Sign in");
        await page.getByRole("heading", { name: "Sessions" }).waitFor();
        assert.equal(new URL(page.url()).pathname, "/account");
        await seen("sessions");

        const asked = await (await fetch(`${url}/auth/device`, { method: "POST" })).json();
        await page.goto(`${url}/account/factors`);
        await page.fill("#code", codes[0]!);
        await press("Show it");
        await page.goto(asked.verification_uri_complete);
        await press("Go on");
        await seen("terminal");
        await press("Allow it");
        await page.getByRole("status").waitFor();
        await page.getByRole("link", { name: "Your account" }).click();
        await press("Sign out everywhere else");
        await seen("signed-out-elsewhere");
        await press("Sign out");
        await page.locator("#name").waitFor();
        await page.goto(`${url}/account`);
        assert.equal(new URL(page.url()).pathname, "/login");
        // The browser itself tells of answers such as 401; nothing else may complain.
        const others = complaints.filter((complaint) => !/status of 4\d\d/.test(complaint));
        assert.deepEqual([others, strangers], [[], []]);
      },
    );
  });
});
