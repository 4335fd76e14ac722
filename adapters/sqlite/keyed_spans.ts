/**
 * The parts in which a list is asked for. As of long ago an index in the order of a field is full of what came later. So
 * the walk begins at the most that the field had been by then, and a value that many newer rows have is asked for by itself,
 * as ids within a value can be sought.
 */
import type { Question, Shape } from "../../projections/query.ts";
import type { Connection, Value } from "./connection.ts";
import { extremeAt } from "./extremes.ts";
import { column } from "./keyed.ts";
import { SORT_ROWS_MAX, Sql } from "./keyed_sql.ts";

/** As of long ago, so many newer entries of one value are passed over; where there are more, the value is asked for by itself. */
const NEWER_MAX = 1_000;
/** So many values in a row; then the rest is walked. */
const ALONE_MAX = 8;

/** A part of the answer: rows whose field in the order has this value, or comes at or behind it. `id`: behind this row. */
export interface Span {
  readonly is: "=" | "<" | "<=" | ">" | ">=";
  readonly value: Value;
  readonly id?: number;
}

/** In order; `undefined` is the whole. */
export function* spans(
  connection: Connection,
  id: number,
  shape: Shape,
  asked: Question,
): Iterable<Span | undefined> {
  const { order, descending, at, after } = asked;
  const sql = new Sql(connection, id, shape, asked);
  const born = at === undefined ? 0 : sql.bornBy(at);
  if (at === undefined || order.by !== "field" || sql.byKey(born) || sql.narrow().rows <= SORT_ROWS_MAX) {
    yield undefined;
    return;
  }
  const index: Index = { connection, id, field: order.field };
  let rest: Span;
  if (after) {
    const value = column(after.value);
    yield { is: "=", value, id: after.created };
    rest = { is: descending ? "<" : ">", value };
  } else {
    const value = extremeAt(connection, { id, field: order.field, at, high: descending });
    if (value === undefined) return;
    rest = { is: descending ? "<=" : ">=", value };
  }
  for (let alone = 0; descending && alone < ALONE_MAX; alone++) {
    const value = next(index, rest);
    if (value === undefined) return;
    if (newer(index, value, born) <= NEWER_MAX) break;
    yield { is: "=", value };
    rest = { is: "<", value };
  }
  yield rest;
}

/** The indexes of a field, of newest rows and of past ones. */
interface Index {
  readonly connection: Connection;
  readonly id: number;
  readonly field: number;
}

/** The next value downwards that any row version has. */
const next = ({ connection, id, field }: Index, { is, value }: Span): Value | undefined => {
  const largest = (table: string) =>
    `SELECT * FROM (SELECT f${field} FROM ${table} INDEXED BY ${table}_f${field} WHERE f${field} ${is} ?1 ORDER BY 1 DESC LIMIT 1)`;
  return connection.one(`${largest(`c${id}`)} UNION ALL ${largest(`p${id}`)} ORDER BY 1 DESC LIMIT 1`, value)?.[0];
};

/** Entries with this value of keys that came to be later, counted no further than matters. */
const newer = ({ connection, id, field }: Index, value: Value, born: number): number => {
  const count = (table: string, key: string) =>
    connection.one(
      `SELECT count(*) FROM (SELECT 1 FROM ${table} INDEXED BY ${table}_f${field} WHERE f${field} = ? AND ${key} > ?
        LIMIT ${NEWER_MAX + 1})`,
      value,
      born,
    )![0] as number;
  return count(`c${id}`, "id") + count(`p${id}`, "owner");
};
