/** SQLite over sealed pages answers as `node:sqlite` does, and what a transaction did not commit never was. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { sealingOf } from "../adapters/keys/at_rest.ts";
import { type Connection, openReadable, openWritable } from "../adapters/sqlite/connection.ts";
import type { Format } from "../adapters/sqlite/database.ts";
import { sealedEngine } from "../adapters/sqlite/sealed_engine.ts";
import { ViewsFault } from "../projections/views.ts";
import { KEY } from "./at_rest_given.ts";
import { inFolder } from "./folder_given.ts";
import { onSmallDisk } from "./small_disk_given.ts";

const sealed = { sealing: sealingOf(KEY), engine: await sealedEngine() };
const FORMAT: Format = { application: 0x4462_7465, version: 1, tables: "CREATE TABLE t(a INTEGER PRIMARY KEY, b)" };
const onAside = () => assert.fail("nothing is moved aside");
const open = (path: string) => openWritable(path, FORMAT, { onAside, sealed });

const VALUES = [
  ...[0, -1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53 - 1, -(2 ** 53 - 1), 0.1, 1e300, -0.5, 2 ** 60],
  ...["", "a", "Grüße 世界 🌍", "x".repeat(100_000), "'\"\\"],
  ...[null, new Uint8Array(0), Uint8Array.of(0, 1, 255), new Uint8Array(70_000).fill(9)],
];

Deno.test("what is stored comes back as from node:sqlite, whatever it is", () =>
  inFolder((dir) => {
    const native = openWritable(`${dir}/native.db`, FORMAT, { onAside });
    const ours = open(`${dir}/ours.db`);
    const told = (db: Connection): unknown => {
      VALUES.forEach((value, i) => db.run("INSERT INTO t VALUES (?, ?)", i + 1, value));
      return [
        db.all("SELECT a, b, typeof(b), length(b) FROM t ORDER BY a"),
        db.all("SELECT a FROM t ORDER BY b, a"),
        VALUES.map((value) => db.one("SELECT count(*) FROM t WHERE b = ?", value)),
        db.one("SELECT a FROM t WHERE a = ?", 4_711),
        [...db.each("SELECT a FROM t WHERE a < 4")].map(([a]) => db.one("SELECT b FROM t WHERE a = ?", a!)),
        db.statement("INSERT INTO t(b) VALUES (1)").run().lastInsertRowid,
        db.one("SELECT changes()"),
      ];
    };
    const plain = (value: unknown): unknown =>
      value instanceof Uint8Array ? [...value] : Array.isArray(value) ? value.map(plain) : value;
    assert.deepEqual(plain(told(ours)), plain(told(native)));
    for (const sql of ["SELECT nothing", "INSERT INTO t VALUES (1, 1)", "SELECT * FROM nowhere"]) {
      const said = (db: Connection): unknown => {
        try {
          return db.run(sql);
        } catch (error) {
          return [(error as { code?: unknown }).code, (error as Error).message.replace(/^\w+\.db: /, "")];
        }
      };
      assert.deepEqual(said(ours), said(native), sql);
    }
    native.close();
    ours.close();
    return Promise.resolve();
  }));

Deno.test("a transaction larger than memory holds is there as a whole or not at all, and the pages stay in order", () =>
  inFolder((dir) => {
    const path = `${dir}/t.db`;
    const writer = open(path);
    const reader = openReadable(path, FORMAT, { sealed });
    writer.exec("PRAGMA cache_size = 10");
    const count = (db: Connection) => db.one("SELECT count(*), coalesce(sum(length(b)), 0) FROM t");
    const fill = (from: number, rows: number) => {
      for (let a = from; a < from + rows; a++) writer.run("INSERT INTO t VALUES (?, ?)", a, "y".repeat(a % 5_000));
    };
    writer.transaction("write", () => fill(1, 2_000));
    const before = count(writer);
    assert.deepEqual(count(reader), before);
    assert.throws(() =>
      writer.transaction("write", () => {
        fill(2_001, 2_000);
        writer.run("DELETE FROM t WHERE a < 1000");
        assert.deepEqual(count(reader), before, "nobody sees it yet");
        throw new Error("enough");
      }), /enough/);
    assert.deepEqual([count(writer), count(reader)], [before, before]);
    writer.transaction("write", () => {
      writer.run("DELETE FROM t WHERE a % 3 = 0");
      fill(5_001, 500);
    });
    assert.deepEqual(count(reader), count(writer));
    // A snapshot stays as it is while the writer goes on.
    reader.transaction("read", () => {
      const then = count(reader);
      writer.transaction("write", () => fill(9_001, 300));
      assert.deepEqual(count(reader), then);
    });
    assert.deepEqual(count(reader), count(writer));
    assert.deepEqual(writer.all("PRAGMA integrity_check"), [["ok"]]);
    reader.close();
    writer.close();
    const file = new DatabaseSync(path);
    assert.deepEqual(Object.values(file.prepare("PRAGMA integrity_check").get()!), ["ok"]);
    assert.equal(Number(file.prepare("PRAGMA page_size").get()!.page_size), 4_096);
    const [pages, whole] = [
      file.prepare("SELECT count(*) AS n FROM pages").get()!.n,
      file.prepare("PRAGMA page_count").get()!.page_count,
    ] as [number, number];
    assert.ok(whole < pages * 1.05 + 10, `${pages} pages take ${whole}`);
    file.close();
    return Promise.resolve();
  }));

Deno.test("two that write take turns, and who has read before the other wrote begins anew", () =>
  inFolder((dir) => {
    const [one, other] = [open(`${dir}/t.db`), open(`${dir}/t.db`)];
    for (let a = 1; a <= 40; a++) {
      const db = a % 2 ? one : other;
      db.transaction("write", () => {
        const [next] = db.one("SELECT coalesce(max(a), 0) + 1 FROM t")!;
        db.run("INSERT INTO t VALUES (?, ?)", next!, a);
      });
    }
    assert.deepEqual(one.one("SELECT count(*), max(a), sum(b) FROM t"), [40, 40, 820]);
    one.exec("BEGIN");
    one.one("SELECT count(*) FROM t");
    other.run("INSERT INTO t VALUES (41, 41)");
    assert.throws(() => one.run("INSERT INTO t VALUES (42, 42)"), /locked/);
    one.exec("ROLLBACK");
    one.run("INSERT INTO t VALUES (42, 42)");
    assert.deepEqual(other.one("SELECT count(*) FROM t"), [42]);
    one.close();
    other.close();
    return Promise.resolve();
  }));

Deno.test("on a full disk a transaction fails as a whole, what was there is read, and with room it goes through", (t) =>
  onSmallDisk(t, "2m", (disk, run) => {
    const db = open(`${disk}/t.db`);
    const fill = () =>
      db.transaction("write", () => {
        for (let i = 0; i < 400; i++) db.run("INSERT INTO t(b) VALUES (?)", "z".repeat(4_000));
      });
    let written = 0;
    const unwritable = (error: unknown) => error instanceof ViewsFault && error.kind === "unwritable";
    assert.throws(() => {
      for (; written < 10; written++) fill();
    }, unwritable);
    assert.deepEqual(db.one("SELECT count(*) FROM t"), [written * 400]);
    assert.throws(fill, unwritable);
    assert.deepEqual(db.all("PRAGMA integrity_check"), [["ok"]]);
    return run("mount", "-o", "remount,size=32m", disk).then(() => {
      fill();
      assert.deepEqual(db.one("SELECT count(*) FROM t"), [(written + 1) * 400]);
      assert.deepEqual(db.all("PRAGMA integrity_check"), [["ok"]]);
      db.close();
    });
  }));
