/**
 * A log's file whose tables or pages somebody has made by hand, so that rows are found by one way and not by another: what is walked
 * from the first row to the last says nothing then of what is found by a key.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { Failures } from "../adapters/verify/failures.ts";
import { checkHidden } from "../adapters/verify/hidden.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { catalogue } from "../events/catalogue.ts";
import { inFolder } from "./folder_given.ts";
import { makeLog, ones, signer, Tampered } from "./verify_given.ts";

/** A row as SQLite writes it: https://www.sqlite.org/fileformat.html section 2.1, for one of less than a page. */
const record = ({ k, v }: Row): Buffer => {
  const key = k === null ? varint(0) : varint(2 * k.length + 12);
  // 3 is bytes as they are, 1 a version, 0 a sequence, −1 never expires.
  const types = Buffer.concat([key, varint(2 * v.length + 12), Buffer.from([1, 9, 8, 1])]);
  const payload = Buffer.concat([
    Buffer.from([types.length + 1]),
    types,
    k ?? Buffer.alloc(0),
    v,
    Buffer.from([3, 0xff]),
  ]);
  return Buffer.concat([varint(payload.length), payload]);
};

const varint = (n: number): Buffer => n < 128 ? Buffer.from([n]) : Buffer.from([0x80 | (n >> 7), n & 0x7f]);

interface Row {
  readonly k: Uint8Array | null;
  readonly v: Uint8Array;
}

/** Section 1.6: a leaf, or with `right` an inner page. */
const page = (bytes: number, cells: readonly Buffer[], right?: number): Buffer => {
  const made = Buffer.alloc(bytes);
  made[0] = right === undefined ? 10 : 2;
  made.writeUInt16BE(cells.length, 3);
  if (right !== undefined) made.writeUInt32BE(right, 8);
  let end = bytes;
  cells.forEach((cell, i) => {
    end -= cell.length;
    cell.copy(made, end);
    made.writeUInt16BE(end, (right === undefined ? 8 : 12) + 2 * i);
  });
  made.writeUInt16BE(end, 5);
  return made;
};

const ask = (path: string, sql: string) => {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
};

const rowsOf = (path: string) => ask(path, "select k, v from kv order by k") as unknown as readonly Row[];

/** Writes the tree of the table anew: one page with these rows, and below and between them pages with the others. */
const writePages = (path: string, between: readonly Row[], below: readonly (readonly Row[])[]): void => {
  const root = Number(ask(path, "select rootpage from sqlite_master where name = 'kv'")[0]!.rootpage);
  const file = Buffer.from(Deno.readFileSync(path));
  const bytes = file.readUInt16BE(16);
  const first = file.length / bytes + 1;
  const cells = between.map((row, i) => {
    const child = Buffer.alloc(4);
    child.writeUInt32BE(first + i);
    return Buffer.concat([child, record(row)]);
  });
  page(bytes, cells, first + between.length).copy(file, (root - 1) * bytes);
  const made = Buffer.concat([file, ...below.map((rows) => page(bytes, rows.map(record)))]);
  made.writeUInt32BE(made.length / bytes, 28);
  Deno.writeFileSync(path, made);
};

const dataOf = async (path: string, position: number): Promise<unknown> => {
  const log = new FolderReader(path, { catalogue: catalogue() });
  try {
    return JSON.parse(new TextDecoder().decode(log.entry(position))).data;
  } finally {
    await log.close();
  }
};

Deno.test("an entry that is found by its position and passed over by who walks from the first to the last is found", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    const { note } = await makeLog(path, { appends: ones(24) });
    const position = 12;
    const before = await dataOf(path, position);
    const rows = rowsOf(path);
    const file = new Tampered(path);
    file.write(position, file.entries(position).map((entry) => ({ ...entry, data: { n: "what never was" } })));
    file.rechain();
    file.close();
    const otherwise = rowsOf(path);
    const at = rows.findIndex(({ v }, i) => Buffer.compare(v, otherwise[i]!.v) !== 0);
    const last = rows.length - 1;
    // Of eight rows SQLite looks at the fourth, the sixth, the seventh and the eighth, and never at the fifth, behind which all is found
    // that is sought for, while a walk ends there.
    writePages(
      path,
      [rows[1]!, rows[3]!, rows[5]!, rows[7]!, rows[last]!, rows[8]!, otherwise[at + 1]!, otherwise[last - 1]!],
      [
        [rows[0]!],
        [rows[2]!],
        [rows[4]!],
        [rows[6]!],
        rows.slice(8, last),
        [rows[7]!],
        otherwise.slice(9, at + 1),
        otherwise.slice(at + 2, last - 1),
        [rows[last]!],
      ],
    );
    assert.notDeepEqual(await dataOf(path, position), before);
    const against = [{ text: note!, name: "witness.txt", elsewhere: true }];
    const { ok, failures } = await verifyLog({ path, key: signer.vkey, against });
    assert.deepEqual([ok, failures[0]?.kind], [false, "unreadable"]);
  }));

/** What is said of a log in which these rows lie behind that of the format and before all that is on its page, so that no search has them in its way. */
const besideFormat = async (path: string, beside: (format: Row) => readonly Row[]) => {
  await makeLog(path, { appends: ones(24) });
  const rows = rowsOf(path);
  const format = rows.findIndex(({ k }) => Buffer.compare(k!, encodeKey(["format"])) === 0);
  const middle = rows.length >> 1;
  writePages(
    path,
    [rows[format]!, rows[middle]!],
    [rows.slice(0, format), [...beside(rows[format]!), ...rows.slice(format + 1, middle)], rows.slice(middle + 1)],
  );
  return await verifyLog({ path, key: signer.vkey });
};

Deno.test("a row whose key is none, which no walk comes by, is found", () =>
  inFolder(async (dir) => {
    const sound = await besideFormat(`${dir}/sound.db`, () => []);
    assert.deepEqual([sound.ok, sound.failures[0]?.kind], [true, undefined]);
    const { ok, failures } = await besideFormat(`${dir}/none.db`, () => [{ k: null, v: new Uint8Array(20) }]);
    assert.deepEqual([ok, failures[0]?.kind], [false, "unreadable"]);
  }));

Deno.test("a row that lies there twice is found", () =>
  inFolder(async (dir) => {
    const twice = new TextEncoder().encode('{"format":2}');
    const { ok, failures } = await besideFormat(`${dir}/log.db`, ({ k }) => [{ k, v: twice }]);
    assert.deepEqual([ok, failures[0]?.expected], [false, "rows in the order of keys that are bytes"]);
  }));

Deno.test("blocks that nobody walked over are found", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await makeLog(path, { appends: ones(3) });
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      for (const [blocks, found] of [[3, []], [4, []], [2, ["3 in the file"]]] as const) {
        const failures = new Failures();
        checkHidden(db, blocks, failures);
        assert.deepEqual(failures.list.map(({ found }) => found), found);
      }
    } finally {
      db.close();
    }
  }));

Deno.test("what acts on the rows that are written, and what stands in their place, is found", () =>
  inFolder(async (dir) => {
    const cases: Record<string, readonly [sql: string, kind: string]> = {
      "a trigger that loses what is appended": [
        "create trigger later after insert on kv when new.k > x'026c6f6700' begin delete from kv where k = new.k; end",
        "foreign",
      ],
      "a view of the rows": [
        `alter table kv rename to rows_of_kv; create view kv as select * from rows_of_kv`,
        "foreign",
      ],
      "a table with an index beside it": [
        `create table other (k blob primary key, v blob, v_encoding, version, seq default 0, expiration_ms default -1);
          insert into other select * from kv; drop table kv; alter table other rename to kv`,
        "foreign",
      ],
    };
    for (const [name, [sql, kind]] of Object.entries(cases)) {
      const path = `${dir}/${name.replaceAll(" ", "_")}.db`;
      await makeLog(path, { appends: [3, 1] });
      const db = new DatabaseSync(path);
      db.exec("pragma legacy_alter_table = on");
      db.exec(sql);
      db.close();
      const { ok, failures } = await verifyLog({ path, key: signer.vkey });
      assert.deepEqual([ok, failures[0]?.kind], [false, kind], name);
    }
  }));

/** Does it while the schema has nothing of these names, so that what they are of stays as it was. */
const without = (path: string, names: readonly string[], change: () => void): void => {
  const schema = (run: (db: DatabaseSync) => void) => {
    // What would keep it from that its types do not know of.
    const db = new DatabaseSync(path, { defensive: false } as object);
    db.exec("pragma writable_schema = on");
    run(db);
    db.close();
  };
  const rows = names.flatMap((name) => ask(path, `select * from sqlite_master where name = '${name}'`));
  const table = ask(path, "select sql from sqlite_master where name = 'kv'")[0]!.sql as string;
  const says = (db: DatabaseSync, sql: string) =>
    db.prepare("update sqlite_master set sql = ? where name = 'kv'").run(sql);
  schema((db) => {
    for (const name of names) db.prepare("delete from sqlite_master where name = ?").run(name);
    says(db, table.replace(/, unique \([^)]*\)/, ""));
  });
  change();
  schema((db) => {
    const insert = db.prepare("insert into sqlite_master (type, name, tbl_name, rootpage, sql) values (?, ?, ?, ?, ?)");
    for (const { type, name, tbl_name, rootpage, sql } of rows) insert.run(type!, name!, tbl_name!, rootpage!, sql!);
    says(db, table);
  });
};

Deno.test("an index from which SQLite answers in the place of the table, and that has other rows, is found", () =>
  inFolder(async (dir) => {
    const columns = "k, v, v_encoding, expiration_ms";
    const cases: Record<string, string> = {
      other: `create index other on kv (${columns})`,
      sqlite_autoindex_kv_2: `alter table kv rename to old; create table kv (k blob primary key, v blob not null,
        v_encoding integer not null, version integer not null, seq integer not null default 0,
        expiration_ms integer not null default -1, unique (${columns})) without rowid;
        insert into kv select * from old; drop table old`,
    };
    for (const [name, sql] of Object.entries(cases)) {
      const path = `${dir}/${name}.db`;
      const { note } = await makeLog(path, { appends: ones(24) });
      const before = await dataOf(path, 12);
      const db = new DatabaseSync(path);
      db.exec(sql);
      db.close();
      without(path, [name], () => {
        const file = new Tampered(path);
        file.write(12, file.entries(12).map((entry) => ({ ...entry, data: { n: "what never was" } })));
        file.rechain();
        // From a smaller one yet the log is read.
        file.run("create index smaller on kv (k, v)");
        file.close();
      });
      assert.notDeepEqual(await dataOf(path, 12), before, name);
      const against = [{ text: note!, name: "witness.txt", elsewhere: true }];
      const { ok, failures } = await verifyLog({ path, key: signer.vkey, against });
      assert.deepEqual([ok, failures[0]?.kind], [false, "foreign"], name);
      assert.ok(failures.some(({ found }) => found.includes(name === "other" ? name : "unique")), name);
    }
  }));

Deno.test("a table whose rows lie in another order than that of their keys is found", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await makeLog(path, { appends: ones(24) });
    const db = new DatabaseSync(path);
    db.exec(
      `alter table kv rename to old; create table kv (k blob not null, v blob not null, v_encoding integer not null,
      version integer not null, seq integer not null default 0, expiration_ms integer not null default -1,
      primary key (version, k)) without rowid; insert into kv select * from old; drop table old`,
    );
    db.close();
    const { ok, failures } = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([ok, failures.map(({ kind }) => kind)], [false, ["foreign"]]);
    assert.match(failures[0]!.found, /primary key \(version, k\)/);
  }));

Deno.test("a table that keeps what is written otherwise than Deno KV's, or refuses it, is found", () =>
  inFolder(async (dir) => {
    const cases: Record<string, string> = {
      "v_encoding text": "replace(sql, 'v_encoding integer', 'v_encoding text')",
      "check (length(v) < 9)": "replace(sql, 'v blob not null', 'v blob not null check (length(v) < 9)')",
      "references data_version": "replace(sql, 'seq integer', 'seq integer references data_version')",
      "z blob": "replace(sql, 'default -1)', 'default -1, z blob default 0)')",
    };
    for (const [name, sql] of Object.entries(cases)) {
      const path = `${dir}/log.db`;
      await makeLog(path, { appends: [3, 1] });
      const db = new DatabaseSync(path, { defensive: false } as object);
      db.exec(`pragma writable_schema = on; update sqlite_master set sql = ${sql} where name = 'kv'`);
      db.close();
      const { ok, failures } = await verifyLog({ path, key: signer.vkey });
      assert.deepEqual([ok, failures.length, failures[0]?.kind], [false, 1, "foreign"], name);
      assert.ok(failures[0]!.found.includes(name), failures[0]!.found);
      Deno.removeSync(path);
    }
  }));

Deno.test("a row that expires by the index alone, by which Deno KV deletes it, is found", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await makeLog(path, { appends: ones(24) });
    const key = encodeKey(["log", 12]);
    const expires = (at: number) => {
      const file = new Tampered(path);
      file.run("update kv set expiration_ms = ? where k = ?", at, key);
      file.close();
    };
    expires(1);
    without(path, ["kv_expiration_ms_idx"], () => expires(-1));
    const { ok, failures } = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([ok, failures.length, failures[0]?.kind], [false, 1, "foreign"]);
    assert.ok(failures[0]!.found.includes(key.toHex().toUpperCase()));
  }));

Deno.test("how much room there is for entries is asked of the file and not of its tables", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await makeLog(path, { appends: [3, 1] });
    const file = new Tampered(path);
    const block = file.get("log", 3).slice();
    const first = 2 ** 50;
    new DataView(block.buffer).setBigUint64(40, BigInt(first));
    file.put(block, "log", first);
    file.run("create table pragma_page_count (page_count)");
    file.run("insert into pragma_page_count values (1e15)");
    file.close();
    const signal = AbortSignal.timeout(20_000);
    const { ok, failures } = await verifyLog({ path, signal });
    assert.deepEqual([ok, failures[0]?.kind], [false, "missing_block"]);
  }));
