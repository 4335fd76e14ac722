/** Bounds of the log's index: what its filters may take, and how small its segments may be. */
import assert from "node:assert/strict";
import { clearImmediate, setImmediate } from "node:timers";
import type { Clock } from "../../actors/kernel/world.ts";
import fc from "fast-check";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { Block } from "../../adapters/kv/block.ts";
import { EMPTY, encodeManifest, MANIFEST_KEY } from "../../adapters/kv/index/index.ts";
import { fingerprintOfId } from "../../adapters/kv/fingerprint.ts";
import { BITS_PER_KEY, Filter, PROBES } from "../../adapters/kv/index/filter.ts";
import type { Put } from "../../adapters/kv/index/pages.ts";
import { FANOUT, SegmentBuilder } from "../../adapters/kv/index/segment.ts";
import { GARBAGE_MAX, Integrator } from "../../adapters/kv/integrator.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import type { LogOptions } from "../../adapters/kv/log_options.ts";
import { FILTER_BYTES_MAX, LogReader } from "../../adapters/kv/reader.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { VALUE_BYTES_MAX } from "../../events/store.ts";
import { lying } from "../at_rest_given.ts";
import { event } from "./log_contract.ts";
import { until } from "../until.ts";

/** With segments of 16,384 events, levels of eight reach 16,384 × 8⁶ = four thousand million events. */
const LEVELS_MAX = 6;

const fingerprints = fc.uniqueArray(fc.integer({ min: 0, max: 2 ** 53 - 1 }), { minLength: 1, maxLength: 300 });

Deno.test("a filter that is folded still knows every key, in half the memory each time", () => {
  fc.assert(
    fc.property(
      fingerprints,
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 0, max: 7 })),
      (keys, bits, folds) => {
        const made = Filter.sized(keys.length, bits);
        for (const key of keys) made.add(key);
        // One that does not say has fewer probes; those that it has are the first of them.
        let [filter, older] = [Filter.from(made.bytes, PROBES), Filter.from(made.bytes)];
        for (const to of folds) {
          [filter, older] = [filter.folded(to), older.folded(to)];
          assert.ok(keys.every((key) => filter.perhaps(key) && older.perhaps(key)));
        }
        const most = Math.max(0, ...folds);
        assert.equal(filter.bytes.length, Math.ceil(made.bytes.length / 64 / 2 ** most) * 64);
      },
    ),
  );
});

Deno.test("asked for many at once, a filter says what it says to each", () => {
  fc.assert(
    fc.property(
      fingerprints,
      fingerprints,
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 0, max: 3 }),
      (keys, others, bits, folds) => {
        const made = Filter.sized(keys.length, bits);
        for (const key of keys) made.add(key);
        const asked = Float64Array.from([...keys, ...others, 0]);
        for (const filter of [made.folded(folds), Filter.from(made.bytes).folded(folds)]) {
          const marks = new Uint8Array(asked.length);
          filter.mark(asked, asked.length - 1, marks);
          assert.deepEqual([...marks], [...asked].map((key, i) => i < asked.length - 1 && filter.perhaps(key) ? 1 : 0));
        }
      },
    ),
  );
});

Deno.test("a filter as it is made lets one in two thousand pass that is not there, at most", () => {
  const filter = Filter.sized(100_000, BITS_PER_KEY);
  for (let n = 0; n < 100_000; n++) filter.add(fingerprintOfId("urn:test", `${n}`));
  let passed = 0;
  for (let n = 0; n < 200_000; n++) if (filter.perhaps(fingerprintOfId("urn:test", `never${n}`))) passed++;
  assert.ok(passed <= 100, `${passed} of 200,000`);
});

const filled = async (
  events: number,
  each: number,
  options: Partial<LogOptions>,
  check: (log: KvLog, store: MemoryStore) => void,
): Promise<void> => {
  const store = lying(new MemoryStore());
  const background = inlineBackground(store, options.clock ?? systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background, ...options });
  try {
    for (let n = 0; n < events; n += each) {
      await log.append({ events: Array.from({ length: each }, (_, i) => event(n + i)) });
    }
    await until("one generation", () => log.index.generations.length <= 1);
    check(log, store);
  } finally {
    await log.close();
  }
};

Deno.test("filters take no more memory than they may, and find what is there all the same", async () => {
  const filter_bytes_max = 4 * 1024;
  await filled(20_000, 500, { segmentEvents: 500, bounds: { filter_bytes_max } }, (log, store) => {
    const ask = (log: LogReader) => {
      for (let n = 0; n < 20_000; n += 7) assert.equal(log.find("urn:test", String(n))?.position, n);
      assert.equal(log.find("urn:test", "never"), undefined);
      assert.equal(log.head("tests/never"), -1);
      return log.index.filterBytes;
    };
    const bounded = ask(log);
    assert.ok(bounded > 0 && bounded <= filter_bytes_max, `${bounded} bytes`);
    const free = new LogReader(store, { catalogue: catalogue(), filterBytesMax: Infinity });
    free.refresh();
    assert.ok(ask(free) > filter_bytes_max, "without the bound they would have been more");
  });
});

Deno.test("when appends outrun the index they wait, and no segment is cut short by it", async () => {
  const bounds = { tail_events_max: 64 };
  await filled(1_600, 8, { segmentEvents: 32, bounds }, ({ index: { manifest } }) => {
    const events = manifest.segments.map(({ level, from, until }) => (until - from) / 8 ** level);
    assert.ok(manifest.until > 1_000 && events.every((each) => each >= 32), events.join());
  });
});

Deno.test("a reader beside the writer reads each event of a stream once, also where a generation ended early", async () => {
  const store = lying(new MemoryStore());
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
  for (let n = 0; n < 20; n++) await log.append({ events: [event(n)] });
  const reader = new LogReader(store, { catalogue: catalogue() });
  reader.refresh();
  // The log grows while its generation ends, and the reader looks before the segment is there.
  const settled = log.settleIndex(log.size);
  await log.append({ events: [event("more")] });
  reader.refresh();
  assert.deepEqual([reader.size, reader.index.manifest.until], [21, 0]);
  await settled;
  reader.refresh();
  assert.deepEqual([reader.size, reader.index.manifest.until], [21, 20]);
  for (const from of [log, reader]) {
    for (const backward of [false, true]) {
      const read = [...from.read({ stream: "tests/one", backward })].flat().map(({ position }) => position);
      const expected = Array.from({ length: 21 }, (_, position) => position);
      assert.deepEqual(read, backward ? expected.reverse() : expected);
    }
    assert.equal(from.head("tests/one"), 20);
    assert.equal(from.find("urn:test", "more")?.position, 20);
  }
  await log.close();
});

/** Nothing waits: neither the next step of the index nor the sweep, which else comes after a minute. */
const hasty: Clock = {
  ...systemClock,
  schedule(after, call) {
    if (after > 0 && after < 60_000) return systemClock.schedule(after, call);
    const soon = setImmediate(call);
    return () => clearImmediate(soon);
  },
};

Deno.test("pages of merged segments are let go, and the manifest that names them stays one value of the store", async () => {
  await filled(2_200, 4, { clock: hasty, segmentEvents: 4 }, (log, store) => {
    const { manifest } = log.index;
    assert.ok(manifest.segments.some(({ level }) => level === 3), "merged three times over");
    assert.ok(store.get(MANIFEST_KEY)!.length < VALUE_BYTES_MAX);
    const pages = [...store.list({ prefix: ["index"] })].length;
    assert.ok(pages < manifest.next / 4, `${pages} of ${manifest.next} pages are left`);
    for (let n = 0; n < 2_200; n += 11) assert.equal(log.find("urn:test", String(n))?.position, n);
  });
});

Deno.test("a stream is gathered on pages of its own where its blocks cost four times as much to read, and not where they are few", async () => {
  /** Pages of entries in a segment of commits of 250 events, in each of which one stream has so many. */
  const gathered = async (commits: number, each: number): Promise<number> => {
    const store = lying(new MemoryStore());
    const background = () => ({ ask() {}, swept() {}, close: () => Promise.resolve() });
    const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
    for (let c = 0; c < commits; c++) {
      const stream = (i: number) => i < each ? "tests/thin" as const : "tests/thick" as const;
      await log.append({ events: Array.from({ length: 250 }, (_, i) => event(`${c}.${i}`, { stream: stream(i) })) });
    }
    const builder = new SegmentBuilder();
    for (const [first, bytes] of store.list({ prefix: ["log"] })) builder.add(new Block(bytes, first));
    let entries = 0;
    const put = ([, page]: Put) => entries += page[0] === 0x5b && page[1] === 0x7b ? 1 : 0;
    builder.finish({ next: 0, put }, 12);
    return entries;
  };
  assert.equal(await gathered(2, 40), 0);
  assert.equal(await gathered(16, 1), 1);
});

Deno.test("while too many pages wait to be let go, segments wait, and roots do not", async () => {
  await filled(64, 8, { segmentEvents: 1_000 }, (_, store) => {
    const garbage = Array.from({ length: GARBAGE_MAX }, (_, i) => ({ start: 2 * i, pages: 1 }));
    const manifest = { ...EMPTY, next: 2 * GARBAGE_MAX, garbage };
    const integrator = new Integrator(store, { size: 0, nodes: [] }, manifest, FILTER_BYTES_MAX);
    integrator.ask({ wish: "segment", from: 0, until: 64 });
    assert.ok(integrator.idle && integrator.step() === undefined);
    integrator.ask({ wish: "root", size: 64 });
    assert.ok(!integrator.idle);
    assert.equal(integrator.step()?.made, "root");
    assert.ok(integrator.idle);
    integrator.swept([garbage[0]!]);
    assert.ok(!integrator.idle);
    let made = integrator.step();
    while (!made && !integrator.idle) made = integrator.step();
    assert.equal(made?.made, "pages");
  });
  // As many as may wait, and as many segments as there can be, fit one value.
  const most = 99_999_999;
  const table = (rows: number) => ({ columns: 5, rows, body: extent, fence: extent, filter: extent });
  const extent = { start: most, pages: most };
  const events = 16_384 * FANOUT ** LEVELS_MAX;
  const segment = {
    level: 9,
    from: events,
    until: events,
    ids: table(events),
    streams: table(events),
    terms: table(events),
  };
  const merging = { from: events, until: events, bits_per_key: 12, pages: extent };
  const large = {
    ...EMPTY,
    until: events,
    next: most,
    // A merge that ends when there is room for one more stretch adds one for each segment, and each level's merge may have been given up.
    garbage: Array.from({ length: GARBAGE_MAX + FANOUT + LEVELS_MAX }, () => ({ start: most, pages: 100_000 })),
    segments: Array.from({ length: (FANOUT + FANOUT / 2 + 1) * LEVELS_MAX }, () => segment),
    merging: Array.from({ length: LEVELS_MAX }, () => merging),
  };
  assert.ok(encodeManifest(large).length < VALUE_BYTES_MAX, `${encodeManifest(large).length} bytes`);
});
