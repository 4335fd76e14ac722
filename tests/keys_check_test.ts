/** What somebody changes in the key database is found and named by `verify`. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { WRONG_MAX } from "../adapters/keys/check.ts";
import { openKeys } from "../adapters/keys/keys.ts";
import { heldToKeys } from "../adapters/program/held_to_keys.ts";
import { systemClock } from "../adapters/system/world.ts";
import { events } from "../events/mod.ts";
import { filled } from "./end_to_end/privacy_given.ts";
import { run } from "./end_to_end/program.ts";
import { inFolder } from "./folder_given.ts";

const keysOf = (data: string) =>
  openKeys({
    path: `${data}/keys.db`,
    root: { file: `${data}/root.key` },
    clock: systemClock,
    catalogue: events,
    readOnly: true,
  });

const changed = (data: string, sql: string): void => {
  const db = new DatabaseSync(`${data}/keys.db`);
  try {
    assert.ok(db.prepare(sql).run().changes > 0, sql);
  } finally {
    db.close();
  }
};

/** The report about a log of five events. */
const CLEAN: Parameters<typeof heldToKeys>[0] = {
  ok: true,
  size: 5,
  root: "",
  anchored: 0,
  unanchored: 5,
  signed: 0,
  authenticated: false,
  failures: [],
  failed: 0,
};

const FLIPPED = "substr(key, 1, 20) || x'00ff' || substr(key, 23)";
const CHANGES: Readonly<Record<string, RegExp>> = {
  [`UPDATE subjects SET key = CAST(${FLIPPED} AS BLOB)`]: /^key: the key of subject s_\S+: one that does not open$/,
  "UPDATE subjects SET key = (SELECT key FROM periods)": /^key: the key of subject s_\S+: one that does not open$/,
  "DELETE FROM subjects": /^key: the key of subject s_\S+, to whom an identifier leads: none$/,
  "UPDATE subjects SET subject = 'swapped' WHERE subject = (SELECT min(subject) FROM subjects)":
    /^key: the key of subject (swapped: one that does not open|s_\S+, to whom an identifier leads: none)$/,
  "UPDATE periods SET key = x'00000001aabbccdd'": /^key: the key of period \S+: one that does not open$/,
  "UPDATE checkpoints SET size = size - 1": /^checkpoint: the newest checkpoint in the key database to say /,
  "UPDATE checkpoints SET root = 'another'": /^checkpoint: the newest checkpoint in the key database to say /,
  "UPDATE checkpoints SET note = substr(note, 2)": /^checkpoint: the newest checkpoint in the key database to say /,
  "DELETE FROM checkpoints": /^checkpoint: the newest checkpoint in the key database: none$/,
};

Deno.test("a key that does not open, is swapped or is gone is named, and a checkpoint that is not what its note says", () =>
  inFolder(async (data) => {
    await filled(data);
    const keys = keysOf(data);
    const origin = keys.logKey.signer.name;
    keys.close();
    const look = () => heldToKeys({ ...CLEAN, origin, checkpoint: 5 }, () => Promise.resolve(keysOf(data)));
    assert.equal((await look()).ok, true);
    const whole = await Deno.readFile(`${data}/keys.db`);
    for (const [sql, expected] of Object.entries(CHANGES)) {
      changed(data, sql);
      const { ok, failures } = await look();
      assert.equal(ok, false, sql);
      for (const { position, kind, expected: wanted, found } of failures) {
        assert.match(`${kind}: ${wanted}: ${found}`, expected, sql);
        assert.equal(position, kind === "key" ? 0 : 4);
      }
      await Deno.writeFile(`${data}/keys.db`, whole);
    }
    changed(data, "DELETE FROM checkpoints");
    const { code, out } = await run("verify", "--data", data);
    assert.equal(code, 1);
    assert.match(
      out,
      /the log is NOT intact: 1 failure[^]*checkpoint +the newest checkpoint in the key database +none/,
    );
  }));

Deno.test("keys that are being replaced while they are looked at are no failure", () =>
  inFolder(async (data) => {
    await filled(data);
    const whole = await Deno.readFile(`${data}/keys.db`);
    let looks = 0;
    const report = await heldToKeys(CLEAN, async () => {
      if (looks++ === 0) changed(data, `UPDATE subjects SET key = CAST(${FLIPPED} AS BLOB)`);
      else await Deno.writeFile(`${data}/keys.db`, whole);
      return keysOf(data);
    });
    assert.deepEqual([report.ok, report.failures, looks], [true, [], 2]);
  }));

Deno.test("of many keys that do not open the first hundred are named", () =>
  inFolder(async (data) => {
    await filled(data);
    changed(
      data,
      `WITH RECURSIVE some(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM some WHERE n < ${WRONG_MAX + 50})
       INSERT INTO subjects SELECT 's_' || n, x'00', '', NULL FROM some`,
    );
    const { failures } = await heldToKeys(CLEAN, () => Promise.resolve(keysOf(data)));
    assert.equal(failures.length, WRONG_MAX);
  }));

Deno.test("keys of the first format are looked at as they are", () =>
  inFolder(async (data) => {
    for (const name of ["keys.db", "root.key"]) {
      await Deno.copyFile(new URL(`golden/0.1.0/${name}`, import.meta.url), `${data}/${name}`);
    }
    const look = () => heldToKeys(CLEAN, () => Promise.resolve(keysOf(data)));
    assert.deepEqual((await look()).failures, []);
    changed(data, `UPDATE subjects SET key = CAST(${FLIPPED} AS BLOB) WHERE key IS NOT NULL`);
    assert.match((await look()).failures[0]!.expected, /^the key of subject s_/);
  }));
