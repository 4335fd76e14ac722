/**
 * The comparisons: each row does the same work with Daybook and with its baseline, in one run, in turns. `compare.ts` prints
 * them, the `*_bench.ts` files run them under `deno bench`.
 */
import { type AnyProjection } from "../projections/projection.ts";
import { CachedRows } from "../actors/kernel/project_rows.ts";
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { folder } from "../projections/fold.ts";
import type { StreamId } from "../events/event.ts";
import { asking, telling } from "./actors_rig.ts";
import { atRestRows } from "./at_rest_rows.ts";
import { peerRows } from "./peer_rows.ts";
import { SqliteCounts, SqliteTable } from "./baselines/sqlite.ts";
import { byFetch, byWrk, ingesting, traced, withoutWrk } from "./http_rig.ts";
import { importing, repositoryNamed } from "./import_rig.ts";
import type { Measured, Row, Stand } from "./row.ts";
import { eventsAsked, startingCold, startingFull } from "./start_rig.ts";
import { readingSshd } from "./sshd_rig.ts";
import { verifying, withoutTaskset } from "./verify_rig.ts";
import { type Bench, counted, entryText, openBench, quiet, readingEvent, visitEvent, write } from "./rig.ts";

const timed = async (work: () => number | Promise<number>): Promise<Measured> => {
  const began = performance.now();
  const units = await work();
  return { units, ms: performance.now() - began };
};

const percentile95 = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length * 0.95)]!;

interface Pair {
  readonly bench: Bench;
  readonly table: SqliteTable;
}

const paired = async (
  ours: (pair: Pair) => Promise<Measured>,
  baseline: (pair: Pair) => Promise<Measured>,
): Promise<Stand> => {
  const bench = await openBench();
  const pair = { bench, table: new SqliteTable(`${bench.dir}/a.db`) };
  return {
    ours: () => ours(pair),
    rest: () => quiet(bench),
    baseline: () => baseline(pair),
    async close() {
      pair.table.close();
      await bench.close();
    },
    abandon: () => Deno.removeSync(bench.dir, { recursive: true }),
  };
};

let placed = 0;
/** `callers` take turns, each asking again as soon as it was answered; so it waits for all the others' rows, too. */
const rowsOneByOne = (events: number, callers = 1) => ({ table }: Pair): Promise<Measured> => {
  const latencies: number[] = [];
  const asked: number[] = Array(callers).fill(performance.now());
  return timed(() => {
    for (let i = 0; i < events; i++) {
      table.append(entryText(`bench/${i % 256}`, placed++));
      const now = performance.now();
      latencies.push(now - asked[i % callers]!);
      asked[i % callers] = now;
    }
    return events;
  }).then((measured) => ({ ...measured, p95: percentile95(latencies) }));
};

const writers = (count: number, each: number, exact = false) => async ({ bench }: Pair): Promise<Measured> => {
  const latencies: number[] = [];
  const measured = await timed(() => write(bench.daybook, count, each, exact, latencies));
  return { ...measured, p95: percentile95(latencies) };
};

const A = "node:sqlite, WAL, FULL, a row per event";
const QUEUE = "an array drained in microtasks";

export const suite: readonly Row[] = [
  {
    name: "append, 1 writer",
    group: "append",
    against: A,
    unit: "events",
    must: 0.42,
    aim: 0.55,
    open: () => paired(writers(1, 1_500), rowsOneByOne(1_500)),
  },
  {
    name: "append, 64 writers",
    group: "append",
    against: A,
    unit: "events",
    must: 11,
    aim: 17,
    open: () => paired(writers(64, 400), rowsOneByOne(1_500)),
  },
  {
    name: "append, 256 writers, exact revisions",
    group: "append",
    against: A,
    unit: "events",
    must: 20,
    aim: 32,
    p95: { must: 0.08, aim: 0.04 },
    open: () => paired(writers(256, 200, true), rowsOneByOne(1_500, 256)),
  },
  {
    name: "append, batches of 500",
    group: "append",
    against: "the same in batches of 500",
    unit: "events",
    must: 1.2,
    aim: 1.8,
    open: () =>
      paired(
        ({ bench }) =>
          timed(async () => {
            for (let b = 0; b < 100; b++) {
              await bench.daybook.append({
                events: Array.from({ length: 500 }, (_, i) => readingEvent(`bench/${i % 8}`)),
              });
            }
            return 50_000;
          }),
        ({ table }) =>
          timed(() => {
            for (let b = 0; b < 100; b++) {
              table.appendMany(Array.from({ length: 500 }, (_, i) => entryText(`bench/${i % 8}`, placed++)));
            }
            return 50_000;
          }),
      ),
  },
  {
    name: "append, three sealed fields",
    group: "append",
    against: "the same without",
    unit: "events",
    must: 0.3,
    aim: 0.5,
    open: () => {
      const run = (event: typeof readingEvent) => ({ bench }: Pair) =>
        timed(async () => {
          await Promise.all(Array.from({ length: 256 }, async (_, w) => {
            for (let i = 0; i < 80; i++) await bench.daybook.append({ events: [event(`bench/${w}`)] });
          }));
          return 256 * 80;
        });
      return paired(run(visitEvent), run(readingEvent));
    },
  },
  {
    name: "replay through a counting fold",
    group: "replay",
    against: "reading A in order",
    unit: "events",
    must: 2,
    aim: 3,
    open: async () => {
      const events = 200_000;
      const bench = await openBench();
      const table = new SqliteTable(`${bench.dir}/a.db`);
      for (let n = 0; n < events; n += 500) {
        await bench.daybook.append({ events: Array.from({ length: 500 }, (_, i) => readingEvent(`bench/${i % 64}`)) });
        table.appendMany(Array.from({ length: 500 }, (_, i) => entryText(`bench/${i % 64}`, n + i)));
      }
      await quiet(bench);
      return {
        ours: () =>
          timed(() => {
            const sums = new Map<string, number>();
            let seen = 0;
            for (const batch of bench.daybook.log.read({})) {
              for (const { type } of batch) sums.set(type, (sums.get(type) ?? 0) + 1);
              seen += batch.length;
            }
            return seen;
          }),
        baseline: () =>
          timed(() => {
            const sums = new Map<string, number>();
            let seen = 0;
            for (const { type } of table.read()) {
              sums.set(type, (sums.get(type) ?? 0) + 1);
              seen++;
            }
            return seen;
          }),
        async close() {
          table.close();
          await bench.close();
        },
      };
    },
  },
  {
    name: "verify",
    group: "verify",
    against: "reading and parsing the log, all cores",
    unit: "events",
    must: 0.4,
    aim: 0.6,
    open: () => verifying(navigator.hardwareConcurrency),
  },
  {
    name: "verify, one core",
    group: "verify",
    against: "reading and parsing the log, one core",
    unit: "events",
    without: withoutTaskset,
    open: () => verifying(1),
  },
  {
    name: "command through an entity, 256 entities",
    group: "ask",
    against: "append, 256 writers",
    unit: "commands",
    must: 0.5,
    aim: 0.7,
    open: () =>
      paired(
        ({ bench }) =>
          timed(async () => {
            const by = { authtype: "system", authid: "bench" } as const;
            await Promise.all(Array.from({ length: 256 }, async (_, e) => {
              for (let i = 0; i < 120; i++) {
                const outcome = await bench.daybook.ask({
                  type: "bench.counter.raise",
                  id: `c${e}`,
                  data: { by: i, unit: "celsius" },
                  by,
                });
                if (outcome.is !== "accepted") throw new Error(JSON.stringify(outcome));
              }
            }));
            return 256 * 120;
          }),
        writers(256, 120, true),
      ),
  },
  {
    name: "tell, 1 actor",
    group: "ask",
    against: QUEUE,
    unit: "messages",
    must: 0.2,
    aim: 0.4,
    open: () => telling(1),
  },
  {
    name: "tell, 1,000 actors",
    group: "ask",
    against: "as many of them",
    unit: "messages",
    must: 0.2,
    aim: 0.4,
    open: () => telling(1_000),
  },
  {
    name: "ask in sequence",
    group: "ask",
    against: "a raw promise hand-over",
    unit: "answers",
    must: 0.25,
    aim: 0.5,
    open: asking,
  },
  {
    name: "a view: rows counted by key",
    group: "project",
    against: "an upsert per event by hand",
    unit: "events",
    open: async () => {
      const events = 50_000;
      const bench = await openBench();
      for (let n = 0; n < events; n += 500) {
        await bench.daybook.append({
          events: Array.from({ length: 500 }, (_, i) => readingEvent(`bench/${i % 500}` as StreamId)),
        });
      }
      await quiet(bench);
      let round = 0;
      return {
        ours: () =>
          timed(async () => {
            const dir = `${bench.dir}/views${round++}`;
            await Deno.mkdir(dir);
            const views = new SqliteViews({ path: dir });
            const done = foldAll(bench, views, counted as AnyProjection);
            views.close();
            return done;
          }),
        baseline: () =>
          timed(() => {
            const counts = new SqliteCounts(`${bench.dir}/counts${round++}.db`);
            counts.fold(keysOf(bench));
            counts.close();
            return events;
          }),
        close: () => bench.close(),
      };
    },
  },
  {
    name: "HTTP, 1 event a POST, durable",
    group: "ingest",
    against: "a hono route that does nothing",
    unit: "requests",
    must: 0.3,
    aim: 0.38,
    without: withoutWrk,
    open: () => ingesting(1, "/nothing", byWrk),
    openFixed: () => ingesting(1, "/nothing", byFetch),
  },
  {
    name: "HTTP, 100 events a POST, durable",
    group: "ingest",
    against: "parse + validate only",
    unit: "events",
    must: 0.35,
    aim: 0.45,
    without: withoutWrk,
    open: () => ingesting(100, "/events", byWrk),
    openFixed: () => ingesting(100, "/events", byFetch),
  },
  {
    name: "HTTP p99, 1 event a POST, durable",
    group: "ingest",
    against: "parse + validate only",
    unit: "requests",
    of: "p99",
    must: 6,
    aim: 4,
    without: withoutWrk,
    open: () => ingesting(1, "/events", byWrk),
    openFixed: () => ingesting(1, "/events", byFetch),
  },
  {
    name: "HTTP, 1 event a POST, telemetry on",
    group: "ingest",
    against: "the same with telemetry off",
    unit: "requests",
    without: withoutWrk,
    open: () => traced(byWrk),
    openFixed: () => traced(byFetch),
  },
  {
    name: "start, cold",
    group: "start",
    against: "a script that listens",
    unit: "starts",
    of: "ms",
    aim: 3,
    open: startingCold,
  },
  {
    name: "start, on a log of many events",
    group: "start",
    against: "a script that listens",
    about: `${eventsAsked().toLocaleString("en")} events`,
    unit: "starts",
    of: "ms",
    aim: 5,
    open: startingFull,
  },
  {
    name: "import git",
    group: "import",
    against: "git log --all --raw --numstat -z",
    about: repositoryNamed(),
    unit: "commits",
    of: "ms",
    must: 1.5,
    aim: 1.1,
    open: importing,
  },
  {
    name: "import sshd, reading",
    group: "import",
    against: "finding the lines",
    unit: "lines",
    must: 0.04,
    open: readingSshd,
  },
  ...atRestRows,
  ...peerRows,
];

function* keysOf({ daybook }: Bench): Iterable<{ readonly key: string }> {
  for (const batch of daybook.log.read({})) for (const { stream } of batch) yield { key: stream };
}

/** The whole log into one view, as the runner does it: rows and cursor in transactions of a thousand events. */
const foldAll = ({ daybook }: Bench, views: SqliteViews, projection: AnyProjection): number => {
  const store = views.open(projection);
  const rows = new CachedRows(store, 4_000);
  const fold = folder(projection, rows);
  let seen = 0;
  for (const batch of daybook.log.read({})) {
    for (const event of batch) {
      fold(event);
      if (++seen % 1_000 === 0) store.commit(rows.take(), event.position + 1);
    }
  }
  store.commit(rows.take(), daybook.log.size);
  return seen;
};
