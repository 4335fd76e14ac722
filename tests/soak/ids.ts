/** Very many distinct ids: each is known for ever, an unknown one costs next to no read, and memory does not follow. */
import { LOG_BOUNDS } from "../../adapters/kv/log_options.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { eventAt, fill, inFolder, openLog, rounded, rss, type Tuning } from "./rig.ts";

export interface Ids {
  readonly ids: number;
  readonly events_per_s: number;
  readonly longest_append_ms: number;
  readonly segments: number;
  /** MiB after each tenth of the ids. */
  readonly rss: readonly number[];
  readonly filter_bytes: number;
  readonly filter_bytes_max: number;
  /** Ids asked for that are there, and those found at their position. */
  readonly asked: number;
  readonly found: number;
  /** Events sent again, and those answered as known with their first position. */
  readonly repeated: number;
  readonly recognised: number;
  /** Values read per id that was never seen. */
  readonly reads_per_unknown: number;
  readonly us_per_known: number;
  readonly us_per_unknown: number;
}

export const manyIds = (
  { ids, samples, tuning = {} }: { ids: number; samples: number; tuning?: Tuning },
): Promise<Ids> =>
  inFolder(async (folder) => {
    const { log, store } = await openLog(`${folder}/log.db`, tuning);
    try {
      const memory: number[] = [];
      let mark = ids / 10;
      const { seconds, longest_ms } = await fill(log, ids, (n) => eventAt(n, 200_000), (size) => {
        if (size < mark) return;
        mark += ids / 10;
        memory.push(rss());
      });
      const random = seededRandom(ids);
      const chosen = Array.from({ length: samples }, () => random.between(0, ids));
      const known = timed(() => chosen.filter((n) => log.find("urn:soak", `e${n}`)?.position === n).length);
      log.find("urn:soak", "never"); // filters are read when first asked
      log.head("soak/never");
      let unknown = { ms: 0, value: 0 };
      const reads = store.during(() => {
        unknown = timed(() => chosen.filter((n) => log.find("urn:soak", `never${n}`) !== undefined).length);
      });
      if (unknown.value > 0) throw new Error("an id was found that was never sent");
      let [repeated, recognised] = [0, 0];
      for (let at = 0; at < chosen.length; at += 500) {
        const again = [...new Set(chosen.slice(at, at + 500))];
        const answer = await log.append({ events: again.map((n) => eventAt(n, 200_000)) });
        repeated += again.length;
        if (answer.ok && answer.accepted === 0) {
          recognised += answer.receipts.filter(({ position, duplicate }, i) =>
            duplicate && position === again[i]
          ).length;
        }
      }
      return {
        ids,
        events_per_s: Math.round(ids / seconds),
        longest_append_ms: Math.round(longest_ms),
        segments: log.index.manifest.segments.length,
        rss: memory,
        filter_bytes: log.index.filterBytes,
        filter_bytes_max: tuning.bounds?.filter_bytes_max ?? LOG_BOUNDS.filter_bytes_max,
        asked: samples,
        found: known.value,
        repeated,
        recognised,
        reads_per_unknown: rounded((reads.blocks + reads.pages) / samples),
        us_per_known: rounded((known.ms * 1_000) / samples),
        us_per_unknown: rounded((unknown.ms * 1_000) / samples),
      };
    } finally {
      await log.close();
    }
  });

const timed = <T>(work: () => T): { readonly value: T; readonly ms: number } => {
  const began = performance.now();
  const value = work();
  return { value, ms: performance.now() - began };
};
