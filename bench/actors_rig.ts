/** General actors under a supervisor, told and asked, beside the same through bare queues. */
import { setImmediate } from "node:timers";
import { type Cell, Cells } from "../actors/kernel/cells.ts";
import { DeadLetters } from "../actors/kernel/dead_letters.ts";
import { Supervisor } from "../actors/kernel/supervisor.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { askThrough, type Question, Queue } from "./baselines/queue.ts";
import type { Measured, Stand } from "./suite.ts";

/** Messages that are told before those who handle them have a turn. */
const BURST = 1_000;
const TELLS = 1_000_000;
const ASKS = 200_000;

interface Actors<M> {
  readonly cells: readonly Cell<M>[];
  stop(): Promise<void>;
}

/** As many actors that handle each message with `handle`, running. */
const actorsOf = async <M>(count: number, handle: (message: M) => void): Promise<Actors<M>> => {
  const recorder = { record: () => {}, flush: () => Promise.resolve() };
  const world = { clock: systemClock, random: systemRandom, recorder };
  const registry = new Cells({ clock: systemClock, deadLetters: new DeadLetters(world) });
  const cells = Array.from({ length: count }, (_, i) => registry.cell<M>({ id: `cell${i}`, begin: () => handle }));
  const supervisor = new Supervisor({
    id: "bench",
    strategy: "one_for_one",
    restarts: { max: 1, within: 1_000 },
    children: cells,
  }, world);
  const stopping = new AbortController();
  const running = supervisor.run(stopping.signal);
  while (supervisor.tree().children?.some(({ state }) => state !== "running")) await turn();
  return {
    cells,
    async stop() {
      stopping.abort();
      await running;
      registry.close();
    },
  };
};

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Tells in bursts, each when the one before was handled. */
const tellAll = async (tell: (n: number) => void, handled: () => number): Promise<Measured> => {
  const began = performance.now();
  const before = handled();
  for (let told = 0; told < TELLS; told += BURST) {
    for (let i = 0; i < BURST; i++) tell(told + i);
    await undefined;
    while (handled() - before < told + BURST) await turn();
  }
  return { units: TELLS, ms: performance.now() - began };
};

/** `count` actors in turn. */
export const telling = async (count: number): Promise<Stand> => {
  const seen = { ours: 0, baseline: 0 };
  const { cells, stop } = await actorsOf<number>(count, () => void seen.ours++);
  const queues = Array.from({ length: count }, () => new Queue<number>(() => void seen.baseline++));
  return {
    ours: () => tellAll((n) => cells[n % count]!.tell(n), () => seen.ours),
    baseline: () => tellAll((n) => queues[n % count]!.push(n), () => seen.baseline),
    close: stop,
  };
};

const askAll = async (ask: (n: number) => Promise<number>): Promise<Measured> => {
  const began = performance.now();
  for (let n = 0; n < ASKS; n++) {
    if (await ask(n) !== n) throw new Error("another answer than was asked for");
  }
  return { units: ASKS, ms: performance.now() - began };
};

/** One question after the other, each when the one before was answered. */
export const asking = async (): Promise<Stand> => {
  const reply = ({ n, answer }: Question) => answer(n);
  const { cells: [cell], stop } = await actorsOf<Question>(1, reply);
  const queue = new Queue<Question>(reply);
  return {
    ours: () => askAll((n) => cell!.ask<number>((answer) => ({ n, answer }))),
    baseline: () => askAll((n) => askThrough(queue, n)),
    close: stop,
  };
};
