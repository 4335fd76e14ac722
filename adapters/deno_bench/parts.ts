/** Cuts what a run measured into facts that each fit an entry. */
import {
  BENCHMARK_LIMITS,
  type BenchmarkEnvironment,
  type BenchmarkSeries,
  type RunMeasured,
} from "../../events/benchmarks.ts";

/** Bytes of the series of one part: an entry's 60,000 with room for the environment and the header. */
export const PART_BYTES_MAX = 48_000;

const { part_samples_max, part_series_max } = BENCHMARK_LIMITS;

const utf8 = new TextEncoder();
const bytesOf = (series: BenchmarkSeries): number => utf8.encode(JSON.stringify(series)).length + 1;

/** Parts in order; none when nothing was measured. */
export const partsOf = (
  run: string,
  environment: BenchmarkEnvironment,
  series: readonly BenchmarkSeries[],
): readonly RunMeasured[] => {
  const parts: BenchmarkSeries[][] = [];
  let left = 0;
  for (const piece of series.flatMap(piecesOf)) {
    const bytes = bytesOf(piece);
    if (parts.length === 0 || bytes > left || parts.at(-1)!.length === part_series_max) {
      parts.push([]);
      left = PART_BYTES_MAX;
    }
    parts.at(-1)!.push(piece);
    left -= bytes;
  }
  return parts.map((series, part) => ({ run, part, parts: parts.length, environment, series }));
};

/** The series with its first samples, then the others. */
const piecesOf = (series: BenchmarkSeries): readonly BenchmarkSeries[] => {
  const { samples_ns: samples = [], figures: _, baseline: __, ...named } = series;
  if (samples.length <= part_samples_max) return [series];
  const pieces: BenchmarkSeries[] = [{ ...series, samples_ns: samples.slice(0, part_samples_max) }];
  for (let before = part_samples_max; before < samples.length; before += part_samples_max) {
    const samples_ns = samples.slice(before, before + part_samples_max);
    pieces.push({ ...named, samples_ns, samples_before: before });
  }
  return pieces;
};
