/** Bounds of the log's index: what its filters may take, and how small its segments may be. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { Filter } from "../../adapters/kv/index/filter.ts";
import { KvLog, type LogOptions } from "../../adapters/kv/log.ts";
import { LogReader } from "../../adapters/kv/reader.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import { event } from "./log_contract.ts";

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
        let filter = Filter.from(made.bytes);
        for (const to of folds) {
          filter = filter.folded(to);
          assert.ok(keys.every((key) => filter.perhaps(key)));
        }
        const most = Math.max(0, ...folds);
        assert.equal(filter.bytes.length, Math.ceil(made.bytes.length / 64 / 2 ** most) * 64);
      },
    ),
  );
});

const filled = async (
  events: number,
  each: number,
  options: Partial<LogOptions>,
  check: (log: KvLog, store: MemoryStore) => void,
): Promise<void> => {
  const store = new MemoryStore();
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background, ...options });
  try {
    for (let n = 0; n < events; n += each) {
      await log.append({ events: Array.from({ length: each }, (_, i) => event(n + i)) });
    }
    while (log.index.generations.length > 1) await new Promise((resolve) => setTimeout(resolve, 1));
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
