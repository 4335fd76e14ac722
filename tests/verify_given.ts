/**
 * Logs to verify, made by the real writer, and the means of somebody who has the file and the writer's code and
 * changes it.
 */
import { DatabaseSync } from "node:sqlite";
import { noteSigner } from "../adapters/keys/note.ts";
import { inlineBackground } from "../adapters/kv/background.ts";
import { blockHash, type BlockPlan, encodeBlock, type Run } from "../adapters/kv/block.ts";
import { fingerprint } from "../adapters/kv/fingerprint.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { SealedStore } from "../adapters/kv/sealed_store.ts";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { canonical } from "../events/canonical.ts";
import { catalogue } from "../events/catalogue.ts";
import type { NewEvent } from "../events/log.ts";
import type { Sealing } from "../events/sealing.ts";
import { until } from "./until.ts";

export const signer = noteSigner("daybook/verified", new Uint8Array(32).fill(7));
export const stranger = noteSigner("daybook/verified", new Uint8Array(32).fill(8));

/** Numbers in [0, 1) that a seed decides (mulberry32). */
export const chance = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

export const event = (n: number, streams = 5): NewEvent => ({
  id: `id-${n}`,
  source: `urn:test/${n % 3}`,
  type: n % 4 === 0 ? "tests.thing.seen" : "tests.thing.happened",
  stream: `tests/${n % streams}`,
  version: 1,
  time: "2026-01-01T00:00:00.000Z",
  authtype: "system",
  authid: "test",
  ...(n % 6 === 0 ? { correlationid: `work-${n % 18}` } : {}),
  data: {
    n,
    text: n % 5 === 0 ? "Grüße, 世界 🌍" : `text ${n}`,
    list: [n / 3, null, true, { b: 1, c: "\u0007" }, ...(n % 7 === 0 ? [{ b: "},{", position: n }] : [])],
  },
});

export interface Made {
  readonly path: string;
  readonly size: number;
  readonly root: string;
  /** Newest checkpoint as a signed note; none for an empty log. */
  readonly note: string | undefined;
}

export interface Making {
  /** Sizes of the appends, one after another; each is a commit. */
  readonly appends: readonly number[];
  readonly streams?: number;
  readonly signed?: boolean;
  /** Events of a segment of the index; then it closes only when the index reaches as far as it can. */
  readonly segmentEvents?: number;
  /** It lies sealed. */
  readonly sealing?: Sealing;
  /** Checkpoints of these sizes are kept for good. */
  readonly keep?: readonly number[];
  /** Called between the appends with how many events there are. */
  readonly between?: (size: number) => Promise<void>;
}

export const makeLog = async (
  path: string,
  { appends, streams, signed = true, segmentEvents, sealing, keep, between }: Making,
): Promise<Made> => {
  const file = await KvStore.open(path, { clock: systemClock, random: systemRandom });
  const store = sealing ? new SealedStore(file, sealing) : file;
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
    ...(segmentEvents ? { segmentEvents } : {}),
    ...(signed ? { signer: { origin: signer.name, sign: (size, root) => signer.checkpoint(size, root) } } : {}),
  });
  for (const count of appends) {
    const from = log.size;
    const answer = await log.append({ events: Array.from({ length: count }, (_, i) => event(from + i, streams)) });
    if (!answer.ok) throw new Error(JSON.stringify(answer));
    if (keep?.includes(log.size)) await log.keepCheckpoint();
    await between?.(log.size);
  }
  // The newest generation stays open.
  if (segmentEvents) {
    await until("the segments", () => log.index.manifest.until, (made) => made + 2 * segmentEvents >= log.size);
  }
  const checkpoint = signed ? await log.checkpoint(log.size) : undefined;
  await log.close();
  return { path, size: log.size, root: checkpoint?.root ?? "", note: checkpoint?.note };
};

/** One commit for each event, so that there are many small blocks. */
export const ones = (count: number): number[] => new Array<number>(count).fill(1);

type Entry = Record<string, unknown>;

/** The file, open for whoever wants to change it. */
export class Tampered {
  private readonly db: DatabaseSync;

  constructor(readonly path: string) {
    this.db = new DatabaseSync(path);
    this.run("pragma synchronous = off");
    this.run("pragma journal_mode = memory");
  }

  close(): void {
    this.db.close();
  }

  /** First positions of the blocks. */
  blocks(): number[] {
    const rows = this.db.prepare("select k from kv where k >= ? and k < ? order by k").all(
      encodeKey(["log", 0]),
      encodeKey(["log", 2 ** 52]),
    );
    return rows.map(({ k }) => {
      const bytes = (k as Uint8Array).slice(-8);
      bytes[0]! &= 0x7f;
      return new DataView(bytes.buffer).getFloat64(0);
    });
  }

  get(...key: (string | number)[]): Uint8Array {
    return this.db.prepare("select v from kv where k = ?").get(encodeKey(key))!.v as Uint8Array;
  }

  text(...key: (string | number)[]): string {
    return new TextDecoder().decode(this.get(...key));
  }

  put(value: Uint8Array | string, ...key: (string | number)[]): void {
    const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
    this.db.prepare(
      "insert into kv (k, v, v_encoding, version) values (?, ?, 3, 1) on conflict do update set v = excluded.v",
    )
      .run(encodeKey(key), bytes);
  }

  delete(...key: (string | number)[]): void {
    this.db.prepare("delete from kv where k = ?").run(encodeKey(key));
  }

  run(sql: string, ...values: (string | number | Uint8Array)[]): void {
    this.db.prepare(sql).run(...values);
  }

  /** Entries of the block at `first`. */
  entries(first: number): Entry[] {
    const bytes = this.get("log", first);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const body = 56 + view.getUint32(52) * 20 + view.getUint32(48) * 4;
    return JSON.parse(new TextDecoder().decode(bytes.subarray(body)));
  }

  link(first: number): Uint8Array {
    return this.get("log", first).slice(8, 40);
  }

  /** Writes a block of these entries as the writer would. */
  write(first: number, entries: readonly (Entry | string)[], link = this.link(first)): void {
    this.put(encodeBlock(planOf(first, entries), link), "log", first);
  }

  /** Links every block to the one before it, as if it had always been so. */
  rechain(): void {
    const blocks = this.blocks();
    let hash: Uint8Array = new Uint8Array(32);
    for (const first of blocks) {
      const bytes = this.get("log", first).slice();
      if (first > 0) {
        bytes.set(hash, 8);
        this.put(bytes, "log", first);
      }
      hash = blockHash(bytes);
    }
  }

  /** Removes all checkpoints, what stands beside them, and the tiles. */
  forget(): void {
    this.delete("checkpoint");
    this.delete("tree");
    this.run(
      "delete from kv where k >= ? and k < ?",
      encodeKey(["checkpoints", 0]),
      encodeKey(["checkpoints", 2 ** 52]),
    );
    this.run("delete from kv where k >= ? and k < ?", encodeKey(["tile", 0]), encodeKey(["tile", 2 ** 52]));
  }
}

const planOf = (first: number, entries: readonly (Entry | string)[]): BlockPlan => {
  const texts = entries.map((entry) => typeof entry === "string" ? entry : canonical(entry));
  const lengths = texts.map((text) => new TextEncoder().encode(text).length);
  const runs: Run[] = [];
  let stream: unknown;
  for (const text of texts) {
    const entry = JSON.parse(text) as { stream: string; revision: number };
    if (entry.stream !== stream) {
      stream = entry.stream;
      runs.push({ fingerprint: fingerprint(entry.stream), revision: entry.revision, count: 0 });
    }
    runs.at(-1)!.count++;
  }
  return {
    first,
    runs,
    text: ["[", texts.join(",")],
    lengths,
    bytes: lengths.reduce((sum, length) => sum + length, 0),
  };
};
