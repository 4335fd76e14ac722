/** What the benchmarks share: a daybook with one small domain, and events of about 300 bytes. */
import { z } from "zod";
import { accept, type Actor, type Command } from "../actors/types.ts";
import type { Daybook } from "../actors/kernel/daybook.ts";
import type { Domain } from "../events/catalogue.ts";
import type { StreamId } from "../events/event.ts";
import type { NewEvent } from "../events/log.ts";
import { personal } from "../events/personal.ts";
import { DEFAULTS } from "../config/shipped.ts";
import { openDaybook } from "../main.ts";
import type { Projection } from "../projections/projection.ts";

const reading = z.strictObject({ n: z.int(), unit: z.string(), value: z.number() });
const visit = z.strictObject({
  n: z.int(),
  name: personal({ subject: "email" }),
  email: personal({ subject: "email" }),
  phone: personal({ subject: "email" }),
});

export const bench: Domain = {
  name: "bench",
  facts: {
    "bench.reading.taken": {
      schema: reading,
      kind: "observed",
      about: "A reading.",
      stream: ({ source }) => `bench/${source}` as StreamId,
    },
    "bench.visit.made": {
      schema: visit,
      kind: "observed",
      about: "A visit, with three personal fields.",
      stream: ({ source }) => `bench/${source}` as StreamId,
    },
    "bench.counter.raised": {
      schema: z.strictObject({ by: z.int(), unit: z.string() }),
      kind: "decided",
      about: "A counter went up.",
    },
  },
};

type Raise = Command<"bench.counter.raise", { readonly by: number; readonly unit: string }>;
export const counter: Actor<
  number,
  Raise,
  { readonly type: "bench.counter.raised"; readonly data: { readonly by: number; readonly unit: string } }
> = {
  domain: "bench",
  version: 1,
  commands: { "bench.counter.raise": z.strictObject({ by: z.int(), unit: z.string() }) },
  facts: ["bench.counter.raised"],
  initial: 0,
  decide: (_, { data }) => accept({ type: "bench.counter.raised", data }),
  evolve: (sum, { data }) => sum + data.by,
};

export interface Counted {
  readonly count: number;
}
/** Counts events by stream. */
export const counted: Projection<Counted> = {
  name: "bench.counted",
  version: 1,
  hears: "*",
  row: z.strictObject({ count: z.int() }),
  initial: { count: 0 },
  history: "none",
  about: "Events by stream.",
  keys: ({ stream }) => [stream],
  apply: ({ count }) => ({ count: count + 1 }),
};

let made = 0;

/** An event whose entry has about 300 bytes. */
export const readingEvent = (stream: StreamId): NewEvent => {
  const n = made++;
  return {
    id: `0192f0c17c1a${String(n).padStart(12, "0")}`,
    source: "urn:bench",
    type: "bench.reading.taken",
    stream,
    version: 1,
    time: "2026-01-01T00:00:00Z",
    authtype: "system",
    authid: "bench",
    data: { n, unit: "celsius", value: n / 8 },
  };
};

export const visitEvent = (stream: StreamId): NewEvent => {
  const n = made++;
  const email = `person${n % 500}@example.org`;
  return {
    ...readingEvent(stream),
    type: "bench.visit.made",
    data: { n, name: `Person ${n % 500}`, email, phone: `+1 555 ${n % 500}` },
  };
};

/** The bytes the entry has, for the baselines. */
export const entryText = (stream: StreamId, position: number): string => {
  const event = readingEvent(stream);
  return JSON.stringify({
    ...event,
    specversion: "1.0",
    position,
    recordedat: "2026-01-01T00:00:00.000Z",
    revision: position >> 8,
  });
};

export interface Bench {
  readonly dir: string;
  readonly daybook: Daybook;
  close(): Promise<void>;
}

/** A daybook as it is shipped, with the benchmark's domain beside the others. */
export const openBench = async ({ sealed = false }: { readonly sealed?: boolean } = {}): Promise<Bench> => {
  const dir = await Deno.makeTempDir({ prefix: "daybook-bench-" });
  const config = DEFAULTS;
  const daybook = await openDaybook({
    data: `${dir}/data`,
    domains: [bench],
    actors: [counter],
    config: { ...config, log: { ...config.log, sealed_at_rest: sealed } },
  });
  return {
    dir,
    daybook,
    async close() {
      await daybook.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
};

/** Until the views have caught up, so that one measurement does not pay for the one before. */
export const quiet = async ({ daybook }: Bench): Promise<void> => {
  while (daybook.status().projections.some(({ lag, state }) => lag > 0 && state !== "stopped")) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** `writers` loops, each appending one event at a time to a stream of its own; the total number of events. */
export const write = async (
  daybook: Daybook,
  writers: number,
  each: number,
  exact: boolean,
  latencies: number[] = [],
): Promise<number> => {
  await Promise.all(Array.from({ length: writers }, async (_, w) => {
    const stream: StreamId = `bench/${w}`;
    let revision = daybook.log.head(stream);
    for (let i = 0; i < each; i++) {
      const began = performance.now();
      const appended = await daybook.append({
        events: [readingEvent(stream)],
        ...(exact ? { expected: [[stream, revision < 0 ? "none" : revision]] } : {}),
      });
      if (!appended.ok) throw new Error(JSON.stringify(appended));
      revision = appended.receipts[0]!.revision;
      latencies.push(performance.now() - began);
    }
  }));
  return writers * each;
};
