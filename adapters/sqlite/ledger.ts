/**
 * One version of an append-only view: a row per event, stored once under its position. Rows never change, so there is no
 * history to keep: as of a position is a cut. An index holds 32 bits of each field and the position; a collision is told
 * apart by the row itself.
 */
import { canonical } from "../../events/canonical.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import {
  encodeCursor,
  indexed,
  matches,
  type Question,
  type Shape,
  shapeOf,
  type Viewed,
} from "../../projections/query.ts";
import type { Row, ViewChange, ViewPage, ViewStore } from "../../projections/views.ts";
import type { RowsSum } from "../../projections/digest.ts";
import { spelled } from "../../projections/words.ts";
import type { Connection } from "./connection.ts";
import type { Value } from "./database.ts";
import { KeptSum } from "./kept_sum.ts";

/**
 * Segments of one level of the words' index before they are merged (https://sqlite.org/fts5.html#the_automerge_configuration_option).
 * Words come in once and are searched seldom, and merging by fours writes each of them again and again.
 */
const SEGMENTS = 16;

export const ledgerTables = (id: number, shape: Shape): string =>
  `CREATE TABLE c${id}(position INTEGER PRIMARY KEY, row TEXT NOT NULL${
    shape.fields.map((_, i) => `, f${i} INTEGER`).join("")
  });` +
  shape.fields.map((_, i) => `CREATE INDEX c${id}_f${i} ON c${id}(f${i});`).join("") +
  (shape.text
    ? `CREATE VIRTUAL TABLE t${id} USING fts5(words, content='', columnsize=0, detail=none, tokenize='ascii');
    INSERT INTO t${id}(t${id}, rank) VALUES('automerge', ${SEGMENTS});`
    : "");

/** FNV-1a over UTF-16 units, 32 bits, signed. Not for trust, only to find. */
const hash = (text: string): number => {
  let h = 0x811c9dc5 | 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
};

/** Rows of one statement: calling into SQLite costs about as much as a row does. */
const ROWS = 32;

/** Values for as many rows as a statement takes. */
class Inserts {
  private values: Value[] = [];
  private readonly many: string;

  constructor(
    private readonly connection: Connection,
    private readonly into: string,
    private readonly columns: number,
  ) {
    this.many = this.statement(ROWS);
  }

  add(...values: readonly Value[]): void {
    this.values.push(...values);
    if (this.values.length === ROWS * this.columns) this.flush(this.many);
  }

  /** To be called within the same transaction. */
  end(): void {
    const { values, columns } = this;
    if (values.length > 0) this.flush(this.statement(values.length / columns));
  }

  clear(): void {
    this.values = [];
  }

  private flush(sql: string): void {
    const { values } = this;
    this.values = [];
    this.connection.run(sql, ...values);
  }

  private statement(rows: number): string {
    const row = `(${Array(this.columns).fill("?").join(", ")})`;
    return `INSERT INTO ${this.into} VALUES ${Array(rows).fill(row).join(", ")}`;
  }
}

export class LedgerStore implements ViewStore {
  readonly name: string;
  readonly version: number;
  private readonly shape: Shape;
  private readonly rows: Inserts;
  private readonly texts: Inserts | undefined;
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
    this.rows = new Inserts(connection, `c${id}`, 2 + this.shape.fields.length);
    if (this.shape.text) this.texts = new Inserts(connection, `t${id}(rowid, words)`, 2);
  }

  get(key: string): unknown {
    // A row that is yet to be made is asked for with every event.
    if (Number(key) >= this.size) return undefined;
    return ledgerRow(this.connection, this.id, key, undefined)?.row;
  }

  commit(changes: readonly ViewChange[], size: number): void {
    try {
      this.kept.transaction(this.size, size, (sum) => {
        for (const change of changes) this.add(change, sum);
        this.rows.end();
        this.texts?.end();
      });
    } catch (error) {
      this.rows.clear();
      this.texts?.clear();
      throw error;
    }
    this.size = size;
  }

  private add({ key, row, position, event }: ViewChange, sum: RowsSum): void {
    if (row === undefined || key !== String(position)) {
      throw new TypeError(
        `Cannot add row "${key}" to ${this.name}: it is append-only, so the key of an event's one row is its position, ${position}`,
      );
    }
    const fields = this.shape.fields.map((field) => {
      const value = indexed((row as Record<string, unknown>)[field]);
      return value === null ? null : hash(String(value));
    });
    const text = canonical(row);
    sum.add(key, text);
    this.rows.add(position, text, ...fields);
    if (this.texts && event) this.texts.add(position, spelled(this.projection.text!(row, key, event)));
  }
}

export const ledgerRow = (connection: Connection, id: number, key: string, at: number | undefined): Row | undefined => {
  const position = Number(key);
  if (String(position) !== key || (at !== undefined && position > at)) return undefined;
  const found = connection.one(`SELECT row FROM c${id} WHERE position = ?`, position);
  return found && { key, row: connection.json(found[0]), position };
};

export const ledgerList = (connection: Connection, id: number, view: Viewed, asked: Question): ViewPage => {
  const rows: Row[] = [];
  if (asked.words?.length === 0) return { size: asked.size, rows };
  for (const [position, text] of candidates(connection, id, asked)) {
    const row = connection.json(text) as Record<string, unknown>;
    if (!asked.where.every(([field, wanted]) => matches(indexed(row[view.shape.fields[field]!]), wanted))) continue;
    if (rows.length === asked.limit) {
      const last = rows.at(-1)!;
      return {
        size: asked.size,
        rows,
        next: encodeCursor(view, asked, { key: last.key, value: null, created: last.position }),
      };
    }
    rows.push({ key: String(position), row, position: position as number });
  }
  return { size: asked.size, rows };
};

/** So many rows of each condition are counted, and where all have as many so many more: it takes a tenth of the time of reading them. */
const COUNTED = [4_000, 64_000];

/** The field whose condition fewest rows meet; counted no further than matters. */
const narrowest = (connection: Connection, id: number, where: Question["where"]): number => {
  let field = where[0]![0];
  for (const most of COUNTED) {
    let least = most;
    for (const [other, wanted] of where) {
      const sql = `SELECT count(*) FROM (SELECT 1 FROM c${id} WHERE f${other} = ? LIMIT ?)`;
      const rows = connection.one(sql, hash(wanted), least)![0] as number;
      if (rows < least) [least, field] = [rows, other];
    }
    if (least < most) break;
  }
  return field;
};

const candidates = (connection: Connection, id: number, asked: Question): Iterable<readonly Value[]> => {
  const values: Value[] = [];
  const bind = (value: Value) => `?${values.push(value)}`;
  const { after, descending } = asked;
  const place = asked.words ? `t${id}.rowid` : "position";
  const first = Math.max(asked.from, !descending && after ? after.created + 1 : 0);
  const end = Math.min(asked.until, asked.size, descending && after ? after.created : Infinity);
  const conditions = [`${place} >= ${bind(first)}`, `${place} < ${bind(end)}`];
  const narrow = asked.words || asked.where.length < 2 ? undefined : narrowest(connection, id, asked.where);
  for (const [field, wanted] of asked.where) {
    // With a plus no index is looked for (https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_).
    conditions.push(`${narrow === undefined || field === narrow ? "" : "+"}f${field} = ${bind(hash(wanted))}`);
  }
  if (asked.words) conditions.push(`t${id} MATCH ${bind(asked.words.map((word) => `"${word}"`).join(" "))}`);
  const tables = asked.words ? `t${id} CROSS JOIN c${id} ON position = t${id}.rowid` : `c${id}`;
  return connection.each(
    `SELECT position, row FROM ${tables} WHERE ${conditions.join(" AND ")} ORDER BY ${place}${
      descending ? " DESC" : ""
    }`,
    ...values,
  );
};

export const ledgerRows = (connection: Connection, id: number, at: number | undefined): Iterable<readonly Value[]> =>
  connection.each(
    `SELECT CAST(position AS TEXT), row FROM c${id} WHERE position <= ? ORDER BY position`,
    at ?? Number.MAX_SAFE_INTEGER,
  );
