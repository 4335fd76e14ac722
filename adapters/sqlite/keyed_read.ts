/** Questions to a view whose rows change, as SQL that an index answers; see `keyed.ts` for the tables. */
import {
  afterPrefix,
  encodeCursor,
  type Indexed,
  type Question,
  type Shape,
  type Viewed,
} from "../../projections/query.ts";
import type { Row, ViewPage } from "../../projections/views.ts";
import { type Connection, readBack, type Value, written } from "./connection.ts";
import { column } from "./keyed.ts";

/** Up to so many rows are collected and sorted; of more, an index in the asked order is walked until the page is full. */
const SORT_ROWS_MAX = 4_000;

/** The row of a key, now or as of after a position: one look into an index each. */
export const keyedRow = (connection: Connection, id: number, key: string, at: number | undefined): Row | undefined => {
  const found = connection.one(`SELECT row, since, id FROM c${id} WHERE key = ?`, written(key));
  if (!found) return undefined;
  const [row, since, owner] = found as [string | null, number, number];
  if (at === undefined || since <= at) return row === null ? undefined : { key, row: JSON.parse(row), position: since };
  const past = connection.one(
    `SELECT row, since, until FROM p${id} WHERE owner = ? AND since <= ? ORDER BY since DESC LIMIT 1`,
    owner,
    at,
  ) as [string, number, number] | undefined;
  return past && past[2] > at ? { key, row: JSON.parse(past[0]), position: past[1] } : undefined;
};

export const keyedList = (connection: Connection, id: number, view: Viewed, asked: Question): ViewPage => {
  if (asked.words?.length === 0) return { size: asked.size, rows: [] };
  const { sql, values } = new Sql(connection, id, view.shape, asked).list();
  const found = connection.all(sql, ...values);
  const rows = found.slice(0, asked.limit).map(([key, since, row]) => ({
    key: readBack(key as string),
    row: JSON.parse(row as string),
    position: since as number,
  }));
  if (found.length <= asked.limit) return { size: asked.size, rows };
  const [key, , , created, value] = found[asked.limit - 1]!;
  const last = { key: readBack(key as string), created: created as number, value: indexedOf(value!) };
  return { size: asked.size, rows, next: encodeCursor(view, asked, last) };
};

const indexedOf = (value: Value): Indexed =>
  typeof value === "number" ? value : typeof value === "string" ? readBack(value) : null;

/** Where a branch of the question finds its columns. */
interface Columns {
  readonly key: string;
  readonly id: string;
  readonly since: string;
  readonly row: string;
  readonly field: (index: number) => string;
}

const LIVE: Columns = { key: "c.key", id: "c.id", since: "c.since", row: "c.row", field: (i) => `c.f${i}` };
const PAST: Columns = { key: "c.key", id: "p.owner", since: "p.since", row: "p.row", field: (i) => `p.f${i}` };

/** The condition that fewest rows meet, and how many; counted no further than matters. */
interface Narrow {
  readonly field?: number;
  readonly rows: number;
}

class Sql {
  private readonly values: Value[] = [];
  private readonly where: readonly { readonly field: number; readonly forms: readonly Value[] }[];
  private readonly match: string | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly id: number,
    private readonly shape: Shape,
    private readonly asked: Question,
  ) {
    this.where = asked.where.map(([field, wanted]) => ({ field, forms: this.forms(field, wanted) }));
    this.match = asked.words?.map((word) => `"${word}"`).join(" ");
  }

  list(): { readonly sql: string; readonly values: readonly Value[] } {
    const { order, descending, limit, at } = this.asked;
    const down = descending ? " DESC" : "";
    const by = order.by === "key" ? `1${down}` : order.by === "created" ? `4${down}` : `5${down}, 4${down}`;
    const branches = at === undefined ? this.live() : this.asOf(at);
    return { sql: `${branches.join(" UNION ALL ")} ORDER BY ${by} LIMIT ${this.bind(limit + 1)}`, values: this.values };
  }

  private live(): string[] {
    const { order } = this.asked;
    const [c, t] = [`c${this.id}`, `t${this.id}`];
    const narrow = this.narrowest((field, forms) =>
      this.count(`${c} WHERE row IS NOT NULL AND f${field} IN (${marks(forms)})`, forms)
    );
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
      this.select(LIVE, `${c} c ${this.by(c, narrow)}`, ["c.row IS NOT NULL", ...start, ...matching])
    );
  }

  private asOf(at: number): string[] {
    const { order } = this.asked;
    const cut = this.bornBy(at);
    const [born, then] = [this.bind(cut), this.bind(at)];
    const [c, p] = [`c${this.id}`, `p${this.id}`];
    if (cut <= SORT_ROWS_MAX || order.by === "key" || (order.by === "created" && this.where.length === 0)) {
      // Key by key: its newest row if that is old enough, else one look into its past.
      const pick = (name: string) => `CASE WHEN c.since <= ${then} THEN c.${name} ELSE p.${name} END`;
      const columns = { ...LIVE, since: pick("since"), row: pick("row"), field: (i: number) => pick(`f${i}`) };
      const walk = order.by === "key" && cut > SORT_ROWS_MAX ? `INDEXED BY ${c}_key` : "NOT INDEXED";
      const join = `${c} c ${walk} LEFT JOIN ${p} p ON c.since > ${then} AND p.until > ${then} AND p.id =
        (SELECT x.id FROM ${p} x WHERE x.owner = c.id AND x.since <= ${then} ORDER BY x.since DESC LIMIT 1)`;
      const held = `(c.since <= ${then} AND c.row IS NOT NULL OR p.id IS NOT NULL)`;
      return [this.select(columns, join, [`c.id <= ${born}`, held, ...this.after(columns)])];
    }
    const narrow = this.narrowest((field, forms) =>
      this.count(`${c} WHERE row IS NOT NULL AND f${field} IN (${marks(forms)})`, forms) +
      this.count(`${p} WHERE f${field} IN (${marks(forms)})`, forms)
    );
    const now = [`+c.id <= ${born}`, `c.since <= ${then}`, "c.row IS NOT NULL"];
    const before = [`p.since <= ${then}`, `p.until > ${then}`];
    return [
      ...this.starts(LIVE).map((start) => this.select(LIVE, `${c} c ${this.by(c, narrow)}`, [...now, ...start])),
      ...this.starts(PAST).map((start) =>
        this.select(PAST, `${p} p ${this.by(p, narrow)} CROSS JOIN ${c} c ON c.id = p.owner`, [...before, ...start])
      ),
    ];
  }

  private bind(value: Value): string {
    return `?${this.values.push(value)}`;
  }

  private select(columns: Columns, from: string, conditions: readonly string[]): string {
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
    // Working rows; written so that no index is chosen for it.
    all.push(`substr(${columns.key}, 1, 1) <> '~'`);
    if (since > 0) all.push(`${columns.since} >= ${this.bind(since)}`);
    if (until !== Infinity) all.push(`${columns.since} < ${this.bind(until)}`);
    const value = order.by === "field" ? columns.field(order.field) : "NULL";
    return `SELECT ${columns.key}, ${columns.since}, ${columns.row}, ${columns.id}, ${value} FROM ${from} WHERE ${
      all.join(" AND ")
    }`;
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

  /** A value in a question is text; what is stored may be the number it spells. Only forms that occur, so that an index gives the order. */
  private forms(field: number, wanted: string): readonly Value[] {
    const number = Number(wanted);
    if (String(number) !== wanted) return [written(wanted)];
    const occurs = (form: Value) =>
      this.connection.one(`SELECT 1 FROM c${this.id} WHERE row IS NOT NULL AND f${field} = ? LIMIT 1`, form) ??
        (this.shape.history
          ? this.connection.one(`SELECT 1 FROM p${this.id} WHERE f${field} = ? LIMIT 1`, form)
          : undefined);
    const forms = [number, wanted].filter(occurs);
    return forms.length > 0 ? forms : [wanted];
  }

  /** Last id of the keys that had come to be by then: ids and `born` rise together, so it is found by halving. */
  private bornBy(at: number): number {
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

const marks = (values: readonly unknown[]) => values.map(() => "?").join(", ");

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
