/**
 * Views in `node:sqlite`: rows in `views.db`, notes beside them in `notes.db`. Both can be deleted and built again.
 *
 * One connection writes, another reads, so that a reader sees a snapshot and never waits. They may live in different
 * threads: a worker opens the folder with `write`, the main thread without.
 */
import { digestOf, RowsSum } from "../../projections/digest.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { atOf, question, type Shape, shapeOf, type Viewed } from "../../projections/query.ts";
import type { FoundDigest, Row, ViewPage, ViewQuery, Views, ViewState, ViewStore } from "../../projections/views.ts";
import { ViewQuestion, ViewsFault } from "../../projections/views.ts";
import {
  type Aside,
  type Connection,
  flush,
  type Opening,
  openReadable,
  openResting,
  openWritable,
  readBack,
  settle,
} from "./connection.ts";
import type { Format } from "./database.ts";
import { KeyedStore, keyedTables } from "./keyed.ts";
import { keyedList, keyedRow, keyedRows } from "./keyed_read.ts";
import { primitives } from "./kept_sum.ts";
import { ledgerList, ledgerRow, ledgerRows, LedgerStore, ledgerTables } from "./ledger.ts";
import { Notes } from "./notes.ts";
import type { Sealed } from "./sealed_pages.ts";

/** Of the tables below and of those of `keyed.ts` and `ledger.ts`; another one is built again from the log. */
const FORMAT: Format = {
  application: 0x4462_5677,
  version: 5,
  tables: `CREATE TABLE stores(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version INTEGER NOT NULL,
    size INTEGER NOT NULL, state TEXT NOT NULL, shape TEXT NOT NULL, rows INTEGER NOT NULL, sum BLOB NOT NULL);
    CREATE INDEX stores_name ON stores(name, state)`,
};

/** Rows that one `sweep` removes. */
export const SWEEP_ROWS = 2_000;

export interface SqliteOptions {
  /** Folder of `views.db` and `notes.db`, which must exist, or `:memory:`. */
  readonly path: string;
  /** Open for writing rows. Default true; false where a worker of the same process does. */
  readonly write?: boolean;
  /** Open the notes. Default true; false in that worker. */
  readonly notes?: boolean;
  /** Only look: nothing is made, moved or written, and no other option but `file` counts. `views.db` must be there. Default false. */
  readonly readOnly?: boolean;
  /** With `readOnly`: a copy of `views.db` to look into, which need not stay there once it is open. Default: itself. */
  readonly file?: string;
  /** Told of a file that was damaged, foreign or in another format and is now out of the way. Default: nobody. */
  readonly onAside?: (aside: Aside) => void;
  /** An open file is looked at in its folder at most this often, ms. Default `LOOK_MS`. */
  readonly lookEvery?: number;
  /** Both files are sealed. Default: they are clear. */
  readonly sealed?: Sealed;
  /** How many events there are; views that show more are dropped, of which `report` is told. Default: none is. */
  readonly log?: { readonly size: number; readonly report: (line: string) => void };
}

/** A view as readers find it. */
interface Served extends Viewed {
  readonly id: number;
}

export class SqliteViews implements Views {
  /** Told once when a reader finds `views.db` damaged; until `renew` or `reopen` every read throws that fault. */
  onDamaged: (fault: ViewsFault) => void = () => {};
  private writer: Connection | undefined;
  private reader: Connection;
  /** Why nothing can be read for now. */
  private fault: ViewsFault | undefined;
  private readonly noted: Notes | undefined;
  private readonly shapes = new Map<number, Shape>();
  private readonly file: string | undefined;
  private readonly readOnly: boolean;
  private readonly opening: Opening;

  constructor(
    { path, write = true, notes = true, readOnly = false, file, onAside = () => {}, lookEvery, sealed, log }:
      SqliteOptions,
  ) {
    const memory = path === ":memory:";
    this.opening = { onAside, lookEvery, sealed };
    this.file = memory ? undefined : `${path}/views.db`;
    this.readOnly = readOnly;
    if (readOnly && this.file !== undefined) {
      this.reader = openResting(file ?? this.file, FORMAT, sealed);
      return;
    }
    // The file is made here even if another thread is going to write: whoever comes first.
    const writer = openWritable(this.file ?? ":memory:", FORMAT, this.opening);
    if (log) dropAhead(writer, log);
    this.reader = this.file === undefined ? writer : openReadable(this.file, FORMAT, this.opening);
    if (write || memory) this.writer = writer;
    else writer.close();
    if (notes) this.noted = new Notes(memory ? ":memory:" : `${path}/notes.db`, { onAside, sealed });
  }

  open(projection: AnyProjection): ViewStore {
    const writer = this.writing();
    const shape = JSON.stringify(shapeOf(projection));
    return writer.transaction("write", () => {
      const { name, version } = projection;
      const found = writer.one(
        "SELECT id, size, shape FROM stores WHERE name = ? AND version = ? AND state <> 'dropped'",
        name,
        version,
      );
      if (found && found[2] === shape) return storeOf(writer, projection, found[0] as number, found[1] as number);
      // The same version with other indexes cannot be used, and is built again.
      if (found) writer.run("UPDATE stores SET state = 'dropped' WHERE id = ?", found[0]!);
      const alone = writer.one("SELECT 1 FROM stores WHERE name = ? AND state = 'served'", name) === undefined;
      const [id] = writer.one(
        "INSERT INTO stores(name, version, size, state, shape, rows, sum) VALUES (?, ?, 0, ?, ?, 0, ?) RETURNING id",
        name,
        version,
        alone ? "served" : "building",
        shape,
        new RowsSum(primitives).bytes(),
      )! as [number];
      writer.exec(projection.appendOnly ? ledgerTables(id, shapeOf(projection)) : keyedTables(id, shapeOf(projection)));
      return storeOf(writer, projection, id, 0);
    });
  }

  swap(store: ViewStore): void {
    const writer = this.writing();
    writer.transaction("write", () => {
      const { id } = store as KeyedStore | LedgerStore;
      writer.run("UPDATE stores SET state = 'dropped' WHERE name = ? AND id <> ?", store.name, id);
      writer.run("UPDATE stores SET state = 'served' WHERE id = ?", id);
    });
  }

  row(name: string, key: string, at?: number): { readonly size: number; readonly row: Row | undefined } {
    return this.reading(name, (view) => {
      const { id, shape, size } = view;
      const cut = atOf(view, at);
      const row = shape.appendOnly ? ledgerRow(this.reader, id, key, cut) : keyedRow(this.reader, id, key, cut);
      return { size: at === undefined ? size : at + 1, row };
    });
  }

  list(name: string, query: ViewQuery): ViewPage {
    return this.reading(name, (view) => {
      const asked = question(view, query);
      const list = view.shape.appendOnly ? ledgerList : keyedList;
      return list(this.reader, view.id, view, asked);
    });
  }

  stores(): readonly ViewState[] {
    this.usable();
    return this.reader.all(
      "SELECT name, version, size, state, rows, sum FROM stores WHERE state <> 'dropped' ORDER BY id",
    )
      .map(([name, version, size, state, rows, sum]) => ({
        name: name as string,
        version: version as number,
        size: size as number,
        served: state === "served",
        ...digestOf(primitives, rows as number, sum as Uint8Array),
      }));
  }

  sweep(): boolean {
    const writer = this.writing();
    const dropped = writer.one("SELECT id FROM stores WHERE state = 'dropped' LIMIT 1");
    if (!dropped) return false;
    const id = dropped[0] as number;
    const holds = (name: string) => writer.one("SELECT 1 FROM sqlite_schema WHERE name = ?", name) !== undefined;
    writer.transaction("write", () => {
      if (holds(`x${id}`)) {
        const [leaf] = writer.one(`SELECT leaf FROM x${id} ORDER BY leaf LIMIT 1 OFFSET ${SWEEP_ROWS}`) ?? [];
        if (leaf !== undefined) return writer.run(`DELETE FROM x${id} WHERE leaf <= ?`, leaf);
      }
      // An index of words can only go as a whole: SQLite guards its inner tables.
      for (const table of [`c${id}`, `p${id}`]) {
        if (!holds(table)) continue;
        writer.run(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} LIMIT ${SWEEP_ROWS})`);
        if (writer.one("SELECT changes()")![0] as number >= SWEEP_ROWS) return;
      }
      for (const table of ["t", "c", "p", "w", "x", "l", "g"]) writer.exec(`DROP TABLE IF EXISTS ${table}${id}`);
      writer.run("DELETE FROM stores WHERE id = ?", id);
    });
    return true;
  }

  digest(name: string, at?: number): FoundDigest {
    return this.reading(name, (view) => {
      const { id, version, shape, size } = view;
      const cut = atOf(view, at);
      const sum = new RowsSum(primitives);
      const rows = shape.appendOnly ? ledgerRows(this.reader, id, cut) : keyedRows(this.reader, id, cut);
      for (const [key, row] of rows) sum.add(readBack(key as string), row as string);
      const found = { name, version, ...sum.digest() };
      if (cut !== undefined) return { ...found, size: cut + 1 };
      const kept = this.reader.one("SELECT rows, sum FROM stores WHERE id = ?", id) as [number, Uint8Array];
      return { ...found, size, kept: digestOf(primitives, ...kept) };
    });
  }

  note(key: string): unknown {
    return this.notebook().get(key);
  }

  setNote(key: string, value: unknown): void {
    this.notebook().set(key, value);
  }

  setNotes(entries: readonly (readonly [string, unknown])[]): void {
    this.notebook().setAll(entries);
  }

  notes(prefix: string, limit: number): readonly (readonly [string, unknown])[] {
    return this.notebook().list(prefix, limit);
  }

  /** Rows and notes that were written so far are on the disk when it returns, also after a power cut. Throws what the system says. */
  flush(): void {
    if (this.file === undefined) return;
    for (const file of [this.file, notesBeside(this.file)]) flush(file);
  }

  bytes(): number {
    if (this.file === undefined) return 0;
    const notes = notesBeside(this.file);
    return [this.file, `${this.file}-wal`, notes, `${notes}-wal`].reduce((sum, path) => sum + sizeOf(path), 0);
  }

  close(): void {
    this.noted?.close();
    if (this.reader !== this.writer) this.reader.close();
    this.writer?.close();
    // Whoever closes last settles, be it the writer or who only read.
    if (!this.readOnly && this.file !== undefined) settle(this.file);
  }

  /**
   * To be called where a worker writes, whenever it has opened the views: a file that it moved aside is not the one that was
   * open here, so the one that is there now is opened.
   */
  reopen(): void {
    if (this.writer || this.readOnly || this.file === undefined) return;
    const reader = openReadable(this.file, FORMAT, this.opening);
    this.reader.close();
    this.began(reader);
  }

  renew(): void {
    if (this.file === undefined) throw new Error("Cannot renew views: they are in memory");
    this.writer?.close();
    this.reader.close();
    this.writer = openWritable(this.file, FORMAT, this.opening);
    this.began(openReadable(this.file, FORMAT, this.opening));
  }

  private began(reader: Connection): void {
    this.reader = reader;
    this.fault = undefined;
    // Ids of stores begin anew in a new file.
    this.shapes.clear();
  }

  private usable(): void {
    if (this.fault) throw new ViewsFault(this.fault.kind, this.fault.message, { cause: this.fault });
  }

  private reading<T>(name: string, work: (served: Served) => T): T {
    this.usable();
    try {
      return this.reader.transaction("read", () => work(this.served(name)));
    } catch (error) {
      if (error instanceof ViewsFault && error.kind === "damaged") {
        this.fault = error;
        this.onDamaged(error);
      }
      throw error;
    }
  }

  private served(name: string): Served {
    const found = this.reader.one(
      "SELECT id, version, size, shape FROM stores WHERE name = ? AND state = 'served'",
      name,
    );
    if (!found) throw new ViewQuestion("unknown_view", `There is no view "${name}"`);
    const [id, version, size, text] = found as [number, number, number, string];
    let shape = this.shapes.get(id);
    if (!shape) this.shapes.set(id, shape = this.reader.json(text) as Shape);
    return { id, name, version, size, shape };
  }

  private writing(): Connection {
    if (!this.writer) throw new Error("Cannot write views: they were opened for reading");
    return this.writer;
  }

  private notebook(): Notes {
    if (!this.noted) throw new Error("Cannot use notes: they were not opened");
    return this.noted;
  }
}

/** What shows more than there is was folded from another log, as where an older copy was put in its place: it is built again. */
const dropAhead = (writer: Connection, { size, report }: NonNullable<SqliteOptions["log"]>): void => {
  try {
    const [ahead] = writer.one("SELECT count(*) FROM stores WHERE state <> 'dropped' AND size > ?", size)! as [number];
    if (ahead === 0) return;
    writer.transaction("write", () => writer.run("UPDATE stores SET state = 'dropped' WHERE size > ?", size));
    report(`${ahead} views show more than the ${size} events of the log, and are built again`);
  } catch (error) {
    // Whoever uses a damaged file finds it so, and is helped then.
    if (!(error instanceof ViewsFault)) throw error;
  }
};

const storeOf = (writer: Connection, projection: AnyProjection, id: number, size: number): ViewStore =>
  projection.appendOnly ? new LedgerStore(writer, id, projection, size) : new KeyedStore(writer, id, projection, size);

const notesBeside = (file: string): string => file.replace(/views\.db$/, "notes.db");

const sizeOf = (path: string): number => {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
};
