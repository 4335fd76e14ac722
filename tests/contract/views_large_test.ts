/** Stores agree on every kind of question about a view so large that the database walks an index instead of sorting. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import { type SeededRandom, seededRandom } from "../../adapters/simulation/random.ts";
import type { Projection } from "../../projections/projection.ts";
import type { ViewChange, ViewQuery, Views } from "../../projections/views.ts";
import { sampling } from "../sampled.ts";
import { eventAt } from "./views_suite.ts";

const row = z.object({ group: z.string(), rank: z.number().optional(), flag: z.string().optional(), note: z.string() });
const items: Projection<z.output<typeof row>> = {
  name: "tests.large",
  version: 1,
  about: "Many rows.",
  hears: "*",
  row,
  initial: { group: "", note: "" },
  indexes: ["group", "rank", "flag"],
  text: (item) => item.note,
  keys: () => [],
  apply: (item) => item,
};

const EVENTS = 14_000;

/** 9,000 keys, most of them changed later, some removed, a few come again. */
const fill = (all: readonly Views[], random: SeededRandom) => {
  const stores = all.map((views) => views.open(items));
  const whole = (below: number) => Math.floor(random.next() * below);
  for (let position = 0; position < EVENTS;) {
    const changes: ViewChange[] = [];
    for (const end = Math.min(EVENTS, position + 1 + whole(300)); position < end; position++) {
      const key = position < 9_000 ? `k${(position * 7_919) % 9_000}` : `k${whole(9_000)}`;
      const group = random.next() < 0.01 ? "rare" : `g${whole(2)}`;
      const changed = {
        group,
        ...(random.next() < 0.9 ? { rank: whole(50) } : {}),
        ...(random.next() < 0.05 ? { flag: `since ${position}` } : {}),
        note: `${whole(3) ? "common" : "other"} word${whole(500)}`,
      };
      changes.push({
        key,
        row: position > 9_000 && random.next() < 0.2 ? undefined : changed,
        position,
        event: eventAt(position),
      });
    }
    for (const store of stores) store.commit(changes, position);
  }
};

/** Three pages of the answer, which is enough to cross every seam. */
const pages = (views: Views, query: ViewQuery) => {
  const found: unknown[] = [];
  for (let after: string | undefined, page = 0; page < 3; page++) {
    const answer = views.list(items.name, { ...query, after });
    found.push(...answer.rows, answer.size);
    if (answer.next === undefined) break;
    after = answer.next;
  }
  return found;
};

/** Each way of sorting with each of choosing. */
const queries = (): readonly ViewQuery[] => {
  const one = <T>(...options: readonly T[]) => options;
  const sorts = one(undefined, "key", "group", "rank", "flag");
  const wheres = one<ViewQuery["where"]>(
    undefined,
    { group: "g1" },
    { group: "rare" },
    { rank: "7" },
    { group: "g0", rank: "3" },
    { group: "none" },
  );
  const others = one<ViewQuery>(
    {},
    { at: EVENTS - 100 },
    { at: 8_000 },
    { at: 5_000 },
    { at: 300 },
    { text: "common" },
    { text: "word7" },
    { prefix: "k12" },
    { from: 9_500, until: 12_000 },
  );
  return sorts.flatMap((sort) =>
    wheres.flatMap((where) =>
      others.flatMap((other) =>
        one(false, true).map((descending) => ({ sort, where, descending, limit: 37, ...other }))
      )
    )
  );
};

/** One in five, which goes through all of 5, 6, 9 and 2 ways. */
const some = sampling(5);

Deno.test("memory and sqlite give the same pages of a large view, whatever is asked", () => {
  const [memory, sqlite] = [new MemoryViews(), new SqliteViews({ path: ":memory:" })];
  fill([memory, sqlite], seededRandom(7));
  for (const query of some(queries())) {
    assert.deepEqual(pages(sqlite, query), pages(memory, query), JSON.stringify(query));
  }
  for (const at of [0, 5_000, 9_500, EVENTS - 1]) {
    assert.deepEqual(sqlite.digest(items.name, at), memory.digest(items.name, at));
  }
  sqlite.close();
});

Deno.test("as of long ago a value that many newer rows have is listed once, and those behind it", () => {
  const all = [new MemoryViews(), new SqliteViews({ path: ":memory:" })];
  for (const store of all.map((views) => views.open(items))) {
    const changes = Array.from({ length: 8_000 }, (_, position): ViewChange => {
      // Of the first 5,000 some have the largest groups, of the later ones all; a few changed since.
      const late = position >= 5_000;
      const group = late || position % 99 === 0
        ? `z${position % 2}`
        : position % 400 === 0
        ? undefined
        : `a${position % 7}`;
      const key = position >= 7_900 ? `k${(position - 7_900) * 40}` : `k${position}`;
      return { key, row: { ...(group && { group }), rank: position, note: "" }, position, event: eventAt(position) };
    });
    store.commit(changes, 8_000);
  }
  for (const sort of ["group", "rank"]) {
    for (const descending of [true, false]) {
      for (const at of [4_500, 5_200, 7_950]) {
        const query: ViewQuery = { sort, descending, at, limit: 29 };
        assert.deepEqual(pages(all[1]!, query), pages(all[0]!, query), JSON.stringify(query));
      }
    }
  }
  all[1]!.close();
});

/** By which index the rows of a question are looked for, as SQLite says. */
const planOf = (ask: () => void): string => {
  const plans: string[] = [];
  const { prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function (sql, ...more) {
    if (sql.startsWith("SELECT position, row")) {
      const steps = prepare.call(this, `EXPLAIN QUERY PLAN ${sql}`).all();
      plans.push(...steps.map(({ detail }) => /USING INDEX (\w+)/.exec(`${detail}`)?.[1] ?? `${detail}`));
    }
    return prepare.call(this, sql, ...more);
  };
  try {
    ask();
  } finally {
    DatabaseSync.prototype.prepare = prepare;
  }
  assert.equal(plans.length, 1, plans.join());
  return plans[0]!;
};

Deno.test("of several conditions on an append-only view the one that fewest rows meet is looked for", () => {
  const seen = z.object({ kind: z.string(), whose: z.string(), same: z.string(), part: z.string() });
  const ledger: Projection<z.output<typeof seen>> = {
    name: "tests.many",
    version: 1,
    about: "Many rows.",
    hears: "*",
    row: seen,
    initial: { kind: "", whose: "", same: "", part: "" },
    indexes: ["kind", "whose", "same", "part"],
    appendOnly: true,
    keys: () => [],
    apply: (item) => item,
  };
  const views = new SqliteViews({ path: ":memory:", write: true });
  try {
    const rows = 120_000;
    const row = (position: number) => {
      const isOne = position % 40_000 === 0;
      // A part of thousands, of which hardly any are as nearly all others.
      const isPart = position % 20 === 0;
      return {
        kind: "all",
        whose: isOne ? "one" : "many",
        same: isPart && !isOne ? "part" : "all",
        part: isPart ? "some" : "none",
      };
    };
    const change = (position: number) => ({
      key: `${position}`,
      row: row(position),
      position,
      event: eventAt(position),
    });
    views.open(ledger).commit(Array.from({ length: rows }, (_, i) => change(i)), rows);
    const ones = ["0", "40000", "80000"];
    const asked = (where: Record<string, string>) => {
      let keys: readonly string[] = [];
      const plan = planOf(() => keys = views.list(ledger.name, { where }).rows.map(({ key }) => key));
      assert.deepEqual(keys, ones);
      return plan;
    };
    const whose = asked({ whose: "one" });
    for (const other of ["kind", "same"]) assert.equal(asked({ [other]: "all", whose: "one" }), whose);
    const part = asked({ part: "some", same: "all" });
    assert.equal(asked({ same: "all", part: "some" }), part);
    assert.notEqual(part, whose);
    assert.deepEqual(views.list(ledger.name, { where: { whose: "one", kind: "none" } }).rows, []);
  } finally {
    views.close();
  }
});
