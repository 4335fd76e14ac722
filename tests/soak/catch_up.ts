/** Views that are new to a large log catch up while appends go on. */
import type { Daybook } from "../../actors/kernel/daybook.ts";
import type { StreamId } from "../../events/event.ts";
import { openDaybook } from "../../main.ts";
import { eventAt, fill, inFolder, openLog, percentile, rounded } from "./rig.ts";
import { until } from "../until.ts";

export interface Appends {
  readonly appends: number;
  readonly per_s: number;
  readonly p95_ms: number;
  readonly longest_ms: number;
}

export interface CatchUp {
  readonly events: number;
  /** Seconds until every view had caught up, appends meanwhile among them. */
  readonly seconds: number;
  readonly during: Appends;
  /** The same once nothing was left to catch up with. */
  readonly beside: Appends;
  /** Position after the newest row, as of `size`, of the view that has a row for each event. */
  readonly rows: number;
  /** Of the log when it was opened. */
  readonly size: number;
}

/** All views of Daybook are new at once: `audit.trail` has a row, and full text, for every event. */
export const catchUp = (
  { events, writers, beside_ms }: { events: number; writers: number; beside_ms: number },
): Promise<CatchUp> =>
  inFolder(async (folder) => {
    const data = `${folder}/data`;
    await (await openDaybook({ data })).close(); // its keys
    const { log } = await openLog(`${data}/log.db`);
    await fill(log, log.size + events, (n) => eventAt(n));
    await log.close();
    for (const name of ["views.db", "notes.db"]) await Deno.remove(`${data}/${name}`).catch(() => {});
    const daybook = await openDaybook({ data });
    try {
      const target = daybook.status().size;
      const began = performance.now();
      // It is a view that serves once it has what the log had at the start, however much came since.
      const behind = () => daybook.status().projections.some(({ size }) => size < target);
      const during = await appending(daybook, writers, "d", behind);
      const seconds = (performance.now() - began) / 1_000;
      await settled(daybook);
      const until = performance.now() + beside_ms;
      const beside = await appending(daybook, writers, "b", () => performance.now() < until);
      await settled(daybook);
      const { rows } = await daybook.view("audit.trail", { sort: "key", descending: true, limit: 1, at: target - 1 });
      return {
        events,
        seconds: rounded(seconds),
        during,
        beside,
        rows: (rows[0]?.position ?? -1) + 1,
        size: target,
      };
    } finally {
      await daybook.close();
    }
  });

const settled = async (daybook: Daybook): Promise<void> => {
  const lagging = () => daybook.status().projections.filter(({ lag }) => lag > 0);
  await until("every view", lagging, ({ length }) => length === 0, { seconds: 3_600 });
};

/** Each writer appends one event after another to a stream of its own. */
const appending = async (
  daybook: Daybook,
  writers: number,
  name: string,
  goOn: () => boolean,
): Promise<Appends> => {
  const latencies: number[] = [];
  const began = performance.now();
  await Promise.all(Array.from({ length: writers }, async (_, w) => {
    for (let i = 0; goOn(); i++) {
      const sent = performance.now();
      const stream: StreamId = `soak/${name}${w}`;
      const appended = await daybook.append({ events: [{ ...eventAt(i, 1, stream), id: `${name}.${w}.${i}` }] });
      if (!appended.ok) throw new Error(JSON.stringify(appended));
      latencies.push(performance.now() - sent);
      // Not as fast as it goes: an organisation's events, not a flood of them.
      await new Promise((done) => setTimeout(done, 1));
    }
  }));
  const seconds = (performance.now() - began) / 1_000;
  return {
    appends: latencies.length,
    per_s: Math.round(latencies.length / seconds),
    p95_ms: rounded(percentile(latencies, 0.95)),
    longest_ms: rounded(latencies.reduce((most, ms) => Math.max(most, ms), 0)),
  };
};
