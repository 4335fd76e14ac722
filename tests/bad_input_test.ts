/**
 * Whatever is read, of a person or of the program's own, may be something else: empty, cut, changed, of another kind, of a newer version, no
 * file at all. It is one clear line and exit 1 or 2, and nothing is written.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { modelIn } from "../adapters/program/access/model.ts";
import { append, archived, opened } from "./archive_given.ts";
import { command, fingerprint, run } from "./end_to_end/cli_given.ts";
import { EMAIL, filled } from "./end_to_end/privacy_given.ts";
import { inFolder } from "./folder_given.ts";
import { commands } from "./program_given.ts";
import { sampling } from "./sampled.ts";

const PASSED_MS_MAX = 60_000;

const copied = async (from: string, to: string): Promise<void> => {
  await Deno.mkdir(to, { mode: 0o700 });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copied(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
};

/** One folder of everything that can be read, and the commands that read it. */
const given = async (dir: string) => {
  const say = commands(dir);
  const [data, archive] = [`${dir}/data`, `${dir}/archive`];
  const done = async (...args: readonly string[]) => {
    const ended = await say(...args);
    assert.ok(ended.code === 0 || args[0] === "audit", `${args.join(" ")}: ${ended.err}`);
    return ended.out;
  };
  await filled(data);
  await opened(data, (system) => append(system, 0, 300, 100));
  await done("receipt", "7", "--out", `${dir}/receipt`, "--data", data);
  await done("audit", "--out", `${dir}/audit`, "--data", data);
  await done("export", "--format", "tlog-tiles", "--out", `${dir}/tiles`, "--data", data);
  await done("backup", `${dir}/backup`, "--data", data);
  await Deno.copyFile(`${dir}/tiles/checkpoint`, `${dir}/kept`);
  await copied(data, `${dir}/erased`);
  await done("erase", EMAIL, "--out", `${dir}/certificate`, "--data", `${dir}/erased`);
  await copied(data, `${dir}/parted`);
  await opened(`${dir}/parted`, (system) => archived(system, `${dir}/parted`, archive, 256));
  const bench = { version: 1, runtime: "Deno/2", cpu: "x", benches: [] };
  await Deno.writeTextFile(`${dir}/bench`, JSON.stringify(bench));
  await Deno.writeTextFile(`${dir}/trail`, `{"Records":[]}`);
  await Deno.writeTextFile(`${dir}/push`, `{"ref":"refs/heads/main"}`);
  await Deno.writeTextFile(`${dir}/root`, `${"0".repeat(64)}\n`);
  await copied(fileURLToPath(new URL("../config/controls", import.meta.url)), `${dir}/controls`);
  const { key } = JSON.parse(await done("status", "--data", data, "--json"));
  return { say, data, archive, key: key as string };
};

/** File, folder that it lies in if that is what is given, and what reads it. */
type Read = readonly [file: string, folder: string | undefined, args: (path: string) => readonly string[]];

const readings = (dir: string, { data, key }: { readonly data: string; readonly key: string }): readonly Read[] => [
  ["receipt", undefined, (file) => ["receipt", "--check", file, "--key", key]],
  ["kept", undefined, (file) => ["receipt", "7", "--cosigned", file, "--data", data]],
  ["kept", undefined, (file) => ["verify", "--against", file, "--data", data]],
  ["kept", undefined, (file) => ["audit", "--check", `${dir}/audit`, "--against", file]],
  ["certificate", undefined, (file) => ["erase", "--check", file, "--key", key]],
  ["certificate", undefined, (file) => ["restore", `${dir}/backup`, "--erasure", file, "--data", `${dir}/made`]],
  ["bench", undefined, (file) => ["import", "bench", file, "--data", `${dir}/made`]],
  ["trail", undefined, (file) => ["import", "cloudtrail", file, "--data", `${dir}/made`]],
  ["push", undefined, (file) => ["import", "github", file, "--data", `${dir}/made`]],
  ["root", undefined, (file) => ["keys", "rotate", "--to-file", file, "--data", data]],
  ["root", undefined, (file) => ["stack", "import", file]],
  ["identity.yaml", "controls", (folder) => ["audit", "--controls", folder, "--data", data]],
  ...["manifest.json", "audit.json", "controls.json", "attestations.json", "log.vkey", "log/checkpoint"].map((
    file,
  ): Read => [file, "audit", (folder) => ["audit", "--check", folder]]),
  ...["checkpoint", "tile/entries/000", "tile/0/000"].map((file): Read => [
    file,
    "tiles",
    (folder) => ["verify", "--tiles", folder],
  ]),
  ...["manifest.json", "log.db"].map((file): Read => [
    file,
    "backup",
    (folder) => ["restore", folder, "--data", `${dir}/made`],
  ]),
  ["tile/entries/000", "archive", (folder) => ["verify", "--archive", folder, "--data", `${dir}/parted`]],
  ["tile/entries/000", "archive", (folder) => ["export", "--archive", folder, "--data", `${dir}/parted`]],
  ...["log.db", "keys.db", "root.key"].flatMap((file) =>
    [["status"], ["verify"]].map((args): Read => [file, "data", (folder) => [...args, "--data", folder]])
  ),
  ...[["replay"], ["explain", "5"]].map((args): Read => ["log.db", "data", (folder) => [...args, "--data", folder]]),
  ...["log.db", "keys.db"].map((file): Read => [
    file,
    "data",
    (folder) => ["send", "commits.branch.delete", "a", `{"branch":"b"}`, "--data", folder],
  ]),
];

/** Bytes that no format of ours begins with, the same each time. */
const NOISE = Uint8Array.from({ length: 9_000 }, (_, i) => (i * 7_919 + (i >> 3) * 31 + 13) & 255);

const BAD: Readonly<Record<string, (path: string, bytes: Uint8Array) => Promise<void>>> = {
  empty: (path) => Deno.writeFile(path, new Uint8Array()),
  cut: (path, bytes) => Deno.writeFile(path, bytes.subarray(0, Math.floor(bytes.length / 3))),
  noise: (path) => Deno.writeFile(path, NOISE),
  text: (path) => Deno.writeTextFile(path, "something else\n\nthat was written by somebody\n"),
  newer: (path) => Deno.writeTextFile(path, `{"version":99,"format":99}\n`),
  async database(path) {
    await Deno.remove(path);
    const db = new DatabaseSync(path);
    db.exec("CREATE TABLE other (a); INSERT INTO other VALUES (1); PRAGMA user_version = 99");
    db.close();
    await Deno.chmod(path, 0o600);
  },
  async folder(path) {
    await Deno.remove(path);
    await Deno.mkdir(path);
  },
};

/** GitHub sends bodies of other kinds, too; what is no push is passed over. */
const PASSED_OVER: ReadonlySet<string> = new Set(["import github, push: newer"]);

Deno.test("whatever is wrong with what is read, it is one clear line, exit 1 or 2, and nothing is written", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { say, ...made } = await given(dir);
    const some = sampling(3);
    for (const [file, folder, argsOf] of readings(dir, made)) {
      const bytes = await Deno.readFile(`${dir}/${folder === undefined ? "" : `${folder}/`}${file}`);
      for (const [name, spoil] of some(Object.entries(BAD))) {
        const at = `${dir}/spoiled`;
        await Deno.remove(at, { recursive: true }).catch(() => {});
        if (folder === undefined) await Deno.writeFile(at, bytes);
        else await copied(`${dir}/${folder}`, at);
        await spoil(folder === undefined ? at : `${at}/${file}`, bytes);
        const args = argsOf(at);
        const told = `${args.slice(0, 2).join(" ")}, ${file}: ${name}`;
        if (PASSED_OVER.has(told)) continue;
        const before = folder === "data" ? await fingerprint(at) : [];
        const { code, out, err } = await say(...args);
        const said = err || out;
        assert.ok(code === 1 || code === 2, `${told}: exit ${code}: ${said}`);
        assert.doesNotMatch(said, /should not have happened|\n\s+at |^\s*$/, told);
        // What is found wanting is a report; what cannot be taken is a line.
        if (err !== "" && !/can be read by others/.test(err)) {
          assert.match(err, /^daybook: [^\n]+\n$|^[^\n]+, body /, told);
        }
        await assert.rejects(Deno.stat(`${dir}/made`), Deno.errors.NotFound, told);
        if (folder === "data") {
          // Whoever wants to write takes the lock first.
          const left = (await fingerprint(at)).filter((line) => !/\block\b/.test(line));
          assert.deepEqual(left, before.filter((line) => !/\block\b/.test(line)), told);
        }
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a pipe that nobody writes to is not waited for", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const data = `${dir}/data`;
    await filled(data);
    const pipe = async (path: string) => {
      await Deno.remove(path).catch(() => {});
      assert.ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
      return path;
    };
    const [file, keys, log] = [await pipe(`${dir}/pipe`), `${dir}/keys`, `${dir}/log`];
    for (const folder of [keys, log]) await copied(data, folder);
    await pipe(`${keys}/keys.db`);
    await pipe(`${log}/log.db`);
    const asked: readonly (readonly string[])[] = [
      ["receipt", "--check", file, "--key", "a+b+c"],
      ["start", "--config", file, "--data", `${dir}/made`],
      ["import", "sshd", file, "--data", `${dir}/made`],
      ["status", "--data", keys],
      ["verify", "--data", log],
    ];
    await Promise.all(asked.map(async (args) => {
      const child = command(args, {}).spawn();
      const late = setTimeout(() => child.kill("SIGKILL"), PASSED_MS_MAX);
      const { code, stderr } = await child.output();
      clearTimeout(late);
      const said = new TextDecoder().decode(stderr);
      assert.ok(code === 1 || code === 2, `${args.join(" ")}: exit ${code}: ${said}`);
      assert.match(said, /^daybook: [^\n]* is no file\n$/);
    }));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a pipe that is open already is read, as a shell hands over what a command says; a named one stays refused", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const data = `${dir}/data`;
    await filled(data);
    /** With what the shell makes of `more` behind it. */
    const shell = (args: readonly string[], more: string) =>
      run(args, { under: ["bash", "-c", `exec "$@" ${more}`, "bash"] });
    const said = "--passphrase-file <(echo open sesame)";
    const kept = await shell(["backup", `${dir}/backup`, "--with-keys", "--data", data], said);
    assert.equal(kept.code, 0, kept.err);
    const restore = (to: string, more: string) =>
      shell(["restore", `${dir}/backup`, "--data", `${dir}/${to}`, "--json"], more);
    const back = await restore("back", said);
    assert.deepEqual([back.code, JSON.parse(back.out).keys], [0, true], back.err);
    assert.ok((await new Deno.Command("mkfifo", { args: [`${dir}/named`] }).output()).success);
    const named = await restore("other", `--passphrase-file /dev/fd/9 9<>'${dir}/named'`);
    assert.equal(named.code, 2);
    assert.match(named.err + named.out, /\/dev\/fd\/9 is no file/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a configuration whose bytes are not UTF-8 is refused by name, as `config check` says, and not read as another one", () =>
  inFolder(async (dir) => {
    const latin = (text: string) => Uint8Array.from([...text].map((character) => character.charCodeAt(0)));
    const written = async (name: string, text: string) => {
      await Deno.writeFile(`${dir}/${name}`, latin(text));
      return `${dir}/${name}`;
    };
    const services = await written("services.yaml", "services:\n  a: { command: caf\u00e9 }\n");
    const access = `${dir}/access`;
    const controls = `${dir}/controls`;
    for (const folder of [access, controls]) await Deno.mkdir(folder);
    await written("access/a.cedar", "// caf\u00e9\npermit (principal, action, resource);\n");
    await written("access/roles.json", "{}");
    await written("controls/a.yaml", "# caf\u00e9\ncontrols: []\n");
    const asked: readonly (readonly [readonly string[], string])[] = [
      [["config", "check", services], services],
      [["stack", "plan", "--config", services], services],
      [["stack", "plan", "--stack", services], services],
      [["audit", "--controls", controls], `${controls}/a.yaml`],
    ];
    await filled(`${dir}/data`);
    await Promise.all(asked.map(async ([args, file]) => {
      const { code, out, err } = await run([...args, "--data", `${dir}/data`], {});
      assert.deepEqual([code, out], [2, ""], `${args.join(" ")}: ${err}`);
      assert.ok(err.endsWith(`${file} is not UTF-8\n`), err);
    }));
    await assert.rejects(modelIn(access, {}), { name: "Usage", message: `${access}/a.cedar is not UTF-8` });
  }));

Deno.test("a variable of the configuration that is not UTF-8 is told by its name, and not passed over", () =>
  inFolder(async (dir) => {
    for (const [name, text] of [["DAYBOOK__LOG__SEALED_AT_REST", "true"], ["DAYBOOK__LOG__ARCHIVE", "/archive/caf"]]) {
      const under = ["sh", "-c", `export ${name}="$(printf '${text}\\351')"; exec "$@"`, "sh"];
      const asked = ["send", "commits.branch.delete", "garden", '{"branch":"main"}', "--data", `${dir}/data`];
      const { code, out, err } = await run(asked, { under });
      assert.deepEqual([code, out, err], [2, "", `daybook: the variable ${name} is not UTF-8\n`]);
    }
  }));

Deno.test("a command that reads a log whose file is damaged, or is none of ours, says which file that is", () =>
  inFolder(async (dir) => {
    const [say, data] = [commands(dir), `${dir}/data`];
    await filled(data);
    const file = `${data}/log.db`;
    const whole = await Deno.readFile(file);
    for (const broken of [whole.subarray(0, 20_000), new Uint8Array(8_192).fill(7)]) {
      await Deno.writeFile(file, broken);
      for (const args of [["events"], ["status"], ["export"], ["hold", "list"], ["backup", `${dir}/backup`]]) {
        const { code, err } = await say(...args, "--data", data);
        assert.equal(code, 1, err);
        assert.ok(err.startsWith(`daybook: ${file}: `), `${args.join(" ")}: ${err}`);
      }
    }
  }));
