import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { SqliteViews, SWEEP_ROWS } from "../adapters/sqlite/views.ts";
import { type Aside, Connection } from "../adapters/sqlite/connection.ts";
import { change, items } from "./contract/views_suite.ts";

const folder = (body: (path: string) => void) => {
  const path = Deno.makeTempDirSync();
  try {
    body(path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
};

const opened = (path: string) => {
  const asides: Aside[] = [];
  return { views: new SqliteViews({ path, onAside: (aside) => asides.push(aside) }), asides };
};

for (
  const [label, spoil, because] of [
    [
      "damaged at its head",
      (file: string) => Deno.writeTextFileSync(file, "not a database at all, ".repeat(500)),
      /not a database/,
    ],
    ["somebody else's", (file: string) => foreign(file, 42, 1), /not one of ours/],
    ["of another format", (file: string) => foreign(file, 0x4462_5677, 99), /format 99/],
  ] as const
) {
  Deno.test(`a views file that is ${label} is moved aside, said so, and made anew`, () =>
    folder((path) => {
      spoil(`${path}/views.db`);
      const before = Deno.readFileSync(`${path}/views.db`);
      const { views, asides } = opened(path);
      views.open(items).commit([change(0, "a", { title: "one" })], 1);
      assert.equal(views.row("tests.items", "a").size, 1);
      views.close();
      assert.deepEqual(asides.map(({ path, movedTo }) => [path, movedTo]), [[
        `${path}/views.db`,
        `${path}/views.db.aside`,
      ]]);
      assert.match(asides[0]!.because, because);
      assert.deepEqual(Deno.readFileSync(`${path}/views.db.aside`), before);
      const again = opened(path);
      assert.equal(again.views.row("tests.items", "a").size, 1);
      assert.deepEqual(again.asides, []);
      again.views.close();
    }));
}

const foreign = (file: string, application: number, version: number) => {
  const db = new DatabaseSync(file);
  db.exec(`CREATE TABLE theirs(x); PRAGMA application_id = ${application}; PRAGMA user_version = ${version}`);
  db.close();
};

Deno.test("a view that shows more events than there are is dropped and built again, and one that does not stays", () =>
  folder((path) => {
    const told: string[] = [];
    const open = (size: number) => new SqliteViews({ path, log: { size, report: (line) => told.push(line) } });
    const first = open(0);
    first.open(items).commit([change(0, "a", { title: "one" })], 5);
    first.close();
    const same = open(5);
    assert.deepEqual([same.row("tests.items", "a").size, told], [5, []]);
    same.close();
    const older = open(4);
    assert.deepEqual([older.stores(), told.length], [[], 1]);
    assert.match(told[0]!, /^1 views show more than the 4 events/);
    assert.equal(older.open(items).size, 0);
    older.close();
  }));

Deno.test("notes that are damaged are moved aside without the views, and the other way round", () =>
  folder((path) => {
    const first = opened(path).views;
    first.setNote("kept", 1);
    first.open(items).commit([change(0, "a", { title: "one" })], 1);
    first.close();
    Deno.writeTextFileSync(`${path}/notes.db`, "broken ".repeat(1_000));
    const second = opened(path);
    assert.deepEqual(second.asides.map(({ path }) => path), [`${path}/notes.db`]);
    assert.equal(second.views.note("kept"), undefined);
    assert.equal(second.views.row("tests.items", "a").size, 1);
    second.views.close();
  }));

Deno.test("a views file found damaged while in use is moved aside when it is opened next", () =>
  folder((path) => {
    const { views } = opened(path);
    const store = views.open(items);
    store.commit(Array.from({ length: 500 }, (_, i) => change(i, `k${i}`, { title: `row ${i}` })), 500);
    views.close();
    const file = Deno.openSync(`${path}/views.db`, { write: true });
    const { size } = file.statSync();
    file.seekSync(4_096 * 2, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(size - 4_096 * 2).fill(0x5a));
    file.close();
    const broken = opened(path);
    assert.throws(() => broken.views.list("tests.items", {}), /malformed/);
    broken.views.close();
    const again = opened(path);
    assert.match(again.asides[0]!.because, /malformed/);
    assert.equal(again.views.open(items).size, 0);
    again.views.close();
    const third = opened(path);
    assert.deepEqual(third.asides, []);
    third.views.close();
  }));

Deno.test("a reader whose file the writer moved aside sees the new one once it is told", () =>
  folder((path) => {
    const { views } = opened(path);
    views.open(items).commit([change(0, "a", { title: "old" })], 1);
    const reader = new SqliteViews({ path, write: false, notes: false });
    assert.equal(reader.list("tests.items", {}).size, 1);
    views.close();
    Deno.writeTextFileSync(`${path}/views.db.damaged`, "database disk image is malformed");
    const again = opened(path);
    assert.equal(again.asides.length, 1);
    const fewer = { ...items, indexes: ["count" as const] };
    again.views.open(fewer).commit([change(0, "b", { title: "new", count: 1 }), change(1, "c", { title: "new" })], 2);
    assert.equal(reader.list("tests.items", {}).size, 1, "still the old file");
    reader.reopen();
    assert.equal(reader.list("tests.items", {}).size, 2);
    assert.equal(reader.list("tests.items", { where: { count: "1" } }).rows.length, 1);
    assert.throws(() => reader.list("tests.items", { where: { title: "old" } }), /no indexed field/);
    reader.close();
    again.views.reopen(); // what writes stays as it is
    assert.equal(again.views.list("tests.items", {}).size, 2);
    again.views.close();
  }));

Deno.test("a reader sees whole transactions only, and its own state throughout one answer", () =>
  folder((path) => {
    const writer = new SqliteViews({ path });
    const reader = new SqliteViews({ path, write: false, notes: false });
    const store = writer.open(items);
    assert.equal(reader.list("tests.items", {}).size, 0);
    store.commit(Array.from({ length: 10 }, (_, i) => change(i, `k${i}`, { title: "t" })), 10);
    assert.deepEqual([reader.list("tests.items", {}).size, reader.list("tests.items", {}).rows.length], [10, 10]);
    assert.throws(() => reader.open(items), /opened for reading/);
    assert.throws(() => reader.note("a"), /not opened/);
    reader.close();
    writer.close();
  }));

Deno.test("a transaction that fails leaves rows and cursor as they were", () =>
  folder((path) => {
    const { views } = opened(path);
    const store = views.open(items);
    store.commit([change(0, "a", { title: "one" })], 1);
    const bad = { ...change(2, "b", undefined), row: { title: "x", count: NaN } };
    assert.throws(() => store.commit([change(1, "a", { title: "two" }), bad], 3), /not a JSON number/);
    assert.equal(store.size, 1);
    assert.deepEqual(views.row("tests.items", "a").row?.row, { title: "one" });
    store.commit([change(1, "a", { title: "two" })], 2);
    assert.equal(views.row("tests.items", "a").size, 2);
    views.close();
  }));

Deno.test("a walk over rows that SQLite ends with its transaction, as where memory is short, is a fault of the file", () =>
  folder((path) => {
    const { views } = opened(path);
    views.open(items).commit([change(0, "a", { title: "one" })], 1);
    views.close();
    const file = `${path}/views.db`;
    const connection = new Connection(new DatabaseSync(file), { path: file, owned: false });
    const ended = () => connection.transaction("read", () => connection.exec("ROLLBACK"));
    assert.throws(ended, { kind: "damaged" });
    connection.close();
  }));

Deno.test("what a swap drops is removed in bounded steps, while the other version is read and written", () =>
  folder((path) => {
    const { views } = opened(path);
    const old = views.open(items);
    const rows = SWEEP_ROWS * 2 + 1;
    old.commit(Array.from({ length: rows }, (_, i) => change(i, `k${i}`, { title: `row ${i}` })), rows);
    old.commit(
      Array.from({ length: rows }, (_, i) => change(rows + i, `k${i}`, { title: `row ${i} again` })),
      2 * rows,
    );
    const next = views.open({ ...items, version: 2 });
    next.commit([change(0, "n", { title: "new" })], 2 * rows);
    views.swap(next);
    let steps = 0;
    for (; views.sweep(); steps++) {
      next.commit([change(2 * rows + steps, "n", { title: `new ${steps}` })], 2 * rows + steps + 1);
    }
    assert.ok(steps >= 5, `${steps} steps`);
    assert.equal(views.list("tests.items", {}).rows.length, 1);
    views.close();
    const db = new DatabaseSync(`${path}/views.db`, { readOnly: true });
    const left = db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE type = 'table' AND name GLOB '[cpt]1*'")
      .get();
    assert.deepEqual({ ...left }, { n: 0 });
    db.close();
  }));

Deno.test("a view whose indexes changed without a new version is built again, not misread", () =>
  folder((path) => {
    const { views } = opened(path);
    views.open(items).commit([change(0, "a", { title: "one", count: 1 })], 1);
    const changed = views.open({ ...items, indexes: ["count"] });
    assert.equal(changed.size, 0);
    changed.commit([change(0, "a", { title: "one", count: 1 })], 1);
    assert.equal(views.list("tests.items", { where: { count: "1" } }).rows.length, 1);
    assert.throws(() => views.list("tests.items", { where: { title: "one" } }));
    views.close();
  }));

Deno.test("an append-only view refuses a row that is not its event's", () =>
  folder((path) => {
    const { views } = opened(path);
    const store = views.open({ ...items, name: "tests.ledger", appendOnly: true });
    for (const wrong of [change(3, "4", { title: "x" }), change(3, "3", undefined)]) {
      assert.throws(() => store.commit([wrong], 4), /append-only/);
    }
    assert.equal(store.size, 0);
    views.close();
  }));
