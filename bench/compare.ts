/**
 * `deno task bench --compare`: every row of the suite, ours and its baseline in turns in one run; prints medians, the median
 * ratio of a round (ours to the baseline) and its spread.
 */
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { median, type Sampled, seriesOf } from "./samples.ts";
import { suite } from "./suite.ts";
import type { Goal, Measured, Row } from "./row.ts";

export const USAGE = `deno task bench [arguments of deno bench]
  every suite under deno bench
deno task bench --compare [--json] [--rounds N] [--only TEXT]
  ours beside the baselines, in turns in one run; --only: rows whose name has this text
Both record the run in a log, as import bench does: --data FOLDER (else DAYBOOK_DATA, else .daybook); --no-record does not`;

const ROUNDS_DEFAULT = 5;
const ROUNDS_MAX = 1_000;

/** As `--json` prints it. */
interface Compared {
  readonly name: string;
  /** Medians: units per second, or ms. */
  readonly ours: number;
  readonly baseline: number;
  /** Median of the rounds' ratios. */
  readonly ratio: number;
  readonly rounds: number;
  /** Smallest and largest ratio of a round. */
  readonly spread: readonly [number, number];
}

/** One line of the table: something measured of a row. */
interface Figure extends Goal {
  readonly name: string;
  readonly unit: string;
  readonly lessIsBetter: boolean;
  of(measured: Measured): number;
  /** What is recorded, ns. */
  ns(measured: Measured): number;
}

const figuresOf = ({ name, of = "rate", unit, must, aim, p95 }: Row): readonly Figure[] => {
  const slow = (name: string, goal: Goal, of: (measured: Measured) => number): Figure => {
    return { ...goal, name, unit: "ms", lessIsBetter: true, of, ns: (measured) => of(measured) * 1e6 };
  };
  const first: Figure = of === "rate"
    ? {
      name,
      must,
      aim,
      unit: `${unit}/s`,
      lessIsBetter: false,
      of: ({ units, ms }) => (units / ms) * 1_000,
      ns: ({ units, ms }) => (ms / units) * 1e6,
    }
    : slow(name, { must, aim }, (measured) => measured[of]!);
  return p95 ? [first, slow(`${name}: p95`, p95, ({ p95 }) => p95!)] : [first];
};

interface Pair {
  readonly ours: Measured;
  readonly baseline: Measured;
}

/** Rounds after one that does not count. */
const measure = async (row: Row, rounds: number): Promise<readonly Pair[]> => {
  const stand = await row.open();
  try {
    const pairs: Pair[] = [];
    for (let round = 0; round <= rounds; round++) {
      const ours = await stand.ours();
      await stand.rest?.();
      pairs.push({ ours, baseline: await stand.baseline() });
      await stand.rest?.();
    }
    return pairs.slice(1);
  } finally {
    await stand.close();
  }
};

const rounded = (value: number): number => value >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));

const summed = ({ name, of }: Figure, pairs: readonly Pair[]): Compared => {
  const ratios = pairs.map(({ ours, baseline }) => of(ours) / of(baseline));
  return {
    name,
    ours: rounded(median(pairs.map(({ ours }) => of(ours)))),
    baseline: rounded(median(pairs.map(({ baseline }) => of(baseline)))),
    ratio: rounded(median(ratios)),
    rounds: pairs.length,
    spread: [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))],
  };
};

const goal = (figure: Figure, value: number | undefined): string =>
  value === undefined ? "" : `${figure.lessIsBetter ? "≤" : "≥"} ${value}`;

const FILE = "compare.ts";

/** One measurement of a unit of work is one sample. */
const sampledOf = ({ figure, against, pairs }: Done): readonly Sampled[] => {
  const { ours, baseline } = seriesOf(figure.name, against);
  const all = { file: FILE, failed: false };
  return [
    { ...all, ...ours, samples: pairs.map(({ ours }) => figure.ns(ours)) },
    { ...all, ...baseline, samples: pairs.map(({ baseline }) => figure.ns(baseline)) },
  ];
};

interface Done {
  readonly figure: Figure;
  readonly against: string;
  readonly pairs: readonly Pair[];
  readonly compared: Compared;
}

/** Measures what `args` ask for and prints it; the exit code, 1 where a row failed, 2 for arguments that are none, and what is to be recorded. */
export const compare = async (
  args: readonly string[],
): Promise<{ readonly code: number; readonly sampled: readonly Sampled[] }> => {
  const asked = parse(args);
  if (typeof asked === "string") {
    console.error(`${asked}\n${USAGE}`);
    return { code: 2, sampled: [] };
  }
  const { json, rounds, rows } = asked;
  const done: Done[] = [];
  let code = 0;
  for (const row of rows) {
    try {
      const because = row.without?.();
      console.error(
        because ? `skipped: ${row.name}: ${because}` : `… ${row.name}${row.about ? ` (${row.about})` : ""}`,
      );
      if (because) continue;
      const pairs = await measure(row, rounds);
      for (const figure of figuresOf(row)) {
        done.push({ figure, against: row.against, pairs, compared: summed(figure, pairs) });
      }
    } catch (error) {
      // What others measure is not lost for it.
      console.error(`failed: ${row.name}: ${error instanceof Error ? error.message.trim() : error}`);
      code = 1;
    }
  }
  const sampled = done.flatMap(sampledOf);
  if (json) {
    console.log(JSON.stringify(done.map(({ compared }) => compared), undefined, 2));
    return { code, sampled };
  }
  const table = new Table({
    head: ["work", "to", "ours", "baseline", "", "ratio", "spread", "must", "aim"],
    style: { head: [], border: [] },
  });
  for (const { figure, against, compared: { name, ours, baseline, ratio, spread } } of done) {
    const goals = [goal(figure, figure.must), goal(figure, figure.aim)];
    table.push([name, against, ours, baseline, figure.unit, ratio, spread.join(" – "), ...goals]);
  }
  console.log(table.toString());
  return { code, sampled };
};

const parse = (args: readonly string[]) => {
  let given;
  try {
    given = parseArgs({
      args: [...args],
      options: {
        compare: { type: "boolean" },
        json: { type: "boolean", default: false },
        rounds: { type: "string", default: String(ROUNDS_DEFAULT) },
        only: { type: "string", default: "" },
      },
    }).values;
  } catch (error) {
    return (error as Error).message;
  }
  const rounds = Number(given.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    return `--rounds: expected 1 to ${ROUNDS_MAX}, found "${given.rounds}"`;
  }
  const rows = suite.filter(({ name }) => name.includes(given.only));
  if (rows.length === 0) {
    return `--only: no row has "${given.only}" in its name: ${suite.map(({ name }) => name).join("; ")}`;
  }
  return { json: given.json, rounds, rows };
};
