/** A large history, its views attested while they are built, all of it replayed and compared, and read as of long ago. */
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import type { ReplayReport } from "../../adapters/cli/commands/replay.ts";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { parseConfig } from "../../config/config.ts";
import { openDaybook } from "../../main.ts";
import type { ViewQuery } from "../../projections/views.ts";
import { historyAt } from "./history.ts";
import { fill, inFolder, openLog, percentile, rounded } from "./rig.ts";
import { until } from "../until.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

export interface AsOf {
  /** The view, what was asked, and as of which part of the log. */
  readonly what: string;
  /** Medians of reads in turns, ms. */
  readonly live_ms: number;
  readonly at_ms: number;
  readonly ratio: number;
}

export interface Attested {
  readonly events: number;
  /** Until all views had caught up, attested on the way. */
  readonly built_s: number;
  readonly replay: {
    readonly ok: boolean;
    readonly size: number;
    readonly attestations: number;
    readonly equal: number;
    readonly views: number;
    readonly views_equal: number;
    readonly seconds: number;
    /** Most that the process of `replay --check` had, MiB; 0 where the system does not tell. */
    readonly rss: number;
  };
  /** Dearest first. */
  readonly reads: readonly AsOf[];
}

export interface AttestedOptions {
  readonly events: number;
  /** Reads of each kind, live and as of then in turns. */
  readonly rounds: number;
  /** Events after which a view is attested again. */
  readonly each: number;
}

export const attested = ({ events, rounds, each }: AttestedOptions): Promise<Attested> =>
  inFolder(async (folder) => {
    const data = `${folder}/data`;
    await (await openDaybook({ data })).close(); // its keys
    const { log } = await openLog(`${data}/log.db`);
    await fill(log, log.size + events, historyAt);
    await log.close();
    for (const name of ["views.db", "notes.db"]) await Deno.remove(`${data}/${name}`).catch(() => {});
    const daybook = await openDaybook({ data, config: attesting(each) });
    const began = performance.now();
    let built_s: number;
    let found: readonly AsOf[] = [];
    try {
      await settled(daybook);
      built_s = rounded((performance.now() - began) / 1_000);
      await allAttested(daybook);
      found = await asOf(daybook, rounds);
    } finally {
      await daybook.close();
    }
    return { events, built_s, replay: await replayed(data), reads: found };
  });

const attesting = (events_min: number) => {
  const parsed = parseConfig(`projections: { attest: { events_min: ${events_min} } }\n`, "soak", {});
  if (!parsed.ok) throw new Error(JSON.stringify(parsed));
  return parsed.config;
};

const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));

const settled = async (daybook: Daybook): Promise<void> => {
  const lagging = () => daybook.status().projections.filter(({ lag }) => lag > 0);
  await until("every view", lagging, ({ length }) => length === 0, { seconds: 3_600 });
};

/** Until the attester has seen what the views came to. */
const allAttested = async (daybook: Daybook): Promise<void> => {
  for (let size = -1; size !== daybook.log.size;) {
    size = daybook.log.size;
    await wait(2_500);
    await settled(daybook);
  }
};

/** `replay --check` of the command line, in a process of its own. */
const replayed = async (data: string): Promise<Attested["replay"]> => {
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", V8_FLAGS, "-A", "--config", CONFIG, MAIN, "replay", "--check", "--json", "--data", data],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let rss = 0;
  const watching = setInterval(() => rss = Math.max(rss, highWater(child.pid)), 100);
  const { stdout, stderr } = await child.output();
  clearInterval(watching);
  const seconds = rounded((performance.now() - began) / 1_000);
  const text = new TextDecoder().decode(stdout);
  if (text === "") throw new Error(new TextDecoder().decode(stderr));
  const { ok, size, attestations, views } = JSON.parse(text) as ReplayReport;
  const equal = (all: readonly { readonly equal: boolean | null }[]) => all.filter((one) => one.equal === true).length;
  return {
    ok,
    size,
    attestations: attestations.length,
    equal: equal(attestations),
    views: views.length,
    views_equal: equal(views),
    seconds,
    rss,
  };
};

/** MiB; proc(5), `VmHWM`. */
const highWater = (pid: number): number => {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
    return Math.round(Number(found?.[1] ?? 0) / 1_024);
  } catch {
    return 0;
  }
};

/** First pages of every view that has rows, in every order it knows, and single rows: now, and as of parts of the log. */
const asOf = async (daybook: Daybook, rounds: number): Promise<readonly AsOf[]> => {
  const { size } = daybook.log;
  const found: AsOf[] = [];
  for (const { name, indexes = [], appendOnly } of daybook.projections) {
    const { rows } = await daybook.view(name, { limit: 1 });
    if (rows.length === 0) continue;
    const sorts = appendOnly ? ["key"] : ["key", ...indexes];
    const lists = sorts.flatMap((sort) =>
      [false, true].map((descending): readonly [string, ViewQuery] => [
        `${name} by ${sort}${descending ? " downwards" : ""}`,
        { ...(sort === "key" ? {} : { sort }), descending, limit: 100 },
      ])
    );
    for (const part of [0.9, 0.5, 0.1]) {
      const at = Math.floor(size * part);
      const [held] = (await daybook.view(name, { limit: 1, at })).rows;
      for (const [what, query] of lists) {
        const read = (at?: number) => daybook.view(name, { ...query, ...(at === undefined ? {} : { at }) });
        found.push(await inTurns(`${what} as of ${part}`, read, { at, rounds }));
      }
      if (held === undefined) continue;
      const row = (at?: number) => daybook.row(name, held.key, at === undefined ? {} : { at });
      found.push(await inTurns(`${name} one row as of ${part}`, row, { at, rounds }));
    }
  }
  return found.sort((a, b) => b.ratio - a.ratio);
};

const inTurns = async (
  what: string,
  read: (at?: number) => Promise<unknown>,
  { at, rounds }: { readonly at: number; readonly rounds: number },
): Promise<AsOf> => {
  const [live, then]: [number[], number[]] = [[], []];
  await read();
  await read(at);
  for (let round = 0; round < rounds; round++) {
    let began = performance.now();
    await read();
    live.push(performance.now() - began);
    began = performance.now();
    await read(at);
    then.push(performance.now() - began);
  }
  const [live_ms, at_ms] = [percentile(live, 0.5), percentile(then, 0.5)];
  return { what, live_ms: rounded(live_ms), at_ms: rounded(at_ms), ratio: rounded(at_ms / live_ms) };
};
