/**
 * The log under a seed: writers, readers and followers over a disk that fails and processes that die at any commit, with
 * segments so small that index, merges and sweeps are reached. What was acknowledged is remembered outside and held against
 * every life that follows.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { SimulatedClock } from "../../adapters/simulation/clock.ts";
import { type Chances, Faults } from "../../adapters/simulation/faults.ts";
import { type SeededRandom, seededRandom } from "../../adapters/simulation/random.ts";
import { SimulatedDisk, SimulatedStore } from "../../adapters/simulation/store.ts";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { Tree } from "../../adapters/kv/tree.ts";
import { leafHash } from "../../adapters/kv/node_hash.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { BLOB_LIMITS } from "../../events/blobs.ts";
import type { Event, StreamId } from "../../events/event.ts";
import { type Append, LogFault, type Receipt } from "../../events/log.ts";
import { lying, sealed } from "../at_rest_given.ts";

const STREAMS: readonly StreamId[] = ["sim/a", "sim/b", "sim/c", "sim/d", "sim/e"];
const TYPES = ["sim.thing.made", "sim.thing.moved", "sim.thing.ended"];

export interface LogRun {
  readonly seed: number;
  readonly lives: number;
  readonly acknowledged: number;
  readonly repeated: number;
  readonly segments: number;
  readonly checkpoints: number;
  readonly blobs: number;
  readonly faults: Readonly<Record<string, number>>;
}

interface Memory {
  /** By id, what was acknowledged. */
  readonly acknowledged: Map<string, Receipt>;
  /** Sent and never answered: may be there or not, but once at most. */
  readonly unanswered: Map<string, Append>;
  repeated: number;
  checkpoints: number;
  /** Every blob that was ever begun, by its number, and its SHA-256 once its put was acknowledged. */
  readonly blobs: Map<number, string | undefined>;
  /** Root by size, as ever signed. */
  readonly roots: Map<number, string>;
}

/** Plays one history; throws with the seed when a promise is broken. */
export const runLog = async (
  seed: number,
  { lives = 6, appends = 60, atRest }: {
    readonly lives?: number;
    readonly appends?: number;
    /** The log lies sealed. Default: as the run has it. */
    readonly atRest?: true;
  } = {},
): Promise<LogRun> => {
  const random = seededRandom(seed);
  const clock = new SimulatedClock(random.split());
  const disk = new SimulatedDisk();
  const faults = new Faults(random.split());
  const memory: Memory = {
    acknowledged: new Map(),
    unanswered: new Map(),
    repeated: 0,
    checkpoints: 0,
    blobs: new Map(),
    roots: new Map(),
  };
  let segments = 0;
  try {
    for (let life = 0; life < lives; life++) {
      faults.chances = life === lives - 1 ? {} : chancesOf(random);
      segments = Math.max(
        segments,
        await live({ random: random.split(), clock, disk, faults, memory, appends, life, atRest }),
      );
      if (random.strikes(0.3)) clock.jump((random.next() - 0.7) * 3_600_000);
    }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  return {
    seed,
    lives,
    acknowledged: memory.acknowledged.size,
    repeated: memory.repeated,
    segments,
    checkpoints: memory.checkpoints,
    blobs: [...memory.blobs.values()].filter((sha256) => sha256 !== undefined).length,
    faults: { ...faults.reached },
  };
};

const chancesOf = (random: SeededRandom): Chances => ({
  slow: random.next() * 0.1,
  locked: random.next() * 0.05,
  full: random.next() * 0.05,
  io_before: random.next() * 0.05,
  io_after: random.next() * 0.05,
  flush: random.next() * 0.005,
  crash_before: random.next() * 0.03,
  crash_after: random.next() * 0.03,
});

interface Life {
  readonly random: SeededRandom;
  readonly clock: SimulatedClock;
  readonly disk: SimulatedDisk;
  readonly faults: Faults;
  readonly memory: Memory;
  readonly appends: number;
  readonly life: number;
  readonly atRest: true | undefined;
}

/** One process, from opening to a clean stop or death. Answers the number of index segments it saw. */
async function live(given: Life): Promise<number> {
  const { random, clock, disk, faults, memory } = given;
  const share = clock.share();
  let died = false;
  const store = new SimulatedStore(disk, {
    clock: share.clock,
    random: random.split(),
    faults,
    died() {
      died = true;
      store.crash();
      share.end();
    },
  });
  const lain = given.atRest ? sealed(store) : lying(store);
  const opening = KvLog.open(lain, {
    catalogue: catalogue(),
    clock: share.clock,
    background: inlineBackground(lain, share.clock),
    segmentEvents: 24,
    bounds: { tail_events_max: 96, checkpoint_ms: 20 },
    signer: {
      origin: "sim",
      sign(size, root) {
        const before = memory.roots.get(size);
        assert.ok(before === undefined || before === root, `two roots were signed for size ${size}`);
        memory.roots.set(size, root);
        memory.checkpoints++;
        return `sim\n${size}\n${root}\n`;
      },
    },
  });
  const log = await settled(clock, opening, () => died);
  if (!log || died) return 0;
  check(log, memory, store.broken);
  await repeatUnanswered(log, given, () => died);
  const stop = new AbortController();
  const followed = follow(log, stop.signal);
  const writers = [0, 1, 2, 3].map((w) => write(log, w, given, random.split(), share.clock));
  writers.push(putBlobs(log, given, random.split(), share.clock));
  await settled(clock, Promise.all(writers), () => died);
  if (died) return log.index.manifest.segments.length;
  await clock.advance(100);
  stop.abort();
  if (died) return log.index.manifest.segments.length;
  followed.check(log);
  check(log, memory, store.broken);
  const { segments } = log.index.manifest;
  await settled(clock, log.close(), () => died);
  share.end();
  return segments.length;
}

/** The promise's value, or undefined when the process died first or could not go on. */
async function settled<T>(clock: SimulatedClock, promise: Promise<T>, died: () => boolean): Promise<T | undefined> {
  let done = false;
  let value: T | undefined;
  let failure: unknown;
  promise.then((v) => (value = v, done = true), (error) => (failure = error, done = true));
  for (let i = 0; !done && !died(); i++) {
    assert.ok(i < 20_000, "the log stalls");
    await clock.advance(5);
  }
  if (failure !== undefined && !(failure instanceof LogFault)) throw failure;
  return value;
}

async function write(
  log: KvLog,
  w: number,
  { appends, memory, life }: Life,
  random: SeededRandom,
  clock: Pick<Clock, "schedule">,
): Promise<void> {
  for (let i = 0; i < appends; i++) {
    const batch = batchOf(`${life}.${w}.${i}`, random, memory);
    for (const { id } of batch.events) if (!memory.acknowledged.has(id)) memory.unanswered.set(id, batch);
    try {
      remember(await log.append(batch), batch, memory);
    } catch (fault) {
      // A fault says that nothing of the append is in the log.
      if (!(fault instanceof LogFault)) throw fault;
      for (const { id } of batch.events) {
        if (!memory.acknowledged.has(id)) {
          assert.equal(log.find("sim", id), undefined, `${fault.kind}, yet event ${id} is there`);
        }
      }
    }
    if (random.strikes(0.3)) await new Promise<void>((resolve) => clock.schedule(random.next() * 20, resolve));
  }
}

const blobOf = (number: number): Uint8Array => {
  const bytes = new Uint8Array((number * 7_919_717) % (BLOB_LIMITS.chunk_bytes * 8));
  for (let at = 0; at < bytes.length; at += 1_000) bytes[at] = number + at;
  return bytes;
};
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("base64");

/** Puts new blobs and, now and then, one that was begun before. */
async function putBlobs(
  log: KvLog,
  { memory, life }: Life,
  random: SeededRandom,
  clock: Pick<Clock, "schedule">,
): Promise<void> {
  for (let i = 0; i < 5; i++) {
    const begun = [...memory.blobs.keys()];
    const again = begun.length > 0 && random.strikes(0.3);
    const number = again ? begun[Math.floor(random.next() * begun.length)]! : life * 100 + i;
    if (!again) memory.blobs.set(number, undefined);
    try {
      memory.blobs.set(number, (await log.putBlob(blobOf(number))).sha256);
    } catch (fault) {
      if (!(fault instanceof LogFault)) throw fault;
    }
    if (random.strikes(0.3)) await new Promise<void>((resolve) => clock.schedule(random.next() * 40, resolve));
  }
}

const eventOf = (id: string): Append["events"][number] => {
  // Content follows from the id, so that a repeat is a repeat.
  const pick = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
  return {
    id,
    source: "sim",
    type: TYPES[pick % 3]!,
    stream: STREAMS[pick % 5]!,
    version: 1,
    time: "2026-01-01T00:00:00.000Z",
    authtype: "system",
    authid: "sim",
    data: { id, pad: "x".repeat(pick % 700) },
    ...(pick % 4 === 0 ? { correlationid: `k${pick % 7}` } : {}),
  };
};

const batchOf = (name: string, random: SeededRandom, memory: Memory): Append => {
  const count = 1 + Math.floor(random.next() * (random.strikes(0.1) ? 40 : 5));
  const events = Array.from({ length: count }, (_, i) => eventOf(`${name}.${i}`));
  const known = [...memory.acknowledged.keys()];
  if (known.length > 0 && random.strikes(0.2)) {
    events.push(eventOf(known[Math.floor(random.next() * known.length)]!));
  }
  return { events };
};

const remember = (appended: Awaited<ReturnType<KvLog["append"]>>, batch: Append, memory: Memory): void => {
  assert.ok(appended.ok, JSON.stringify(appended));
  for (const receipt of appended.receipts) {
    const before = memory.acknowledged.get(receipt.id);
    if (before) {
      assert.deepEqual(
        { ...receipt, duplicate: false },
        { ...before, duplicate: false },
        "a repeat got another receipt",
      );
    }
    memory.acknowledged.set(receipt.id, receipt);
  }
  for (const { id } of batch.events) memory.unanswered.delete(id);
};

/** What a client does that was cut off: sends the same again, and gets a receipt. */
async function repeatUnanswered(log: KvLog, { clock, memory }: Life, died: () => boolean): Promise<void> {
  for (const batch of new Set(memory.unanswered.values())) {
    const appended = await settled(clock, log.append(batch), died);
    if (died()) return;
    if (!appended) continue;
    remember(appended, batch, memory);
    memory.repeated++;
  }
}

const follow = (log: KvLog, signal: AbortSignal) => {
  const seen: number[] = [];
  const begin = log.size;
  void (async () => {
    for await (const batch of log.follow(begin, signal)) for (const { position } of batch) seen.push(position);
  })().catch(() => {});
  return {
    check(now: KvLog) {
      assert.deepEqual(
        seen,
        Array.from({ length: now.size - begin }, (_, i) => begin + i),
        "follow skipped or repeated",
      );
    },
  };
};

/** Every promise of the log that can be looked at from outside. */
function check(log: KvLog, memory: Memory, fenced: boolean): void {
  const all: Event[] = [...log.read({})].flat();
  const heads = new Map<StreamId, number>();
  const ids = new Set<string>();
  const tree = new Tree();
  let recorded = "";
  for (const [i, event] of all.entries()) {
    assert.equal(event.position, i, "positions have a gap");
    assert.equal(event.revision, (heads.get(event.stream) ?? -1) + 1, `revisions of ${event.stream} have a gap`);
    heads.set(event.stream, event.revision);
    assert.ok(!ids.has(event.id), `event ${event.id} is there twice`);
    ids.add(event.id);
    assert.ok(event.recordedat >= recorded, "recorded time went back");
    recorded = event.recordedat;
    tree.add(leafHash(log.entry(i)!));
    const signed = memory.roots.get(i + 1);
    if (signed !== undefined) {
      assert.equal(tree.root().toBase64(), signed, `the root of size ${i + 1} is not the one that was signed`);
    }
  }
  assert.equal(all.length, log.size);
  for (const size of memory.roots.keys()) {
    assert.ok(size <= log.size, `a checkpoint of size ${size} was signed, the log has ${log.size}`);
  }
  for (const { id, position, stream, revision } of memory.acknowledged.values()) {
    const event = all[position];
    assert.deepEqual(
      [event?.id, event?.stream, event?.revision],
      [id, stream, revision],
      `acknowledged event ${id} is not at ${position}`,
    );
    assert.equal(log.find("sim", id)?.position, position, `the index does not find ${id}`);
  }
  for (const [number, acknowledged] of memory.blobs) {
    const bytes = blobOf(number);
    const found = log.blob(sha256(bytes));
    assert.ok(found || acknowledged === undefined, `acknowledged blob ${number} is not there`);
    if (found) assert.ok(Buffer.from(found.read()).equals(bytes), `blob ${number} is there by half`);
  }
  for (const stream of STREAMS) {
    if (fenced) assert.throws(() => log.head(stream), LogFault, "where a stream ends is not known");
    else assert.equal(log.head(stream), heads.get(stream) ?? -1);
    const positions = all.filter((event) => event.stream === stream).map((event) => event.position);
    assert.deepEqual(
      [...log.read({ stream })].flat().map((event) => event.position),
      positions,
      `reading ${stream} by the index differs`,
    );
    assert.deepEqual(
      [...log.read({ stream, backward: true })].flat().map((event) => event.position),
      positions.toReversed(),
    );
  }
  for (const type of TYPES) {
    assert.deepEqual(
      [...log.read({ types: [type] })].flat().map((event) => event.position),
      all.filter((event) => event.type === type).map((event) => event.position),
      `reading ${type} by the index differs`,
    );
  }
  assert.deepEqual(
    [...log.read({ correlation: "k0" })].flat().map((e) => e.position),
    all.filter((e) => e.correlationid === "k0").map((e) => e.position),
  );
}
