/** What actors are put through, ours and others': so many messages told in bursts, or asked one after the other. */
import { setImmediate } from "node:timers";

/** Messages that are told before those who handle them have a turn. */
const BURST = 1_000;
const TELLS = 1_000_000;
const ASKS = 200_000;

export interface Worked {
  readonly units: number;
  readonly ms: number;
}

/** Once around the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Tells in bursts, each when the one before was handled. `share`: of a million messages. */
export const tellAll = async (tell: (n: number) => void, handled: () => number, share = 1): Promise<Worked> => {
  const units = TELLS * share;
  const before = handled();
  const began = performance.now();
  for (let told = 0; told < units; told += BURST) {
    for (let i = 0; i < BURST; i++) tell(told + i);
    await undefined;
    while (handled() - before < told + BURST) await turn();
  }
  return { units, ms: performance.now() - began };
};

/** One question after the other, each when the one before was answered. `share`: of 200,000 questions. */
export const askAll = async (ask: (n: number) => Promise<number>, share = 1): Promise<Worked> => {
  const units = ASKS * share;
  const began = performance.now();
  for (let n = 0; n < units; n++) {
    if (await ask(n) !== n) throw new Error("another answer than was asked for");
  }
  return { units, ms: performance.now() - began };
};
