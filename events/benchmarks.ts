/**
 * Benchmarks: how long things took, run by run, and on what. Stream: `benchmarks/{project}`.
 *
 * A run is one or more `benchmarks.run.measured`, its parts, for an entry holds so much. `source` is the project, a URI
 * reference, and `id` is `{run}/{part}`; so the log's idempotency keeps a run single for ever. A series is what is measured
 * again and again, named by file, group and name; its figures come in one part, what of its samples did not fit there in others.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import { repositoryId, sha } from "./commits.ts";
import type { Facts, FactSchemas } from "./event.ts";

/** Bounds of what one fact holds; all of it together stays below the entry limit of the log, for parts are cut by bytes, too. */
export const BENCHMARK_LIMITS = {
  run_chars_max: 200,
  /** Parts of one run: some 30 million samples. */
  parts_max: 10_000,
  /** Series of one part. */
  part_series_max: 500,
  /** Samples of one series in one part. */
  part_samples_max: 2_000,
  /** File, group and name of a series, each. */
  name_chars_max: 300,
  /** Each text of the environment. */
  environment_chars_max: 200,
} as const;

const count = z.int().nonnegative();
const name = z.string().min(1).max(BENCHMARK_LIMITS.name_chars_max);
const described = z.string().min(1).max(BENCHMARK_LIMITS.environment_chars_max);
/** Nanoseconds. */
const duration = z.number().nonnegative();

/** Where it was measured: figures are compared only as far as this is the same. */
const environment = z.strictObject({
  /** With its version: `Deno/2.9.6 x86_64-unknown-linux-gnu`. */
  runtime: described,
  cpu: described.optional(),
  cores: count.optional(),
  /** Of the operating system, with its version. */
  kernel: described.optional(),
  /** What was measured. */
  commit: sha.optional(),
  /** Whether something was changed since that commit. */
  dirty: z.boolean().optional(),
});

const series = z.strictObject({
  /** As much of the path as tells the files of a run apart: nothing of the machine. */
  file: name,
  group: name.optional(),
  name,
  /** What the others of its group are measured against. */
  baseline: z.literal(true).optional(),
  /** It threw; there is nothing else. */
  failed: z.literal(true).optional(),
  /** Of one iteration; absent where the series goes on from another part. */
  figures: z.strictObject({
    /** Iterations. */
    n: count,
    min_ns: duration,
    max_ns: duration,
    avg_ns: duration,
    p50_ns: duration.optional(),
    p75_ns: duration.optional(),
    p99_ns: duration.optional(),
    p995_ns: duration.optional(),
    p999_ns: duration.optional(),
  }).optional(),
  /** One iteration each, in order. Absent: whoever measured did not tell them. */
  samples_ns: z.array(duration).max(BENCHMARK_LIMITS.part_samples_max).optional(),
  /** How many samples went before these, in other parts. */
  samples_before: count.optional(),
});

export const benchmarkFacts = {
  "benchmarks.run.measured": z.strictObject({
    /** All parts of a run have the same. */
    run: z.string().min(1).max(BENCHMARK_LIMITS.run_chars_max),
    /** From 0. */
    part: count.max(BENCHMARK_LIMITS.parts_max - 1),
    parts: count.min(1).max(BENCHMARK_LIMITS.parts_max),
    environment,
    series: z.array(series).max(BENCHMARK_LIMITS.part_series_max),
  }),
} satisfies FactSchemas;

export type BenchmarkFact = Facts<typeof benchmarkFacts>;
export type RunMeasured = z.output<typeof benchmarkFacts["benchmarks.run.measured"]>;
export type BenchmarkEnvironment = z.output<typeof environment>;
export type BenchmarkSeries = z.output<typeof series>;
export type BenchmarkFigures = NonNullable<BenchmarkSeries["figures"]>;

/** What a series is known by within its project; of one run a series counts once. */
export const seriesName = ({ file, group, name }: Pick<BenchmarkSeries, "file" | "group" | "name">): string =>
  [file, ...(group === undefined || name.startsWith(group) ? [] : [group]), name].join("/");

export const benchmarks: Domain = {
  name: "benchmarks",
  facts: {
    "benchmarks.run.measured": {
      schema: benchmarkFacts["benchmarks.run.measured"],
      kind: "observed",
      stream: ({ source }) => `benchmarks/${repositoryId(source)}`,
      about: "A benchmark run: what was measured, and on what; one part of possibly several.",
    },
  },
};
