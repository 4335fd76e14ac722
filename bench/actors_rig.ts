/** General actors under a supervisor, told and asked, beside the same through bare queues. */
import { type Cell, Cells } from "../actors/kernel/cells.ts";
import { DeadLetters } from "../actors/kernel/dead_letters.ts";
import { Supervisor } from "../actors/kernel/supervisor.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { askThrough, type Question, Queue } from "./baselines/queue.ts";
import { nact } from "./peers/peer.ts";
import type { Stand } from "./row.ts";
import { askAll, tellAll, turn } from "./workload.ts";

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

/** Ours, told or asked, and what else there is to be closed. */
const beside = (ours: Stand["ours"], baseline: Stand["baseline"], ...closing: (() => Promise<void>)[]): Stand => ({
  ours,
  baseline,
  async close() {
    for (const close of closing) await close();
  },
});

/** `count` actors in turn. */
const told = async (count: number): Promise<{ ours: Stand["ours"]; stop: () => Promise<void> }> => {
  let seen = 0;
  const { cells, stop } = await actorsOf<number>(count, () => void seen++);
  return { ours: () => tellAll((n) => cells[n % count]!.tell(n), () => seen), stop };
};

/** Beside as many bare queues. */
export const telling = async (count: number): Promise<Stand> => {
  let seen = 0;
  const queues = Array.from({ length: count }, () => new Queue<number>(() => void seen++));
  const { ours, stop } = await told(count);
  return beside(ours, () => tellAll((n) => queues[n % count]!.push(n), () => seen), stop);
};

/** Beside as many actors of nact. */
export const tellingNact = async (count: number): Promise<Stand> => {
  const peer = await nact();
  const { ours, stop } = await told(count);
  return { ...beside(ours, () => peer.measure(`tell ${count}`), stop, () => peer.stop()), abandon: () => peer.kill() };
};

const reply = ({ n, answer }: Question): void => answer(n);

const asked = async (): Promise<{ ours: Stand["ours"]; stop: () => Promise<void> }> => {
  const { cells: [cell], stop } = await actorsOf<Question>(1, reply);
  return { ours: () => askAll((n) => cell!.ask<number>((answer) => ({ n, answer }))), stop };
};

/** One question after the other, beside a bare queue and a promise. */
export const asking = async (): Promise<Stand> => {
  const queue = new Queue<Question>(reply);
  const { ours, stop } = await asked();
  return beside(ours, () => askAll((n) => askThrough(queue, n)), stop);
};

/** The same beside nact's query. */
export const askingNact = async (): Promise<Stand> => {
  const peer = await nact();
  const { ours, stop } = await asked();
  return { ...beside(ours, () => peer.measure("ask"), stop, () => peer.stop()), abandon: () => peer.kill() };
};
