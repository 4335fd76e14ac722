import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { ACTIONS } from "../../adapters/http/actions.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import { events } from "../../events/mod.ts";
import { FoldedRows } from "../../projections/digest.ts";
import { folder } from "../../projections/fold.ts";
import { computed, projections } from "../../projections/mod.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import type { ViewChange, ViewQuery, Views } from "../../projections/views.ts";
import { primitives } from "../projections_given.ts";
import { freeze, histories } from "./arbitrary.ts";

const known = events.domains.flatMap(({ facts }) => Object.keys(facts));

/** All it hears, and for one that hears everything also a type nobody knows. */
const typesOf = ({ hears }: AnyProjection) => hears === "*" ? [...known, "unknown.thing.happened"] : hears;

/** Rows of a fold, every one frozen, so that a fold that changes its input is found out. */
const folded = (projection: AnyProjection, history: readonly Event[]) => {
  const rows = new Map<string, unknown>();
  const changes: ViewChange[] = [];
  const fold = folder(projection, {
    get: (key) => rows.get(key),
    set(change) {
      changes.push(change);
      change.row === undefined ? rows.delete(change.key) : rows.set(change.key, freeze(change.row));
    },
  });
  for (const event of history) fold(event);
  return { rows, changes };
};

const digestOf = (projection: AnyProjection, history: readonly Event[]): string => {
  const rows = new FoldedRows(projection, primitives);
  const fold = folder(projection, rows);
  for (const event of history) fold(event);
  return rows.digest().digest;
};

for (const { name, about, row, indexes = [], columns = [], asks, action } of computed) {
  Deno.test(`${name} is named domain.noun, is asked for by fields of its rows, and wants an action that there is`, () => {
    assert.match(name, /^[a-z]+\.[a-z][a-z0-9_]*$/);
    assert.match(about, /^[A-Z].*\.$/);
    assert.ok(!projections.some((projection) => projection.name === name));
    const schema = z.toJSONSchema(row, { unrepresentable: "throw" }) as { properties?: object };
    const fields = Object.keys(schema.properties ?? {});
    assert.deepEqual([...indexes, ...columns].filter((field) => !fields.includes(field)), []);
    assert.deepEqual(asks.filter((field) => !indexes.includes(field)), []);
    assert.ok(Object.hasOwn(ACTIONS, action));
  });
}

for (const projection of projections) {
  const { name } = projection;

  Deno.test(`${name} is named domain.noun, hears known facts and indexes fields of its rows`, () => {
    assert.match(name, /^[a-z]+\.[a-z][a-z0-9_]*$/);
    assert.ok(Number.isInteger(projection.version) && projection.version >= 1);
    assert.match(projection.about, /^[A-Z].*\.$/);
    if (projection.hears !== "*") assert.deepEqual(projection.hears.filter((type) => !known.includes(type)), []);
    // OpenAPI is made from it, so it must have a JSON Schema.
    const schema = z.toJSONSchema(projection.row, { unrepresentable: "throw" }) as { properties?: object };
    const fields = Object.keys(schema.properties ?? {});
    assert.deepEqual((projection.indexes ?? []).filter((field) => !fields.includes(field)), []);
    assert.ok(
      !projection.appendOnly || projection.history === undefined,
      "what never changes has no history to leave out",
    );
  });

  Deno.test(`${name} folds any history, changes no input, always says the same, and its rows are what its schema says`, () => {
    fc.assert(fc.property(histories(events, typesOf(projection)), (history) => {
      freeze(projection.initial);
      const { rows, changes } = folded(projection, history);
      assert.deepEqual(folded(projection, history).rows, rows);
      for (const { key, row, position } of changes) {
        if (row === undefined) continue;
        const parsed = projection.row.safeParse(row);
        assert.ok(parsed.success, `the row "${key}" at position ${position}: ${parsed.error?.message}`);
        canonical(row);
        if (projection.text) assert.equal(typeof projection.text(row, key, history[position]!), "string");
      }
      if (projection.appendOnly) {
        for (const { key, row, position } of changes) {
          assert.deepEqual([key, row === undefined], [String(position), false]);
        }
        assert.equal(new Set(changes.map(({ key }) => key)).size, changes.length);
      }
    }));
  });

  for (
    const [label, open] of [["memory", () => new MemoryViews()], [
      "sqlite",
      () => new SqliteViews({ path: ":memory:" }),
    ]] as const
  ) {
    Deno.test(`${name} in ${label} is the same in any batching, opened again between batches or not, and as of any position what it was then`, () => {
      fc.assert(
        fc.property(
          histories(events, typesOf(projection), 12),
          fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 12, maxLength: 12 }),
          (history, cuts) => {
            const views = open();
            try {
              batched(views, projection, history, cuts);
              const { kept, ...found } = views.digest(name);
              assert.equal(found.digest, digestOf(projection, history));
              assert.deepEqual(kept, { rows: found.rows, digest: found.digest }, "the digest kept with the rows");
              if (projection.history === "none") return;
              const reference = new MemoryViews();
              batched(reference, projection, history, cuts);
              for (let at = 0; at < history.length; at++) {
                for (const query of [{}, ...sorted(projection)]) {
                  // As it is stored: a member that is undefined is none.
                  const [found, told] = [views, reference].map((store) =>
                    canonical(store.list(name, { ...query, at }))
                  );
                  assert.equal(found, told, `as of ${at}, ${JSON.stringify(query)}`);
                }
                assert.equal(
                  views.digest(name, at).digest,
                  digestOf(projection, history.slice(0, at + 1)),
                  `as of ${at}`,
                );
              }
            } finally {
              views.close();
            }
          },
        ),
        { numRuns: 20 },
      );
    });
  }
}

/** Every order that a list of the view can be asked for in. */
const sorted = ({ appendOnly, indexes = [] }: AnyProjection): readonly ViewQuery[] =>
  ["key", ...(appendOnly ? [] : indexes)].flatMap((sort) => [{ sort }, { sort, descending: true }]);

const batched = (views: Views, projection: AnyProjection, history: readonly Event[], cuts: readonly number[]) => {
  let store = views.open(projection);
  for (let from = 0, cut = 0; from < history.length; cut++) {
    // What was committed and the tail are all that the next life has.
    if (cuts[cut]! % 2 === 0) store = views.open(projection);
    assert.equal(store.size, Math.min(from, history.length));
    const batch = history.slice(from, from += cuts[cut]!);
    const changes: ViewChange[] = [];
    const newest = new Map<string, unknown>();
    const fold = folder(projection, {
      get: (key) => newest.has(key) ? newest.get(key) : store.get(key),
      set(change) {
        newest.set(change.key, change.row);
        changes.push(change);
      },
    });
    for (const event of batch) fold(event);
    store.commit(changes, Math.min(from, history.length));
  }
};

Deno.test("a view is named once, and the audit trail, health and the history of benchmarks are always there", () => {
  const names = projections.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const always of ["audit.trail", "health.tree", "health.children", "benchmarks.history"]) {
    assert.ok(names.includes(always), always);
  }
});
