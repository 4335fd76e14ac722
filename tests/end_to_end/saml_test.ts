/** The program with no more permissions than it is shipped with takes the word of a provider of SAML, and asks no host for it. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Browser } from "../provider_browser.ts";
import { ENTRY, ISSUER, newSigner, respond, wishIn } from "../saml_given.ts";
import { run, start, withPlace } from "./cli_given.ts";

Deno.test("the program as it is started takes the word of the provider of its configuration", () =>
  withPlace(async ({ dir, data }) => {
    const signer = await newSigner();
    await Deno.writeTextFile(
      `${dir}/daybook.yaml`,
      `identity:
  providers:
    - name: works
      kind: saml
      entry_point: ${ENTRY}
      issuer: ${ISSUER}
      certificate: { file: works.pem }
      username: username
      create: true
`,
    );
    const config = ["--config", `${dir}/daybook.yaml`];
    const refused = await run(["start", "--data", data, "--port", "0", ...config]);
    assert.deepEqual([refused.code, /provider works: its certificate is not there/.test(refused.err)], [2, true]);
    await Deno.writeTextFile(`${dir}/works.pem`, signer.certificate);
    const server = await start(data, config);
    try {
      const browser = new Browser();
      const left = await browser.go(`${server.url}/sign-in/saml/works`);
      await left.body?.cancel();
      const wish = wishIn(left.headers.get("location")!);
      const xml = await respond(wish, { subject: "0001", username: "ada", signer });
      const body = new URLSearchParams({ SAMLResponse: Buffer.from(xml).toString("base64"), RelayState: wish.state });
      const headers = { "content-type": "application/x-www-form-urlencoded", origin: server.url };
      const came = await browser.go(`${server.url}/sign-in/saml/works/finish`, {
        method: "POST",
        headers,
        body: body.toString(),
      });
      assert.equal(came.status, 200, await came.text());
      assert.match(await (await browser.go(`${server.url}/account`)).text(), /<td[^>]*>saml<\/td>/);
    } finally {
      await server.stop();
    }
  }));
