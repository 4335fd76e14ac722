/** The pages of an account as a person meets them: a real server, a real browser. */
import assert from "node:assert/strict";
import { Secret, TOTP } from "otpauth";
import { noBrowser, pictures, withBrowser } from "./browser_given.ts";
import { type Started, withStarted } from "./browser_server.ts";

const missing = noBrowser();
const PASSWORD = "tall trees in rain";

const invited = async ({ url, token }: Started): Promise<string> => {
  const response = await fetch(`${url}/accounts`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "ada" }),
  });
  assert.equal(response.status, 201);
  return (await response.json()).code;
};

const granted = async ({ url, token }: Started, role: string): Promise<void> => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const { rows } = await (await fetch(`${url}/views/identity.accounts`, { headers })).json();
  const body = JSON.stringify({ role });
  const response = await fetch(`${url}/accounts/${rows[0].key}/grant`, { method: "POST", headers, body });
  await response.body?.cancel();
  assert.equal(response.status, 200);
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
        const taken = await pictures("account");
        const seen = (name: string) => taken(page, name);
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
        await page.waitForURL(`${url}/`);
        await page.goto(`${url}/account`);
        await seen("account");

        await page.getByRole("link", { name: "Second factors" }).click();
        await page.locator("#current").waitFor();
        await seen("factors");
        await page.fill("#current", PASSWORD);
        await press("Set up one-time codes");
        await page.getByRole("img", { name: "QR code for an authenticator" }).waitFor();
        await seen("set-up");
        const totp = new TOTP({ secret: Secret.fromBase32(await page.inputValue("input[name=secret]")) });
        const at = Date.now();
        await page.fill("#code", totp.generate({ timestamp: at }));
        await press("Set it up");
        await page.getByRole("heading", { name: "Backup codes" }).waitFor();
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
        await page.getByRole("button", { name: "New backup codes" }).waitFor();
        await page.goto(asked.verification_uri_complete);
        await press("Go on");
        await page.getByRole("button", { name: "Allow it" }).waitFor();
        await seen("terminal");
        await press("Allow it");
        await page.getByRole("status").waitFor();
        await page.getByRole("link", { name: "Your account" }).click();
        await press("Sign out everywhere else");
        await page.locator("tbody tr:nth-child(2)").waitFor({ state: "detached" });
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

Deno.test("a person makes a key, is shown it once, replaces it and revokes it", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  await withStarted(async (started) => {
    const { url, token } = started;
    const code = await invited(started);
    const views = async (key: string) => {
      const response = await fetch(`${url}/views`, { headers: { authorization: `Bearer ${key}` } });
      await response.body?.cancel();
      return response.status;
    };
    await withBrowser(url, { width: 390, height: 844, scripts: false }, async ({ page, complaints, strangers }) => {
      const taken = await pictures("keys");
      const press = (name: string) => page.getByRole("button", { name, exact: true }).first().click();
      await page.goto(`${url}/welcome?code=${encodeURIComponent(code)}`);
      await page.fill("#password", PASSWORD);
      await page.fill("#again", PASSWORD);
      await press("Set the password");
      await granted(started, "viewer");
      await page.fill("#name", "ada");
      await page.fill("#password", PASSWORD);
      await press("Sign in");
      await page.waitForURL(`${url}/`);
      await page.goto(`${url}/account`);
      await taken(page, "account");
      await page.getByRole("link", { name: "Keys of programs" }).click();
      await page.getByText("There is none.").waitFor();
      await taken(page, "none");

      await page.fill("#name", "nightly");
      await page.getByLabel("admin").check();
      await press("Make a key");
      await page.getByRole("alert").waitFor();
      await taken(page, "refused");
      assert.equal(await page.inputValue("#name"), "nightly", "what was typed stands there again");
      await page.getByLabel("admin").uncheck();
      await page.getByLabel("read").check();
      await page.fill("#days", "30");
      await press("Make a key");
      await page.locator("#key").waitFor();
      const first = await page.locator("#key").innerText();
      await taken(page, "made");
      assert.equal(await views(first), 200);
      await page.getByRole("link", { name: "Back to the keys" }).click();
      await page.getByRole("button", { name: "Revoke" }).waitFor();
      assert.equal((await page.content()).includes(first), false, "it is shown once");
      await taken(page, "held");

      await press("Replace");
      await page.locator("#key").waitFor();
      const second = await page.locator("#key").innerText();
      assert.notEqual(second, first);
      assert.deepEqual([await views(first), await views(second)], [200, 200], "both count for a while");
      await page.getByRole("link", { name: "Back to the keys" }).click();
      await page.getByText("replaced").waitFor();
      await taken(page, "replaced");
      const row = page.locator("li", { hasText: second.split("_", 2).join("_") });
      await row.getByRole("button", { name: "Revoke" }).click();
      await row.waitFor({ state: "detached" });
      assert.deepEqual([await views(first), await views(second)], [200, 401]);
      await press("Revoke");
      await page.getByText("There is none.").waitFor();
      assert.equal(await views(first), 401);
      await taken(page, "revoked");
      const others = complaints.filter((complaint) => !/status of 4\d\d/.test(complaint));
      assert.deepEqual([others, strangers], [[], []]);
    });
    assert.equal(await views(token), 200);
  });
});
