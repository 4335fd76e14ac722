/**
 * One version of a view whose rows change, in two tables: `c` has the newest row of each key, `p` what rows were before,
 * each with the positions from and until which it held. So live reads never wade through history, and writing history is
 * appending.
 */
import { canonical } from "../../events/canonical.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import {
  afterPrefix,
  encodeCursor,
  type Indexed,
  indexed,
  type Question,
  type Shape,
  shapeOf,
} from "../../projections/query.ts";
import type { Row, ViewChange, ViewPage, ViewStore } from "../../projections/views.ts";
import { words } from "../../projections/words.ts";
import { type Connection, readBack, type Value, written } from "./connection.ts";

/** A field that a row lacks; blobs sort behind numbers and text. */
export const ABSENT = new Uint8Array(0);

const columns = (shape: Shape) => shape.fields.map((_, i) => `, f${i}`).join("");

export const keyedTables = (id: number, shape: Shape): string => {
  const fields = columns(shape);
  const index = (table: string, more: string) =>
    shape.fields.map((_, i) => `CREATE INDEX ${table}_f${i} ON ${table}(f${i}, key${more});`).join("");
  return `CREATE TABLE c${id}(id INTEGER PRIMARY KEY, key TEXT NOT NULL, since INTEGER NOT NULL, row TEXT NOT NULL${fields});
    CREATE UNIQUE INDEX c${id}_key ON c${id}(key); ${index(`c${id}`, "")}` +
    (shape.history
      ? `CREATE TABLE p${id}(id INTEGER PRIMARY KEY, key TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, row TEXT NOT NULL${fields});
    CREATE INDEX p${id}_key ON p${id}(key, since); ${index(`p${id}`, ", since, until")}`
      : "") +
    (shape.text
      ? `CREATE VIRTUAL TABLE t${id} USING fts5(words, content='', contentless_delete=1, columnsize=1, detail=none, tokenize='ascii');`
      : "");
};

export class KeyedStore implements ViewStore {
  readonly name: string;
  readonly version: number;
  private readonly shape: Shape;
  private readonly sql: Readonly<Record<"get" | "archive" | "past" | "upsert" | "remove" | "find", string>>;

  constructor(
    private readonly connection: Connection,
    readonly id: number,
    private readonly projection: AnyProjection,
    public size: number,
  ) {
    this.name = projection.name;
    this.version = projection.version;
    this.shape = shapeOf(projection);
    const fields = columns(this.shape);
    const marks = this.shape.fields.map(() => ", ?").join("");
    const set = this.shape.fields.map((_, i) => `, f${i} = excluded.f${i}`).join("");
    this.sql = {
      get: `SELECT row FROM c${id} WHERE key = ?`,
      find: `SELECT id FROM c${id} WHERE key = ?`,
      archive:
        `INSERT INTO p${id}(until, key, since, row${fields}) SELECT ?1, key, since, row${fields} FROM c${id} WHERE key = ?2 AND since < ?1`,
      past: `INSERT INTO p${id}(until, key, since, row${fields}) VALUES (?, ?, ?, ?${marks})`,
      upsert: `INSERT INTO c${id}(key, since, row${fields}) VALUES (?, ?, ?${marks})
        ON CONFLICT(key) DO UPDATE SET since = excluded.since, row = excluded.row${set} RETURNING id`,
      remove: `DELETE FROM c${id} WHERE key = ?`,
    };
  }

  get(key: string): unknown {
    const found = this.connection.one(this.sql.get, written(key));
    return found && JSON.parse(found[0] as string);
  }

  commit(changes: readonly ViewChange[], size: number): void {
    this.connection.transaction("write", () => {
      for (const versions of byKey(changes)) this.put(versions);
      this.connection.run("UPDATE stores SET size = ? WHERE id = ?", size, this.id);
    });
    this.size = size;
  }

  /** All that became of one row within the transaction. What lay between goes straight to the past. */
  private put(versions: readonly ViewChange[]): void {
    const { connection, sql } = this;
    const key = written(versions[0]!.key);
    if (this.shape.history) {
      connection.run(sql.archive, versions[0]!.position, key);
      for (let i = 0; i + 1 < versions.length; i++) {
        const { row, position } = versions[i]!;
        const until = versions[i + 1]!.position;
        if (row !== undefined && until > position) {
          connection.run(sql.past, until, key, position, canonical(row), ...this.fields(row));
        }
      }
    }
    const last = versions.at(-1)!;
    // A removal in between ends what the key was: it comes to be anew, with a place of its own among the created.
    if (last.row === undefined || versions.some(({ row }) => row === undefined)) this.remove(key);
    if (last.row === undefined) return;
    const [id] = connection.one(sql.upsert, key, last.position, canonical(last.row), ...this.fields(last.row))!;
    if (this.shape.text && last.event) this.index(id as number, this.projection.text!(last.row, last.key, last.event));
  }

  private remove(key: string): void {
    if (this.shape.text) {
      const found = this.connection.one(this.sql.find, key);
      if (found) this.connection.run(`DELETE FROM t${this.id} WHERE rowid = ?`, found[0]!);
    }
    this.connection.run(this.sql.remove, key);
  }

  private index(id: number, text: string): void {
    this.connection.run(`INSERT OR REPLACE INTO t${this.id}(rowid, words) VALUES (?, ?)`, id, words(text).join(" "));
  }

  private fields(row: unknown): Value[] {
    return this.shape.fields.map((field) => column(indexed((row as Record<string, unknown>)[field])));
  }
}

const column = (value: Indexed): Value => value === null ? ABSENT : typeof value === "string" ? written(value) : value;

const byKey = (changes: readonly ViewChange[]): Iterable<readonly ViewChange[]> => {
  if (changes.length === 1) return [changes];
  const groups = new Map<string, ViewChange[]>();
  for (const change of changes) {
    const group = groups.get(change.key);
    group ? group.push(change) : groups.set(change.key, [change]);
  }
  return groups.values();
};

/** The row of a key, now or as of after a position: one look into an index each. */
export const keyedRow = (connection: Connection, id: number, key: string, at: number | undefined): Row | undefined => {
  const now = connection.one(`SELECT row, since FROM c${id} WHERE key = ?`, written(key));
  if (now && (at === undefined || now[1] as number <= at)) {
    return { key, row: JSON.parse(now[0] as string), position: now[1] as number };
  }
  if (at === undefined) return undefined;
  const past = connection.one(
    `SELECT row, since, until FROM p${id} WHERE key = ? AND since <= ? ORDER BY since DESC LIMIT 1`,
    written(key),
    at,
  );
  if (!past || past[2] as number <= at) return undefined;
  return { key, row: JSON.parse(past[0] as string), position: past[1] as number };
};

export const keyedList = (connection: Connection, id: number, shape: Shape, asked: Question): ViewPage => {
  if (asked.words?.length === 0 || asked.from >= asked.until) return { size: asked.size, rows: [] };
  const { sql, values } = listSql(connection, id, shape, asked);
  const found = connection.all(sql, ...values);
  const rows = found.slice(0, asked.limit).map(([key, since, row]) => ({
    key: readBack(key as string),
    row: JSON.parse(row as string),
    position: since as number,
  }));
  if (found.length <= asked.limit) return { size: asked.size, rows };
  const [key, , , place] = found[asked.limit - 1]!;
  return {
    size: asked.size,
    rows,
    next: encodeCursor(shape, asked, { key: readBack(key as string), value: indexedOf(place!) }),
  };
};

const listSql = (connection: Connection, id: number, shape: Shape, asked: Question) => {
  const values: Value[] = [];
  const bind = (value: Value) => `?${values.push(value)}`;
  const { order, descending, after } = asked;
  const place = order.by === "field" ? `f${order.field}` : order.by === "created" ? "id" : "key";
  const conditions: string[] = [];
  if (after) {
    const beyond = descending ? "<" : ">";
    if (order.by === "field") {
      conditions.push(`(${place}, key) ${beyond} (${bind(column(after.value))}, ${bind(written(after.key))})`);
    } else conditions.push(`${place} ${beyond} ${bind(order.by === "key" ? written(after.key) : after.value)}`);
  }
  for (const [field, wanted] of asked.where) {
    conditions.push(`f${field} IN (${formsOf(connection, id, shape, field, wanted).map(bind).join(", ")})`);
  }
  if (asked.prefix) {
    conditions.push(`key >= ${bind(written(asked.prefix))}`);
    const end = afterPrefix(asked.prefix);
    if (end !== undefined) conditions.push(`key < ${bind(written(end))}`);
  }
  // Working rows; written so that no index is chosen for it.
  conditions.push("substr(key, 1, 1) <> '~'");
  if (asked.from > 0) conditions.push(`since >= ${bind(asked.from)}`);
  if (asked.until !== Infinity) conditions.push(`since < ${bind(asked.until)}`);
  if (asked.words) {
    const match = bind(asked.words.map((word) => `"${word}"`).join(" "));
    conditions.push(`id IN (SELECT rowid FROM t${id} WHERE t${id} MATCH ${match})`);
  }
  const select = (table: string, more: readonly string[]) =>
    `SELECT key, since, row, ${order.by === "key" ? "NULL" : place} AS place FROM ${table} WHERE ${
      [...conditions, ...more].join(" AND ")
    }`;
  const at = asked.at === undefined ? undefined : bind(asked.at);
  const tables = at === undefined
    ? select(`c${id}`, [])
    : `${select(`c${id}`, [`since <= ${at}`])} UNION ALL ${select(`p${id}`, [`since <= ${at}`, `until > ${at}`])}`;
  const direction = descending ? " DESC" : "";
  const by = order.by === "key"
    ? `key${direction}`
    : order.by === "created"
    ? `place${direction}`
    : `place${direction}, key${direction}`;
  return { sql: `${tables} ORDER BY ${by} LIMIT ${bind(asked.limit + 1)}`, values };
};

const indexedOf = (value: Value): Indexed =>
  typeof value === "number" ? value : typeof value === "string" ? readBack(value) : null;

/** A value in a question is text; what is stored may be the number it spells. Only forms that occur, so that an index gives the order. */
const formsOf = (connection: Connection, id: number, shape: Shape, field: number, wanted: string): readonly Value[] => {
  const number = Number(wanted);
  if (String(number) !== wanted) return [written(wanted)];
  const occurs = (form: Value) =>
    [`c${id}`, ...(shape.history ? [`p${id}`] : [])].some((table) =>
      connection.one(`SELECT 1 FROM ${table} WHERE f${field} = ? LIMIT 1`, form)
    );
  const forms = [number, written(wanted)].filter(occurs);
  return forms.length > 0 ? forms : [written(wanted)];
};

/** All rows in order of key, for the digest. */
export const keyedRows = (connection: Connection, id: number, at: number | undefined): Iterable<readonly Value[]> =>
  at === undefined ? connection.each(`SELECT key, row FROM c${id} ORDER BY key`) : connection.each(
    `SELECT key, row FROM c${id} WHERE since <= ?1 UNION ALL SELECT key, row FROM p${id} WHERE since <= ?1 AND until > ?1 ORDER BY key`,
    at,
  );
