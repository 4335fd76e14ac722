/** The recipe for audits, with a real witness and a real server. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { filledIn, script, snippet, started } from "./recipe.ts";
import { heard, stopped } from "../until.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const environment = { HOME: Deno.env.get("HOME") ?? "/", NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };

/** `deno` of this process, whatever the PATH has. */
const withDeno = (text: string): string => text.replaceAll("deno task", `'${Deno.execPath()}' task`);

/** What a command prints before it goes on, and how to end it. */
const witness = async (folder: string, key: string) => {
  const page = Deno.readTextFileSync(new URL("../../docs/recipes/audit.md", import.meta.url));
  const [, said = ""] = /`deno task (witness [^`]+)`[^\n]*127\.0\.0\.1:7374 alone/.exec(page) ?? [];
  const typed = filledIn(said, { "/var/lib/witness": folder, '"$(cat log.vkey)"': key });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["task", ...typed.split(" "), "--port", "0"],
    cwd: root,
    env: environment,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const printed = await heard("the witness listens", reader, (text) => /listening on http/.test(text));
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    url: /listening on (http:\/\/\S+)/.exec(printed)![1]!,
    vkey: /^key (\S+)$/m.exec(printed)![1]!,
    async stop() {
      await stopped(child);
      await Promise.all([drained, errors]);
    },
  };
};

Deno.test("the recipe for audits: cosigned, written, carried away and checked", async () => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-recipe-" });
  try {
    const data = `${folder}/data`;
    const server = await started(data);
    let other: Awaited<ReturnType<typeof witness>> | undefined;
    try {
      const sent = await fetch(`${server.url}/events`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${server.token}`,
          "content-type": "application/cloudevents+json",
          // The folder holds what a checkpoint covers.
          prefer: "checkpoint",
        },
        body: JSON.stringify({ specversion: "1.0", id: "1", source: "urn:x", type: "tests.thing.seen", data: {} }),
      });
      assert.equal(sent.status, 201, await sent.text());
      const status = await script(
        ["bash", "-c"],
        withDeno(`cd ${root} && deno task -q status --json --data ${data}`),
        environment,
      );
      const { key } = JSON.parse(status.said);
      other = await witness(`${folder}/witness`, key);
      const keys = { "$(cat /etc/daybook/witness.vkey)": other.vkey };
      const operator = filledIn(snippet("audit", "bash"), {
        "/opt/daybook": root,
        "https://witness.example": other.url,
        "/var/lib/kept": folder,
        "/var/lib/daybook": data,
        "/srv/audits": folder,
        " --from 2026-10-01 --to 2027-01-01": "",
        ...keys,
      });
      const made = await script(["bash", "-ec"], withDeno(operator), environment);
      assert.equal(made.code, 0, made.said);
      assert.match(made.said, /wanting, see/, "most controls have seen nothing");
      await Deno.mkdir(`${folder}/desk`);
      await Deno.rename(`${folder}/2026-Q4`, `${folder}/desk/2026-Q4`);
      const auditor = filledIn(snippet("audit", "sh"), {
        "~/2026-Q4": `${folder}/desk/2026-Q4`,
        "$(cat ~/keys/log.vkey)": key,
        "$(cat ~/keys/witness.vkey)": other.vkey,
      });
      const checked = await script(["sh", "-ec"], withDeno(`cd ${root}\n${auditor}`), environment);
      assert.equal(checked.code, 0, checked.said);
      assert.match(checked.said, /the folder is intact/);
      // What the server records of itself meanwhile comes behind it.
      const [, anchored, of] = checked.said.match(/anchored {2}up to (\d+) of (\d+) events/) ?? [];
      assert.ok(Number(anchored) > 40 && Number(of) - Number(anchored) < 5, checked.said);
    } finally {
      await other?.stop();
      assert.equal(await server.stop(), 0);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
