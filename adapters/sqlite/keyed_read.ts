/** Questions to a view whose rows change; see `keyed.ts` for the tables. */
import {
  encodeCursor,
  type Indexed,
  isWorking,
  type Question,
  type Shape,
  type Viewed,
} from "../../projections/query.ts";
import { type Row, type ViewPage, ViewQuestion } from "../../projections/views.ts";
import { type Connection, readBack, written } from "./connection.ts";
import type { Value } from "./database.ts";
import { AsOf } from "./keyed_as_of.ts";
import { Sql } from "./keyed_sql.ts";

/** The row of a key, now or as of after a position: one look into an index each. */
export const keyedRow = (connection: Connection, id: number, key: string, at: number | undefined): Row | undefined => {
  if (isWorking(key)) return workingRow(connection, id, key, at);
  const found = connection.one(`SELECT row, since, id FROM c${id} WHERE key = ?`, written(key));
  if (!found) return undefined;
  const [row, since, owner] = found as [string | null, number, number];
  if (at === undefined || since <= at) {
    return row === null ? undefined : { key, row: connection.json(row), position: since };
  }
  const past = connection.one(
    `SELECT row, since, until FROM p${id} WHERE owner = ? AND since <= ? ORDER BY since DESC LIMIT 1`,
    owner,
    at,
  ) as [string, number, number] | undefined;
  return past && past[2] > at ? { key, row: connection.json(past[0]), position: past[1] } : undefined;
};

const workingRow = (connection: Connection, id: number, key: string, at: number | undefined): Row | undefined => {
  if (at !== undefined) throw new ViewQuestion("no_history", "of a working row the newest state alone is kept");
  const found = connection.one(`SELECT row, since FROM w${id} WHERE key = ?`, written(key));
  return found && { key, row: connection.json(found[0]), position: found[1] as number };
};

export const keyedList = (connection: Connection, id: number, view: Viewed, asked: Question): ViewPage => {
  if (asked.words?.length === 0) return { size: asked.size, rows: [] };
  const found = foundRows(connection, id, view.shape, asked);
  const rows = found.slice(0, asked.limit).map(([key, since, row]) => ({
    key: readBack(key as string),
    row: connection.json(row),
    position: since as number,
  }));
  if (found.length <= asked.limit) return { size: asked.size, rows };
  const [key, , , created, value] = found[asked.limit - 1]!;
  const last = { key: readBack(key as string), created: created as number, value: indexedOf(value!) };
  return { size: asked.size, rows, next: encodeCursor(view, asked, last) };
};

/** The page and one row more, each as `Sql` selects it. */
const foundRows = (
  connection: Connection,
  id: number,
  shape: Shape,
  asked: Question,
): readonly (readonly Value[])[] => {
  const { at, order, where } = asked;
  // Keys by their age are in order as they lie, whenever it was; and a few are sorted sooner than found in order.
  if (at === undefined || (order.by === "created" && where.length === 0) || few(connection, id)) {
    const { sql, values } = new Sql(connection, id, asked).list(asked.limit + 1);
    return connection.all(sql, ...values);
  }
  return new AsOf(connection, { id, shape, asked, at }).list();
};

/** A view that never had more keys than these is read as a whole. */
const FEW_KEYS = 64;

const few = (connection: Connection, id: number): boolean => {
  const last = connection.one(`SELECT max(id) FROM c${id}`)![0] as number | null;
  return (last ?? 0) <= FEW_KEYS;
};

const indexedOf = (value: Value): Indexed =>
  typeof value === "number" ? value : typeof value === "string" ? readBack(value) : null;

/** All rows in order of key, for the digest. */
export const keyedRows = (connection: Connection, id: number, at: number | undefined): Iterable<readonly Value[]> =>
  at === undefined
    ? connection.each(`SELECT key, row FROM c${id} WHERE row IS NOT NULL ORDER BY key`)
    : connection.each(
      `SELECT c.key, CASE WHEN c.since <= ?1 THEN c.row ELSE p.row END FROM c${id} c LEFT JOIN p${id} p ON c.since > ?1 AND p.id =
        (SELECT x.id FROM p${id} x WHERE x.owner = c.id AND x.since <= ?1 ORDER BY x.since DESC LIMIT 1) AND p.until > ?1
        WHERE c.row IS NOT NULL AND c.since <= ?1 OR p.id IS NOT NULL ORDER BY c.key`,
      at,
    );
