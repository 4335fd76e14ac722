/** A question to a view whose rows change, as SQL that an index answers; see `keyed.ts` for the tables. */
import { afterPrefix, type Question } from "../../projections/query.ts";
import { type Connection, written } from "./connection.ts";
import type { Value } from "./database.ts";
import { column } from "./keyed.ts";
import type { Point } from "./timeline_read.ts";

/** Up to so many rows are collected and sorted; of more, an index in the asked order is walked until the page is full. */
export const SORT_ROWS_MAX = 4_000;

/** Where a branch of the question finds its columns. */
interface Columns {
  readonly key: string;
  readonly id: string;
  readonly since: string;
  readonly row: string;
  readonly field: (index: number) => string;
}

const LIVE: Columns = { key: "c.key", id: "c.id", since: "c.since", row: "c.row", field: (i) => `c.f${i}` };

/** The condition that fewest rows meet, and how many; counted no further than matters. */
interface Narrow {
  readonly field?: number;
  readonly rows: number;
}

/** A leaf in which rows as of then are looked for, and which of its entries count. */
export interface InLeaf {
  readonly leaf: number;
  readonly low?: Point;
  readonly high?: Point;
}

/** One question, or one part of it. */
export class Sql {
  private readonly values: Value[] = [];
  private readonly where: readonly { readonly field: number; readonly forms: readonly Value[] }[];
  private readonly match: string | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly id: number,
    private readonly asked: Question,
    private readonly inLeaf?: InLeaf,
  ) {
    this.where = asked.where.map(([field, wanted]) => ({ field, forms: this.forms(field, wanted) }));
    this.match = asked.words?.map((word) => `"${word}"`).join(" ");
  }

  list(limit: number): { readonly sql: string; readonly values: readonly Value[] } {
    const { order, descending, at } = this.asked;
    const down = descending ? " DESC" : "";
    const by = this.inLeaf
      ? `6${down}, 4${down}`
      : order.by === "key"
      ? `1${down}`
      : order.by === "created"
      ? `4${down}`
      : `5${down}, 4${down}`;
    const branches = at === undefined ? this.live() : [this.asOf(at)];
    return { sql: `${branches.join(" UNION ALL ")} ORDER BY ${by} LIMIT ${this.bind(limit)}`, values: this.values };
  }

  private live(): string[] {
    const { order } = this.asked;
    const [c, t] = [`c${this.id}`, `t${this.id}`];
    const narrow = this.narrowest((field, forms) => this.count(`${c} WHERE f${field} IN (${marks(forms)})`, forms));
    if (this.match !== undefined) {
      const found = order.by === "created" ? 0 : this.count(`${t} WHERE ${t} MATCH ?`, [this.match]);
      if (found <= Math.min(narrow.rows, SORT_ROWS_MAX)) {
        const columns = { ...LIVE, id: `${t}.rowid` };
        const from = `${t} CROSS JOIN ${c} c ON c.id = ${t}.rowid`;
        return [
          this.select(columns, from, [
            `${t} MATCH ${this.bind(this.match)}`,
            "c.row IS NOT NULL",
            ...this.after(columns),
          ]),
        ];
      }
    }
    const matching = this.match === undefined
      ? []
      : [`EXISTS (SELECT 1 FROM ${t} WHERE ${t} MATCH ${this.bind(this.match)} AND rowid = c.id)`];
    return this.starts(LIVE).map((start) =>
      this.select(LIVE, `${c} c ${this.by(c, narrow)}`, [this.held(), ...start, ...matching])
    );
  }

  /** As of then: each key's newest row if that is old enough, else one look into its past. Keys by age, or those of a leaf. */
  private asOf(at: number): string {
    const then = this.bind(at);
    const [c, p, x] = [`c${this.id}`, `p${this.id}`, `x${this.id}`];
    const pick = (name: string) => `CASE WHEN c.since <= ${then} THEN c.${name} ELSE p.${name} END`;
    const columns = { ...LIVE, since: pick("since"), row: pick("row"), field: (i: number) => pick(`f${i}`) };
    const past = `LEFT JOIN ${p} p ON c.since > ${then} AND p.until > ${then} AND p.id =
        (SELECT y.id FROM ${p} y WHERE y.owner = c.id AND y.since <= ${then} ORDER BY y.since DESC LIMIT 1)`;
    if (!this.inLeaf) {
      const held = `(c.since <= ${then} AND c.row IS NOT NULL OR p.id IS NOT NULL)`;
      const born = this.asked.order.by === "created" ? [`c.id <= ${this.bind(this.bornBy(at))}`] : [];
      return this.select(columns, `${c} c NOT INDEXED ${past}`, [...born, held, ...this.after(columns)]);
    }
    const { leaf, low, high } = this.inLeaf;
    const point = ({ value, owner }: Point) => `(${this.bind(value)}, ${this.bind(owner)})`;
    const there = [`x.leaf = ${this.bind(leaf)}`, `x.since <= ${then}`, `x.until > ${then}`];
    if (low) there.push(`(x.value, x.owner) > ${point(low)}`);
    if (high) there.push(`(x.value, x.owner) < ${point(high)}`);
    const from = `${x} x CROSS JOIN ${c} c ON c.id = x.owner ${past}`;
    return this.select({ ...columns, id: "x.owner" }, from, there, "x.value");
  }

  /** That the key has a row; said by the field of the order, so that its index is enough to tell. */
  private held(): string {
    const { order } = this.asked;
    return order.by === "field" ? `c.f${order.field} IS NOT NULL` : "c.row IS NOT NULL";
  }

  private bind(value: Value): string {
    return `?${this.values.push(value)}`;
  }

  private select(columns: Columns, from: string, conditions: readonly string[], place?: string): string {
    const { order, prefix, from: since, until } = this.asked;
    const all = [...conditions];
    for (const { field, forms } of this.where) {
      all.push(`${columns.field(field)} IN (${forms.map((form) => this.bind(form)).join(", ")})`);
    }
    if (prefix !== "") {
      all.push(`${columns.key} >= ${this.bind(written(prefix))}`);
      const end = afterPrefix(prefix);
      if (end !== undefined) all.push(`${columns.key} < ${this.bind(written(end))}`);
    }
    if (since > 0) all.push(`${columns.since} >= ${this.bind(since)}`);
    if (until !== Infinity) all.push(`${columns.since} < ${this.bind(until)}`);
    const value = order.by === "field" ? columns.field(order.field) : "NULL";
    const read = [columns.key, columns.since, columns.row, columns.id, value, ...(place === undefined ? [] : [place])];
    return `SELECT ${read.join(", ")} FROM ${from} WHERE ${all.join(" AND ")}`;
  }

  /** The index to use: that of the narrowest condition, or, where it is not narrow enough to sort its rows, that of the order. */
  private by(table: string, narrow: Narrow): string {
    const { order } = this.asked;
    if (narrow.field !== undefined && (order.by === "created" || narrow.rows <= SORT_ROWS_MAX)) {
      return `INDEXED BY ${table}_f${narrow.field}`;
    }
    if (order.by === "created") return "NOT INDEXED";
    return order.by === "key" ? `INDEXED BY ${table}_key` : `INDEXED BY ${table}_f${order.field}`;
  }

  private narrowest(count: (field: number, forms: readonly Value[]) => number): Narrow {
    // Rows of one value come in the order of their creation by themselves.
    if (this.where.length === 1 && this.asked.order.by === "created" && this.match === undefined) {
      return { field: this.where[0]!.field, rows: 0 };
    }
    const all = this.where.map(({ field, forms }) => ({ field, rows: count(field, forms) }));
    return all.reduce<Narrow>((least, next) => next.rows < least.rows ? next : least, { rows: Infinity });
  }

  /** Behind the last page. Equal fields go on by id, in a branch of their own: an index seeks one range at a time. */
  private starts(columns: Columns): readonly (readonly string[])[] {
    const { after, order, descending } = this.asked;
    if (!after || order.by !== "field") return [this.after(columns)];
    const beyond = descending ? "<" : ">";
    const [field, value] = [columns.field(order.field), this.bind(column(after.value))];
    return [[`${field} = ${value}`, `${columns.id} ${beyond} ${this.bind(after.created)}`], [
      `${field} ${beyond} ${value}`,
    ]];
  }

  private after(columns: Columns): readonly string[] {
    const { after, order, descending } = this.asked;
    if (!after) return [];
    const beyond = descending ? "<" : ">";
    if (order.by === "key") return [`${columns.key} ${beyond} ${this.bind(written(after.key))}`];
    const created = this.bind(after.created);
    if (order.by === "created") return [`${columns.id} ${beyond} ${created}`];
    return [`(${columns.field(order.field)}, ${columns.id}) ${beyond} (${this.bind(column(after.value))}, ${created})`];
  }

  /** How many rows match, counted no further than matters. */
  private count(of: string, values: readonly Value[]): number {
    const sql = `SELECT count(*) FROM (SELECT 1 FROM ${of} LIMIT ${SORT_ROWS_MAX + 1})`;
    return this.connection.one(sql, ...values)![0] as number;
  }

  /** Only forms that occur, so that an index gives the order. */
  private forms(field: number, wanted: string): readonly Value[] {
    const forms = formsOf(wanted);
    if (forms.length === 1 || this.asked.at !== undefined) return forms;
    const occur = forms.filter((form) =>
      this.connection.one(`SELECT 1 FROM c${this.id} WHERE f${field} = ? LIMIT 1`, form)
    );
    return occur.length > 0 ? occur : [wanted];
  }

  /** Last id of the keys that had come to be by then: ids and `born` rise together, so it is found by halving. */
  bornBy(at: number): number {
    let low = 0;
    let high = this.connection.one(`SELECT coalesce(max(id), 0) FROM c${this.id}`)![0] as number;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const born = this.connection.one(`SELECT born FROM c${this.id} WHERE id = ?`, middle)![0] as number;
      born <= at ? low = middle : high = middle - 1;
    }
    return low;
  }
}

/** A value in a question is text; what is stored may be the number it spells. */
export const formsOf = (wanted: string): readonly Value[] => {
  const number = Number(wanted);
  return String(number) === wanted ? [number, wanted] : [written(wanted)];
};

const marks = (values: readonly unknown[]) => values.map(() => "?").join(", ");
