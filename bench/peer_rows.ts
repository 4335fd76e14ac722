/** Rows beside peers: what people would use instead. Nothing is promised of them. */
import { askingNact, tellingNact } from "./actors_rig.ts";
import { emmett, withoutEmmett, withoutNact } from "./peers/peer.ts";
import { type Bench, openBench, quiet, readingEvent, write } from "./rig.ts";
import type { Measured, Row, Stand } from "./row.ts";

const BATCH = 500;
/** As in the row beside a table: more than the cache of decoded blocks holds. */
const REPLAYED = 200_000;

const timed = async (work: () => number | Promise<number>): Promise<Measured> => {
  const began = performance.now();
  const units = await work();
  return { units, ms: performance.now() - began };
};

const inBatches = async ({ daybook }: Bench, batches: number): Promise<number> => {
  for (let b = 0; b < batches; b++) {
    await daybook.append({ events: Array.from({ length: BATCH }, () => readingEvent(`bench/${b % 8}`)) });
  }
  return batches * BATCH;
};

const byType = ({ daybook }: Bench): number => {
  const sums = new Map<string, number>();
  for (const batch of daybook.log.read({})) {
    for (const { type } of batch) sums.set(type, (sums.get(type) ?? 0) + 1);
  }
  return sums.values().reduce((sum, n) => sum + n, 0);
};

/** Ours beside what emmett does when told `what`; before that, both have what `fill` writes. */
const besideEmmett = async (
  ours: (bench: Bench) => number | Promise<number>,
  what: string,
  fill?: { readonly ours: (bench: Bench) => Promise<number>; readonly theirs: string },
): Promise<Stand> => {
  const bench = await openBench();
  const peer = await emmett();
  if (fill) {
    await fill.ours(bench);
    await quiet(bench);
    await peer.measure(fill.theirs);
  }
  return {
    ours: () => timed(() => ours(bench)),
    rest: () => quiet(bench),
    baseline: () => peer.measure(what),
    async close() {
      await peer.stop();
      await bench.close();
    },
    abandon() {
      peer.kill();
      Deno.removeSync(bench.dir, { recursive: true });
    },
  };
};

const EMMETT = { against: "emmett-sqlite", unit: "events", without: withoutEmmett } as const;
const NACT = { group: "ask", against: "nact", without: withoutNact } as const;

export const peerRows: readonly Row[] = [
  {
    ...EMMETT,
    name: "append, 1 writer, to a peer",
    group: "append",
    open: () => besideEmmett(({ daybook }) => write(daybook, 1, 200, false), "append 200"),
  },
  {
    ...EMMETT,
    name: "append, batches of 500, to a peer",
    group: "append",
    open: () => besideEmmett((bench) => inBatches(bench, 20), `batches 20 ${BATCH}`),
  },
  {
    ...EMMETT,
    name: "replay through a counting fold, to a peer",
    group: "replay",
    open: () =>
      besideEmmett(byType, "replay", {
        ours: (bench) => inBatches(bench, REPLAYED / BATCH),
        theirs: `batches ${REPLAYED / BATCH} ${BATCH}`,
      }),
  },
  { ...NACT, name: "tell, 1 actor, to a peer", unit: "messages", open: () => tellingNact(1) },
  { ...NACT, name: "tell, 1,000 actors, to a peer", unit: "messages", open: () => tellingNact(1_000) },
  { ...NACT, name: "ask in sequence, to a peer", unit: "answers", open: askingNact },
];
