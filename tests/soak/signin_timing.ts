/**
 * Whether the time of a refused sign-in tells that there is such an account: tries on names that somebody has and names that nobody
 * has, in random order, compared by the test of Mann and Whitney (1947), which asks nothing of the shape of the distributions.
 */
import { randomBytes } from "node:crypto";
import { type SeededRandom, seededRandom } from "../../adapters/simulation/random.ts";
import { withHouse } from "../identity_given.ts";

export interface Timing {
  readonly tries: number;
  /** Two-sided: how likely so large a difference is when there is none. */
  readonly p: number;
  readonly median_ms: { readonly known: number; readonly unknown: number };
  /** Of one Argon2id with the parameters used, ms: the shortest try. */
  readonly least_ms: number;
}

/** Tries on one name: fewer than lock it, so that all of them are of a kind. */
const TRIES_OF_ONE = 9;

const shuffled = <T>(items: readonly T[], random: SeededRandom): T[] => {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.between(0, i);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all;
};

export const signinTiming = async (
  { tries, said }: { readonly tries: number; readonly said?: Readonly<Record<string, string>> },
): Promise<Timing> => {
  const random = seededRandom(7);
  const times: { readonly known: number[]; readonly unknown: number[] } = { known: [], unknown: [] };
  await withHouse(async (house) => {
    const names = Math.ceil(tries / 2 / TRIES_OF_ONE);
    for (let i = 0; i < names; i++) await house.person(`known-${i}`);
    const one = async (name: string): Promise<number> => {
      const password = randomBytes(12).toString("hex");
      const began = performance.now();
      const { status } = await house.signIn(name, password);
      if (status !== 401) throw new Error(`${name}: ${status}`);
      return performance.now() - began;
    };
    // What is slow once for all, such as code that is compiled, is over before it counts.
    for (let i = 0; i < 20; i++) await one(`nobody-before-${i}`);
    const all = Array.from({ length: tries }, (_, i) => {
      const kind = i % 2 === 0 ? "known" as const : "unknown" as const;
      return { kind, name: `${kind}-${Math.floor(i / 2) % names}` };
    });
    for (const { kind, name } of shuffled(all, random)) times[kind].push(await one(name));
  }, { ...(said && { said }), documented: false });
  const { known, unknown } = times;
  return {
    tries,
    p: mannWhitney(known, unknown),
    median_ms: { known: median(known), unknown: median(unknown) },
    least_ms: Math.min(...known, ...unknown),
  };
};

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Two-sided p of the U statistic by its normal approximation, with ranks of ties averaged; fit for twenty values a side and more. */
export const mannWhitney = (a: readonly number[], b: readonly number[]): number => {
  const all = [...a.map((value) => ({ value, of: 0 })), ...b.map((value) => ({ value, of: 1 }))]
    .sort((x, y) => x.value - y.value);
  const n = all.length;
  let ranks = 0, ties = 0;
  for (let i = 0; i < n;) {
    let end = i;
    while (end < n && all[end]!.value === all[i]!.value) end++;
    for (let k = i; k < end; k++) if (all[k]!.of === 0) ranks += (i + end + 1) / 2;
    ties += (end - i) ** 3 - (end - i);
    i = end;
  }
  const u = ranks - (a.length * (a.length + 1)) / 2;
  const mean = (a.length * b.length) / 2;
  const spread = Math.sqrt(((a.length * b.length) / 12) * (n + 1 - ties / (n * (n - 1))));
  return 2 * upperTail(Math.abs(u - mean) / spread);
};

/** Upper tail of the normal distribution, by Abramowitz and Stegun 7.1.26; absolute error below 1e-7. */
const upperTail = (z: number): number => {
  const x = z / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return (sum * Math.exp(-x * x)) / 2;
};
