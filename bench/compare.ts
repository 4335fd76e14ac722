/**
 * `deno task bench --compare [--json] [--rounds N] [--only TEXT]`: every row of the suite, ours and its baseline in turns in one run; prints the
 * median ratio (ours to the baseline, in work per time) and its spread.
 */
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { type Measured, type Row, suite } from "./suite.ts";

interface Compared {
  readonly name: string;
  /** Units per second, medians. */
  readonly ours: number;
  readonly baseline: number;
  readonly ratio: number;
  readonly rounds: number;
  /** Smallest and largest ratio of a round. */
  readonly spread: readonly [number, number];
  /** Ours to the baseline, 95th percentile of one operation; smaller is better. */
  readonly p95?: number;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const rate = ({ units, ms }: Measured): number => (units / ms) * 1_000;

const compare = async (row: Row, rounds: number): Promise<Compared> => {
  const stand = await row.open();
  try {
    await stand.ours();
    await stand.baseline();
    const pairs: { ours: Measured; baseline: Measured }[] = [];
    for (let i = 0; i < rounds; i++) {
      const ours = await stand.ours();
      pairs.push({ ours, baseline: await stand.baseline() });
    }
    const ratios = pairs.map(({ ours, baseline }) => rate(ours) / rate(baseline));
    const p95s = pairs.flatMap(({ ours, baseline }) => ours.p95 && baseline.p95 ? [ours.p95 / baseline.p95] : []);
    return {
      name: row.name,
      ours: Math.round(median(pairs.map(({ ours }) => rate(ours)))),
      baseline: Math.round(median(pairs.map(({ baseline }) => rate(baseline)))),
      ratio: round(median(ratios)),
      rounds,
      spread: [round(Math.min(...ratios)), round(Math.max(...ratios))],
      ...(p95s.length > 0 ? { p95: round(median(p95s)) } : {}),
    };
  } finally {
    await stand.close();
  }
};

const round = (value: number): number => Number(value.toPrecision(3));

const { values } = parseArgs({
  options: {
    compare: { type: "boolean" },
    json: { type: "boolean" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "" },
  },
});
const compared: Compared[] = [];
for (const row of suite.filter(({ name }) => name.includes(values.only))) {
  if (!values.json) console.error(`… ${row.name}`);
  compared.push(await compare(row, Number(values.rounds)));
}
if (values.json) console.log(JSON.stringify(compared, undefined, 2));
else {
  const table = new Table({
    head: ["work", "ours /s", "baseline /s", "ratio", "spread", "p95", "must", "aim"],
    style: { head: [], border: [] },
  });
  for (const { name, ours, baseline, ratio, spread, p95 } of compared) {
    const { must, aim } = suite.find((row) => row.name === name)!;
    table.push([name, ours, baseline, ratio, spread.join(" – "), p95 ?? "", must ?? "", aim ?? ""]);
  }
  console.log(table.toString());
}
