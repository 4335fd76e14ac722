/**
 * What `deno bench --json` prints (version 1 of its form, as Deno 2.9 writes it) as facts of a benchmark run.
 *
 * Deno tells figures and no samples, and of the machine its processor and runtime. Whoever knows more may add to the document
 * what is optional here: `time`, `environment`, and `samples` and `p50` beside the figures, all in nanoseconds.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Incoming, Issue } from "../../actors/kernel/daybook.ts";
import {
  BENCHMARK_LIMITS,
  type BenchmarkEnvironment,
  type BenchmarkSeries,
  seriesName,
} from "../../events/benchmarks.ts";
import { canonical, CanonicalError, parseIJson } from "../../events/canonical.ts";
import { sha } from "../../events/commits.ts";
import { isTime } from "../../events/event.ts";
import { partsOf } from "./parts.ts";

/** Samples of one document. */
export const SAMPLES_MAX = 1_000_000;
/** Benchmarks of one document. */
export const BENCHES_MAX = 10_000;

const { name_chars_max, environment_chars_max } = BENCHMARK_LIMITS;
const name = z.string().min(1).max(name_chars_max);
const described = z.string().min(1).max(environment_chars_max);
const ns = z.number().nonnegative();

// What Deno adds in a later release is passed over; what is read is held to what it says.
const measured = z.object({
  n: z.int().nonnegative(),
  min: ns,
  max: ns,
  avg: ns,
  p50: ns.optional(),
  p75: ns.optional(),
  p99: ns.optional(),
  p995: ns.optional(),
  p999: ns.optional(),
  samples: z.array(ns).optional(),
});
const ok = z.object({ ok: measured });
const failed = z.object({ failed: z.object({}) });

const bench = z.object({
  /** URL of the module. */
  origin: z.string().min(1),
  /** Deno lets one be empty, which is none. */
  group: z.string().max(name_chars_max).nullish(),
  name,
  baseline: z.boolean().default(false),
  results: z.array(z.unknown()).min(1),
});

const report = z.object({
  version: z.literal(1),
  runtime: described,
  cpu: described.optional(),
  time: z.string().refine(isTime, "expected an RFC 3339 time, of a second nine digits at most").optional(),
  environment: z.object({
    cores: z.int().positive().optional(),
    kernel: described.optional(),
    commit: sha.optional(),
    dirty: z.boolean().optional(),
  }).default({}),
  benches: z.array(bench).max(BENCHES_MAX),
});

/** What the document does not say. */
export interface RunOptions {
  /** URI reference that names what was measured; `source` of the events. */
  readonly project: string;
  /** RFC 3339. When it ran, unless the document says. */
  readonly time: string;
  /** What was measured, unless the document says. */
  readonly commit?: string;
}

/** A run as events, not appended yet. */
export interface BenchRun {
  /** Names the run for ever: the same document is the same run. */
  readonly run: string;
  readonly series: number;
  /** Of them those that threw. */
  readonly failed: number;
  readonly events: readonly Incoming[];
}

export type TranslatedRun =
  | { readonly ok: true; readonly run: BenchRun }
  /** Paths are JSON Pointers (RFC 6901) into the document. */
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Benchmarks that print something print it there, too. */
const NO_DOCUMENT = "not JSON: expected what deno bench --json prints, nothing before it and nothing behind";

/** Depth of the document: causes of failures lie within each other. */
const DEPTH_MAX = 256;

/** Reads one document; all or nothing. A run without benchmarks is one without events. */
export const translateRun = (text: string, options: RunOptions): TranslatedRun => {
  let value: unknown;
  try {
    value = parseIJson(text, DEPTH_MAX);
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error;
    // What the parser says of malformed text repeats some of it.
    const message = error.code === "malformed" ? NO_DOCUMENT : error.message;
    return { ok: false, issues: [{ path: error.path, message }] };
  }
  const parsed = report.safeParse(value);
  if (!parsed.success) return { ok: false, issues: issuesOf(parsed.error, "") };
  const { benches, runtime, cpu, environment, time = options.time } = parsed.data;
  const read = seriesOf(benches);
  if (!read.ok) return read;
  const { series } = read;
  const known: BenchmarkEnvironment = {
    runtime,
    ...(cpu === undefined ? {} : { cpu }),
    ...(options.commit === undefined ? {} : { commit: options.commit }),
    ...environment,
  };
  const run = createHash("sha256").update(canonical(value)).digest("hex").slice(0, 32);
  const parts = partsOf(run, known, series);
  const failed = series.filter(({ failed }) => failed).length;
  const type = "benchmarks.run.measured";
  const events = parts.map((data): Incoming => ({
    id: `${run}/${data.part}`,
    source: options.project,
    type,
    time,
    data,
  }));
  return { ok: true, run: { run, series: series.length, failed, events } };
};

type Series = { readonly ok: true; readonly series: readonly BenchmarkSeries[] } | Unreadable;
type Unreadable = { readonly ok: false; readonly issues: readonly Issue[] };

const seriesOf = (benches: z.output<typeof report>["benches"]): Series => {
  const files = shortest(benches.map(({ origin }) => origin));
  const series: BenchmarkSeries[] = [];
  const taken: Taken = new Map();
  for (const [i, { origin, group, name, baseline, results }] of benches.entries()) {
    for (const [j, one] of results.entries()) {
      const read = resultOf(one, `/benches/${i}/results/${j}`);
      if (!read.ok) return read;
      const named = { file: files.get(origin)!, ...(group ? { group } : {}), name };
      series.push({
        ...unlike(named, taken),
        ...(baseline ? { baseline: true as const } : {}),
        ...read.told,
      });
    }
  }
  const samples = series.reduce((sum, { samples_ns = [] }) => sum + samples_ns.length, 0);
  if (samples > SAMPLES_MAX) {
    return {
      ok: false,
      issues: [{ path: "/benches", message: `expected at most ${SAMPLES_MAX} samples, found ${samples}` }],
    };
  }
  return { ok: true, series };
};

type Named = Pick<BenchmarkSeries, "file" | "group" | "name">;
/** What series are known by, each with how many were to be called so. */
type Taken = Map<string, number>;

/** Deno lets several have one name, or names that come to the same; the first is the one of other runs. */
const unlike = (wanted: Named, taken: Taken): Named => {
  const key = seriesName(wanted);
  // Half of a character, where it is cut within one, is no text.
  const cut = wanted.name.slice(0, name_chars_max - 8).toWellFormed();
  let named = wanted;
  for (let n = taken.get(key) ?? 0; taken.has(seriesName(named)); n++) {
    taken.set(key, n + 1);
    named = { ...wanted, name: `${cut} (${n + 1})` };
  }
  taken.set(seriesName(named), 1);
  return named;
};

type Told = Pick<BenchmarkSeries, "failed" | "figures" | "samples_ns">;

const resultOf = (
  value: unknown,
  path: string,
): { readonly ok: true; readonly told: Told } | Unreadable => {
  // What was thrown may tell of people and places, so that something was is all that is kept.
  if (failed.safeParse(value).success) return { ok: true, told: { failed: true } };
  const parsed = ok.safeParse(value);
  if (!parsed.success) return { ok: false, issues: issuesOf(parsed.error, path) };
  const { n, min, max, avg, p50, p75, p99, p995, p999, samples } = parsed.data.ok;
  const percentiles = { p50_ns: p50, p75_ns: p75, p99_ns: p99, p995_ns: p995, p999_ns: p999 };
  const given = Object.fromEntries(Object.entries(percentiles).filter(([, value]) => value !== undefined));
  const figures = { n, min_ns: min, max_ns: max, avg_ns: avg, ...given };
  return { ok: true, told: { figures, ...(samples && samples.length > 0 ? { samples_ns: samples } : {}) } };
};

const issuesOf = (error: z.ZodError, within: string): readonly Issue[] =>
  error.issues.map(({ path, message }) => ({
    path: within + path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""),
    message,
  }));

/**
 * As much of the end of each path as tells them apart, so that a series has one name on every machine and nobody's folders
 * get into the log.
 */
const shortest = (origins: readonly string[]): ReadonlyMap<string, string> => {
  const named = new Map<string, string>();
  let left = [...new Set(origins)].map((origin) => ({ origin, steps: stepsOf(origin) }));
  for (let length = 1; left.length > 0; length++) {
    const ends = Map.groupBy(left, ({ steps }) => steps.slice(-length).join("/"));
    left = [];
    for (const [end, those] of ends) {
      const last = those.length === 1 || length === STEPS_MAX;
      for (const one of those) {
        if (last || one.steps.length <= length) named.set(one.origin, end.slice(-name_chars_max).toWellFormed());
        else left.push(one);
      }
    }
  }
  return named;
};

/** Folders by which files are told apart. */
const STEPS_MAX = 20;

const stepsOf = (origin: string): readonly string[] => {
  const path = URL.parse(origin)?.pathname ?? origin;
  const steps = path.split(/[/\\]/).filter((step) => step !== "");
  return steps.length === 0 ? [origin] : steps.map(decoded);
};

const decoded = (step: string): string => {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
};
