/** A stream whose events lie far apart in a large log, loaded by a process that has read nothing yet. */
import { LogReader } from "../../adapters/kv/reader.ts";
import { KvReader } from "../../adapters/kv/store.ts";
import { catalogue } from "../../events/catalogue.ts";
import type { Range } from "../../events/log.ts";
import type { Store } from "../../events/store.ts";
import {
  CountingStore,
  eventAt,
  fill,
  inFolder,
  openLog,
  percentile,
  type Reads,
  rounded,
  type Tuning,
} from "./rig.ts";

export interface ColdStream {
  readonly events: number;
  readonly among: number;
  /** Of its entries. */
  readonly bytes: number;
  readonly ms: number;
  /** Reading a log that has nothing but these entries, from the first to the last. */
  readonly sequential_ms: number;
  readonly ratio: number;
  readonly reads: Reads;
}

const COLD = "soak/cold";

export const coldStream = (
  { among, every, rounds, tuning = {} }: { among: number; every: number; rounds: number; tuning?: Tuning },
): Promise<ColdStream> =>
  inFolder(async (folder) => {
    const [large, small] = [`${folder}/large.db`, `${folder}/small.db`];
    const events = Math.floor(among / every);
    const cold = (n: number) => eventAt(n, 1, COLD);
    await filled(large, among, (n) => n % every === 0 ? cold(n) : eventAt(n), tuning);
    await filled(small, events, (n) => cold(n * every), tuning);
    const pairs = Array.from({ length: rounds }, () => ({
      thin: load(large, { stream: COLD }, tuning),
      whole: load(small, {}, tuning),
    }));
    for (const { thin, whole } of pairs) {
      if (thin.events !== events || whole.events !== events) throw new Error(`${thin.events} of ${events} came`);
    }
    const ms = percentile(pairs.map(({ thin }) => thin.ms), 0.5);
    const sequential_ms = percentile(pairs.map(({ whole }) => whole.ms), 0.5);
    return {
      events,
      among,
      bytes: pairs[0]!.whole.reads.bytes,
      ms: rounded(ms),
      sequential_ms: rounded(sequential_ms),
      ratio: rounded(percentile(pairs.map(({ thin, whole }) => thin.ms / whole.ms), 0.5)),
      reads: pairs[0]!.thin.reads,
    };
  });

const filled = async (path: string, size: number, make: Parameters<typeof fill>[2], tuning: Tuning): Promise<void> => {
  const { log } = await openLog(path, tuning);
  try {
    await fill(log, size, make);
  } finally {
    await log.close();
  }
};

/** Opens the file anew; what opening reads does not count. */
const load = (path: string, range: Range, tuning: Tuning): { events: number; ms: number; reads: Reads } => {
  const store = new CountingStore(new KvReader(path) as unknown as Store);
  const log = new LogReader(store, { catalogue: catalogue(), ...tuning });
  try {
    log.refresh();
    let events = 0;
    const began = performance.now();
    const reads = store.during(() => {
      for (const batch of log.read(range)) events += batch.length;
    });
    return { events, ms: performance.now() - began, reads };
  } finally {
    void log.close();
  }
};
