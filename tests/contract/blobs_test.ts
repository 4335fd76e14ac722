/** Blobs on a store that fails, is damaged, or is asked for too much. */
import assert from "node:assert/strict";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { BLOB_PREFIX } from "../../adapters/kv/blobs.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { LOG_BOUNDS } from "../../adapters/kv/log_options.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { BLOB_LIMITS } from "../../events/blobs.ts";
import { catalogue } from "../../events/catalogue.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch, Key } from "../../events/store.ts";
import { lying, sealing } from "../at_rest_given.ts";
import { event } from "./log_contract.ts";

const fault = (kind: LogFault["kind"], says = /./) => (error: unknown) =>
  (error instanceof LogFault && error.kind === kind && says.test(error.message)) || assert.fail(`${error}`);

/** Of so many chunks, no two alike. */
const bytesOf = (chunks: number): Uint8Array => {
  const bytes = new Uint8Array(chunks * BLOB_LIMITS.chunk_bytes);
  for (let n = 0; n < chunks; n++) bytes[n * BLOB_LIMITS.chunk_bytes] = n + 1;
  return bytes;
};

const isBlob = ([prefix]: Key): boolean => prefix === BLOB_PREFIX;

/** A store whose commits of blobs, counted from 0, can be made to fail before or after they are done. */
class Failing extends MemoryStore {
  readonly batches: Batch[] = [];
  fail: ((commit: number) => { readonly kind: LogFault["kind"]; readonly done: boolean } | undefined) | undefined;

  /** Nothing of a blob can be deleted. */
  stuck = false;

  override async commit(batch: Batch): Promise<boolean> {
    if (this.stuck && batch.deletes?.some(isBlob)) throw new LogFault("full", "made to fail");
    if (!batch.puts.some(([key]) => isBlob(key))) return await super.commit(batch);
    this.batches.push(batch);
    const failure = this.fail?.(this.batches.length - 1);
    if (failure?.done === false) throw new LogFault(failure.kind, "made to fail");
    const written = await super.commit(batch);
    if (failure) throw new LogFault(failure.kind, "made to fail");
    return written;
  }
}

const withLog = async (
  body: (log: KvLog, store: Failing) => Promise<void>,
  bounds: Partial<typeof LOG_BOUNDS> = {},
): Promise<void> => {
  const store = lying(new Failing());
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background, bounds });
  try {
    await body(log, store);
  } finally {
    await log.close();
  }
};

Deno.test("a blob is written in commits of bounded size, and what makes it one comes with the last", () =>
  withLog(async (log, store) => {
    const { commit_chunks_max, chunk_bytes } = BLOB_LIMITS;
    await log.putBlob(bytesOf(2 * commit_chunks_max + 1));
    assert.deepEqual(
      store.batches.map(({ puts }) => puts.map(([key]) => key.length === 2 ? "head" : key[2])),
      [[0, 1, 2, 3], [4, 5, 6, 7], [8, "head"]],
    );
    for (const { puts } of store.batches) {
      for (const [, value] of puts) assert.ok(value.length <= chunk_bytes + sealing().overhead);
    }
  }));

Deno.test("a put that fails at any commit leaves no blob and no chunks, and goes through when repeated", async () => {
  for (const kind of ["full", "io"] as const) {
    for (const at of [0, 1, 2]) {
      await withLog(async (log, store) => {
        const empty = store.bytes();
        store.fail = (commit) => commit === at ? { kind, done: false } : undefined;
        const bytes = bytesOf(9);
        await assert.rejects(log.putBlob(bytes), fault(kind));
        assert.equal(store.bytes(), empty, "the chunks were cleared away");
        const ref = await log.putBlob(bytes);
        assert.deepEqual(log.blob(ref.sha256)!.read(), bytes);
      });
    }
  }
});

Deno.test("a put that fails late clears away in more than one commit, and one that cannot be cleared goes through later", () =>
  withLog(async (log, store) => {
    const empty = store.bytes();
    const bytes = bytesOf(506);
    store.fail = (commit) => commit === 125 ? { kind: "full", done: true } : undefined;
    await assert.rejects(log.putBlob(bytes), fault("full"));
    assert.equal(store.bytes(), empty);
    store.stuck = true;
    store.fail = (commit) => commit === 126 + 3 ? { kind: "io", done: true } : undefined;
    await assert.rejects(log.putBlob(bytes), fault("io"));
    assert.ok(store.bytes() > empty);
    const ref = await log.putBlob(bytes);
    assert.deepEqual(log.blob(ref.sha256)!.read(), bytes);
  }));

Deno.test("a commit whose outcome was unknown and which happened is a blob that was put", () =>
  withLog(async (log, store) => {
    store.fail = () => ({ kind: "io", done: true });
    const ref = await log.putBlob(bytesOf(1));
    assert.deepEqual(log.blob(ref.sha256)!.read(), bytesOf(1));
    // The first of several tells nothing of the whole.
    await assert.rejects(log.putBlob(bytesOf(9)), fault("io"));
  }));

Deno.test("a blob whose flush the disk failed is not put, whatever can be read of it, and the log stops", () =>
  withLog(async (log, store) => {
    store.fail = () => ({ kind: "fenced", done: true });
    await assert.rejects(log.putBlob(bytesOf(1)), fault("fenced"));
    assert.ok(log.unwritable);
    await assert.rejects(log.append({ events: [event(1)] }), fault("fenced"));
  }));

Deno.test("a blob that was damaged behind our back is never given out as whole", () =>
  withLog(async (log, store) => {
    const { sha256 } = await log.putBlob(bytesOf(3));
    const hex = Uint8Array.fromBase64(sha256).toHex();
    const damaged = async (key: Key, value: Uint8Array | undefined, says: RegExp) => {
      const before = store.get(key)!;
      await store.commit({ puts: value ? [[key, value]] : [], deletes: [key] });
      assert.throws(() => log.blob(sha256)!.read(), fault("truncated", says));
      assert.throws(() => [...log.blob(sha256)!.chunks()], fault("truncated", says));
      await store.commit({ puts: [[key, before]] });
    };
    const other = bytesOf(1).fill(9);
    const text = (value: string) => new TextEncoder().encode(value);
    await damaged(["blob", hex, 1], undefined, /chunk 1 .* missing/);
    await damaged(["blob", hex, 1], other.subarray(1), /chunk 1 .* damaged/);
    await damaged(["blob", hex, 2], other, /blob .* is damaged/);
    await damaged(["blob", hex], text("{"), /what the log tells/);
    await damaged(["blob", hex], text('{"bytes":180000,"chunks":9}'), /what the log tells/);
    await damaged(["blob", hex], text('{"bytes":1e99,"chunks":1e99}'), /what the log tells/);
    assert.deepEqual(log.blob(sha256)!.read(), bytesOf(3));
  }));

Deno.test("blobs on their way are bounded together; more are refused, and events go on", () =>
  withLog(async (log) => {
    const first = log.putBlob(bytesOf(3));
    await assert.rejects(log.putBlob(bytesOf(1)), fault("overloaded"));
    assert.equal((await log.append({ events: [event(1)] })).ok, true);
    await first;
    await log.putBlob(bytesOf(1));
  }, { blobs_bytes_max: 3 * BLOB_LIMITS.chunk_bytes }));
