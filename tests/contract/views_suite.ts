/** What every store of views promises; run over each of them by `views_test.ts`. */
import assert from "node:assert/strict";
import { z } from "zod";
import type { Event } from "../../events/event.ts";
import type { Projection } from "../../projections/projection.ts";
import { PAGE_ROWS_MAX } from "../../projections/query.ts";
import type { ViewChange, ViewQuery, Views, ViewStore } from "../../projections/views.ts";
import { ViewQuestion } from "../../projections/views.ts";
import { QUERY_WORDS_MAX } from "../../projections/words.ts";

export interface Opened {
  readonly views: Views;
  /** The same files by a new handle; absent for what lives in memory. */
  reopen?(): Views;
  /** Removes what was opened; called after closing. */
  remove?(): void;
}

const row = z.object({
  title: z.string(),
  count: z.number().optional(),
  tag: z.union([z.string(), z.number(), z.boolean()]).optional(),
});
type Item = z.output<typeof row>;

export const items: Projection<Item> = {
  name: "tests.items",
  version: 1,
  about: "Things with a title",
  hears: "*",
  row,
  initial: { title: "" },
  indexes: ["count", "tag", "title"],
  text: (item) => item.title,
  keys: () => [],
  apply: (item) => item,
};

export const ledger: Projection<Item> = { ...items, name: "tests.ledger", indexes: ["tag"], appendOnly: true };
const newest: Projection<Item> = { ...items, name: "tests.newest", history: "none" };

export const eventAt = (position: number): Event => ({
  specversion: "1.0",
  id: `e${position}`,
  source: "/tests",
  type: "tests.item.changed",
  time: "2026-01-01T00:00:00.000Z",
  stream: "tests/items",
  revision: position,
  position,
  version: 1,
  recordedat: "2026-01-01T00:00:00.000Z",
  authtype: "system",
  authid: "s_tests",
  data: {},
});

export const change = (position: number, key: string, item: Item | undefined): ViewChange => ({
  key,
  row: item,
  position,
  event: eventAt(position),
});

const keysOf = (views: Views, name: string, query: ViewQuery = {}) =>
  views.list(name, query).rows.map(({ key }) => key);

const pages = (views: Views, name: string, query: ViewQuery, between: () => void = () => {}) => {
  const keys: string[] = [];
  for (let after: string | undefined = undefined;;) {
    const page = views.list(name, { ...query, after });
    keys.push(...page.rows.map(({ key }) => key));
    if (page.next === undefined) return keys;
    after = page.next;
    between();
  }
};

const refused = (code: ViewQuestion["code"]) => (error: unknown) =>
  error instanceof ViewQuestion && error.code === code;

export const viewsSuite = (label: string, open: () => Opened): void => {
  const test = (name: string, body: (views: Views, opened: Opened) => void) =>
    Deno.test(`${label} views: ${name}`, () => {
      const opened = open();
      try {
        body(opened.views, opened);
      } finally {
        opened.views.close();
        opened.remove?.();
      }
    });

  const filled = (views: Views, projection: Projection<Item> = items): ViewStore => {
    const store = views.open(projection);
    store.commit([change(0, "b", { title: "Second", count: 2 }), change(1, "a", { title: "First", count: 10 })], 2);
    store.commit([change(2, "b", { title: "Second changed", count: 3 }), change(4, "c", { title: "Third" })], 5);
    store.commit([change(5, "a", undefined), change(6, "b", { title: "Last", count: 3 })], 7);
    return store;
  };

  test("a row is what the last change made it, with the position of that change", (views) => {
    const store = filled(views);
    assert.deepEqual(store.get("b"), { title: "Last", count: 3 });
    assert.equal(store.get("a"), undefined);
    assert.deepEqual(views.row("tests.items", "b"), {
      size: 7,
      row: { key: "b", row: { title: "Last", count: 3 }, position: 6 },
    });
    assert.deepEqual(views.row("tests.items", "a"), { size: 7, row: undefined });
    assert.equal(store.size, 7);
  });

  test("a row as of a position is what it was after that position", (views) => {
    filled(views);
    const titles = (key: string) =>
      [0, 1, 2, 3, 4, 5, 6].map((at) => (views.row("tests.items", key, at).row?.row as Item | undefined)?.title);
    assert.deepEqual(titles("b"), ["Second", "Second", ...Array(4).fill("Second changed"), "Last"]);
    assert.deepEqual(titles("a"), [undefined, "First", "First", "First", "First", undefined, undefined]);
    assert.equal(views.row("tests.items", "b", 3).size, 4);
  });

  test("a list as of a position shows exactly the rows of then", (views) => {
    filled(views);
    const at = [0, 1, 2, 3, 4, 5, 6].map((at) => keysOf(views, "tests.items", { at }).join(""));
    assert.deepEqual(at, ["b", "ab", "ab", "ab", "abc", "bc", "bc"]);
    assert.deepEqual(keysOf(views, "tests.items", { at: 4, sort: "count" }), ["b", "a", "c"]);
    assert.deepEqual(keysOf(views, "tests.items", { at: 4, where: { count: "10" } }), ["a"]);
    assert.deepEqual(keysOf(views, "tests.items", { where: { count: "10" } }), []);
  });

  test("a list by age is in the order in which keys came to be, page by page as of its first page", (views) => {
    const store = filled(views);
    store.commit([change(7, "0", { title: "New" })], 8);
    const later = () => store.commit([change(store.size, `n${store.size}`, { title: "Later" })], store.size + 1);
    assert.deepEqual(pages(views, "tests.items", { byAge: true, limit: 1 }, later), ["b", "c", "0"]);
    assert.deepEqual(keysOf(views, "tests.items", { byAge: true, at: 1 }), ["b", "a"]);
    assert.deepEqual(keysOf(views, "tests.items", { byAge: true, sort: "key", limit: 3 }), ["0", "b", "c"]);
  });

  test("several changes of a row in one commit are each a version", (views) => {
    const store = views.open(items);
    store.commit([
      change(0, "a", { title: "one" }),
      change(1, "a", { title: "two" }),
      change(1, "a", { title: "two again" }),
      change(2, "a", undefined),
      change(4, "a", { title: "three" }),
    ], 5);
    const titles = [0, 1, 2, 3, 4].map((at) => (views.row("tests.items", "a", at).row?.row as Item | undefined)?.title);
    assert.deepEqual(titles, ["one", "two again", undefined, undefined, "three"]);
  });

  test("a position that was not applied yet is refused, and one of a view without history", (views) => {
    filled(views);
    filled(views, newest);
    assert.throws(() => views.row("tests.items", "a", 7), refused("not_yet"));
    assert.throws(() => views.list("tests.items", { at: 7 }), refused("not_yet"));
    assert.throws(() => views.list("tests.items", { at: -1 }), refused("not_yet"));
    assert.throws(() => views.row("tests.newest", "b", 3), refused("no_history"));
    assert.equal(views.row("tests.newest", "b", 6).row?.position, 6);
  });

  test("lists are in order of key by code point, and leave out working rows", (views) => {
    const keys = ["", "A", "a", "a\u0000b", "a\u0001", "aa", "z", "é", "\uffee", "\u{1f600}"];
    const store = views.open(items);
    store.commit([...keys, "~work"].reverse().map((key, i) => change(i, key, { title: key })), keys.length + 1);
    assert.deepEqual(keysOf(views, "tests.items"), keys);
    assert.deepEqual(keysOf(views, "tests.items", { descending: true }), keys.toReversed());
    assert.deepEqual(pages(views, "tests.items", { limit: 3 }), keys);
    assert.deepEqual(pages(views, "tests.items", { limit: 3, descending: true }), keys.toReversed());
    assert.deepEqual(keysOf(views, "tests.items", { prefix: "a" }), ["a", "a\u0000b", "a\u0001", "aa"]);
    assert.deepEqual(keysOf(views, "tests.items", { prefix: "\u{1f600}" }), ["\u{1f600}"]);
    assert.deepEqual(keysOf(views, "tests.items", { prefix: "~" }), []);
    assert.deepEqual(views.row("tests.items", "~work").row?.row, { title: "~work" });
    assert.deepEqual(views.row("tests.items", "a\u0000b").row?.key, "a\u0000b");
  });

  test("a working row is read back as it was written last, and not at all once it is gone", (views, opened) => {
    const store = views.open(items);
    store.commit([change(0, "~kept", { title: "a" }), change(0, "~gone", { title: "b" })], 1);
    assert.deepEqual([store.get("~kept"), store.get("~gone")], [{ title: "a" }, { title: "b" }]);
    store.commit([change(1, "~kept", { title: "c" }), change(1, "~gone", undefined)], 2);
    store.commit([change(2, "~brief", { title: "d" }), change(2, "~brief", undefined)], 3);
    const read = (from: ViewStore) => ["~kept", "~gone", "~brief"].map((key) => from.get(key));
    assert.deepEqual(read(store), [{ title: "c" }, undefined, undefined]);
    const again = opened.reopen?.();
    if (again) assert.deepEqual(read(again.open(items)), [{ title: "c" }, undefined, undefined]);
    again?.close();
  });

  test("a field sorts numbers before text before nothing, ties by key", (views) => {
    const store = views.open(items);
    const tags: Item["tag"][] = ["b", 10, undefined, 9, "10", true, -1.5, 9, undefined];
    store.commit(tags.map((tag, i) => change(i, `k${i}`, { title: "t", tag })), tags.length);
    const order = ["k6", "k3", "k7", "k1", "k4", "k0", "k5", "k2", "k8"];
    assert.deepEqual(keysOf(views, "tests.items", { sort: "tag" }), order);
    for (const limit of [1, 2, 4]) {
      assert.deepEqual(pages(views, "tests.items", { sort: "tag", limit }), order);
      assert.deepEqual(pages(views, "tests.items", { sort: "tag", limit, descending: true }), order.toReversed());
    }
    assert.deepEqual(keysOf(views, "tests.items", { where: { tag: "10" } }), ["k1", "k4"]);
    assert.deepEqual(keysOf(views, "tests.items", { where: { tag: "9" } }), ["k3", "k7"]);
    assert.deepEqual(keysOf(views, "tests.items", { where: { tag: "true" } }), ["k5"]);
    assert.deepEqual(keysOf(views, "tests.items", { where: { tag: "none" } }), []);
  });

  test("the pages of a list show one state however rows change in between", (views) => {
    const store = views.open(items);
    store.commit(Array.from({ length: 10 }, (_, i) => change(i, `k${i}`, { title: "t", count: i })), 10);
    let next = 10;
    const churn = () => {
      store.commit([
        change(next, "k9", { title: "moved", count: -next }),
        change(next + 1, `k${next}`, { title: "new", count: next }),
        change(next + 2, `k${(next * 7) % 10}`, undefined),
      ], next += 3);
    };
    const all = Array.from({ length: 10 }, (_, i) => `k${i}`);
    assert.deepEqual(pages(views, "tests.items", { sort: "count", limit: 2 }, churn), all);
    assert.equal(views.list("tests.items", {}).size, next);
  });

  test("a page of a view without history goes on behind the last row seen", (views) => {
    const store = views.open(newest);
    store.commit(Array.from({ length: 6 }, (_, i) => change(i, `k${i}`, { title: "t" })), 6);
    let next = 6;
    const churn = () => store.commit([change(next, "k0", undefined), change(next, "k5", { title: "other" })], ++next);
    assert.deepEqual(pages(views, "tests.newest", { limit: 2 }, churn), ["k0", "k1", "k2", "k3", "k4", "k5"]);
  });

  test("a bad cursor, field, limit or view is refused by name", (views) => {
    filled(views);
    const next = views.list("tests.items", { limit: 1 }).next!;
    for (const after of ["", "x", "!!", "bnVsbA", btoa("[1,2,3,4,5]"), next.slice(0, -3)]) {
      assert.throws(() => views.list("tests.items", { after }), refused("bad_cursor"), after);
    }
    assert.throws(() => views.list("tests.items", { after: next, sort: "count" }), refused("bad_cursor"));
    assert.throws(() => views.list("tests.items", { after: next, descending: true }), refused("bad_cursor"));
    assert.throws(() => views.list("tests.items", { after: next, at: 2 }), refused("bad_cursor"));
    assert.throws(() => views.list("tests.items", { sort: "colour" }), refused("unknown_field"));
    assert.throws(() => views.list("tests.items", { where: { colour: "red" } }), refused("unknown_field"));
    assert.throws(() => views.list("tests.unknown", {}), refused("unknown_view"));
    assert.throws(() => views.row("tests.unknown", "a"), refused("unknown_view"));
    for (const limit of [0, -1, 1.5, NaN, PAGE_ROWS_MAX + 1]) {
      assert.throws(() => views.list("tests.items", { limit }), refused("bad_limit"));
    }
  });

  test("full text finds rows that have all words, in the order they came to be", (views) => {
    const store = views.open(items);
    store.commit([
      change(0, "z", { title: "Fix the Über-driver (v2.1)", count: 1 }),
      change(1, "y", { title: "fix docs", count: 3 }),
      change(2, "x", { title: "über alles: fix", count: 2 }),
      change(3, "~w", { title: "fix in the works" }),
    ], 4);
    const search = (text: string, query: ViewQuery = {}) => keysOf(views, "tests.items", { ...query, text });
    assert.deepEqual(search("FIX"), ["z", "y", "x"]);
    assert.deepEqual(search("fix", { descending: true }), ["x", "y", "z"]);
    assert.deepEqual(search("fix", { sort: "count" }), ["z", "x", "y"]);
    assert.deepEqual(pages(views, "tests.items", { text: "fix", limit: 1 }), ["z", "y", "x"]);
    assert.deepEqual(search("uber fix"), ["z", "x"]);
    assert.deepEqual(search("driver v2"), ["z"]);
    assert.deepEqual(search("fi"), []);
    store.commit([change(4, "y", { title: "undone" }), change(5, "x", undefined)], 6);
    assert.deepEqual(search("fix"), ["z"]);
    assert.deepEqual(search("undone"), ["y"]);
    assert.throws(() => search("fix", { at: 2 }), refused("no_history"));
    assert.deepEqual(search("fix", { at: 5 }), ["z"]);
  });

  test("a hostile search is only words, or refused", (views) => {
    filled(views);
    views.open(ledger).commit([change(0, "0", { title: "Last" }), change(1, "1", { title: "least" })], 2);
    const hostile = [
      '"',
      "'",
      '" OR 1=1 --',
      "last NEAR(x)",
      "title:last",
      "^last",
      "la*",
      "{a b}: c",
      "(",
      "-last",
      "\u0000",
      "\ud800",
      "NOT last",
      "💥",
      "__",
    ];
    for (const name of ["tests.items", "tests.ledger"]) {
      for (const text of hostile) assert.ok(Array.isArray(views.list(name, { text }).rows), text);
      assert.deepEqual(keysOf(views, name, { text: "!!!" }), []);
      assert.equal(keysOf(views, name, { text: "  " }).length, keysOf(views, name).length);
      const many = (count: number) => Array.from({ length: count }, (_, i) => `w${i}`).join(" ");
      assert.deepEqual(keysOf(views, name, { text: many(QUERY_WORDS_MAX) }), []);
      assert.throws(() => views.list(name, { text: many(QUERY_WORDS_MAX + 1) }), refused("bad_text"));
    }
    views.open({ ...items, name: "tests.silent", text: undefined });
    assert.throws(() => views.list("tests.silent", { text: "a" }), refused("no_text"));
  });

  test("rows can be asked for by the events that made them", (views) => {
    filled(views);
    assert.deepEqual(keysOf(views, "tests.items", { from: 5 }), ["b"]);
    assert.deepEqual(keysOf(views, "tests.items", { until: 5 }), ["c"]);
    assert.deepEqual(keysOf(views, "tests.items", { from: 1, until: 3, at: 4 }), ["a", "b"]);
    assert.deepEqual(keysOf(views, "tests.items", { from: 5, until: 5 }), []);
  });

  test("an append-only view is ordered by position and cut by at, from and until", (views) => {
    const store = views.open(ledger);
    const added = (i: number) =>
      change(i, String(i), { title: `entry ${i % 3 ? "odd" : "even"}`, tag: i % 4 ? `t${i % 4}` : undefined });
    for (let i = 0; i < 12; i++) if (i !== 5) store.commit([added(i)], i + 1);
    const all = ["0", "1", "2", "3", "4", "6", "7", "8", "9", "10", "11"];
    assert.deepEqual(keysOf(views, "tests.ledger"), all);
    assert.deepEqual(pages(views, "tests.ledger", { limit: 2, descending: true }), all.toReversed());
    assert.deepEqual(keysOf(views, "tests.ledger", { at: 6, from: 2 }), ["2", "3", "4", "6"]);
    assert.deepEqual(keysOf(views, "tests.ledger", { where: { tag: "t1" }, from: 2, until: 9 }), []);
    assert.deepEqual(keysOf(views, "tests.ledger", { where: { tag: "t2" }, from: 3, until: 11 }), ["6", "10"]);
    assert.deepEqual(pages(views, "tests.ledger", { text: "EVEN", limit: 1 }), ["0", "3", "6", "9"]);
    assert.deepEqual(keysOf(views, "tests.ledger", { text: "even", at: 8, descending: true }), ["6", "3", "0"]);
    assert.deepEqual(keysOf(views, "tests.ledger", { text: "even", where: { tag: "t3" } }), ["3"]);
    assert.equal(views.row("tests.ledger", "10", 9).row, undefined);
    assert.deepEqual(views.row("tests.ledger", "10").row?.position, 10);
    assert.equal(views.row("tests.ledger", "010").row, undefined);
    assert.equal(views.row("tests.ledger", "5").row, undefined);
    let next = 12;
    assert.deepEqual(pages(views, "tests.ledger", { limit: 4 }, () => store.commit([added(next)], ++next)), all);
    assert.throws(() => views.list("tests.ledger", { prefix: "1" }), { code: "unknown_field", about: "prefix" });
    assert.throws(() => views.list("tests.ledger", { sort: "tag" }), refused("unknown_field"));
  });

  test("a digest tells states apart and not the ways to them", (views) => {
    const store = filled(views);
    const digests = [0, 1, 2, 3, 4, 5, 6].map((at) => views.digest("tests.items", at));
    assert.equal(digests[2]!.digest, digests[3]!.digest);
    assert.equal(new Set(digests.map(({ digest }) => digest)).size, 6);
    assert.deepEqual(digests.map(({ rows }) => rows), [1, 2, 2, 2, 3, 2, 2]);
    assert.deepEqual(views.digest("tests.items"), digests[6]);
    const { rows, digest } = digests[6]!;
    assert.deepEqual(digests[6], { name: "tests.items", version: 1, size: 7, rows: 2, digest, kept: { rows, digest } });
    assert.deepEqual(digests.map(({ kept }) => kept !== undefined), [...Array(6).fill(false), true]);
    const [state] = views.stores();
    assert.deepEqual(state, { name: "tests.items", version: 1, size: 7, served: true, rows, digest });
    store.commit(
      [change(7, "b", { title: "Second changed", count: 3 }), change(7, "a", { title: "First", count: 10 })],
      8,
    );
    assert.equal(views.digest("tests.items").digest, digests[4]!.digest);
    filled(views, newest);
    assert.equal(views.digest("tests.newest").digest, digests[6]!.digest);
    assert.throws(() => views.digest("tests.newest", 2), refused("no_history"));
  });

  test("a new version is built beside the old one, which serves until the swap", (views) => {
    filled(views);
    const next = views.open({ ...items, version: 2 });
    next.commit([change(0, "n", { title: "new" })], 9);
    assert.deepEqual(keysOf(views, "tests.items"), ["b", "c"]);
    assert.deepEqual(views.stores().map(({ version, size, served }) => [version, size, served]), [[1, 7, true], [
      2,
      9,
      false,
    ]]);
    views.swap(next);
    assert.deepEqual(keysOf(views, "tests.items"), ["n"]);
    assert.equal(views.list("tests.items", {}).size, 9);
    assert.deepEqual(views.stores().map(({ version }) => version), [2]);
    for (let i = 0; views.sweep(); i++) assert.ok(i < 100);
    assert.deepEqual(keysOf(views, "tests.items"), ["n"]);
    assert.equal(views.open(items).size, 0);
  });

  test("notes are kept by key, set together, removed, and listed by prefix", (views) => {
    views.setNote("a:1", { n: 1 });
    views.setNotes!([["a:2", [2]], ["b:1", "x"], ["a:1", { n: 2 }]]);
    assert.deepEqual(views.note("a:1"), { n: 2 });
    assert.equal(views.note("c"), undefined);
    assert.deepEqual(views.notes("a:", 10), [["a:1", { n: 2 }], ["a:2", [2]]]);
    assert.deepEqual(views.notes("a:", 1).length, 1);
    views.setNote("a:1", undefined);
    assert.deepEqual(views.notes("", 10).map(([key]) => key), ["a:2", "b:1"]);
  });

  test("what was committed is there when the files are opened again", (views, opened) => {
    if (!opened.reopen) return;
    filled(views);
    views.open(ledger).commit([change(0, "0", { title: "Last" }), change(1, "1", { title: "least" })], 2);
    views.setNote("kept", 1);
    const before = [views.digest("tests.items"), views.digest("tests.ledger")];
    views.close();
    const again = opened.reopen();
    try {
      assert.deepEqual([again.digest("tests.items"), again.digest("tests.ledger")], before);
      const store = again.open(items);
      assert.equal(store.size, 7);
      store.commit([change(7, "z", { title: "after" })], 8);
      assert.deepEqual(keysOf(again, "tests.items", { text: "after" }), ["z"]);
      assert.equal(again.note("kept"), 1);
    } finally {
      again.close();
    }
  });
};
