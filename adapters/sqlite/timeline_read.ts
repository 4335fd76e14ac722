/** The leaves in which a list as of then is found, in its order; see `timeline.ts`. */
import type { Connection } from "./connection.ts";
import type { Value } from "./database.ts";

/** A place in the order of a field: between the entries of a value, or beside all of them (`owner` 0, or `LAST`). */
export interface Point {
  readonly value: Value;
  readonly owner: number;
}

/** Behind every key. */
export const LAST = Number.MAX_SAFE_INTEGER;

export interface Stretch {
  /** Place of the field in the view's shape; behind the last is the key. */
  readonly field: number;
  readonly at: number;
  /** Only what lies between, both left out. */
  readonly low?: Point;
  readonly high?: Point;
  readonly descending: boolean;
}

/** Numbers of leaves, in the order of the list. */
export function* leavesOf(
  connection: Connection,
  id: number,
  { field, at, low, high, descending }: Stretch,
): Iterable<number> {
  const turn = connection.one(
    `SELECT turn FROM g${id} WHERE field = ? AND since <= ? ORDER BY turn DESC LIMIT 1`,
    field,
    at,
  )?.[0];
  if (turn === undefined) return;
  const values: Value[] = [field, at, turn];
  const bind = (value: Value) => `?${values.push(value)}`;
  const point = ({ value, owner }: Point) => `(${bind(value)}, ${bind(owner)})`;
  const then = `FROM l${id} WHERE field = ?1 AND turn = ?3 AND since <= ?2 AND until > ?2`;
  const conditions: string[] = [];
  if (low) {
    // The leaf in which the stretch begins may itself begin before it.
    const first = connection.one(
      `SELECT value, owner ${then} AND (value, owner) <= (?4, ?5) ORDER BY value DESC, owner DESC LIMIT 1`,
      field,
      at,
      turn,
      low.value,
      low.owner,
    );
    if (first) conditions.push(`(value, owner) >= (${bind(first[0]!)}, ${bind(first[1]!)})`);
  }
  if (high) conditions.push(`(value, owner) < ${point(high)}`);
  const down = descending ? " DESC" : "";
  const and = conditions.map((condition) => ` AND ${condition}`).join("");
  for (
    const [leaf] of connection.each(`SELECT leaf ${then}${and} ORDER BY value${down}, owner${down}`, ...values)
  ) {
    yield leaf as number;
  }
}
