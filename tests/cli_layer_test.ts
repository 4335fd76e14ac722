/** A stored view that is behind, with the rest folded on top, answers as the whole fold does. */
import assert from "node:assert/strict";
import { build } from "../adapters/cli/fold.ts";
import { layered } from "../adapters/cli/layer.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { ViewPage, ViewQuery } from "../projections/views.ts";
import { auditTrail } from "../projections/audit.ts";
import { commitsBranches } from "../projections/commits.ts";
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

/** Keys of all pages. */
const walk = async (
  list: (query: ViewQuery) => ViewPage | Promise<ViewPage>,
  query: ViewQuery,
): Promise<readonly string[]> => {
  const keys: string[] = [];
  for (let after: string | undefined, pages = 0; pages < 50; pages++) {
    const page = await list({ ...query, ...(after === undefined ? {} : { after }) });
    assert.equal(page.size, 30);
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
      const layer = layered(reader, auditTrail, { stored, from, until: 30 })!;
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

Deno.test("a layer keeps a question to what the view can answer", () => {
  const layer = layered(reader, auditTrail, { stored: built(10), from: 10, until: 30 })!;
  assert.throws(() => layer.list(auditTrail.name, { after: "elsewhere" }), { name: "ViewQuestion" });
  assert.throws(() => layer.list(auditTrail.name, { where: { no: "such" } }), { name: "ViewQuestion" });
});

Deno.test("a view whose rows change gets no layer unless nothing it hears is new", () => {
  const stored = new MemoryViews();
  build(reader, commitsBranches, { scratch: stored, until: 10, progress: () => {} });
  assert.ok(layered(reader, commitsBranches, { stored, from: 10, until: 30 }));
  const hears = {
    ...commitsBranches,
    hears: "*",
    keys: () => ["one"],
    apply: () => ({}) as never,
  } as unknown as typeof commitsBranches;
  assert.equal(layered(reader, hears, { stored, from: 10, until: 30 }), undefined);
});
