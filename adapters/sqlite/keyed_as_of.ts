/** A list of a view as of then, by the leaves of `timeline.ts`: in the order of a field or of the key, or of one value's rows. */
import { afterPrefix, type Question, type Shape } from "../../projections/query.ts";
import { type Connection, written } from "./connection.ts";
import type { Value } from "./database.ts";
import { column } from "./keyed.ts";
import { formsOf, type InLeaf, SORT_ROWS_MAX, Sql } from "./keyed_sql.ts";
import { compareValues } from "./timeline.ts";
import { LAST, leavesOf, type Point } from "./timeline_read.ts";

/** As `Sql` selects it: key, since, row, id, value of the order's field, and the value it was found by. */
type Found = readonly Value[];

interface Range extends Omit<InLeaf, "leaf"> {
  readonly field: number;
}

export interface AsOfOptions {
  readonly id: number;
  readonly shape: Shape;
  readonly asked: Question;
  readonly at: number;
}

export class AsOf {
  constructor(private readonly connection: Connection, private readonly options: AsOfOptions) {}

  /** The page and one row more. */
  list(): readonly Found[] {
    const { asked } = this.options;
    const limit = asked.limit + 1;
    const narrow = this.narrowest();
    if (asked.order.by === "created") return this.ofValue(narrow!.field, limit).slice(0, limit);
    if (narrow && narrow.rows <= SORT_ROWS_MAX) {
      return this.sorted(this.ofValue(narrow.field, Infinity)).slice(0, limit);
    }
    return this.walk(this.ordered(), limit);
  }

  /** The condition that fewest rows meet then, and how many; counted no further than matters. */
  private narrowest(): { readonly field: number; readonly rows: number } | undefined {
    const { where, order } = this.options.asked;
    if (where.length === 1 && order.by === "created") return { field: where[0]![0], rows: 0 };
    const all = where.map(([field, wanted]) => ({ field, rows: this.count(field, wanted) }));
    return all.sort((a, b) => a.rows - b.rows)[0];
  }

  private count(field: number, wanted: string): number {
    const { id, at } = this.options;
    let rows = 0;
    for (const value of formsOf(wanted)) {
      const range = { field, low: { value, owner: 0 }, high: { value, owner: LAST } };
      for (const leaf of leavesOf(this.connection, id, { ...range, at, descending: false })) {
        if (rows > SORT_ROWS_MAX) return rows;
        const sql = `SELECT count(*) FROM x${id} WHERE leaf = ?1 AND value = ?2 AND since <= ?3 AND until > ?3`;
        rows += this.connection.one(sql, leaf, value, at)![0] as number;
      }
    }
    return rows;
  }

  /** Rows whose field is what is asked for, in the order of their keys' age; past `limit` of one form none. */
  private ofValue(field: number, limit: number): readonly Found[] {
    const { where, after, descending, order } = this.options.asked;
    const wanted = where.find(([one]) => one === field)![1];
    const begins = after && order.by === "created" ? after.created : undefined;
    const found = formsOf(wanted).map((value) =>
      this.walk({
        field,
        low: { value, owner: descending ? 0 : begins ?? 0 },
        high: { value, owner: descending ? begins ?? LAST : LAST },
      }, limit)
    );
    const sign = descending ? -1 : 1;
    return found.length === 1 ? found[0]! : found.flat().sort((a, b) => sign * ((a[3] as number) - (b[3] as number)));
  }

  /** Few rows, brought into the order that is asked for, from the page on. */
  private sorted(found: readonly Found[]): readonly Found[] {
    const { order, descending, after } = this.options.asked;
    const sign = descending ? -1 : 1;
    const place = (row: Found): Point => ({
      value: order.by === "key" ? row[0]! : row[4]!,
      owner: order.by === "key" ? 0 : row[3] as number,
    });
    const compare = (a: Point, b: Point) => sign * (compareValues(a.value, b.value) || a.owner - b.owner);
    const begins = after &&
      (order.by === "key"
        ? { value: written(after.key), owner: 0 }
        : { value: column(after.value), owner: after.created });
    return found.filter((row) => !begins || compare(place(row), begins) > 0).sort((a, b) =>
      compare(place(a), place(b))
    );
  }

  /** The whole in the order that is asked for, from the page on. */
  private ordered(): Range {
    const { shape, asked: { order, after, descending, prefix } } = this.options;
    if (order.by === "field") {
      const begins = after && { value: column(after.value), owner: after.created };
      return { field: order.field, ...(begins && (descending ? { high: begins } : { low: begins })) };
    }
    const end = afterPrefix(prefix);
    const low: Point | undefined = after && !descending
      ? { value: written(after.key), owner: LAST }
      : prefix === ""
      ? undefined
      : { value: written(prefix), owner: 0 };
    const high: Point | undefined = after && descending
      ? { value: written(after.key), owner: 0 }
      : prefix === "" || end === undefined
      ? undefined
      : { value: written(end), owner: 0 };
    return { field: shape.fields.length, ...(low && { low }), ...(high && { high }) };
  }

  private walk({ field, low, high }: Range, limit: number): readonly Found[] {
    const { id, asked, at } = this.options;
    const found: Found[] = [];
    for (const leaf of leavesOf(this.connection, id, { field, low, high, at, descending: asked.descending })) {
      const sql = new Sql(this.connection, id, asked, { leaf, low, high });
      const { sql: text, values } = sql.list(Math.min(limit - found.length, LAST));
      found.push(...this.connection.all(text, ...values));
      if (found.length >= limit) break;
    }
    return found;
  }
}
