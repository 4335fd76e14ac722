/** Where the root key comes from, and keys that do not open, by commands. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { document, fingerprint, type HowTo, run, withPlace } from "./cli_given.ts";
import { BOB, BY, commit, EMAIL, filled, NAME, opened, recorded } from "./privacy_given.ts";

Deno.test("a root key in a variable, and one out of a passphrase, take the place of the file", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    const inVariable = { env: { DAYBOOK__KEYS__ROOT: "{ env: ROOT_OF_TESTS }", ROOT_OF_TESTS: "7".repeat(64) } };
    const passphrase = `${dir}/passphrase`;
    await Deno.writeTextFile(passphrase, "correct horse battery\nnothing else counts\n");
    const inPassphrase = { env: { DAYBOOK__KEYS__PASSPHRASE: `{ file: ${passphrase} }` } };
    const told = async (code: number, how: HowTo): Promise<string> => {
      const ran = await run(["events", "--personal", "--type", "commits.commit.recorded", "--data", data], how);
      assert.equal(ran.code, code, ran.err);
      return ran.out + ran.err;
    };
    assert.match(await told(0, {}), /Ann Example/);
    const env = { env: { ROOT_OF_TESTS: "7".repeat(64) } };
    const first = await document(["keys", "rotate", "--to-env", "ROOT_OF_TESTS", "--data", data], env);
    assert.deepEqual([first.exit, first.from, first.to, first.left], [0, 1, 2, { 1: 0 }]);
    assert.match(await told(1, {}), /this root key, version 1, was replaced at \S+ by version 2/);
    assert.match(await told(0, inVariable), /Ann Example/);
    const second = await document(["keys", "rotate", "--to-passphrase-file", passphrase, "--data", data], inVariable);
    assert.deepEqual([second.exit, second.to], [0, 3]);
    assert.match(await told(1, inVariable), /was replaced/);
    assert.match(await told(0, inPassphrase), /Ann Example/);
    await Deno.writeTextFile(passphrase, "incorrect horse battery");
    assert.match(await told(1, inPassphrase), /the passphrase is not the one it was made with/);
    await Deno.remove(passphrase);
    assert.match(await told(2, inPassphrase), /points at a passphrase that is not there/);
  }));

Deno.test("keys rotate makes the file that it is to go over to, for the folder's owner alone, and the key in it opens everything", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    await Deno.mkdir(`${dir}/secrets`);
    // Whose folder it is has the server, which is to read it.
    if (Deno.uid() === 0) await Deno.chown(data, 54_321, 54_322);
    const { uid, gid } = await Deno.stat(data);
    const file = `${dir}/secrets/root.key`;
    const made = await document(["keys", "rotate", "--to-file", file, "--data", data]);
    assert.deepEqual([made.exit, made.from, made.to], [0, 1, 2]);
    assert.deepEqual([...Deno.readDirSync(`${dir}/secrets`)].map(({ name }) => name), ["root.key"]);
    const written = Deno.statSync(file);
    assert.deepEqual([written.uid, written.gid, written.mode! & 0o777], [uid, gid, 0o600]);
    const env = { env: { DAYBOOK__KEYS__ROOT: `{ file: ${file} }` } };
    const ran = await run(["events", "--personal", "--type", "commits.commit.recorded", "--data", data], env);
    assert.match(ran.out, /Ann Example/, ran.err);
  }));

Deno.test("a root key that the configuration points at and that is not there is wrong usage, and makes no folder", () =>
  withPlace(async ({ dir, data }) => {
    const env = { env: { DAYBOOK__KEYS__ROOT: `{ file: ${dir}/none.key }` } };
    const ran = await run(["token", "create", "ci", "--data", data], env);
    assert.deepEqual([ran.code, ran.err], [
      2,
      `daybook: the configuration points at a root key that is not there (keys.root): ${dir}/none.key\n`,
    ]);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
    await filled(data);
    const lost = await run(["events", "--data", data], env);
    assert.deepEqual([lost.code, /its root key .*none\.key is missing/.test(lost.err)], [3, true], lost.err);
  }));

Deno.test("keys that are not ours, of another folder, cut short, damaged or newer are told of in one line, and nothing is written", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    await filled(`${dir}/other`);
    const database = await Deno.readFile(`${data}/keys.db`), root = await Deno.readFile(`${data}/root.key`);
    const queried = (sql: string) => () => {
      const db = new DatabaseSync(`${data}/keys.db`);
      db.exec(sql);
      db.close();
    };
    const troubles: readonly (readonly [() => unknown, RegExp, code?: 3])[] = [
      [
        () => Deno.copyFile(`${dir}/other/root.key`, `${data}/root.key`),
        /this root key is not the one it was made with/,
      ],
      [() => Deno.writeTextFile(`${data}/root.key`, "nothing"), /does not hold a root key/],
      [() => Deno.remove(`${data}/root.key`), /root\.key is missing; restore it from a backup/, 3],
      [() => Deno.writeFile(`${data}/keys.db`, database.subarray(0, 5_000)), /damaged|cut short/],
      [() => Deno.writeTextFile(`${data}/keys.db`, "no database ".repeat(1_000)), /it is not a key database/],
      [queried("PRAGMA user_version = 9"), /format 9 was written by a newer version/],
      [queried("UPDATE tenants SET key = zeroblob(64)"), /the key database is damaged/],
    ];
    for (const [n, [trouble, message, code = 1]] of troubles.entries()) {
      await Deno.writeFile(`${data}/keys.db`, database);
      await Deno.writeFile(`${data}/root.key`, root);
      await Deno.chmod(`${data}/root.key`, 0o600);
      await trouble();
      const before = await fingerprint(data);
      const args = n % 2 ? ["keys", "rotate"] : ["erase", EMAIL, "--out", `${dir}/c.json`];
      const ran = await run([...args, "--data", data]);
      assert.deepEqual([ran.code, ran.out], [code, ""], `${args[0]}: ${ran.err}`);
      assert.match(ran.err, message);
      assert.equal(ran.err.trim().split("\n").length, 1, ran.err);
      // Whoever wants to write takes the lock first.
      const left = (await fingerprint(data)).filter((line) => !/\block\b/.test(line));
      assert.deepEqual(left, before.filter((line) => !/\block\b/.test(line)));
    }
  }));

Deno.test("what others wrote of an erased person is found, and the events are named", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    const position = await opened(data, async (daybook) => {
      const thanks = commit(4, BOB);
      const taken = await daybook.ingest([{ ...thanks, data: { ...thanks.data, subject: `Thanks to ${NAME}` } }], BY);
      assert.ok(taken.ok);
      return taken.receipts[0]!.position;
    });
    const out = `${dir}/c.json`;
    const erased = await document<{ scan: { found: number; named_in: unknown } }>([
      "erase",
      EMAIL,
      "--out",
      out,
      "--data",
      data,
    ]);
    assert.equal(erased.exit, 1);
    assert.ok(erased.scan.found > 0);
    assert.deepEqual(erased.scan.named_in, { events: 1, first: [position] });
    const { scan, readable } = JSON.parse(await Deno.readTextFile(out)).certificate;
    assert.deepEqual([scan.named.positions, readable], [[[position, position]], 0]);
    await opened(data, (daybook) => assert.equal(recorded(daybook, "privacy.erasure.certified").length, 1));
  }));
