/** Benchmarks as a view: every series with its runs in the order of the log, each beside the one before. */
import { z } from "zod";
import type { BenchmarkFact, BenchmarkFigures, BenchmarkSeries } from "../events/benchmarks.ts";
import { benchmarkFacts, seriesName } from "../events/benchmarks.ts";
import type { Event } from "../events/event.ts";
import type { Projection, Read } from "./projection.ts";

type RunEvent = Event<BenchmarkFact>;

const count = z.int().nonnegative();
const ns = z.number().nonnegative();
const { runtime, cpu, cores, kernel, commit, dirty } =
  benchmarkFacts["benchmarks.run.measured"].shape.environment.shape;

/** What of the environment makes figures incomparable; the commit is what is compared. */
const MACHINE = ["runtime", "cpu", "cores", "kernel"] as const;

const historyRow = z.strictObject({
  project: z.string(),
  /** File, group and name, as far as they say something, with slashes between. */
  series: z.string(),
  /** Which run of the series this is, from 1, in the order they were recorded. */
  number: count,
  /** Median of one iteration, ns; the mean where the median was not told. Absent: it failed. */
  time_ns: ns.optional(),
  /**
   * Percent against the last run before that did not fail: 3.1 is slower by so much, -3.1 faster. Medians where both are
   * known, else means. Absent: there was none.
   */
  change: z.number().optional(),
  /** What of the machine is not what it was at that run: then the change tells of that, too. */
  differs: z.array(z.enum(MACHINE)).optional(),
  /** Iterations. */
  n: count,
  /** When it was measured, UTC. */
  at: z.string(),
  commit,
  dirty,
  failed: z.literal(true).optional(),
  baseline: z.literal(true).optional(),
  /** Whether it is the last run of its series. */
  newest: z.boolean(),
  avg_ns: ns.optional(),
  p50_ns: ns.optional(),
  min_ns: ns.optional(),
  max_ns: ns.optional(),
  p99_ns: ns.optional(),
  runtime,
  cpu,
  cores,
  kernel,
  /** The run's own id. */
  run: z.string(),
  /** Working rows alone: the last run that did not fail. */
  measured: z.strictObject({
    avg_ns: ns,
    p50_ns: ns.optional(),
    runtime,
    cpu,
    cores,
    kernel,
  }).optional(),
});
type HistoryRow = z.output<typeof historyRow>;
type Measured = NonNullable<HistoryRow["measured"]>;

/** A key that starts with `~` would be a working row. */
const projectOf = (event: RunEvent): string => event.stream.slice("benchmarks/".length).replace(/^~/, "%7E");

/** Text order is the order of the runs, up to a million. */
const rowKey = (series: string, number: number): string => `${series}/${String(number).padStart(6, "0")}`;

/** As many digits as mean something. */
const rounded = (value: number): number => value >= 1_000_000 ? Math.round(value) : Number(value.toPrecision(6));

const percent = (now: number, before: number): number | undefined => {
  const change = Math.round((now / before - 1) * 1_000) / 10;
  return Number.isFinite(change) ? change + 0 : undefined; // and never -0
};

const figuresOf = ({ n, avg_ns, p50_ns, min_ns, max_ns, p99_ns }: BenchmarkFigures) => ({
  n,
  time_ns: rounded(p50_ns ?? avg_ns),
  avg_ns: rounded(avg_ns),
  min_ns: rounded(min_ns),
  max_ns: rounded(max_ns),
  ...(p50_ns === undefined ? {} : { p50_ns: rounded(p50_ns) }),
  ...(p99_ns === undefined ? {} : { p99_ns: rounded(p99_ns) }),
});

/** Against the last run that did not fail. */
const compared = (now: Measured, before: Measured | undefined): Pick<HistoryRow, "change" | "differs"> => {
  if (!before) return {};
  const medians = now.p50_ns !== undefined && before.p50_ns !== undefined;
  const change = medians ? percent(now.p50_ns!, before.p50_ns!) : percent(now.avg_ns, before.avg_ns);
  const differs = MACHINE.filter((field) => now[field] !== before[field]);
  return { ...(change === undefined ? {} : { change }), ...(differs.length === 0 ? {} : { differs }) };
};

/** The row of one more run of a series whose last is `before`. */
const rowAfter = (before: HistoryRow | undefined, event: RunEvent, one: BenchmarkSeries): HistoryRow => {
  const { run, environment } = event.data;
  const { commit: _, dirty: __, ...machine } = environment;
  const known = {
    project: projectOf(event),
    series: seriesName(one),
    number: (before?.number ?? 0) + 1,
    n: 0,
    at: new Date(event.time).toISOString(),
    newest: true,
    run,
    ...environment,
    ...(one.baseline ? { baseline: one.baseline } : {}),
  };
  const last = before?.measured;
  if (!one.figures) return { ...known, failed: true, ...(last ? { measured: last } : {}) };
  const { avg_ns, p50_ns } = one.figures;
  const measured: Measured = { avg_ns, ...(p50_ns === undefined ? {} : { p50_ns }), ...machine };
  return { ...known, ...figuresOf(one.figures), ...compared(measured, last), measured };
};

interface Changes {
  readonly read: Read<HistoryRow>;
  /** Working rows and rows of a run by key. */
  readonly rows: ReadonlyMap<string, HistoryRow>;
}

// `apply` is called for each row of a run; they are made once for all of them.
const made = new WeakMap<RunEvent, Changes>();

const changesOf = (event: RunEvent, read: Read<HistoryRow>): Changes => {
  const rows = new Map<string, HistoryRow>();
  for (const one of event.data.series) {
    if (!one.figures && !one.failed) continue; // samples alone
    const series = `${projectOf(event)}/${seriesName(one)}`;
    const before = rows.get(`~${series}`) ?? read(`~${series}`);
    // Of one run a series counts once.
    if (before?.run === event.data.run) continue;
    const row = rowAfter(before, event, one);
    const { measured: _, ...shown } = row;
    rows.set(`~${series}`, row);
    rows.set(rowKey(series, row.number), shown);
    const last = before && read(rowKey(series, before.number));
    if (last) rows.set(rowKey(series, before.number), { ...last, newest: false });
  }
  const changes = { read, rows };
  made.set(event, changes);
  return changes;
};

export const benchmarksHistory: Projection<HistoryRow, BenchmarkFact> = {
  name: "benchmarks.history",
  version: 1,
  about:
    "Every series of benchmarks with its runs, and how each compares to the one before. Key: project/series/number.",
  hears: ["benchmarks.run.measured"],
  row: historyRow,
  initial: { project: "", series: "", number: 0, n: 0, at: "", newest: true, runtime: "", run: "" },
  indexes: ["project", "series", "at", "time_ns", "change", "commit", "newest", "failed", "run"],
  columns: ["time_ns", "change", "n", "at", "commit", "differs", "failed"],
  text: ({ series }) => series,
  keys: (event, read) => [...changesOf(event, read).rows.keys()],
  apply(row, event, key, read): HistoryRow {
    const known = made.get(event);
    return (known?.read === read ? known : changesOf(event, read)).rows.get(key) ?? row;
  },
};

export const benchmarksViews = [benchmarksHistory] as const;
