/** Who makes what follows the commits, and how the work passes from one to the other. */
import assert from "node:assert/strict";
import { type Background, type BackgroundStart, inlineBackground } from "../../adapters/kv/background.ts";
import { hashOf, storedCheckpoint } from "../../adapters/kv/checkpoints.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import type { LogOptions } from "../../adapters/kv/log_options.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { SimulatedClock } from "../../adapters/simulation/clock.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { catalogue } from "../../events/catalogue.ts";
import type { Batch } from "../../events/store.ts";
import { lying } from "../at_rest_given.ts";
import { leafHash, MerkleTree } from "../../adapters/verify/tree.ts";
import { event } from "./log_contract.ts";

/** Commits of what follows the log wait while they are held. */
class Held extends MemoryStore {
  hold = false;
  waiting: (() => void)[] = [];

  override async commit(batch: Batch): Promise<boolean> {
    const derived = batch.puts?.some(([[name]]) => name === "index" || name === "manifest");
    if (this.hold && derived) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return await super.commit(batch);
  }

  release(): void {
    this.hold = false;
    for (const go of this.waiting.splice(0)) go();
  }
}

const signer = { origin: "t", sign: (size: number, root: string) => `t\n${size}\n${root}\n` };

const opened = async (options: Partial<LogOptions> = {}) => {
  const store = lying(new Held());
  const clock = new SimulatedClock(seededRandom(1));
  const background = inlineBackground(store, clock);
  const said: string[] = [];
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock,
    background,
    segmentEvents: 4,
    signer,
    trouble: (line) => said.push(line),
    ...options,
  });
  let n = 0;
  const append = async (events: number) => {
    for (let i = 0; i < events; i++) await clock.until(log.append({ events: [event(n++)] }));
  };
  const close = () => clock.until(log.close());
  return { store, clock, log, said, append, close };
};

/** Does nothing but say when it was begun and closed. */
const idler = () => {
  const starts: BackgroundStart[] = [];
  const wishes: string[] = [];
  let closed = 0;
  const start = (begun: BackgroundStart): Background => {
    starts.push(begun);
    return {
      ask: ({ wish }) => void wishes.push(wish),
      swept() {},
      close() {
        closed++;
        return Promise.resolve();
      },
    };
  };
  return { start, starts, wishes, closed: () => closed };
};

Deno.test("whoever takes the work over begins when all that was made before is written, and from there", async () => {
  const { store, clock, log, append, close } = await opened();
  store.hold = true;
  await append(9);
  await clock.advance(450);
  assert.ok(store.waiting.length === 1, "pages are on their way");
  await append(1);
  const other = idler();
  const lending = new AbortController();
  const lent = log.behindBy(other.start, lending.signal);
  await clock.advance(1_000);
  assert.equal(other.starts.length, 0);
  store.release();
  await clock.advance(1_000);
  assert.equal(other.starts.length, 1);
  assert.deepEqual(other.starts[0]!.manifest, log.index.manifest);
  assert.ok(other.wishes.includes("root") && other.wishes.includes("segment"), other.wishes.join());

  // It gives the work back undone; here it is begun again.
  lending.abort();
  await clock.until(lent);
  assert.equal(other.closed(), 1);
  await clock.advance(1_000);
  assert.equal(log.indexed, 8);
  assert.equal(log.checkpointed!.size, 10);
  await close();
});

Deno.test("appends that wait for the index go on when the work passes to another before it is done", async () => {
  const { store, clock, log, append, close } = await opened({ segmentEvents: 100, bounds: { tail_events_max: 3 } });
  store.hold = true;
  await append(4);
  const waits = log.append({ events: [event(4)] });
  await clock.advance(10);
  assert.ok(store.waiting.length === 1, "pages are on their way");
  const lending = new AbortController();
  const lent = log.behindBy(inlineBackground(store, clock), lending.signal);
  await clock.advance(1);
  store.release();
  await clock.advance(1_000);
  assert.deepEqual([log.indexed, log.size], [4, 5]);
  await waits;
  lending.abort();
  await lent;
  await close();
});

Deno.test("segments wait until the log is quiet, or the tail is half of what it may be", async () => {
  const { clock, log, append, close } = await opened({ bounds: { tail_events_max: 40 } });
  for (let i = 0; i < 10; i++) {
    await append(2);
    await clock.advance(50);
  }
  assert.equal(log.index.tail, 20);
  assert.equal(log.indexed, 0, "while appends came there was a segment");
  await append(1);
  await clock.advance(50);
  assert.equal(log.indexed, 20, "the tail was more than half of what it may be");
  await append(10);
  await clock.advance(150);
  assert.equal(log.indexed, 20);
  await clock.advance(200);
  assert.equal(log.indexed, 28, "the log was quiet");
  await close();
});

Deno.test("what nobody does is left for somebody to take over, unless somebody waits for it", async () => {
  const { clock, log, append, close } = await opened({ backgroundWaitMs: 5_000 });
  await append(9);
  await clock.advance(4_000);
  assert.deepEqual([log.indexed, log.checkpointed], [0, undefined]);
  assert.equal((await clock.until(log.checkpoint(9)))!.size, 9);
  const other = idler();
  const lending = new AbortController();
  const lent = log.behindBy(other.start, lending.signal);
  await clock.advance(1_000);
  await append(8);
  lending.abort();
  await clock.until(lent);
  await clock.advance(4_900);
  assert.equal(log.checkpointed!.size, 9);
  await clock.advance(1_000);
  assert.deepEqual([log.indexed, log.checkpointed!.size], [16, 17]);
  await close();
});

Deno.test("appends that wait for the index do not wait for somebody to take it over", async () => {
  const { log, append, close } = await opened({ backgroundWaitMs: 3_600_000, bounds: { tail_events_max: 8 } });
  await append(40);
  assert.ok(log.indexed >= 32);
  await close();
});

Deno.test("another that dies is told of, and so is one that the log ends under; the work comes back", async () => {
  const { clock, log, append, close } = await opened();
  const other = idler();
  const lent = log.behindBy(other.start, new AbortController().signal);
  await clock.advance(10);
  await append(5);
  other.starts[0]!.died("it is dead");
  await assert.rejects(clock.until(lent), /it is dead/);
  await clock.advance(1_000);
  assert.equal(log.checkpointed!.size, 5);
  const again = log.behindBy(other.start, new AbortController().signal);
  await clock.advance(10);
  await close();
  await again;
  assert.ok(other.closed() >= 2);
});

Deno.test("nobody begins while what the dead one made is still being written", async () => {
  const { store, clock, log, append, close } = await opened();
  const [dying, next] = [idler(), idler()];
  const lent = log.behindBy(dying.start, new AbortController().signal);
  await clock.advance(10);
  await append(5);
  store.hold = true;
  const { made, died, manifest } = dying.starts[0]!;
  const written = made({ made: "manifest", manifest: { ...manifest, next: 7 }, bytes: new Uint8Array(1) });
  died("it is dead");
  const lending = new AbortController();
  const lentAgain = log.behindBy(next.start, lending.signal);
  await clock.advance(1_000);
  assert.equal(next.starts.length, 0);
  store.release();
  await written;
  await assert.rejects(lent, /it is dead/);
  await clock.advance(10);
  assert.equal(next.starts[0]!.manifest.next, 7);
  lending.abort();
  await clock.until(lentAgain);
  await close();
});

Deno.test("work that fails here is begun again less and less often, and not at all while another does it", async () => {
  const at: number[] = [];
  let now = () => 0;
  const { clock, log, said, append, close } = await opened({
    background: (start) => {
      at.push(now());
      void Promise.resolve().then(() => start.died("no luck"));
      return { ask() {}, swept() {}, close: () => Promise.resolve() };
    },
  });
  now = () => clock.monotonic();
  await append(1);
  await clock.advance(300_000);
  assert.deepEqual(at.slice(0, 8), [0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000]);
  assert.equal(at[8], 183_000);
  assert.equal(said.length, at.length);
  const begun = at.length;
  const other = idler();
  const lending = new AbortController();
  const lent = log.behindBy(other.start, lending.signal);
  await clock.advance(600_000);
  assert.equal(at.length, begun);
  lending.abort();
  await clock.until(lent);
  await clock.advance(10);
  assert.equal(at.length, begun + 1);
  await close();
});

Deno.test("somebody who changed his mind before he began never begins", async () => {
  const { store, clock, log, append, close } = await opened();
  store.hold = true;
  await append(9);
  await clock.advance(10);
  const other = idler();
  const lending = new AbortController();
  const lent = log.behindBy(other.start, lending.signal);
  lending.abort();
  store.release();
  await clock.until(lent);
  await clock.advance(1_000);
  assert.equal(other.starts.length, 0);
  assert.equal(log.indexed, 8);
  await close();
});

Deno.test("whenever whoever works dies, and however often: tree and index are those of a log where nobody did", async () => {
  const run = async (seed: number, deaths: boolean) => {
    const random = seededRandom(seed);
    const { store, clock, log, append, close } = await opened({ bounds: { tail_events_max: 64 } });
    const ended = new AbortController();
    let died = 0;
    /** Works, and dies at some moment: before or after what it made last is written. */
    const mortal = (start: BackgroundStart): Background => {
      let left = random.between(0, 12);
      const die = (when: string) => {
        died++;
        start.died(when);
      };
      return inlineBackground(store, clock)({
        ...start,
        async made(made) {
          if (left-- === 0 && random.next() < 0.5) return die("before");
          const written = start.made(made);
          if (left < 0) die("while it is written");
          await written;
        },
      });
    };
    const workers = (async () => {
      while (deaths && !ended.signal.aborted) await log.behindBy(mortal, ended.signal).catch(() => {});
    })();
    for (let n = 0; n < 300; n += 10) {
      await append(10);
      await clock.advance(random.between(0, 400));
    }
    const root = (await clock.until(log.checkpoint(300)))!;
    ended.abort();
    await clock.until(workers);
    await clock.advance(10_000);
    const tree = new MerkleTree();
    for (let n = 0; n < 300; n++) tree.add(leafHash(log.entry(n)!));
    assert.deepEqual([root.size, root.root], [300, tree.root().toBase64()], `seed ${seed}`);
    const known = Array.from({ length: 300 }, (_, n) => log.find("urn:test", String(n))?.position);
    assert.deepEqual(known, Array.from({ length: 300 }, (_, n) => n), `seed ${seed}`);
    const { segments } = log.index.manifest;
    await close();
    return { segments: segments.map(({ level, from, until }) => ({ level, from, until })), died };
  };
  const whole = await run(1, false);
  let died = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const one = await run(seed, true);
    died += one.died;
    assert.deepEqual(one.segments, whole.segments, `seed ${seed}`);
  }
  assert.ok(died > 100, `${died} deaths`);
});

Deno.test("how many checkpoints are kept is said right, also when one is kept twice, and of more than are counted at a time", async () => {
  const { store, clock, log, append, close } = await opened();
  const kept = () => storedCheckpoint(store)!.said.kept;
  await append(1);
  for (let n = 0; n < 2; n++) await clock.until(log.keepCheckpoint());
  assert.equal(kept(), 1);
  await close();
  const note = new TextEncoder().encode("note");
  await store.commit({ puts: Array.from({ length: 2_000 }, (_, n) => [["checkpoints", 10 + n], note] as const) });
  const next = await KvLog.open(store, {
    catalogue: catalogue(),
    clock,
    background: inlineBackground(store, clock),
    signer,
  });
  await clock.until(next.append({ events: [event(1)] }));
  await clock.until(next.keepCheckpoint());
  assert.equal(kept(), 2_002);
  await clock.until(next.close());
});

Deno.test("one checkpoint is kept for good when the log has grown by 10,000 events, and no other until it has again", async () => {
  const { store, clock, log, close } = await opened({ segmentEvents: 100_000 });
  const kept = () => [...store.list({ prefix: ["checkpoints"] })].map(([size]) => size);
  let n = 0;
  const grow = async (events: number) => {
    await clock.until(log.append({ events: Array.from({ length: events }, () => event(n++)) }));
    await clock.until(log.checkpoint(n));
  };
  for (let i = 0; i < 9; i++) await grow(1_000);
  await grow(999);
  assert.deepEqual(kept(), []);
  for (let i = 0; i < 3; i++) await grow(1);
  assert.deepEqual(kept(), [10_000]);
  for (let i = 0; i < 10; i++) await grow(1_000);
  assert.deepEqual([kept(), storedCheckpoint(store)!.said.kept], [[10_000, 20_002], 2]);
  await close();
});

Deno.test("the row of the newest checkpoint says at any moment what index lies beside it", async () => {
  const { store, clock, append, close } = await opened();
  const commit = store.commit.bind(store);
  let [said, seen] = [0, 0];
  store.commit = async (batch) => {
    const done = await commit(batch);
    const manifest = store.get(["manifest"]);
    const row = storedCheckpoint(store);
    if (manifest && row) {
      seen++;
      if (row.said.index === hashOf(manifest)) said++;
    }
    return done;
  };
  for (let i = 0; i < 10; i++) {
    await append(5);
    await clock.advance(1_000);
  }
  assert.ok(seen > 20 && said === seen, `${said} of ${seen} times`);
  await close();
});

Deno.test("a kept checkpoint that was taken away behind the log's back stays said when it is opened again", async () => {
  const { store, clock, log, append, close } = await opened();
  for (let i = 0; i < 2; i++) {
    await append(1);
    await clock.until(log.keepCheckpoint());
  }
  await close();
  await store.commit({ puts: [], deletes: [["checkpoints", 1]] });
  const background = inlineBackground(store, clock);
  const next = await KvLog.open(store, { catalogue: catalogue(), clock, background, signer });
  await clock.until(next.append({ events: [event("more")] }));
  await clock.until(next.keepCheckpoint());
  assert.equal(storedCheckpoint(store)!.said.kept, 3);
  await clock.until(next.close());
});

Deno.test("pages that were let go are garbage no more, however often that comes to pass", async () => {
  const { clock, log, append, close } = await opened();
  for (let i = 0; i < 40; i++) {
    await append(40);
    await clock.advance(1_000);
  }
  await clock.advance(120_000);
  await append(4); // the next manifest says so
  await clock.advance(1_000);
  const { garbage } = log.index.manifest;
  assert.ok(garbage.length < 5, `${garbage.length} stretches`);
  await close();
});

Deno.test("a closed log leaves no timer behind, even where pages became garbage as it closed", async () => {
  const { store, clock, log, append } = await opened();
  /** A manifest that lets pages of merged segments go. */
  const letsGo = ({ puts }: Batch) =>
    puts?.some(([[name], bytes]) => name === "manifest" && JSON.parse(new TextDecoder().decode(bytes)).garbage.length);
  const commit = store.commit.bind(store);
  let caught = false;
  store.commit = (batch) => {
    caught ||= store.hold = !caught && Boolean(letsGo(batch));
    return commit(batch);
  };
  for (let i = 0; i < 200 && !caught; i++) {
    await append(4);
    await clock.advance(250);
  }
  assert.equal(store.waiting.length, 1);
  const closed = log.close();
  await clock.advance(20_000); // it gives up waiting for what follows
  store.release();
  await clock.until(closed);
  await assert.rejects(clock.until(new Promise(() => {}), 1), /no timer is left/);
});
