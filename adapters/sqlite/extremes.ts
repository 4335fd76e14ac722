/**
 * The smallest and the largest value that each field had up to a position, told per stretch of the log. A list sorted by
 * a field as of long ago begins there, instead of passing over all that came later: times and counts rise with the log.
 */
import { type Connection, readBack, type Value } from "./connection.ts";
import { compareIndexed, type Indexed } from "../../projections/query.ts";

/** Positions of one stretch: entries of an index that a list may have to pass over at its start. */
const STRETCH = 4_096;

export const extremesTable = (id: number): string =>
  `CREATE TABLE e${id}(field INTEGER NOT NULL, stretch INTEGER NOT NULL, low NOT NULL, high NOT NULL,
    PRIMARY KEY (field, stretch)) WITHOUT ROWID;`;

interface Range {
  low: Value;
  high: Value;
}

const plain = (value: Value): Indexed =>
  typeof value === "number" ? value : typeof value === "string" ? readBack(value) : null;

const below = (a: Value, b: Value): boolean =>
  typeof a === "number" && typeof b === "number" ? a < b : a !== b && compareIndexed(plain(a), plain(b)) < 0;

/** Kept by the writer of a view, which sees every row version once. */
export class Extremes {
  private ranges: (Range | undefined)[];
  private changed: boolean[];
  private known = false;
  private position = 0;

  constructor(private readonly connection: Connection, private readonly id: number, private readonly fields: number) {
    this.ranges = Array(fields).fill(undefined);
    this.changed = Array(fields).fill(false);
  }

  note(columns: readonly Value[], position: number): void {
    if (!this.known) this.read();
    if (position > this.position) this.position = position;
    for (let i = 0; i < columns.length; i++) {
      const value = columns[i]!;
      const range = this.ranges[i];
      if (range === undefined) this.ranges[i] = { low: value, high: value };
      else if (below(value, range.low)) range.low = value;
      else if (below(range.high, value)) range.high = value;
      else continue;
      this.changed[i] = true;
    }
  }

  /** Within the transaction of the rows. */
  write(): void {
    const stretch = Math.floor(this.position / STRETCH);
    for (let i = 0; i < this.fields; i++) {
      if (!this.changed[i]) continue;
      const { low, high } = this.ranges[i]!;
      this.connection.run(`INSERT OR REPLACE INTO e${this.id} VALUES (?, ?, ?, ?)`, i, stretch, low, high);
      this.changed[i] = false;
    }
  }

  /** After a transaction that failed. */
  forget(): void {
    this.known = false;
    this.changed.fill(false);
  }

  private read(): void {
    this.known = true;
    this.ranges = this.ranges.map((_, i) => {
      const found = this.connection.one(
        `SELECT low, high FROM e${this.id} WHERE field = ? ORDER BY stretch DESC LIMIT 1`,
        i,
      );
      return found && { low: found[0]!, high: found[1]! };
    });
  }
}

/** Where values of a field ended as of a position, a stretch later at most; `undefined`: it had none. */
export const extremeAt = (
  connection: Connection,
  { id, field, at, high }: { readonly id: number; readonly field: number; readonly at: number; readonly high: boolean },
): Value | undefined =>
  connection.one(
    `SELECT ${high ? "high" : "low"} FROM e${id} WHERE field = ? AND stretch <= ? ORDER BY stretch DESC LIMIT 1`,
    field,
    Math.floor(at / STRETCH),
  )?.[0];
