/** Passkeys as a person meets them: a real server, a real browser, and its virtual authenticator. */
import assert from "node:assert/strict";
import type { CDPSession, Page } from "playwright-core";
import { clockAhead } from "../clock_given.ts";
import { namedUrl, withHouse } from "../identity_given.ts";
import { noBrowser, pictures, withBrowser } from "./browser_given.ts";
import { type Started, withStarted } from "./browser_server.ts";

const missing = noBrowser();
const PASSWORD = "tall trees in rain";
const SCREEN = { width: 390, height: 844 };

/** An authenticator that holds passkeys and verifies whoever touches it. */
const authenticatorOf = async (page: Page) => {
  const cdp: CDPSession = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    async only() {
      const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
      assert.equal(credentials.length, 1);
      return credentials[0]!;
    },
    /** The passkey as a copy of it would be that was made when its counter stood there. */
    async setBack(signCount: number) {
      const credential = { ...await this.only(), signCount };
      await cdp.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
      await cdp.send("WebAuthn.addCredential", { authenticatorId, credential });
    },
  };
};

const bodyOf = async (response: Response) => {
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
};
const post = async (url: string, path: string, body: unknown, as?: string) =>
  await bodyOf(
    await fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(as === undefined ? {} : { authorization: `Bearer ${as}` }) },
      body: JSON.stringify(body),
    }),
  );
const told = async ({ url, token }: Started, type: string) => {
  const asked = await fetch(`${url}/events?type=${type}&limit=1000`, { headers: { authorization: `Bearer ${token}` } });
  return (await bodyOf(asked)).body.events as readonly { readonly data: { readonly [name: string]: string } }[];
};

const invited = async ({ url, token }: Pick<Started, "url" | "token">): Promise<string> =>
  (await post(url, "/accounts", { name: "ada" }, token)).body.code;

/** What a page's script gets for options: an answer of the authenticator. */
const shownBy = (page: Page, options: unknown): Promise<unknown> =>
  page.evaluate(
    `navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(${
      JSON.stringify(options)
    }) })
      .then((credential) => credential.toJSON())`,
  );

/** The reasons of refused tries, oldest first. */
const refusals = async (started: Started): Promise<readonly string[]> =>
  (await told(started, "identity.signin.failed")).map(({ data }) => `${data.method} ${data.reason}`);

Deno.test("a person sets up a passkey, signs in with nothing else, and after the password; a copy of it, another site and a repetition are refused", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  const taken = await pictures("passkeys");
  await withStarted(async (started) => {
    const url = namedUrl(started.url);
    const code = await invited(started);
    await withBrowser(url, SCREEN, async ({ page, context, complaints, strangers }) => {
      const authenticator = await authenticatorOf(page);
      const seen = (name: string) => taken(page, name);
      const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
      const signOut = async () => {
        await context.clearCookies();
        await page.goto(`${url}/sign-in?next=/account`);
      };
      const proven = () => page.locator("tbody tr", { hasText: "this one" }).locator("td").nth(1).innerText();

      await page.goto(`${url}/welcome?code=${encodeURIComponent(code)}`);
      await page.fill("#password", PASSWORD);
      await page.fill("#again", PASSWORD);
      await press("Set the password");
      await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor();
      await press("Sign in with a passkey");
      await page.getByText("No passkey was shown.").waitFor();
      await seen("no-passkey");
      await page.fill("#name", "ada");
      await page.fill("#password", PASSWORD);
      await press("Sign in");
      await page.waitForURL(`${url}/`);

      await page.goto(`${url}/account/factors`);
      await page.fill("#label", "Laptop");
      await page.fill("#again", PASSWORD);
      await seen("set-up");
      await press("Set up a passkey");
      await page.getByRole("heading", { name: "Backup codes" }).waitFor();
      assert.equal(await page.locator("ol li").count(), 10);
      await seen("backup-codes");
      const { signCount } = await authenticator.only();

      await signOut();
      await seen("sign-in");
      await press("Sign in with a passkey");
      await page.getByRole("heading", { name: "Sessions" }).waitFor();
      assert.equal(await proven(), "passkey");
      await seen("sessions");

      await signOut();
      await page.fill("#name", "ada");
      await page.fill("#password", PASSWORD);
      await press("Sign in");
      await page.getByRole("button", { name: "Use a passkey" }).waitFor();
      await seen("second");
      await press("Use a passkey");
      await page.getByRole("heading", { name: "Sessions" }).waitFor();
      assert.equal(await proven(), "password, passkey");

      await page.goto(`${url}/account/factors`);
      await press("Show a passkey");
      await page.getByRole("button", { name: "New backup codes" }).waitFor();
      await page.getByLabel("Another name").fill("Key ring");
      await press("Rename");
      await page.getByText("Key ring (passkey)").waitFor();
      await seen("keys");

      // Two answers to one challenge, of which the second is the first.
      const first = (await post(url, "/auth/passkeys/options", {})).body;
      const answer = { ticket: first.ticket, response: await shownBy(page, first.options) };
      assert.equal((await post(url, "/auth/passkeys/sign-in", answer)).status, 200);
      assert.equal((await post(url, "/auth/passkeys/sign-in", answer)).status, 401);
      assert.deepEqual(await refusals(started), ["passkey replayed"]);

      // Passkeys are bound to a name, not to a port: what another server on it was shown is told by the origin.
      const elsewhere = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        () => new Response("<!doctype html><title>Another site</title>", { headers: { "content-type": "text/html" } }),
      );
      try {
        await page.goto(`http://localhost:${elsewhere.addr.port}/`);
        const asked = (await post(url, "/auth/passkeys/options", {})).body;
        const response = await shownBy(page, asked.options);
        assert.equal((await post(url, "/auth/passkeys/sign-in", { ticket: asked.ticket, response })).status, 401);
        assert.deepEqual((await refusals(started)).at(-1), "passkey wrong_origin");
      } finally {
        await elsewhere.shutdown();
      }

      await signOut();
      await authenticator.setBack(signCount);
      await press("Sign in with a passkey");
      await page.getByRole("alert").waitFor();
      await seen("clone");
      assert.deepEqual((await refusals(started)).at(-1), "passkey clone_suspected");
      assert.equal((await told(started, "identity.clone.suspected")).length, 1);

      const others = complaints.filter((complaint) => !/status of 4\d\d/.test(complaint));
      const away = strangers.filter((at) => !/^http:\/\/localhost:\d+\/(?:favicon\.ico)?$/.test(at));
      assert.deepEqual([others, away], [[], []]);
    });
  });
});

Deno.test("a browser's answer that comes too late is refused", async () => {
  if (missing !== undefined) return console.log(`skipped: ${missing}`);
  await withHouse(async (house) => {
    const url = namedUrl(house.url);
    await withBrowser(url, SCREEN, async ({ page }) => {
      await authenticatorOf(page);
      await page.goto(`${url}/sign-in`);
      await house.person("ada", PASSWORD);
      const { access_token: as } = (await house.signIn("ada", PASSWORD)).body;
      const asked = (await post(url, "/auth/factors/passkeys/options", {}, as)).body;
      const passkey = await page.evaluate(
        `navigator.credentials.create({
           publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(${JSON.stringify(asked.options)}),
         }).then((credential) => credential.toJSON())`,
      );
      const made = { ticket: asked.ticket, response: passkey, password: PASSWORD };
      assert.equal((await post(url, "/auth/factors/passkeys", made, as)).status, 200);
      const { ticket, options } = (await post(url, "/auth/passkeys/options", {})).body;
      const response = await shownBy(page, options);
      using _later = clockAhead(Number(ticket.split(".")[3]) - Date.now());
      assert.equal((await post(url, "/auth/passkeys/sign-in", { ticket, response })).status, 401);
      assert.equal(house.told("identity.signin.failed").at(-1)!.data.reason, "expired");
    });
  });
});
