/** The program with no more permissions than its configuration asks for, and a real provider. */
import assert from "node:assert/strict";
import { CLIENT, withProvider } from "../oidc_given.ts";
import { Browser } from "../provider_browser.ts";
import { run, start, withPlace } from "./cli_given.ts";

Deno.test("the program as it is started asks the provider of its configuration, and makes an account for who comes", () =>
  withPlace(({ dir, data }) =>
    withProvider(async (given) => {
      await Deno.writeTextFile(`${dir}/secret`, `${CLIENT.secret}\n`);
      const config = (role: string) =>
        Deno.writeTextFile(
          `${dir}/daybook.yaml`,
          `identity:
  providers:
    - name: corp
      kind: oidc
      issuer: ${given.issuer}
      client_id: ${CLIENT.id}
      client_secret: { file: secret }
      create: true
      roles: { platform: ${role} }
`,
        );
      await config("captain");
      const refused = await run(["start", "--data", data, "--port", "0", "--config", `${dir}/daybook.yaml`]);
      assert.deepEqual([refused.code, /provider corp: captain is no role; there are viewer, /.test(refused.err)], [
        2,
        true,
      ]);
      await config("operator");
      const server = await start(data, ["--config", `${dir}/daybook.yaml`]);
      try {
        const back = `${server.url}/sign-in/oidc/corp/callback`;
        given.redirects = [back];
        given.people.set("0001", { name: "ada", groups: ["platform"] });
        const browser = new Browser();
        const left = await browser.go(`${server.url}/sign-in/oidc/corp?next=/account`);
        await left.body?.cancel();
        const came = await browser.go(await browser.vouchedFor(left.headers.get("location")!, "0001", back));
        assert.equal(came.status, 200, await came.text());
        const account = await (await browser.go(`${server.url}/account`)).text();
        assert.match(account, /<td[^>]*>oidc<\/td><td[^>]*>operator<\/td>/);
      } finally {
        await server.stop();
      }
    })
  ));
