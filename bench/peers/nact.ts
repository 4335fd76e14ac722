/** nact (https://nact.xyz) as its manual shows it: `tell N` tells N actors in turn, `ask` queries one. See `peer.ts`. */
import { askAll, tellAll, type Worked } from "../workload.ts";
import { answerLines } from "./answer.ts";

type Reference = { readonly name: string };
interface Nact {
  start(): Reference;
  spawn<M>(parent: Reference, handle: (state: undefined, message: M) => undefined, name: string): Reference;
  dispatch(to: Reference, message: unknown): void;
  query<R>(to: Reference, ask: (replyTo: Reference) => unknown, deadline_ms: number): Promise<R>;
}

// By name and not by an import, which would make it a dependency of the program.
const PACKAGE = "npm:nact@7.6.2";
const { start, spawn, dispatch, query } = await import(PACKAGE) as Nact;
const DEADLINE_MS = 5_000;
/** It is slow enough for less to do. */
const SHARE = 0.1;

const system = start();
let seen = 0;
let groups = 0;
const group = (count: number): readonly Reference[] => {
  const name = groups++;
  const handle = (): undefined => void seen++;
  return Array.from({ length: count }, (_, i) => spawn(system, handle, `told_${name}_${i}`));
};
const told = new Map<number, readonly Reference[]>();

interface Question {
  readonly n: number;
  readonly replyTo: Reference;
}
const asked = spawn<Question>(system, (_, { n, replyTo }) => void dispatch(replyTo, n), "asked");

await answerLines((line): Promise<Worked> => {
  const [what, count] = line.split(" ");
  if (what === "ask") return askAll((n) => query<number>(asked, (replyTo) => ({ n, replyTo }), DEADLINE_MS), SHARE);
  const several = Number(count);
  const actors = told.get(several) ?? group(several);
  told.set(several, actors);
  return tellAll((n) => dispatch(actors[n % several]!, n), () => seen, SHARE);
});
Deno.exit(0);
