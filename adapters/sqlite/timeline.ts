/**
 * Lists as of any position, in the order of any field: which key had which value from when until when, cut into leaves that
 * hold neighbouring values over a stretch of positions. A leaf that has grown full is closed at the present position and what
 * still holds goes on in new ones; one in which little still holds is joined with its neighbour. So wherever one looks, a good
 * part of what a leaf has held then, and a page costs a few leaves however much came before or after: the multiversion B-tree
 * (Becker, Gschwind, Ohler, Seeger, Widmayer: An asymptotically optimal multiversion B-tree, VLDB Journal 1996), with leaves
 * alone, which `l` lists in order. Reading is in `timeline_read.ts`, the reasons are in docs/decisions/0101.
 */
import { compareText } from "../../projections/query.ts";
import type { Connection } from "./connection.ts";
import type { Value } from "./database.ts";

/** Entries of a leaf at which it is full. */
const LEAF_MAX = 1_024;
/** What goes on from a full leaf goes into leaves of about so many: the fewer, the less often an entry is copied. */
const LEAF_FILL = 256;
/** With fewer that still hold, a leaf is joined with its neighbour. */
const LEAF_MIN = 48;

/** Leaves of a field that are closed before those that go on are listed anew. */
const TURN_MIN = 32;

/** Until when an entry holds, or a leaf goes on, that has no end yet. SQLite writes it in six bytes. */
const OPEN = 2 ** 47 - 1;

/**
 * `l`: leaves, by field and where they begin, from and until which position they go on; in turns, each of which begins with
 * those that go on then, so that a list passes over few that do not. `g`: from which position on a turn is. `x`: entries.
 */
export const timelineTables = (id: number): string =>
  `CREATE TABLE g${id}(field INTEGER NOT NULL, turn INTEGER NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (field, turn)) WITHOUT ROWID;
  CREATE TABLE l${id}(field INTEGER NOT NULL, turn INTEGER NOT NULL, value NOT NULL, owner INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    leaf INTEGER NOT NULL, PRIMARY KEY (field, turn, value, owner, since)) WITHOUT ROWID;
  CREATE TABLE x${id}(leaf INTEGER NOT NULL, value NOT NULL, owner INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (leaf, value, owner, since)) WITHOUT ROWID;`;

/** As SQLite orders them: numbers, text by code point, blobs. */
export const compareValues = (a: Value, b: Value): number => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  return rank(a) - rank(b);
};
const rank = (value: Value): number => typeof value === "number" ? 0 : typeof value === "string" ? 1 : 2;

/** A field that a row lacks is one value, too. */
const same = (a: Value, b: Value): boolean => a === b || (typeof a === "object" && typeof b === "object");

/** A leaf that goes on: from its first place to the next one's. */
interface Leaf {
  readonly leaf: number;
  readonly value: Value;
  readonly owner: number;
  readonly since: number;
  /** Absent until somebody needs to know. */
  entries?: number;
  /** Of them those that still hold. */
  open?: number;
}

/** What a key's fields were after an event: a value for each, or no row. */
export interface Version {
  readonly position: number;
  readonly values: readonly Value[] | undefined;
}

/** What a field has had since a position; −1: since before the first of the versions that are added. */
interface Held {
  readonly value: Value;
  readonly since: number;
}

/** What a transaction does to a field of a key. `until` −1: what it had ends at `at`; else it has the value from `at` on. */
interface Step {
  readonly at: number;
  readonly field: number;
  readonly value: Value;
  readonly owner: number;
  readonly until: number;
}

/** Rows of one statement. */
const ROWS = 32;

/** Kept by the writer of a view, which sees every row version once. */
export class Timeline {
  /** By field the leaves that go on, in order; read when they are needed first. */
  private leaves: Leaf[][] | undefined;
  /** By field the turn that is, and how many leaves were closed in it. */
  private turns: { turn: number; closed: number }[] = [];
  private next = 0;
  private steps: Step[] = [];
  private waiting: Value[] = [];
  private readonly sql: Readonly<Record<"end" | "count", string>>;

  constructor(private readonly connection: Connection, private readonly id: number, private readonly fields: number) {
    this.sql = {
      end: `UPDATE x${id} SET until = ? WHERE leaf = ? AND value = ? AND owner = ? AND until = ${OPEN}`,
      count: `SELECT count(*), total(until = ${OPEN}) FROM x${id} WHERE leaf = ?`,
    };
  }

  /** `before`: what the key's fields were until the first of these versions. */
  add(owner: number, before: readonly Value[] | undefined, versions: readonly Version[]): void {
    for (let field = 0; field < this.fields; field++) {
      let held: Held | undefined = before && { value: before[field]!, since: -1 };
      for (const { position, values } of versions) {
        const value = values?.[field];
        if (held && value !== undefined && same(held.value, value)) continue;
        if (held && held.since < 0) this.steps.push({ at: position, field, value: held.value, owner, until: -1 });
        else if (held && held.since < position) {
          this.steps.push({ at: held.since, field, value: held.value, owner, until: position });
        }
        held = value === undefined ? undefined : { value, since: position };
      }
      if (held && held.since >= 0) this.steps.push({ at: held.since, field, value: held.value, owner, until: OPEN });
    }
  }

  /** Within the transaction of the rows. */
  write(): void {
    // In order of time, so that a leaf can be closed where it is full or little in it holds.
    const steps = this.steps.sort((a, b) => a.at - b.at);
    this.steps = [];
    if (steps.length > 0) this.leaves ??= this.read();
    for (const step of steps) step.until < 0 ? this.end(step) : this.put(step);
    this.flush();
  }

  /** After a transaction that failed. */
  forget(): void {
    this.leaves = undefined;
    this.steps = [];
    this.waiting = [];
  }

  private put({ at, field, value, owner, until }: Step): void {
    let index = this.find(field, value, owner);
    if (this.leaves![field]![index]!.entries! >= LEAF_MAX && this.leaves![field]![index]!.since < at) {
      const full = this.leaves![field]![index]!;
      this.leaves![field]!.splice(index, 1, ...this.goOn(field, [full], at));
      this.turn(field, at);
      index = this.find(field, value, owner);
    }
    const leaf = this.leaves![field]![index]!;
    leaf.entries!++;
    if (until === OPEN) leaf.open!++;
    this.waiting.push(leaf.leaf, value, owner, at, until);
    if (this.waiting.length >= ROWS * 5) this.flush();
  }

  private end({ at, field, value, owner }: Step): void {
    const leaves = this.leaves![field]!;
    const index = this.find(field, value, owner);
    const leaf = leaves[index]!;
    leaf.open!--;
    this.connection.run(this.sql.end, at, leaf.leaf, value, owner);
    if (leaf.open! < LEAF_MIN && leaves.length > 1 && leaf.since < at) this.join(field, index, at);
  }

  /** Little in the leaf still holds: it is joined with those behind it until enough does, or else with those before. */
  private join(field: number, index: number, at: number): void {
    const leaves = this.leaves![field]!;
    let [first, last, open] = [index, index, leaves[index]!.open!];
    while (open < LEAF_MIN && last - first + 1 < leaves.length) {
      open += this.known(last + 1 < leaves.length ? leaves[++last]! : leaves[--first]!);
    }
    leaves.splice(first, last - first + 1, ...this.goOn(field, leaves.slice(first, last + 1), at));
    this.turn(field, at);
  }

  /** Once more leaves were closed than go on, those that go on are listed anew: each closed one has paid for one of them. */
  private turn(field: number, at: number): void {
    const leaves = this.leaves![field]!;
    const now = this.turns[field]!;
    if (now.closed <= Math.max(TURN_MIN, leaves.length)) return;
    this.turns[field] = { turn: now.turn + 1, closed: 0 };
    this.connection.run(`INSERT INTO g${this.id} VALUES (?, ?, ?)`, field, now.turn + 1, at);
    for (const leaf of leaves) this.begin(field, leaf);
  }

  /** Place of the leaf that goes on where this value of this key belongs; what is in it is known from then on. */
  private find(field: number, value: Value, owner: number): number {
    const leaves = this.leaves![field]!;
    let [low, high] = [0, leaves.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const leaf = leaves[middle]!;
      const order = compareValues(leaf.value, value) || leaf.owner - owner;
      order <= 0 ? low = middle : high = middle - 1;
    }
    this.known(leaves[low]!);
    return low;
  }

  /** How many of the leaf's entries have no end. */
  private known(leaf: Leaf): number {
    if (leaf.open === undefined) {
      [leaf.entries, leaf.open] = this.connection.one(this.sql.count, leaf.leaf) as [number, number];
    }
    return leaf.open!;
  }

  /** Closes neighbouring leaves; what holds at `at` goes on in new ones, the first of which begins where they began. */
  private goOn(field: number, group: readonly Leaf[], at: number): readonly Leaf[] {
    const { connection, id } = this;
    this.flush();
    for (const leaf of group) this.known(leaf);
    // Those that the transaction at hand will end are few, and go on as well.
    const held = group.reduce((sum, { open }) => sum + open!, 0);
    const step = Math.ceil(held / Math.max(1, Math.round(held / LEAF_FILL)));
    const leaves = JSON.stringify(group.map(({ leaf }) => leaf));
    const from = `FROM x${id} WHERE leaf IN (SELECT value FROM json_each(?1)) AND until > ?2`;
    const begins = held <= step ? [] : connection.all(
      `SELECT value, owner FROM (SELECT value, owner, row_number() OVER (ORDER BY value, owner) - 1 AS n ${from})
        WHERE n > 0 AND n % ?3 = 0 ORDER BY n`,
      leaves,
      at,
      step,
    );
    for (const { value, owner, since } of group) {
      const where = "field = ? AND turn = ? AND value = ? AND owner = ? AND since = ?";
      const place = [field, this.turns[field]!.turn, value, owner, since];
      // One that has gone on for no position is never to be seen.
      if (since < at) connection.run(`UPDATE l${id} SET until = ? WHERE ${where}`, at, ...place);
      else connection.run(`DELETE FROM l${id} WHERE ${where}`, ...place);
    }
    this.turns[field]!.closed += group.length;
    const after = [[group[0]!.value, group[0]!.owner], ...begins].map(([value, owner], part, all): Leaf => {
      // How many there are is counted when it is asked for.
      const leaf: Leaf = { leaf: this.next++, value: value!, owner: owner as number, since: at };
      this.begin(field, leaf);
      const copy = `INSERT INTO x${id} SELECT ?3, value, owner, since, until ${from} AND (value, owner) >= (?4, ?5)`;
      const range = [leaves, at, leaf.leaf, leaf.value, leaf.owner];
      const next = all[part + 1];
      if (next) connection.run(`${copy} AND (value, owner) < (?6, ?7)`, ...range, next[0]!, next[1]!);
      else connection.run(copy, ...range);
      return leaf;
    });
    for (const { leaf } of group.filter(({ since }) => since === at)) {
      connection.run(`DELETE FROM x${id} WHERE leaf = ?`, leaf);
    }
    return after;
  }

  private begin(field: number, { leaf, value, owner, since }: Leaf): void {
    const { turn } = this.turns[field]!;
    const sql = `INSERT INTO l${this.id} VALUES (?, ?, ?, ?, ?, ${OPEN}, ?)`;
    this.connection.run(sql, field, turn, value, owner, since, leaf);
  }

  private flush(): void {
    const rows = this.waiting.length / 5;
    if (rows === 0) return;
    const values = this.waiting;
    this.waiting = [];
    this.connection.run(`INSERT INTO x${this.id} VALUES ${Array(rows).fill("(?, ?, ?, ?, ?)").join(", ")}`, ...values);
  }

  private read(): Leaf[][] {
    const { connection, id } = this;
    this.next = (connection.one(`SELECT coalesce(max(leaf), 0) FROM l${id}`)![0] as number) + 1;
    const leaves = Array.from({ length: this.fields }, (): Leaf[] => []);
    this.turns = leaves.map((_, field) => {
      const [turn] = connection.one(`SELECT coalesce(max(turn), 0) FROM g${id} WHERE field = ?`, field) as [number];
      const sql = `SELECT count(*) FROM l${id} WHERE field = ? AND turn = ? AND until < ${OPEN}`;
      return { turn, closed: connection.one(sql, field, turn)![0] as number };
    });
    const sql = `SELECT field, value, owner, since, leaf FROM l${id} WHERE until = ${OPEN} AND field = ? AND turn = ?
      ORDER BY value, owner`;
    const open = this.turns.flatMap(({ turn }, field) => connection.all(sql, field, turn));
    for (const [field, value, owner, since, leaf] of open) {
      leaves[field as number]!.push({
        leaf: leaf as number,
        value: value!,
        owner: owner as number,
        since: since as number,
      });
    }
    leaves.forEach((found, field) => {
      if (found.length > 0) return;
      // Before every value that a field may have.
      const first: Leaf = { leaf: this.next++, value: -Infinity, owner: 0, since: 0, entries: 0, open: 0 };
      connection.run(`INSERT INTO g${id} VALUES (?, 0, 0)`, field);
      this.begin(field, first);
      found.push(first);
    });
    return leaves;
  }
}
