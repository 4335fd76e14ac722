/**
 * One version of a view whose rows change: `c` has each key once, with its newest row (none, when it was removed), `p` what
 * rows were before, each with the positions from and until which it held. So live reads never wade through history, and
 * writing history is appending. Lists as of then go by `timeline.ts`. Working rows lie apart in `w`, newest only. Reading is
 * in `keyed_read.ts`.
 */
import { canonical } from "../../events/canonical.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type Indexed, indexed, isWorking, type Shape, shapeOf } from "../../projections/query.ts";
import type { ViewChange, ViewStore } from "../../projections/views.ts";
import type { RowsSum } from "../../projections/digest.ts";
import { spelled } from "../../projections/words.ts";
import { type Connection, written } from "./connection.ts";
import type { Value } from "./database.ts";
import { KeptSum } from "./kept_sum.ts";
import { Timeline, timelineTables } from "./timeline.ts";

/** Keys whose place is remembered between transactions, so that a row that was read is not looked up again to be changed. */
const PLACES_MAX = 10_000;

/** A field that a row lacks; blobs sort behind numbers and text. */
const ABSENT = new Uint8Array(0);

export const column = (value: Indexed): Value =>
  value === null ? ABSENT : typeof value === "string" ? written(value) : value;

const columns = (shape: Shape) => shape.fields.map((_, i) => `, f${i}`).join("");

/**
 * Ids rise with the keys' creation, and so does `born`, the position of it; with `history` no id is ever given twice.
 * Fields are indexed without the key: keys are long and in no order, and would make every insert a random write. Those of a
 * key that has no row are NULL; an index that said so by `row` would be renewed with every row.
 */
export const keyedTables = (id: number, shape: Shape): string => {
  const fields = columns(shape);
  const indexes = shape.fields.map((_, i) => `CREATE INDEX c${id}_f${i} ON c${id}(f${i}) WHERE f${i} IS NOT NULL;`);
  return `CREATE TABLE c${id}(id INTEGER PRIMARY KEY, key TEXT NOT NULL, born INTEGER NOT NULL, since INTEGER NOT NULL, row TEXT${fields});
    CREATE UNIQUE INDEX c${id}_key ON c${id}(key);
    CREATE TABLE w${id}(key TEXT PRIMARY KEY, since INTEGER NOT NULL, row TEXT NOT NULL) WITHOUT ROWID;` +
    (shape.history
      ? `CREATE TABLE p${id}(id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, row TEXT NOT NULL${fields});
    CREATE INDEX p${id}_owner ON p${id}(owner, since);${timelineTables(id)}`
      : "") +
    indexes.join("") +
    (shape.text
      ? `CREATE VIRTUAL TABLE t${id} USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');`
      : "");
};

/** Where a key's newest row lies, and its text; `undefined`: the key is not there. */
type Place =
  | {
    readonly id: number;
    readonly since: number;
    readonly columns: readonly Value[] | undefined;
    readonly text: string | undefined;
  }
  | undefined;

type Statement = "get" | "working" | "keep" | "drop" | "archive" | "past" | "insert" | "remove";

export class KeyedStore implements ViewStore {
  readonly name: string;
  readonly version: number;
  private readonly shape: Shape;
  private readonly sql: Readonly<Record<Statement, string>>;
  private readonly places = new Map<string, Place>();
  private readonly timeline: Timeline | undefined;
  private readonly kept: KeptSum;

  constructor(
    private readonly connection: Connection,
    readonly id: number,
    private readonly projection: AnyProjection,
    public size: number,
  ) {
    this.name = projection.name;
    this.version = projection.version;
    this.shape = shapeOf(projection);
    this.kept = new KeptSum(connection, id);
    const fields = columns(this.shape);
    const marks = this.shape.fields.map(() => ", ?").join("");
    // The key is a field as well.
    if (this.shape.history) this.timeline = new Timeline(connection, id, this.shape.fields.length + 1);
    this.sql = {
      get: `SELECT row, id, since FROM c${id} WHERE key = ?`,
      working: `SELECT row FROM w${id} WHERE key = ?`,
      keep: `INSERT OR REPLACE INTO w${id}(key, since, row) VALUES (?, ?, ?)`,
      drop: `DELETE FROM w${id} WHERE key = ?`,
      archive:
        `INSERT INTO p${id}(until, owner, since, row${fields}) SELECT ?, id, since, row${fields} FROM c${id} WHERE id = ?`,
      past: `INSERT INTO p${id}(until, owner, since, row${fields}) VALUES (?, ?, ?, ?${marks})`,
      insert: `INSERT INTO c${id}(key, born, since, row${fields}) VALUES (?, ?, ?, ?${marks})`,
      remove: `DELETE FROM c${id} WHERE id = ?`,
    };
  }

  get(key: string): unknown {
    const working = isWorking(key);
    const found = this.connection.one(working ? this.sql.working : this.sql.get, written(key));
    const text = typeof found?.[0] === "string" ? found[0] : undefined;
    const row: unknown = text === undefined ? undefined : this.connection.json(text);
    const place = found && { id: Number(found[1]), since: Number(found[2]), columns: row && this.columns(row), text };
    this.places.set(key, place as Place);
    return row;
  }

  commit(changes: readonly ViewChange[], size: number): void {
    try {
      this.kept.transaction(this.size, size, (sum) => {
        for (const versions of byKey(changes)) {
          if (isWorking(versions[0]!.key)) this.work(versions.at(-1)!);
          else this.put(versions, sum);
        }
        this.timeline?.write();
      });
    } catch (error) {
      // What was noted on the way is not what the file has.
      this.places.clear();
      this.timeline?.forget();
      throw error;
    }
    if (this.places.size > PLACES_MAX) this.places.clear();
    this.size = size;
  }

  /** Of a working row only what it is at the end counts: one that came and went in between is never written. */
  private work({ key, row, position }: ViewChange): void {
    const absent = this.places.has(key) && this.places.get(key) === undefined;
    if (row !== undefined) this.connection.run(this.sql.keep, written(key), position, canonical(row));
    else if (!absent) this.connection.run(this.sql.drop, written(key));
    this.places.delete(key);
  }

  /** All that became of one key within the transaction. What lay between goes straight to the past. */
  private put(versions: readonly ViewChange[], sum: RowsSum): void {
    const { connection, sql, shape } = this;
    const last = versions.at(-1)!;
    if (!this.places.has(last.key)) this.get(last.key);
    let place = this.places.get(last.key);
    const row = last.row === undefined ? null : canonical(last.row);
    sum.replace(last.key, place?.text, row ?? undefined);
    if (!shape.history && place && versions.some(({ row }) => row === undefined)) {
      // It ends here; if it comes to be again, it does so anew.
      this.index(place.id, undefined);
      connection.run(sql.remove, place.id);
      this.places.set(last.key, place = undefined);
    }
    const first = versions.find(({ row }) => row !== undefined);
    if (place?.columns && shape.history && place.since < versions[0]!.position) {
      connection.run(sql.archive, versions[0]!.position, place.id);
    }
    if (!place && (first === undefined || (!shape.history && last.row === undefined))) return;
    const columns = last.row === undefined ? undefined : this.columns(last.row);
    const fresh = place === undefined;
    const id = place?.id ?? this.insert(last, first!.position, row, columns);
    this.trace(id, place?.columns, versions);
    if (place) this.update(place, last.position, row, columns);
    this.places.set(last.key, { id, since: last.position, columns, text: row ?? undefined });
    if (shape.history && versions.length > 1) this.between(id, versions);
    if (last.row === undefined) this.index(id, undefined);
    else if (shape.text && last.event) this.index(id, this.projection.text!(last.row, last.key, last.event), fresh);
  }

  private insert(last: ViewChange, born: number, row: string | null, columns: readonly Value[] | undefined): number {
    const values = columns ?? this.none();
    const { lastInsertRowid } = this.connection.statement(this.sql.insert)
      .run(written(last.key), born, last.position, row, ...values);
    return Number(lastInsertRowid);
  }

  /** Names the columns that change and no other, for SQLite renews the index of each that is named. */
  private update(place: NonNullable<Place>, since: number, row: string | null, columns = this.none()): void {
    const before = place.columns ?? this.none();
    const values: Value[] = [];
    let set = "";
    for (let i = 0; i < columns.length; i++) {
      if (columns[i] === before[i]) continue;
      set += `, f${i} = ?`;
      values.push(columns[i]!);
    }
    const sql = `UPDATE c${this.id} SET since = ?, row = ?${set} WHERE id = ?`;
    this.connection.run(sql, since, row, ...values, place.id);
  }

  private between(id: number, versions: readonly ViewChange[]): void {
    for (let i = 0; i + 1 < versions.length; i++) {
      const { row, position } = versions[i]!;
      const until = versions[i + 1]!.position;
      if (row === undefined || until === position) continue;
      this.connection.run(this.sql.past, until, id, position, canonical(row), ...this.columns(row));
    }
  }

  /** What lists as of then go by. */
  private trace(id: number, before: readonly Value[] | undefined, versions: readonly ViewChange[]): void {
    if (!this.timeline) return;
    const key = written(versions[0]!.key);
    const traced = versions.map(({ position, row }) => ({
      position,
      values: row === undefined ? undefined : [...this.columns(row), key],
    }));
    this.timeline.add(id, before && [...before, key], traced);
  }

  private index(id: number, text: string | undefined, fresh = false): void {
    if (!this.shape.text) return;
    if (!fresh) this.connection.run(`DELETE FROM t${this.id} WHERE rowid = ?`, id);
    if (text !== undefined) {
      this.connection.run(`INSERT INTO t${this.id}(rowid, words) VALUES (?, ?)`, id, spelled(text));
    }
  }

  private columns(row: unknown): Value[] {
    return this.shape.fields.map((field) => column(indexed((row as Record<string, unknown>)[field])));
  }

  private none(): readonly Value[] {
    return this.shape.fields.map(() => null);
  }
}

const byKey = (changes: readonly ViewChange[]): Iterable<readonly ViewChange[]> => {
  if (changes.length === 1) return [changes];
  const groups = new Map<string, ViewChange[]>();
  for (const change of changes) {
    const group = groups.get(change.key);
    group ? group.push(change) : groups.set(change.key, [change]);
  }
  return groups.values();
};
