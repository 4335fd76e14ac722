/** The recipes about controls, as they stand in the documents, against a real server. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { installed } from "../installed_given.ts";
import { events, filledIn, script, snippet, started } from "./recipe.ts";

Deno.test({
  name: "the recipes for releases, numbered sources and verification tell what they say they tell, and may be repeated",
  ignore: !installed("curl", "the recipes about controls are not followed"),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "daybook-recipe-" });
    try {
      const server = await started(`${folder}/data`);
      const env = { DAYBOOK_URL: server.url, DAYBOOK_TOKEN: server.token };
      try {
        const commit = "0123456789abcdef0123456789abcdef01234567";
        const release = {
          ...env,
          SOURCE: "https://git.example/shop",
          RUN: "4711",
          COMMIT: commit,
          BY: "jane",
          APPROVED_BY: "joe",
        };
        for (let times = 0; times < 2; times++) {
          assert.deepEqual((await script(["sh", "-e", "-c"], snippet("releases", "sh"), release)).code, 0);
        }
        const [deployment] = await events(server, "releases.deployment.started", 1);
        const { by, by_pseudonym, approvedby_pseudonym } = deployment!.data as Record<string, string>;
        assert.equal(by, "jane", "the token may read what is personal");
        assert.ok(by_pseudonym && approvedby_pseudonym && by_pseudonym !== approvedby_pseudonym);
        assert.equal((await events(server, "releases.gate.passed", 1)).length, 1);
        assert.equal((await events(server, "releases.deployment.finished", 1)).length, 1);

        const counted = { ...env, SOURCE: "urn:shop", COUNT: `${folder}/count` };
        const sent = await script(["sh", "-e", "-c"], snippet("numbered-sources", "sh"), counted);
        assert.deepEqual(sent, { code: 0, said: "" });
        const [{ position } = {}] = await events(server, "sources.window.closed", 1);
        const answer = await server.get(`/views/audit.sources/urn%3Ashop?wait=${position}`);
        const { row } = await answer.json() as {
          row: { missing: number; count: { first: number; last: number }; windows: unknown[] };
        };
        assert.deepEqual([row.count.first, row.count.last, row.missing, row.windows.length], [1, 4, 0, 1]);

        const here = fileURLToPath(new URL("../../", import.meta.url));
        const verify = filledIn(snippet("daily-verification", "sh"), {
          "cd /opt/daybook && deno task": `cd ${here} && ${Deno.execPath()} task`,
          "/var/lib/daybook": server.data,
          ' --key "$(cat /etc/daybook/log.vkey)"': "",
        });
        const verified = await script(["sh", "-c"], verify, { HOME: Deno.env.get("HOME") ?? folder });
        assert.equal(verified.code, 0, verified.said);
        const [told] = await events(server, "kernel.log.verified", 1);
        assert.deepEqual((told!.data as { ok: boolean; because: string }).ok, true);

        // Who owns the folder may write nowhere else: a line that appends to a file of root's verifies nothing.
        const line = filledIn(snippet("daily-verification", "crontab").trim().split("\n").at(-1)!, {
          "17 3 * * * daybook ": "",
          "cd /opt/daybook && deno task": `cd ${here} && ${Deno.execPath()} task -q`,
          "/var/lib/daybook": server.data,
          ' --key "$(cat /etc/daybook/log.vkey)"': "",
          "logger -t daybook-verify": "cat",
        });
        const nightly = await script(["sh", "-c"], line, { HOME: Deno.env.get("HOME") ?? folder });
        assert.equal(JSON.parse(nightly.said).ok, true, nightly.said);
      } finally {
        assert.equal(await server.stop(), 0);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
