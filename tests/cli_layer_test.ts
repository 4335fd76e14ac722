/** A stored view that is behind, with the rest folded on top, answers as the whole fold does. */
import assert from "node:assert/strict";
import { z } from "zod";
import { build } from "../adapters/cli/fold.ts";
import { layered } from "../adapters/cli/layer.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Range } from "../events/log.ts";
import type { ViewPage, ViewQuery } from "../projections/views.ts";
import { auditTrail } from "../projections/audit.ts";
import type { Projection } from "../projections/projection.ts";
import { readerOf } from "./cli_given.ts";

const log = new MemoryLog(systemClock);
const reader = readerOf(log);
for (let i = 0; i < 30; i++) {
  await log.append({
    events: [{
      id: String(i),
      source: "/tests",
      time: "2026-01-01T00:00:00Z",
      type: i % 3 === 0 ? "tests.thing.begun" : "tests.thing.ended",
      stream: `tests/${i % 2}`,
      version: 1,
      authtype: "user",
      authid: "u_1",
      data: { word: i % 5 === 0 ? "five" : "other" },
    }],
  });
}

const built = (until: number) => {
  const views = new MemoryViews();
  build(reader, auditTrail, { scratch: views, until, progress: () => {} });
  return views;
};
const whole = built(30);
const scratch = () => Promise.resolve(new MemoryViews());

/** Keys of all pages. */
const walk = async (
  list: (query: ViewQuery) => ViewPage | Promise<ViewPage>,
  query: ViewQuery,
  size = 30,
): Promise<readonly string[]> => {
  const keys: string[] = [];
  for (let after: string | undefined, pages = 0; pages < 50; pages++) {
    const page = await list({ ...query, ...(after === undefined ? {} : { after }) });
    assert.equal(page.size, size);
    keys.push(...page.rows.map(({ key }) => key));
    if (page.next === undefined) return keys;
    assert.equal(page.rows.length, query.limit);
    after = page.next;
  }
  assert.fail("the pages have no end");
};

const QUERIES: readonly ViewQuery[] = [
  {},
  { descending: true },
  { where: { type: "tests.thing.begun" } },
  { where: { stream: "tests/1" }, descending: true },
  { text: "five" },
  { from: 8, until: 27 },
];

for (const from of [0, 1, 10, 29, 30]) {
  for (const query of QUERIES) {
    Deno.test(`pages of a trail stored up to ${from} of 30 are those of the whole: ${JSON.stringify(query)}`, async () => {
      const stored = built(from);
      const layer = await layered(reader, auditTrail, { stored, from, until: 30, scratch });
      for (const limit of [1, 7, 100]) {
        const keys = await walk((asked) => layer.list(auditTrail.name, asked), { ...query, limit });
        assert.deepEqual(keys, await walk((asked) => whole.list(auditTrail.name, asked), { ...query, limit }));
      }
      for (const key of ["0", "9", "10", "29", "30", "x"]) {
        assert.deepEqual((await layer.row(auditTrail.name, key)).row, whole.row(auditTrail.name, key).row);
      }
    });
  }
}

Deno.test("a layer keeps a question to what the view can answer", async () => {
  const layer = await layered(reader, auditTrail, { stored: built(10), from: 10, until: 30, scratch });
  assert.throws(() => layer.list(auditTrail.name, { after: "elsewhere" }), { name: "ViewQuestion" });
  assert.throws(() => layer.list(auditTrail.name, { where: { no: "such" } }), { name: "ViewQuestion" });
});

interface Turn {
  readonly nth: number;
  readonly odd: boolean;
}

/** Rows come, change and end, in no order of their keys; a working row counts. */
const turns: Projection<Turn> = {
  name: "tests.turns",
  version: 1,
  about: "",
  hears: "*",
  row: z.strictObject({ nth: z.number(), odd: z.boolean() }),
  initial: { nth: 0, odd: false },
  indexes: ["nth", "odd"],
  keys: ({ position }) => [`k${position * 7 % 11}`, "~seen"],
  apply(row, { position }, key, read) {
    if (key === "~seen") return { nth: row.nth + 1, odd: false };
    const nth = (read("~seen")?.nth ?? 0) + 1;
    return position % 9 === 8 ? undefined : { nth, odd: nth % 2 === 1 };
  },
};

const turned = (until: number) => {
  const views = new MemoryViews();
  build(reader, turns as never, { scratch: views, until, progress: () => {} });
  return views;
};

for (const from of [0, 1, 10, 29, 30]) {
  Deno.test(`a view whose rows change, stored up to ${from} of 30, is gone on with as the whole is, and nothing before is read`, async () => {
    const kept = {
      ...reader,
      read: (range: Range) => (range.from ?? 0) < from ? assert.fail("it was folded before") : log.read(range),
    };
    for (const until of new Set([Math.max(from, 20), 30])) {
      const views = turned(until);
      const layer = await layered(kept, turns as never, { stored: turned(from), from, until, scratch });
      for (
        const query of [
          {},
          { descending: true },
          { where: { odd: "true" }, sort: "nth" },
          { prefix: "k1" },
          { sort: "nth", descending: true },
          { from: 12 },
        ]
      ) {
        for (const limit of [1, 3, 100]) {
          const keys = await walk((asked) => layer.list(turns.name, asked), { ...query, limit }, until);
          assert.deepEqual(keys, await walk((asked) => views.list(turns.name, asked), { ...query, limit }, until));
        }
      }
      for (let i = 0; i < 12; i++) {
        const asked = i === 11 ? "~seen" : `k${i}`;
        assert.deepEqual(await layer.row(turns.name, asked), views.row(turns.name, asked));
      }
    }
  });
}
