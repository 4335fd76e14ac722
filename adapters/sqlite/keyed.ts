/**
 * One version of a view whose rows change, in two tables: `c` has each key once, with its newest row (none, when it was
 * removed), `p` what rows were before, each with the positions from and until which it held. So live reads never wade
 * through history, and writing history is appending. Reading is in `keyed_read.ts`.
 */
import { canonical } from "../../events/canonical.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type Indexed, indexed, type Shape, shapeOf } from "../../projections/query.ts";
import type { ViewChange, ViewStore } from "../../projections/views.ts";
import { words } from "../../projections/words.ts";
import { type Connection, type Value, written } from "./connection.ts";

/** A field that a row lacks; blobs sort behind numbers and text. */
const ABSENT = new Uint8Array(0);

export const column = (value: Indexed): Value =>
  value === null ? ABSENT : typeof value === "string" ? written(value) : value;

const columns = (shape: Shape) => shape.fields.map((_, i) => `, f${i}`).join("");

/**
 * Ids rise with the keys' creation, and so does `born`, the position of it; with `history` no id is ever given twice.
 * Fields are indexed without the key: keys are long and in no order, and would make every insert a random write.
 */
export const keyedTables = (id: number, shape: Shape): string => {
  const fields = columns(shape);
  const indexes = shape.fields.map((_, i) =>
    `CREATE INDEX c${id}_f${i} ON c${id}(f${i}) WHERE row IS NOT NULL;` +
    (shape.history ? `CREATE INDEX p${id}_f${i} ON p${id}(f${i}, owner, since, until);` : "")
  );
  return `CREATE TABLE c${id}(id INTEGER PRIMARY KEY, key TEXT NOT NULL, born INTEGER NOT NULL, since INTEGER NOT NULL, row TEXT${fields});
    CREATE UNIQUE INDEX c${id}_key ON c${id}(key);` +
    (shape.history
      ? `CREATE TABLE p${id}(id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL, row TEXT NOT NULL${fields});
    CREATE INDEX p${id}_owner ON p${id}(owner, since);`
      : "") +
    indexes.join("") +
    (shape.text
      ? `CREATE VIRTUAL TABLE t${id} USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');`
      : "");
};

export class KeyedStore implements ViewStore {
  readonly name: string;
  readonly version: number;
  private readonly shape: Shape;
  private readonly sql: Readonly<Record<"get" | "find" | "archive" | "past" | "insert" | "update" | "remove", string>>;

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
    const set = this.shape.fields.map((_, i) => `, f${i} = ?`).join("");
    this.sql = {
      get: `SELECT row FROM c${id} WHERE key = ?`,
      find: `SELECT id, since, row IS NOT NULL FROM c${id} WHERE key = ?`,
      archive:
        `INSERT INTO p${id}(until, owner, since, row${fields}) SELECT ?, id, since, row${fields} FROM c${id} WHERE id = ?`,
      past: `INSERT INTO p${id}(until, owner, since, row${fields}) VALUES (?, ?, ?, ?${marks})`,
      insert: `INSERT INTO c${id}(key, born, since, row${fields}) VALUES (?, ?, ?, ?${marks})`,
      update: `UPDATE c${id} SET since = ?, row = ?${set} WHERE id = ?`,
      remove: `DELETE FROM c${id} WHERE id = ?`,
    };
  }

  get(key: string): unknown {
    const row = this.connection.one(this.sql.get, written(key))?.[0];
    return typeof row === "string" ? JSON.parse(row) : undefined;
  }

  commit(changes: readonly ViewChange[], size: number): void {
    this.connection.transaction("write", () => {
      for (const versions of byKey(changes)) this.put(versions);
      this.connection.run("UPDATE stores SET size = ? WHERE id = ?", size, this.id);
    });
    this.size = size;
  }

  /** All that became of one key within the transaction. What lay between goes straight to the past. */
  private put(versions: readonly ViewChange[]): void {
    const { connection, sql, shape } = this;
    const last = versions.at(-1)!;
    const key = written(last.key);
    let found = connection.one(sql.find, key) as [id: number, since: number, held: number] | undefined;
    if (!shape.history && found && versions.some(({ row }) => row === undefined)) {
      // It ends here; if it comes to be again, it does so anew.
      this.index(found[0], undefined);
      connection.run(sql.remove, found[0]);
      found = undefined;
    }
    const first = versions.find(({ row }) => row !== undefined);
    if (found && shape.history && found[2] && found[1] < versions[0]!.position) {
      connection.run(sql.archive, versions[0]!.position, found[0]);
    }
    if (!found && (first === undefined || (!shape.history && last.row === undefined))) return;
    const row = last.row === undefined ? null : canonical(last.row);
    const fields = this.fields(last.row);
    if (found) connection.run(sql.update, last.position, row, ...fields, found[0]);
    const id = found?.[0] ??
      Number(connection.statement(sql.insert).run(key, first!.position, last.position, row, ...fields).lastInsertRowid);
    if (shape.history && versions.length > 1) this.between(id, versions);
    if (last.row === undefined) this.index(id, undefined);
    else if (shape.text && last.event) {
      this.index(id, this.projection.text!(last.row, last.key, last.event), found === undefined);
    }
  }

  private between(id: number, versions: readonly ViewChange[]): void {
    for (let i = 0; i + 1 < versions.length; i++) {
      const { row, position } = versions[i]!;
      const until = versions[i + 1]!.position;
      if (row === undefined || until === position) continue;
      this.connection.run(this.sql.past, until, id, position, canonical(row), ...this.fields(row));
    }
  }

  private index(id: number, text: string | undefined, fresh = false): void {
    if (!this.shape.text) return;
    if (!fresh) this.connection.run(`DELETE FROM t${this.id} WHERE rowid = ?`, id);
    if (text !== undefined) {
      this.connection.run(`INSERT INTO t${this.id}(rowid, words) VALUES (?, ?)`, id, words(text).join(" "));
    }
  }

  private fields(row: unknown): Value[] {
    const { fields } = this.shape;
    if (row === undefined) return fields.map(() => null);
    return fields.map((field) => column(indexed((row as Record<string, unknown>)[field])));
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
