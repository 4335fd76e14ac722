/** Lists as of then, where leaves fill up, empty and are joined: rows that are hot, fields that rise, keys that come and go. */
import assert from "node:assert/strict";
import { z } from "zod";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import type { Connection } from "../../adapters/sqlite/connection.ts";
import { leavesOf } from "../../adapters/sqlite/timeline_read.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import type { Projection } from "../../projections/projection.ts";
import type { ViewChange, ViewQuery, Views } from "../../projections/views.ts";
import { inFolder } from "../folder_given.ts";

const row = z.object({ last: z.number(), kind: z.string(), score: z.number().optional(), seen: z.number() });
const things: Projection<z.output<typeof row>> = {
  name: "tests.timeline",
  version: 1,
  about: "Rows that change often.",
  hears: "*",
  row,
  initial: { last: 0, kind: "", seen: 0 },
  indexes: ["last", "kind", "score", "seen"],
  keys: () => [],
  apply: (thing) => thing,
};

const EVENTS = 8_000;
const KEYS = 1_500;

/** What one transaction changes: a few keys very often, the others now and then, one in twelve goes. */
const batches = (seed: number): readonly (readonly [readonly ViewChange[], number])[] => {
  const random = seededRandom(seed);
  const whole = (below: number) => Math.floor(random.next() * below);
  const all: (readonly [readonly ViewChange[], number])[] = [];
  const there = new Set<string>();
  for (let position = 0; position < EVENTS;) {
    const changes: ViewChange[] = [];
    // From one event to more than a leaf holds.
    const end = Math.min(EVENTS, position + 1 + (random.next() < 0.7 ? whole(20) : whole(1_500)));
    for (; position < end; position++) {
      const key = random.next() < 0.3 ? `hot${whole(5)}` : `k${String(whole(KEYS)).padStart(4, "0")}`;
      // As a fold does: what is not there does not go.
      const gone = there.has(key) && random.next() < 0.08;
      gone ? there.delete(key) : there.add(key);
      const changed = {
        last: position,
        kind: `kind ${whole(3)}`,
        ...(random.next() < 0.8 ? { score: whole(400) } : {}),
        seen: Math.floor(position / 1_000),
      };
      changes.push({ key, row: gone ? undefined : changed, position });
      // One event may touch several rows.
      if (random.next() < 0.1) changes.push({ key: `also ${position % KEYS}`, row: changed, position });
    }
    all.push([changes, end]);
  }
  return all;
};

const pages = (views: Views, query: ViewQuery) => {
  const found: unknown[] = [];
  for (let after: string | undefined, page = 0; page < 4; page++) {
    const answer = views.list(things.name, { ...query, after });
    found.push(...answer.rows, answer.size);
    if (answer.next === undefined) break;
    after = answer.next;
  }
  return found;
};

const NARROWED: readonly ViewQuery[] = [
  {},
  { where: { kind: "kind 1" } },
  { where: { score: "7" } },
  { where: { kind: "kind 2", seen: "3" } },
  { prefix: "k01" },
  { from: 1_500, until: 6_500 },
];

const questions = (): readonly ViewQuery[] =>
  [undefined, "key", ...things.indexes!].flatMap((sort) =>
    NARROWED.flatMap((more) =>
      [false, true].map((descending): ViewQuery => ({ ...more, ...(sort && { sort }), descending, limit: 23 }))
    )
  );

Deno.test("lists as of any position are what they were, whatever came before and after", () =>
  inFolder((path) => {
    const memory = new MemoryViews();
    let sqlite = new SqliteViews({ path, notes: false });
    let [one, two] = [memory.open(things), sqlite.open(things)];
    batches(11).forEach(([changes, size], i) => {
      // A transaction that fails leaves nothing, and a writer that comes anew goes on.
      if (i % 40 === 7) {
        const broken = { key: "x", row: { toJSON: () => 1n } as never, position: size - 1 };
        assert.throws(() => two.commit([...changes, broken], size));
      }
      if (i % 25 === 3) {
        sqlite.close();
        sqlite = new SqliteViews({ path, notes: false });
        two = sqlite.open(things);
      }
      one.commit(changes, size);
      two.commit(changes, size);
    });
    one = memory.open(things);
    for (const at of [0, 600, 2_500, 6_000, EVENTS - 2]) {
      for (const question of questions()) {
        const query = { ...question, at };
        assert.deepEqual(pages(sqlite, query), pages(memory, query), JSON.stringify(query));
      }
      assert.deepEqual(sqlite.digest(things.name, at), memory.digest(things.name, at));
    }
    const { kept, ...found } = sqlite.digest(things.name);
    assert.deepEqual(kept, { rows: found.rows, digest: found.digest });
    assert.deepEqual(memory.digest(things.name).digest, found.digest);
    assert.equal(one.size, EVENTS);
    sqlite.close();
    return Promise.resolve();
  }));

Deno.test("a page as of then reads a few leaves, however much its rows have changed", () => {
  const views = new SqliteViews({ path: ":memory:", notes: false });
  const store = views.open(things);
  // Each of 200 keys changes 100 times, and its `last` rises.
  const ROUNDS = 100, ROWS = 200;
  for (let round = 0; round < ROUNDS; round++) {
    const changes = Array.from({ length: ROWS }, (_, i): ViewChange => {
      const position = round * ROWS + i;
      return { key: `k${i}`, row: { last: position, kind: "one", seen: round }, position };
    });
    store.commit(changes, (round + 1) * ROWS);
  }
  // So many entries lie in a leaf at most that holds now, or did then: of 20,000 that `last` has had.
  const { reader } = views as unknown as { reader: Connection };
  for (const at of [3_000, 10_000, 19_000]) {
    const leaves = [...leavesOf(reader, 1, { field: 0, at, descending: false })];
    const entries = leaves.reduce(
      (sum, leaf) => sum + (reader.one("SELECT count(*) FROM x1 WHERE leaf = ?", leaf)![0] as number),
      0,
    );
    const told = `${leaves.length} leaves with ${entries} entries hold ${ROWS} rows as of ${at}`;
    assert.ok(leaves.length > 0 && leaves.length <= 8 && entries >= ROWS && entries <= 3_000, told);
  }
  views.close();
});
