/** Views as they stand now: what is stored of them, gone on with, is what the whole log makes of them. */
import assert from "node:assert/strict";
import type { Call } from "../adapters/cli/call.ts";
import { build } from "../adapters/cli/fold.ts";
import type { Runtime } from "../adapters/cli/runtime.ts";
import { Standing } from "../adapters/cli/standing.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { systemClock } from "../adapters/system/world.ts";
import { LogFault } from "../events/log.ts";
import { type AnyProjection } from "../projections/projection.ts";
import { alertsSilences } from "../projections/alerts.ts";
import { ViewsFault } from "../projections/views.ts";
import { readerOf } from "./cli_given.ts";

const log = new MemoryLog(systemClock);
// More than a page of rows, in no order of their keys; some end.
for (let i = 0; i < 1_500; i++) {
  const ends = i % 7 === 6;
  await log.append({
    events: [{
      id: String(i),
      source: "/tests",
      time: "2026-01-01T00:00:00Z",
      type: ends ? "alerts.silence.ended" : "alerts.silence.begun",
      stream: `alerts/r${(ends ? i - 3 : i) * 7_919 % 1_500}`,
      version: 1,
      authtype: "user",
      authid: "u_1",
      data: ends ? {} : { until: "2026-02-01T00:00:00Z", why: String(i) },
    }],
  });
}

/** A reader that remembers where reading began, of a log that can be read from a position on. */
const given = (kept: number) => {
  const begins: number[] = [];
  const reader = {
    ...readerOf(log),
    read: (range: { readonly from?: number } = {}) => {
      begins.push(range.from ?? 0);
      if ((range.from ?? 0) < kept) throw new LogFault("archived", "what lies before was archived");
      return log.read(range);
    },
  };
  return { reader, begins };
};

const storedUntil = (until: number, projection: AnyProjection = alertsSilences) => {
  const views = new MemoryViews();
  build(readerOf(log), projection, { scratch: views, until, progress: () => {} });
  return views;
};

const standing = async (views: MemoryViews | undefined, { kept = 0 } = {}) => {
  const { reader, begins } = given(kept);
  const told: string[] = [];
  const runtime = {
    projections: () => Promise.resolve([alertsSilences]),
    views: () => Promise.resolve(views),
    io: { err: (text: string) => void told.push(text) },
  } as unknown as Runtime;
  const one = await Standing.of(["alerts.silences"], { reader, call: { data: "/data" } as Call, runtime });
  one.catchUp();
  return { rows: [...one.rows("alerts.silences")], begins, told };
};

const whole = (await standing(undefined)).rows;

for (const until of [0, 1, 700, 1_499, 1_500]) {
  Deno.test(`a view stored up to ${until} of 1500 is gone on with, in the order of its rows`, async () => {
    const { rows, begins } = await standing(storedUntil(until), { kept: until });
    assert.deepEqual(rows, whole);
    assert.deepEqual(begins, [until]);
  });
}

Deno.test("a stored view of another version, of another log, or damaged deep in its file is passed over", async () => {
  const other = { ...alertsSilences, version: 2 } as AnyProjection;
  assert.deepEqual(await standing(storedUntil(700, other)), { rows: whole, begins: [0], told: [] });
  const ahead = storedUntil(700);
  const states = ahead.stores();
  ahead.stores = () => states.map((state) => ({ ...state, size: 1_501 }));
  const foreign = await standing(ahead);
  assert.deepEqual([foreign.rows, foreign.begins], [whole, [0]]);
  assert.match(foreign.told.join(), /the view shows 1501 events, and the log has 1500/);
  const damaged = storedUntil(700);
  damaged.list = () => {
    throw new ViewsFault("damaged", "a page is not what it was");
  };
  const found = await standing(damaged);
  assert.deepEqual([found.rows, found.begins], [whole, [0]]);
  assert.match(found.told.join(), /a page is not what it was/);
});

Deno.test("where the view cannot be had and its beginning is archived, it is said what would help", async () => {
  await assert.rejects(standing(undefined, { kept: 10 }), {
    kind: "archived",
    message:
      /^no stored view can be gone on with \(alerts\.silences\), and what lies .* `start` with log\.archive builds it/,
  });
});
