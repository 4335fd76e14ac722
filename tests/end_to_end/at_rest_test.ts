/**
 * A folder that is sealed at rest, as the program makes it: a server takes events, a repository with people in it is imported, the
 * server is killed. No file of the folder and none where copies are made holds a clear word of it, and all that reads it reads it.
 */
import assert from "node:assert/strict";
import { DEFAULTS } from "../../config/shipped.ts";
import { openDaybook } from "../../main.ts";
import { Place } from "../git_given.ts";
import { document, run, withPlace } from "./cli_given.ts";
import { ANN, BY, commit, EMAIL } from "./privacy_given.ts";
import { Program } from "./program.ts";

const SEALED = { DAYBOOK__LOG__SEALED_AT_REST: "true" };

/** What was recorded, as words that occur nowhere else. */
const WORDS = [
  "zirconevent", // an id
  "urn:quartzsource", // a source
  "opalthing", // a type of an unknown kind, and its stream
  "garnetcontent", // data
  "amberblob", // a blob
  "Beryl Onyx", // an author
  "beryl@jaspermail.example", // and her address
  "Peridot message", // a message
  "topazfile", // a path
  "commits/agaterepo", // a stream
  "agaterepo", // and its name
  "commits.commit.recorded",
  "kernel.process.started",
  "inbox/",
  "audit.trail",
];

/** Files below the folders that hold a word, as UTF-8 or UTF-16. */
const holding = async (...folders: readonly string[]): Promise<readonly string[]> => {
  const found: string[] = [];
  for (const folder of folders) {
    for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
      const path = `${folder}/${name}`;
      if (isDirectory) found.push(...await holding(path));
      if (!isFile) continue;
      // Letter by letter, as bytes; without zero bytes UTF-16 is found, too.
      const text = new TextDecoder("latin1").decode((await Deno.readFile(path)).filter((byte) => byte !== 0));
      for (const word of WORDS) if (text.includes(word)) found.push(`${path}: ${word}`);
    }
  }
  return found;
};

const repositoryOf = (place: Place): Promise<string> =>
  place.repository(
    "agaterepo",
    [1, 2, 3].map((n) =>
      `commit refs/heads/main\nmark :${n}\nauthor Beryl Onyx <beryl@jaspermail.example> ${1_700_000_000 + n} +0000\n` +
      `committer Beryl Onyx <beryl@jaspermail.example> ${1_700_000_000 + n} +0000\ndata 17\nPeridot message ${n}` +
      (n > 1 ? `\nfrom :${n - 1}` : "") + `\nM 100644 inline topazfile${n}\ndata 2\n${n}\n`
    ).join("\n"),
  );

const post = async (program: Program, path: string, type: string, body: string): Promise<Response> =>
  await fetch(`${program.url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${program.token}`, "content-type": type },
    body,
  });

/** Events, a blob and a repository in a folder whose server is killed; `look` is called before that. */
const made = async (
  data: string,
  repository: string,
  env: Readonly<Record<string, string>>,
  look = () => Promise.resolve(),
): Promise<void> => {
  const program = await Program.start(data, env);
  const events = Array.from({ length: 300 }, (_, n) => ({
    specversion: "1.0",
    id: `zirconevent${n}`,
    source: "urn:quartzsource",
    type: "opalthing.thing.seen",
    data: { n, text: `garnetcontent ${n}` },
  }));
  const batch = await post(program, "/events", "application/cloudevents-batch+json", JSON.stringify(events));
  assert.equal(batch.status, 201, await batch.text());
  const blob = await post(program, "/blobs", "application/octet-stream", "amberblob ".repeat(20_000));
  assert.ok(blob.ok, await blob.text());
  const imported = await run(["import", "git", repository, "--data", data, "--json"], { env });
  assert.equal(imported.code, 0, imported.err);
  const { size } = await document<{ size: number }>(["status", "--data", data], { env });
  const view = await fetch(`${program.url}/views/audit.trail?limit=1&wait=${size - 1}`, {
    headers: { authorization: `Bearer ${program.token}` },
  });
  assert.equal(view.status, 200, await view.text());
  await look();
  await program.end("SIGKILL");
};

Deno.test("a sealed folder holds no clear word, running, killed, closed, copied or restored, and is read by all that reads", async () => {
  await using place = await Place.make();
  const dir = place.folder;
  const [data, temporary] = [`${dir}/data`, `${dir}/temporary`];
  await Deno.mkdir(temporary);
  const env = { ...SEALED, TMPDIR: temporary };
  const repository = await repositoryOf(place);
  const nothing = async (...folders: readonly string[]) => assert.deepEqual(await holding(...folders), []);
  await made(data, repository, env, () => nothing(data, temporary));
  await nothing(data, temporary);

  // The variable says what a new folder is to be; one that is there says itself what it is.
  const how = { env: { TMPDIR: temporary } };
  for (const command of [["verify"], ["replay", "--check"]]) {
    const ran = await run([...command, "--data", data, "--json"], how);
    assert.equal(ran.code, 0, ran.out + ran.err);
    if (command[0] === "verify") assert.equal(JSON.parse(ran.out).sealed, true);
  }
  const commits = await document<{ rows: readonly { row: { subject: string } }[] }>(
    ["view", "commits.history", "--sort", "at", "--data", data],
    how,
  );
  assert.deepEqual(commits.rows.map(({ row }) => row.subject), [1, 2, 3].map((n) => `Peridot message ${n}`));
  await Deno.writeTextFile(`${dir}/pass`, "correct horse battery\n");
  const pass = ["--passphrase-file", `${dir}/pass`];
  const bare = await run(["backup", `${dir}/bare`, "--data", data], how);
  assert.deepEqual([bare.code, /add --with-keys/.test(bare.err)], [2, true], bare.err);
  for (
    const command of [
      ["backup", `${dir}/copy`, "--with-keys", ...pass, "--data", data],
      ["restore", `${dir}/copy`, ...pass, "--data", `${dir}/back`],
      ["verify", "--data", `${dir}/back`],
    ]
  ) {
    const ran = await run(command, how);
    assert.equal(ran.code, 0, `${command.join(" ")}: ${ran.err}`);
  }
  const keyless = await run(["restore", `${dir}/copy`, "--data", `${dir}/keyless`], how);
  assert.deepEqual(
    [keyless.code, /sealed at rest.* give --passphrase-file FILE or DAYBOOK_PASSPHRASE$/m.test(keyless.err)],
    [3, true],
    keyless.err,
  );
  await nothing(data, temporary, `${dir}/copy`, `${dir}/back`);

  const next = await Program.start(data, how.env);
  assert.equal((await next.end("SIGTERM")).code, 0);
  await nothing(data, temporary);

  // The archive is made to be read elsewhere; what stays here of archived entries is sealed.
  const archive = `${dir}/archive`;
  for (
    const command of [
      ["archive", "--before", "256", "--to", archive, "--data", data],
      ["keys", "rotate", "--data", data],
      ["verify", "--data", data],
      ["verify", "--data", data, "--archive", archive],
      ["replay", "--check", "--data", data, "--archive", archive],
    ]
  ) {
    const ran = await run(command, how);
    assert.equal(ran.code, 0, `${command.join(" ")}: ${ran.out}${ran.err}`);
  }
  await nothing(data, temporary);
});

Deno.test("the search finds every word in a folder that is not sealed", async () => {
  await using place = await Place.make();
  const data = `${place.folder}/data`;
  await made(data, await repositoryOf(place), {});
  const found = await holding(data);
  // People are sealed by themselves.
  const personal = ["Beryl Onyx", "beryl@jaspermail.example"];
  for (const word of WORDS.filter((word) => !personal.includes(word))) {
    assert.ok(found.some((line) => line.endsWith(`: ${word}`)), word);
  }
});

const copy = async (from: string, to: string): Promise<void> => {
  await Deno.mkdir(to);
  for await (const { name, isFile } of Deno.readDir(from)) {
    if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
};

Deno.test("without its keys, or with another's, a sealed folder is one clear error", async () => {
  await using place = await Place.make();
  const dir = place.folder;
  for (const data of [`${dir}/one`, `${dir}/two`]) {
    const program = await Program.start(data, SEALED);
    assert.equal((await program.end("SIGTERM")).code, 0);
  }
  const refused = async (data: string, said: RegExp, ...more: readonly string[][]) => {
    for (const command of [["verify"], ["events"], ["start", "--port", "0"], ...more]) {
      const ran = await run([...command, "--data", data]);
      assert.equal(ran.code, 3, `${command.join(" ")}: ${ran.out}${ran.err}`);
      assert.match(ran.err, said);
      assert.equal(ran.err.trim().split("\n").length, 1, ran.err);
    }
  };
  await copy(`${dir}/one`, `${dir}/bare`);
  for (const name of ["keys.db", "root.key"]) await Deno.remove(`${dir}/bare/${name}`);
  await refused(`${dir}/bare`, /sealed at rest|key database/, ["view", "audit.trail"], ["status"]);
  await copy(`${dir}/one`, `${dir}/other`);
  for (const name of ["keys.db", "root.key"]) await Deno.copyFile(`${dir}/two/${name}`, `${dir}/other/${name}`);
  await refused(`${dir}/other`, /sealed at rest under another key/);
});

Deno.test("a folder that was made clear is not gone on with as a sealed one", async () => {
  await using place = await Place.make();
  const data = `${place.folder}/data`;
  assert.equal((await (await Program.start(data)).end("SIGTERM")).code, 0);
  const ran = await run(["start", "--port", "0", "--data", data], { env: SEALED });
  assert.deepEqual([ran.code, /made without it/.test(ran.err)], [2, true], ran.err);
  assert.equal((await run(["verify", "--data", data])).code, 0);
});

Deno.test("a blob of nobody's that tells of who is erased is found in the log's file, sealed or not", () =>
  withPlace(async ({ dir }) => {
    for (const sealed_at_rest of [false, true]) {
      const data = `${dir}/${sealed_at_rest}`;
      const daybook = await openDaybook({ data, config: { ...DEFAULTS, log: { ...DEFAULTS.log, sealed_at_rest } } });
      assert.ok((await daybook.ingest([commit(1, ANN)], BY)).ok);
      await daybook.putBlob(new TextEncoder().encode(`a list with ${EMAIL} in it`));
      await daybook.close();
      const how = ["--reason", "asked for", "--out", `${data}.json`, "--data", data];
      const erased = await document<{ ok: boolean; scan: { found: number } }>(["erase", EMAIL, ...how]);
      assert.deepEqual([erased.exit, erased.ok, erased.scan.found > 0], [1, false, true], data);
      const { scan } = JSON.parse(await Deno.readTextFile(`${data}.json`)).certificate;
      const found = scan.files.filter((file: { found: number }) => file.found > 0);
      assert.deepEqual(found.map(({ path }: { path: string }) => path), ["log.db"], data);
      const checked = await run(["erase", "--check", `${data}.json`, "--data", data]);
      assert.match(checked.out, / found [1-9]\d* times?\n/, checked.out + checked.err);
    }
  }));

Deno.test("what lies clear in a sealed folder is what SECURITY.md says", async () => {
  const security = await Deno.readTextFile(new URL("../../SECURITY.md", import.meta.url));
  const said = /\*\*At rest\.\*\*.*?(?=\n- )/s.exec(security)![0];
  await withPlace(async ({ dir, data }) => {
    await Deno.writeTextFile(
      `${dir}/stack.yaml`,
      "services:\n  zirconevent:\n    command: /bin/sh\n    arguments: [-c, 'echo opalthing $$WORD']\n" +
        "    environment: { WORD: garnetcontent }\n    restart: { policy: no }\n    inherit: []\n",
    );
    await Deno.writeTextFile(`${dir}/secret`, "amberblob");
    const program = await Program.start(data, SEALED, { more: ["--stack", `${dir}/stack.yaml`] });
    await post(
      program,
      "/events",
      "application/cloudevents+json",
      JSON.stringify({ ...commit(1, ANN), specversion: "1.0" }),
    );
    for (
      const command of [
        ["token", "create", "topazfile", "--scopes", "read"],
        ["secret", "set", "agaterepo", "--file", `${dir}/secret`],
        ["erase", EMAIL],
      ]
    ) {
      const ran = await run([...command, "--data", data]);
      assert.equal(ran.code, 0, `${command.join(" ")}: ${ran.err}`);
    }
    assert.equal((await program.end("SIGTERM")).code, 0);
    const places = new Set(
      (await holding(data)).map((line) =>
        line.slice(data.length + 1).replace(/: .*/, "").replace(/\/.*/, "/").replace(/^erasure-.*/, "erasure-*.json")
      ),
    );
    assert.deepEqual([...places].sort(), ["erasure-*.json", "keys.db", "services/"]);
    for (const place of places) assert.ok(said.includes(`\`${place}\``), `${place} is not named: ${said}`);
  });
});
