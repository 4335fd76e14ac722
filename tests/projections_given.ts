/** A log, a clock and small projections for the tests of projections. */
import { createCipheriv, createHash } from "node:crypto";
import { z } from "zod";
import { systemClock } from "../adapters/system/world.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import type { Child, Self } from "../actors/kernel/child.ts";
import type { FromProjections, Line, ToProjections } from "../actors/kernel/project_line.ts";
import type { KernelFact } from "../events/kernel.ts";
import type { NewEvent } from "../events/log.ts";
import type { Primitives } from "../projections/digest.ts";
import type { AnyProjection, Projection } from "../projections/projection.ts";

export const primitives: Primitives = {
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  chacha20(key) {
    const cipher = createCipheriv("chacha20", key, new Uint8Array(16));
    const stream = cipher.update(new Uint8Array(2_048));
    cipher.final();
    return stream;
  },
};

export const logOf = (): MemoryLog => new MemoryLog(systemClock);

let ids = 0;
export const newEvent = (type: string, data: unknown, stream: `${string}/${string}` = "tests/one"): NewEvent => ({
  id: `e${ids++}`,
  source: "/tests",
  time: "2026-01-01T00:00:00.000Z",
  type,
  stream,
  version: 1,
  authtype: "system",
  authid: "s_tests",
  data,
});

/** Appends so many `tests.item.counted`, each of the next of `keys` keys. */
export const counted = async (log: MemoryLog, count: number, keys = 7): Promise<void> => {
  for (let left = count; left > 0; left -= 1_000) {
    const events = Array.from(
      { length: Math.min(left, 1_000) },
      (_, i) => newEvent("tests.item.counted", { key: `k${(log.size + i) % keys}`, by: i % 5 }),
    );
    await log.append({ events });
  }
};

export const countRow = z.object({ count: z.number(), sum: z.number() });

/** Counts per key. Throws at `tests.item.poisoned`. */
export const counts: Projection<
  z.output<typeof countRow>,
  { type: `tests.item.${string}`; data: { key: string; by: number } }
> = {
  name: "tests.counts",
  version: 1,
  about: "Counts per key",
  hears: ["tests.item.counted", "tests.item.poisoned"],
  row: countRow,
  initial: { count: 0, sum: 0 },
  indexes: ["count"],
  keys: (event) => [event.data.key],
  apply(row, event) {
    if (event.type === "tests.item.poisoned") throw new RangeError(`cannot count ${event.data.key}`);
    return { count: row.count + 1, sum: row.sum + event.data.by };
  },
};

export const recorded = () => {
  const facts: { readonly fact: KernelFact; readonly child: string }[] = [];
  return { facts, record: (fact: KernelFact, child: string) => void facts.push({ fact, child }) };
};

/** Runs children until `stop`; what a crash says is in `crashes`. */
export const running = (children: readonly Child[]) => {
  const stopping = new AbortController();
  const crashes: unknown[] = [];
  const self = (id: string): Self => ({ path: `projections:${id}`, ready() {} });
  const runs = children.map((child) =>
    child.run(stopping.signal, self(child.id)).catch((error) => void crashes.push(error))
  );
  return {
    crashes,
    ended: (index: number) => runs[index]!,
    async stop() {
      stopping.abort();
      await Promise.all(runs);
    },
  };
};

export const named = (projection: AnyProjection, changes: Partial<AnyProjection>): AnyProjection => ({
  ...projection,
  ...changes,
});

/** A thread that is played by the test. */
export const played = () => {
  const sent: ToProjections[] = [];
  let heard: (message: FromProjections) => void;
  let died: (cause: string) => void;
  let cut = 0;
  const line: Line<ToProjections, FromProjections> = {
    send: (message) => void sent.push(message),
    listen: (h, d) => [heard, died] = [h, d],
    cut: () => void cut++,
  };
  return {
    line,
    sent,
    say: (message: FromProjections) => heard(message),
    die: (cause: string) => died(cause),
    cuts: () => cut,
  };
};
