/** What sealing at rest costs: the same work in a folder that is sealed and in one that is clear, in turns. Nothing is promised of it. */
import { sealingOf } from "../adapters/keys/at_rest.ts";
import { inlineBackground } from "../adapters/kv/background.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { SealedStore } from "../adapters/kv/sealed_store.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { catalogue } from "../events/catalogue.ts";
import { type Bench, bench as domain, openBench, quiet, readingEvent, write } from "./rig.ts";
import type { Measured, Row, Stand } from "./row.ts";

const BATCH = 500;
/** More than the cache of decoded blocks holds. */
const REPLAYED = 200_000;
const VERIFIED = 100_000;
const VIEWED = 50_000;
const READS = 2_000;
const KEY = new Uint8Array(32).fill(7);

const timed = async (work: () => number | Promise<number>): Promise<Measured> => {
  const began = performance.now();
  const units = await work();
  return { units, ms: performance.now() - began };
};

/** The same work in both folders, when each has what `fill` writes. */
const both = async (
  work: (bench: Bench) => number | Promise<number>,
  fill: (bench: Bench) => Promise<unknown> = () => Promise.resolve(),
): Promise<Stand> => {
  const [sealed, clear] = [await openBench({ sealed: true }), await openBench()];
  for (const bench of [sealed, clear]) {
    await fill(bench);
    await quiet(bench);
  }
  return {
    ours: () => timed(() => work(sealed)),
    async rest() {
      await quiet(sealed);
      await quiet(clear);
    },
    baseline: () => timed(() => work(clear)),
    async close() {
      await sealed.close();
      await clear.close();
    },
    abandon() {
      for (const { dir } of [sealed, clear]) Deno.removeSync(dir, { recursive: true });
    },
  };
};

const inBatches = (events: number) => async ({ daybook }: Bench): Promise<void> => {
  for (let n = 0; n < events; n += BATCH) {
    await daybook.append({ events: Array.from({ length: BATCH }, (_, i) => readingEvent(`bench/${i % 64}`)) });
  }
};

const byType = ({ daybook }: Bench): number => {
  const sums = new Map<string, number>();
  for (const batch of daybook.log.read({})) {
    for (const { type } of batch) sums.set(type, (sums.get(type) ?? 0) + 1);
  }
  return sums.values().reduce((sum, n) => sum + n, 0);
};

const pages = async ({ daybook }: Bench): Promise<number> => {
  for (let i = 0; i < READS; i++) {
    await daybook.view("audit.trail", { where: { stream: `bench/${i % 64}` }, descending: true, limit: 20 });
  }
  return READS;
};

const logOf = async (path: string, sealed: boolean): Promise<void> => {
  const file = await KvStore.open(path, { clock: systemClock, random: systemRandom });
  const store = sealed ? new SealedStore(file, sealingOf(KEY)) : file;
  const log = await KvLog.open(store, {
    catalogue: catalogue(domain),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
  });
  for (let n = 0; n < VERIFIED; n += BATCH) {
    await log.append({ events: Array.from({ length: BATCH }, (_, i) => readingEvent(`bench/${i % 64}`)) });
  }
  await log.close();
};

const verifying = async (): Promise<Stand> => {
  const dir = await Deno.makeTempDir({ prefix: "daybook-bench-" });
  await logOf(`${dir}/sealed.db`, true);
  await logOf(`${dir}/clear.db`, false);
  const verify = (name: string) =>
    timed(async () => {
      const { ok, size, failures } = await verifyLog({ path: `${dir}/${name}.db`, sealedUnder: KEY });
      if (!ok) throw new Error(JSON.stringify(failures));
      return size;
    });
  return {
    ours: () => verify("sealed"),
    baseline: () => verify("clear"),
    close: () => Deno.remove(dir, { recursive: true }),
  };
};

const AGAINST = "the same, clear";

export const atRestRows: readonly Row[] = [
  {
    name: "append, 256 writers, sealed at rest",
    group: "append",
    against: AGAINST,
    unit: "events",
    open: () => both(({ daybook }) => write(daybook, 256, 80, false)),
  },
  {
    name: "replay through a counting fold, sealed at rest",
    group: "replay",
    against: AGAINST,
    unit: "events",
    open: () => both(byType, inBatches(REPLAYED)),
  },
  {
    name: "verify, sealed at rest",
    group: "verify",
    against: AGAINST,
    unit: "events",
    open: verifying,
  },
  {
    name: "audit.trail caught up, sealed at rest",
    group: "project",
    against: AGAINST,
    about: "appended, and until all views have followed",
    unit: "events",
    open: () =>
      both(async (bench) => {
        await inBatches(20_000)(bench);
        await quiet(bench);
        return 20_000;
      }),
  },
  {
    name: "pages of audit.trail, sealed at rest",
    group: "project",
    against: AGAINST,
    unit: "reads",
    open: () => both(pages, inBatches(VIEWED)),
  },
];
