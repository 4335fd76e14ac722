/** Blobs in what leaves the house: the verifier, a backup, an export. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { backupLog } from "../adapters/backup/backup.ts";
import { restoreLog } from "../adapters/backup/restore.ts";
import { inlineBackground } from "../adapters/kv/background.ts";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { BAD_MAX } from "../adapters/verify/blobs.ts";
import type { Failure } from "../adapters/verify/failures.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { BLOB_LIMITS, type BlobRef } from "../events/blobs.ts";
import { catalogue } from "../events/catalogue.ts";
import { LogFault, type NewEvent } from "../events/log.ts";
import { bytesOf, reports } from "./blobs_given.ts";
import { run } from "./end_to_end/cli_given.ts";
import { signer, Tampered } from "./verify_given.ts";

const specs = catalogue(reports);
const lengths = [0, 10, BLOB_LIMITS.chunk_bytes * 2 + 1, BLOB_LIMITS.chunk_bytes, 77];
const hexOf = ({ sha256 }: BlobRef) => Buffer.from(sha256, "base64").toString("hex");

const filed = (n: number, data: unknown, version = 2): NewEvent => ({
  id: String(n),
  source: "urn:test",
  type: "reports.report.filed",
  stream: "reports/a",
  version,
  time: "2026-01-01T00:00:00.000Z",
  authtype: "system",
  authid: "test",
  data,
});

/**
 * A log of four events: the first names no blob, the second blob 1, the third, in the old shape, blob 2, the last blobs 0 to
 * 3. Nobody names blob 4.
 */
const withLog = async (body: (path: string, refs: readonly BlobRef[], dir: string) => Promise<void>): Promise<void> => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/log.db`;
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    const log = await KvLog.open(store, {
      catalogue: specs,
      clock: systemClock,
      background: inlineBackground(store, systemClock),
      signer: { origin: signer.name, sign: (size, root) => signer.checkpoint(size, root) },
    });
    const refs: BlobRef[] = [];
    for (const [i, length] of lengths.entries()) refs.push(await log.putBlob(bytesOf(i, length)));
    const other = { ...filed(0, { text: "x" }, 1), type: "a.b.c", stream: "inbox/a" } as const;
    const events = [other, filed(1, { name: "a", file: refs[1] }), filed(2, refs[2], 1)];
    for (const event of [...events, filed(3, { name: "a", file: refs[0], pages: [refs[1], null, refs[2], refs[3]] })]) {
      assert.ok((await log.append({ events: [event] })).ok);
    }
    await log.close();
    await body(path, refs, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
};

const told = (failures: readonly Failure[]) => failures.map(({ position, kind }) => [position, kind]);

Deno.test("a sound log's blobs verify: those that are named, those that are not, and what a put left that was cut off", () =>
  withLog(async (path, refs) => {
    const report = await verifyLog({ path, catalogue: specs });
    assert.deepEqual([report.ok, report.failures, report.blobs], [true, [], lengths.length]);
    const tampered = new Tampered(path);
    tampered.put(new Uint8Array(BLOB_LIMITS.chunk_bytes), "blob", "0".repeat(64), 0);
    tampered.delete("blob", hexOf(refs[4]!));
    tampered.close();
    const cutOff = await verifyLog({ path, catalogue: specs });
    assert.deepEqual([cutOff.failures, cutOff.blobs], [[], lengths.length - 1]);
  }));

/** What was done to the rows, and the failures it must bring: position and kind. */
const TAMPERING: readonly [
  string,
  (rows: Tampered, hex: (n: number) => string) => void,
  readonly [number, string][],
][] = [
  ["a blob taken away", (rows, hex) => {
    rows.delete("blob", hex(1));
    rows.delete("blob", hex(1), 0);
  }, [[1, "blob"], [3, "blob"]]],
  ["a chunk taken away", (rows, hex) => rows.delete("blob", hex(2), 1), [[2, "blob"], [3, "blob"]]],
  ["the last chunk taken away", (rows, hex) => rows.delete("blob", hex(2), 2), [[2, "blob"], [3, "blob"]]],
  ["a chunk too many", (rows, hex) => rows.put("x", "blob", hex(1), 1), [[1, "blob"], [3, "blob"]]],
  ["a byte changed", (rows, hex) => {
    const bytes = rows.get("blob", hex(3), 0).slice();
    bytes[17]! ^= 1;
    rows.put(bytes, "blob", hex(3), 0);
  }, [[3, "blob"]]],
  ["another blob's bytes", (rows, hex) => {
    rows.put(rows.get("blob", hex(4), 0), "blob", hex(1), 0);
    rows.put(rows.text("blob", hex(4)), "blob", hex(1));
  }, [[1, "blob"], [3, "blob"]]],
  ["bytes moved from one chunk to the next", (rows, hex) => {
    const chunk = rows.get("blob", hex(2), 1).slice();
    const last = rows.get("blob", hex(2), 2).slice();
    rows.put(chunk.subarray(0, -1), "blob", hex(2), 1);
    rows.put(Buffer.concat([chunk.subarray(-1), last]), "blob", hex(2), 2);
  }, [[2, "blob"], [3, "blob"]]],
  ["a head that says otherwise", (rows, hex) => rows.put('{"bytes":9,"chunks":1}', "blob", hex(1)), [[1, "blob"], [
    3,
    "blob",
  ]]],
  ["a head that is none", (rows, hex) => rows.put("[", "blob", hex(1)), [[1, "blob"], [3, "blob"]]],
  ["a damaged blob that nobody names", (rows, hex) => rows.put("zzz", "blob", hex(4), 0), [[0, "blob"]]],
  ["a blob whose name is no hash", (rows) => rows.put("x", "blob", "no hash"), [[0, "foreign"]]],
  ["a blob without a name", (rows) => rows.put("x", "blob"), [[0, "foreign"]]],
  ["a row beside a blob's", (rows, hex) => rows.put("x", "blob", hex(1), "x"), [[0, "foreign"]]],
];

for (const [what, tamper, expected] of TAMPERING) {
  Deno.test(`${what} is found, at the events that name it`, () =>
    withLog(async (path, refs) => {
      const tampered = new Tampered(path);
      tamper(tampered, (n) => hexOf(refs[n]!));
      tampered.close();
      const report = await verifyLog({ path, catalogue: specs });
      assert.deepEqual(told(report.failures), expected);
      assert.equal(report.ok, false);
    }));
}

Deno.test("more damaged blobs than are remembered are all counted", () =>
  withLog(async (path, refs) => {
    const tampered = new Tampered(path);
    tampered.run("begin");
    for (let n = 0; n < BAD_MAX; n++) tampered.put("[", "blob", n.toString(16).padStart(64, "0"));
    // Behind all of those, so that it is not remembered; the event that names it is not told of.
    tampered.put("[", "blob", hexOf(refs[1]!));
    tampered.run("commit");
    tampered.close();
    const report = await verifyLog({ path, catalogue: specs });
    assert.deepEqual([report.ok, report.failed], [false, BAD_MAX + 1]);
  }));

Deno.test("without a catalogue a damaged blob is found all the same; only who names it is not known", () =>
  withLog(async (path, refs) => {
    const tampered = new Tampered(path);
    tampered.put("zzz", "blob", hexOf(refs[1]!), 0);
    tampered.close();
    assert.deepEqual(told((await verifyLog({ path })).failures), [[0, "blob"]]);
  }));

Deno.test("a backup has the blobs, brings them back, and is refused where one is damaged", () =>
  withLog(async (path, refs, dir) => {
    const verify = (path: string) => verifyLog({ path, catalogue: specs });
    const how = { log: path, verify, created: "2026-01-02T03:04:05.678Z", checkpoint: undefined };
    await backupLog({ ...how, destination: `${dir}/backup` });
    await restoreLog({ source: `${dir}/backup`, data: `${dir}/back`, verify });
    const back = new FolderReader(`${dir}/back/log.db`, { catalogue: specs });
    const found = [...back.blobs()];
    assert.deepEqual(found.map(({ sha256 }) => sha256).sort(), refs.map(({ sha256 }) => sha256).sort());
    for (const blob of found) {
      const n = refs.findIndex(({ sha256 }) => sha256 === blob.sha256);
      assert.ok(Buffer.from(blob.read()).equals(bytesOf(n, lengths[n]!)));
    }
    await back.close();
    const tampered = new Tampered(path);
    tampered.delete("blob", hexOf(refs[1]!));
    tampered.close();
    await assert.rejects(
      backupLog({ ...how, destination: `${dir}/second` }),
      (fault) => fault instanceof LogFault && fault.kind === "truncated" && /blob/.test(fault.message),
    );
  }));

Deno.test("an export writes each blob into a file of the user's own that is named by its hash", () =>
  withLog(async (path, refs, dir) => {
    await Deno.mkdir(`${dir}/data`);
    await Deno.rename(path, `${dir}/data/log.db`);
    const done = await run([
      "export",
      "--data",
      `${dir}/data`,
      "--out",
      `${dir}/log.ndjson`,
      "--blobs",
      `${dir}/blobs`,
      "--json",
    ]);
    assert.deepEqual(
      [done.code, JSON.parse(done.out).events, JSON.parse(done.out).blobs],
      [0, 4, lengths.length],
      done.err,
    );
    const names = [...Deno.readDirSync(`${dir}/blobs`)].map(({ name }) => name).sort();
    assert.deepEqual(names, refs.map(hexOf).sort());
    assert.equal(Deno.statSync(`${dir}/blobs`).mode! & 0o777, 0o700);
    for (const name of names) assert.equal(Deno.statSync(`${dir}/blobs/${name}`).mode! & 0o777, 0o600);
    for (const name of names) {
      assert.equal(createHash("sha256").update(Deno.readFileSync(`${dir}/blobs/${name}`)).digest("hex"), name);
    }
    const again = await run(["export", "--data", `${dir}/data`, "--blobs", "blobs"], { cwd: dir });
    assert.deepEqual([again.code, again.out.split("\n").length], [0, 5], again.err);
    assert.match(again.err, /5 blobs, .* to blobs/);
    const file = await run(["export", "--data", `${dir}/data`, "--blobs", "log.ndjson"], { cwd: dir });
    assert.deepEqual([file.code, file.err], [2, `daybook: ${dir}/log.ndjson is no folder\n`]);
  }));
