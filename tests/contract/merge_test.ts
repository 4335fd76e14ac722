/** Merges of segments go on between new segments, and whatever happens meanwhile, every page belongs to somebody. */
import assert from "node:assert/strict";
import { decodeManifest, EMPTY, type Manifest, MANIFEST_KEY } from "../../adapters/kv/index/index.ts";
import { pageKey } from "../../adapters/kv/index/pages.ts";
import { FANOUT } from "../../adapters/kv/index/segment.ts";
import { Integrator, type Made } from "../../adapters/kv/integrator.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { FILTER_BYTES_MAX, LogReader } from "../../adapters/kv/reader.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { lying } from "../at_rest_given.ts";
import { event } from "./log_contract.ts";

/** A log whose index nobody makes. */
const blocksOf = async (events: number, each: number): Promise<MemoryStore> => {
  const store = lying(new MemoryStore());
  const background = () => ({ ask() {}, swept() {}, close: () => Promise.resolve() });
  const options = { catalogue: catalogue(), clock: systemClock, background, bounds: { tail_events_max: events } };
  const log = await KvLog.open(store, options);
  for (let n = 0; n < events; n += each) {
    await log.append({
      events: Array.from({ length: each }, (_, i) => event(n + i, { stream: `tests/${(n + i) % 3}` })),
    });
  }
  // It stays open: closing would wait for the index.
  return store;
};

/** The same blocks, and the index as far as it is there. */
const copyOf = async (store: MemoryStore): Promise<MemoryStore> => {
  const copy = lying(new MemoryStore());
  for (const [first, bytes] of store.list({ prefix: ["log"] })) await copy.commit({ puts: [[["log", first], bytes]] });
  for (const [page, bytes] of store.list({ prefix: ["index"] })) await copy.commit({ puts: [[pageKey(page), bytes]] });
  const manifest = store.get(MANIFEST_KEY);
  if (manifest) await copy.commit({ puts: [[MANIFEST_KEY, manifest]] });
  return copy;
};

const manifestOf = (store: MemoryStore): Manifest => decodeManifest(store.get(MANIFEST_KEY));

const integratorOf = (store: MemoryStore, events: number, each: number): Integrator => {
  const manifest = manifestOf(store);
  const integrator = new Integrator(store, { size: 0, nodes: [] }, manifest, FILTER_BYTES_MAX);
  for (let from = manifest.until; from < events; from += each) {
    integrator.ask({ wish: "segment", from, until: from + each });
  }
  return integrator;
};

const write = (store: MemoryStore, made: Made): Promise<unknown> => {
  assert.ok(made.made !== "root");
  return store.commit({ puts: made.made === "pages" ? made.puts : [[MANIFEST_KEY, made.bytes]] });
};

/** Everything that is still to be made, written at once; `look` sees each. Answers how many there were. */
const finish = async (
  store: MemoryStore,
  integrator: Integrator,
  look: (made: Made) => void = () => {},
): Promise<number> => {
  let count = 0;
  while (!integrator.idle) {
    const made = integrator.step();
    if (!made) continue;
    await write(store, made);
    look(made);
    count++;
  }
  return count;
};

const extentsOf = ({ segments, merging, garbage }: Manifest) => [
  ...segments.flatMap(({ ids, streams, terms }) => [ids, streams, terms])
    .flatMap(({ body, fence, filter }) => [body, fence, ...(filter ? [filter] : [])]),
  ...merging.map(({ pages }) => pages),
  ...garbage,
];

/** No page below the next free one is nobody's, and none is two's. */
const accounted = (manifest: Manifest, what: string): void => {
  const owned = extentsOf(manifest).sort((a, b) => a.start - b.start);
  let next = 0;
  for (const { start, pages } of owned) {
    assert.equal(start, next, `${what}: pages from ${next} on`);
    next += pages;
  }
  assert.equal(next, manifest.next, what);
};

const reads = (reader: LogReader, events: number, step: number): void => {
  for (let n = 0; n < events; n += step) assert.equal(reader.find("urn:test", String(n))?.position, n);
  assert.equal(reader.find("urn:test", "never"), undefined);
  assert.deepEqual([0, 1, 2].map((s) => reader.head(`tests/${s}`) + 1).reduce((a, b) => a + b), events);
};

/** Segments so large that their merge takes several steps. */
const EACH = 2_000;
const EVENTS = 14 * EACH;

Deno.test("new segments are finished while a merge is half done, and roots come in between", async () => {
  const store = await blocksOf(EVENTS, 500);
  const integrator = integratorOf(store, EVENTS, EACH);
  const order: string[] = [];
  let [begun, ended] = [-1, -1];
  let until = 0;
  await finish(store, integrator, (made) => {
    if (made.made === "manifest") {
      accounted(made.manifest, `at ${made.manifest.until}`);
      order.push(made.manifest.until > until ? "segment" : "merged");
      until = made.manifest.until;
      if (made.manifest.merging.length > 0 && begun < 0) begun = order.length;
      if (order.at(-1) === "merged") ended = order.length - 1;
    }
    if (made.made === "pages") order.push("pages");
    if (order.length === begun + 1) {
      integrator.ask({ wish: "root", size: 10 });
      const root = integrator.step();
      assert.equal(root?.made, "root");
    }
  });
  const between = order.slice(begun, ended);
  assert.ok(between.filter((what) => what === "segment").length >= 2, between.join());
  assert.deepEqual(manifestOf(store).segments.map(({ level }) => level), [1, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(manifestOf(store).merging, []);
  const reader = new LogReader(store, { catalogue: catalogue() });
  reader.refresh();
  reads(reader, EVENTS, 17);
});

Deno.test("a crash at any step of an interleaved merge leaves no page that is nobody's, and the index of a log without one", async () => {
  const blocks = await blocksOf(EVENTS, 500);
  const whole = await copyOf(blocks);
  const steps = await finish(whole, integratorOf(whole, EVENTS, EACH));
  let within = 0;
  for (let crash = 1; crash < steps; crash++) {
    const store = await copyOf(blocks);
    const dying = integratorOf(store, EVENTS, EACH);
    for (let written = 0; written < crash;) {
      const made = dying.step();
      if (!made) continue;
      await write(store, made);
      written++;
    }
    const left = manifestOf(store);
    accounted(left, `crash ${crash}`);
    const halves = left.merging.some(({ pages }) => store.get(pageKey(pages.start)) !== undefined);
    if (halves) within++;
    await finish(store, integratorOf(store, EVENTS, EACH));
    const now = manifestOf(store);
    accounted(now, `after crash ${crash}`);
    const shape = ({ segments }: Manifest) =>
      segments.map(({ level, from, until, ids }) => ({ level, from, until, rows: ids.rows }));
    assert.deepEqual(shape(now), shape(manifestOf(whole)), `after crash ${crash}`);
    const pages = [...store.list({ prefix: ["index"] })].map(([page]) => page);
    assert.deepEqual(pages, Array.from({ length: now.next }, (_, page) => page), `after crash ${crash}`);
    const reader = new LogReader(store, { catalogue: catalogue() });
    reader.refresh();
    reads(reader, EVENTS, 997);
  }
  assert.ok(within >= 3, `${within} crashes within a merge`);
});

Deno.test("who reads by a manifest from before a merge finds everything, and takes the new one when it is told", async () => {
  const events = FANOUT * EACH;
  const store = await blocksOf(events, 500);
  const integrator = integratorOf(store, events, EACH);
  const reader = new LogReader(store, { catalogue: catalogue() });
  let before: Manifest | undefined;
  await finish(store, integrator, (made) => {
    if (made.made !== "manifest" || made.manifest.merging.length === 0) return;
    reader.refresh();
    before = made.manifest;
  });
  assert.equal(reader.index.manifest.segments.length, FANOUT);
  const after = manifestOf(store);
  assert.deepEqual([after.until, after.next, after.segments.length], [before!.until, before!.next, 1]);
  reads(reader, events, 13);
  reader.refresh();
  assert.equal(reader.index.manifest.segments.length, 1);
  for (const { start, pages } of after.garbage) {
    const deletes = Array.from({ length: pages }, (_, i) => pageKey(start + i));
    await store.commit({ puts: [], deletes });
  }
  reads(reader, events, 13);
  assert.equal(
    [...store.list({ prefix: ["index"] })].length,
    extentsOf({ ...after, garbage: [] })
      .reduce((sum, { pages }) => sum + pages, 0),
  );
});

Deno.test("however busy the log is, no level holds more than a merge and a half", async () => {
  const events = 4 * 700;
  const store = await blocksOf(events, 4);
  let levels = 0;
  await finish(store, integratorOf(store, events, 4), (made) => {
    if (made.made !== "manifest") return;
    for (let level = 0; level < 4; level++) {
      const count = made.manifest.segments.filter((segment) => segment.level === level).length;
      if (count > 0) levels = Math.max(levels, level + 1);
      assert.ok(count <= FANOUT + FANOUT / 2 + 1, `${count} segments of level ${level}`);
    }
    assert.ok(made.manifest.merging.length <= levels);
    const from = made.manifest.segments.map(({ level }) => level);
    assert.deepEqual(from, from.toSorted((a, b) => b - a), "the oldest are the largest");
  });
  assert.equal(levels, 4);
});

Deno.test("pages of a merge whose segments are gone are garbage like any other", async () => {
  const events = 10 * EACH;
  const store = await blocksOf(events, 500);
  await finish(store, integratorOf(store, 8 * EACH, EACH));
  const stored = manifestOf(store);
  const pages = { start: stored.next, pages: 3 };
  // As after a version with other pages.
  const stale = { ...stored, next: stored.next + 3, merging: [{ from: 0, until: 8 * EACH, bits_per_key: 12, pages }] };
  const integrator = new Integrator(store, { size: 0, nodes: [] }, stale, FILTER_BYTES_MAX);
  integrator.ask({ wish: "segment", from: 8 * EACH, until: 9 * EACH });
  let manifest: Manifest = EMPTY;
  await finish(store, integrator, (made) => {
    if (made.made === "manifest") manifest = made.manifest;
  });
  assert.deepEqual([manifest.merging, manifest.garbage.at(-1)], [[], pages]);
  assert.ok(!extentsOf({ ...manifest, garbage: [] }).some(({ start }) => start === pages.start));
});
