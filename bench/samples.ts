/**
 * Samples of a run on their way from the suites, which run in threads of `deno bench`, to who records them: a file of one JSON
 * value a line.
 */

/** Names the file; without it nobody records. */
export const SAMPLES = "DAYBOOK_BENCH_SAMPLES";

export interface Series {
  readonly group: string;
  readonly name: string;
  readonly baseline: boolean;
}
export type Sample = Series & ({ readonly ns: number } | { readonly failed: true });

/** Of a series, in order. */
export interface Sampled extends Series {
  readonly file: string;
  readonly failed: boolean;
  readonly samples: readonly number[];
}

/** A row's two series, as they are called everywhere. */
export const seriesOf = (name: string, against: string): { readonly ours: Series; readonly baseline: Series } => ({
  ours: { group: name, name, baseline: false },
  baseline: { group: name, name: `${name}: ${against}`, baseline: true },
});

/** Called in a thread of `deno bench`. */
export const appendSample = (sample: Sample): void => {
  const path = Deno.env.get(SAMPLES);
  if (path === undefined) return;
  const file = new URL(Deno.mainModule).pathname.split("/").at(-1);
  Deno.writeTextFileSync(path, `${JSON.stringify({ file, ...sample })}\n`, { append: true });
};

/** Everything that was appended, by series. */
export const readSamples = async (path: string): Promise<readonly Sampled[]> => {
  const lines = (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
  const all = lines.map((line) => JSON.parse(line) as Sample & { readonly file: string });
  const series = Map.groupBy(all, ({ file, group, name }) => JSON.stringify([file, group, name]));
  return [...series.values()].map((samples) => {
    const { file, group, name, baseline } = samples[0]!;
    const told = samples.flatMap((one) => "ns" in one ? [one.ns] : []);
    return { file, group, name, baseline, failed: told.length < samples.length, samples: told };
  });
};

/** Of an even number the mean of the two in the middle. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
};
