/** The files of views that lie sealed: what is in them, what is not, and what becomes of those that are damaged or another's. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { sealingOf } from "../adapters/keys/at_rest.ts";
import { type Aside, NeedsKey } from "../adapters/sqlite/connection.ts";
import { sealedEngine } from "../adapters/sqlite/sealed_engine.ts";
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { ViewsFault } from "../projections/views.ts";
import { KEY, OTHER_KEY } from "./at_rest_given.ts";
import { change, items } from "./contract/views_suite.ts";
import { inFolder } from "./folder_given.ts";

const engine = await sealedEngine();
const sealed = { sealing: sealingOf(KEY), engine };
const other = { sealing: sealingOf(OTHER_KEY), engine };

const fill = (views: SqliteViews, rows = 400): void => {
  const store = views.open(items);
  for (let at = store.size; at < rows; at += 50) {
    const changes = Array.from(
      { length: 50 },
      (_, i) =>
        change(at + i, `secretkey${at + i}`, { title: `topsecret title ${at + i}`, tag: `hiddentag${(at + i) % 7}` }),
    );
    views.open(items);
    store.commit(changes, at + 50);
  }
  views.setNote("manager/quietname/state", { value: "unspoken" });
};

/** Files of the folder that hold one of these texts, as UTF-8 or UTF-16. */
const holding = async (dir: string, texts: readonly string[]): Promise<readonly string[]> => {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(dir)) {
    const bytes = (await Deno.readFile(`${dir}/${name}`)).reduce(
      (all, byte) => all + (byte === 0 ? "" : String.fromCharCode(byte)),
      "",
    );
    if (texts.some((text) => bytes.includes(text))) found.push(name);
  }
  return found;
};

const TEXTS = ["topsecret", "secretkey", "hiddentag", "tests.items", "quietname", "unspoken"];

Deno.test("no file of sealed views holds a clear text, neither while they are written nor when they are closed", () =>
  inFolder(async (dir) => {
    const views = new SqliteViews({ path: dir, sealed });
    fill(views);
    assert.deepEqual(await holding(dir, TEXTS), []);
    assert.equal(views.list("tests.items", { sort: "title", descending: true, limit: 2 }).rows.length, 2);
    assert.deepEqual(await holding(dir, TEXTS), []);
    views.close();
    assert.deepEqual(await holding(dir, TEXTS), []);
    // The same without sealing: the search finds what there is.
    await Deno.mkdir(`${dir}/clear`);
    const clear = new SqliteViews({ path: `${dir}/clear` });
    fill(clear);
    clear.close();
    assert.deepEqual((await holding(`${dir}/clear`, TEXTS)).toSorted(), ["notes.db", "views.db"]);
  }));

Deno.test("a reader of sealed views sees what was committed, and of a transaction that failed nothing", () =>
  inFolder((dir) => {
    const writer = new SqliteViews({ path: dir, sealed });
    const reader = new SqliteViews({ path: dir, write: false, notes: false, sealed });
    fill(writer, 100);
    assert.equal(reader.list("tests.items", { limit: 1_000 }).rows.length, 100);
    const store = writer.open(items);
    const poisoned = change(101, "poisoned", { title: "x", tag: 1n as unknown as string });
    assert.throws(() => store.commit([change(100, "lost", { title: "lost" }), poisoned], 102));
    assert.equal(reader.row("tests.items", "lost").row, undefined);
    assert.equal(writer.row("tests.items", "lost").row, undefined);
    store.commit([change(100, "kept", { title: "kept" })], 101);
    assert.deepEqual(reader.row("tests.items", "kept").row?.row, { title: "kept" });
    reader.close();
    writer.close();
    return Promise.resolve();
  }));

type Page = (page: number) => Uint8Array;

/** What becomes of a page; `undefined`: it is gone. */
const PAGES: Readonly<Record<string, (page: number, views: Page, notes: Page) => Uint8Array | undefined>> = {
  "a bit flipped": (page, views) => views(page).map((byte, i) => i === 2_000 ? byte ^ 4 : byte),
  "its tag cut short": (page, views) => views(page).slice(0, -1),
  "the page before it in its place": (page, views) => views(page - 1),
  "one of the notes in its place": (_page, _views, notes) => notes(1),
  "nothing in its place": () => undefined,
};

const damage = (dir: string, change: typeof PAGES[string]): void => {
  const [views, notes] = ["views", "notes"].map((name) => new DatabaseSync(`${dir}/${name}.db`)) as [
    DatabaseSync,
    DatabaseSync,
  ];
  const pageOf = (db: DatabaseSync): Page => (page) =>
    db.prepare("select sealed from pages where page = ?").get(page)!.sealed as Uint8Array;
  const last = Number(views.prepare("select max(page) as last from pages").get()!.last);
  for (let page = last - 1; page > 3; page--) {
    const bytes = change(page, pageOf(views), pageOf(notes));
    if (bytes) views.prepare("update pages set sealed = ? where page = ?").run(bytes, page);
    else views.prepare("delete from pages where page = ?").run(page);
  }
  for (const db of [views, notes]) db.close();
};

for (const [what, change] of Object.entries(PAGES)) {
  Deno.test(`a sealed page with ${what} is damage, and the file is put aside and made anew`, () =>
    inFolder((dir) => {
      const before = new SqliteViews({ path: dir, sealed });
      fill(before);
      before.close();
      damage(dir, change);
      const asides: Aside[] = [];
      const views = new SqliteViews({ path: dir, sealed, onAside: (aside) => asides.push(aside) });
      if (asides.length === 0) {
        const everything = () => {
          views.list("tests.items", { limit: 1_000 });
          views.list("tests.items", { sort: "title", limit: 1_000 });
          for (let n = 0; n < 400; n++) views.row("tests.items", `secretkey${n}`);
          views.digest("tests.items", 10);
        };
        assert.throws(everything, (error) => error instanceof ViewsFault && error.kind === "damaged", what);
        views.renew();
      }
      assert.equal(asides.length, 1);
      fill(views, 100);
      assert.equal(views.list("tests.items", { limit: 1_000 }).rows.length, 100);
      views.close();
      return Promise.resolve();
    }));
}

Deno.test("views under another key, and clear ones where they are to be sealed, are made anew, and nothing clear stays", () =>
  inFolder(async (dir) => {
    const asides: string[] = [];
    const open = (by?: typeof sealed) =>
      new SqliteViews({ path: dir, sealed: by, onAside: ({ because }) => asides.push(because) });
    const clear = open();
    fill(clear, 100);
    clear.close();
    const one = open(sealed);
    assert.deepEqual(asides, ["it is not sealed", "it is not sealed"]);
    fill(one, 100);
    one.close();
    assert.deepEqual(await holding(dir, TEXTS), []);
    assert.throws(() => new SqliteViews({ path: dir, readOnly: true }), NeedsKey);
    assert.throws(() => new SqliteViews({ path: dir, readOnly: true, sealed: other }), /under another key/);
    const read = new SqliteViews({ path: dir, readOnly: true, sealed });
    assert.equal(read.list("tests.items", { limit: 1_000 }).rows.length, 100);
    read.close();
    asides.length = 0;
    const two = open(other);
    assert.deepEqual(asides, ["it is sealed under another key", "it is sealed under another key"]);
    assert.deepEqual(two.stores(), []);
    two.close();
    asides.length = 0;
    open().close();
    assert.deepEqual(asides, ["it is sealed", "it is sealed"]);
  }));
