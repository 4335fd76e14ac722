/**
 * Questions to a view, checked and made plain, the same for every store: which rows, in which order, from where on.
 */
import type { AnyProjection } from "./projection.ts";
import { ViewQuestion } from "./views.ts";
import type { ViewQuery } from "./views.ts";
import { QUERY_WORDS_MAX, words } from "./words.ts";

export const PAGE_ROWS_MAX = 1_000;
export const PAGE_ROWS_DEFAULT = 100;

/** Whether a key is that of a working row: its newest state alone is kept, and neither lists nor digests have it. */
export const isWorking = (key: string): boolean => key.charCodeAt(0) === 0x7e; // ~

/** What a store must know of a projection to keep it and to answer for it. */
export interface Shape {
  readonly fields: readonly string[];
  readonly history: boolean;
  readonly text: boolean;
  readonly appendOnly: boolean;
}

/** A view as it is asked: what it is, and how far it has come. */
export interface Viewed {
  readonly name: string;
  readonly version: number;
  readonly shape: Shape;
  readonly size: number;
}

export const shapeOf = (projection: AnyProjection): Shape => ({
  fields: projection.indexes ?? [],
  history: projection.history !== "none",
  text: projection.text !== undefined,
  appendOnly: projection.appendOnly === true,
});

/** A field as it is compared and sorted: numbers, then text by code point, then rows that lack it. */
export type Indexed = number | string | null;

export const indexed = (value: unknown): Indexed => {
  if (typeof value === "number" || typeof value === "string") return value;
  return typeof value === "boolean" ? String(value) : null;
};

/** Whether a field is what the question asks for: compared as text. */
export const matches = (value: Indexed, wanted: string): boolean => value !== null && String(value) === wanted;

/** In the order of code points, which is also that of UTF-8 bytes; `<` on strings compares UTF-16 units. */
export const compareText = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above all that one unit can hold.
    const xs = x >= 0xd800 && x < 0xe000, ys = y >= 0xd800 && y < 0xe000;
    return xs === ys ? x - y : xs ? 1 : -1;
  }
  return a.length - b.length;
};

export const compareIndexed = (a: Indexed, b: Indexed): number => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  return rank(a) - rank(b);
};

const rank = (value: Indexed): number => value === null ? 2 : typeof value === "string" ? 1 : 0;

/** First text after all that begin with `prefix`; `undefined` when there is none. */
export const afterPrefix = (prefix: string): string | undefined => {
  const points = Array.from(prefix, (char) => char.codePointAt(0)!);
  while (points.length > 0) {
    const last = points.pop()!;
    if (last === 0x10ffff) continue;
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
};

/** Where a page begins: behind the row with this place in the order. */
export interface Place {
  readonly key: string;
  /** Of the field in an order by field. */
  readonly value: Indexed;
  /** Rises with each key that comes to be; in an append-only view the position. Decides between equal fields. */
  readonly created: number;
}

/** `key`: by key; `created`: in the order in which keys came to be; `field`: by an indexed field, then by `created`. */
export type Order = { readonly by: "key" } | { readonly by: "created" } | {
  readonly by: "field";
  readonly field: number;
};

export interface Question {
  readonly limit: number;
  readonly order: Order;
  readonly descending: boolean;
  readonly where: readonly (readonly [field: number, value: string])[];
  readonly prefix: string;
  /** `undefined`: not asked for. Empty: asked for, but there is no word in it, so nothing matches. */
  readonly words: readonly string[] | undefined;
  readonly from: number;
  readonly until: number;
  /** Only what held after this position; `undefined` is the newest. */
  readonly at: number | undefined;
  readonly after: Place | undefined;
  /** The answer reflects the first `size` events. */
  readonly size: number;
}

/**
 * Checks a question against what the view is. Throws `ViewQuestion`.
 *
 * The pages of one list show one state: a cursor names the size of the first page, and the next ones are read as of then.
 * Views without history cannot, nor can full text; there a page continues behind the last row seen in the newest state.
 */
export const question = (view: Viewed, query: ViewQuery): Question => {
  const { name, shape, size } = view;
  const limit = query.limit ?? PAGE_ROWS_DEFAULT;
  if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_ROWS_MAX) {
    throw new ViewQuestion("bad_limit", `limit is a whole number from 1 to ${PAGE_ROWS_MAX}, not ${limit}`);
  }
  const found = wordsOf(name, shape, query);
  const where = Object.entries(query.where ?? {}).map(([field, value]) =>
    [fieldOf(name, shape, field), value] as const
  );
  const order = orderOf(name, shape, query.sort, query.byAge || found !== undefined || where.length > 0);
  const descending = query.descending ?? false;
  if (shape.appendOnly && query.prefix) {
    const message = `${name} has positions as keys, which have no prefix; use from and until`;
    throw new ViewQuestion("unknown_field", message, "prefix");
  }
  const pinnable = shape.appendOnly || (shape.history && found === undefined);
  const asked = atOf(view, query.at, found !== undefined);
  const cursor = query.after === undefined ? undefined : decodeCursor(query.after, headOf(view, order, descending));
  if (cursor && asked !== undefined && cursor.size !== asked + 1) throw badCursor("it belongs to another at");
  const pinned = asked !== undefined ? asked + 1 : pinnable && cursor ? Math.min(cursor.size, size) : size;
  return {
    limit,
    order,
    descending,
    where,
    prefix: query.prefix ?? "",
    words: found,
    from: query.from ?? 0,
    until: query.until ?? Infinity,
    at: pinned === size ? undefined : pinned - 1,
    after: cursor,
    size: pinned,
  };
};

/** Checks `at` for a single row or a digest; the answer is `undefined` where the newest state is meant. Throws `ViewQuestion`. */
export const atOf = ({ name, shape, size }: Viewed, at: number | undefined, text = false): number | undefined => {
  if (at === undefined) return undefined;
  if (!Number.isInteger(at) || at < 0 || at >= size) {
    throw new ViewQuestion("not_yet", `Cannot read ${name} at ${at}: it has applied the first ${size} events`);
  }
  if (at === size - 1) return undefined;
  if (!shape.history && !shape.appendOnly) throw new ViewQuestion("no_history", `${name} keeps its newest state only`);
  if (text && !shape.appendOnly) {
    throw new ViewQuestion("no_history", `full text of ${name} covers its newest rows only; leave out at`);
  }
  return at;
};

/** The cursor of the page after this one. */
export const encodeCursor = (view: Viewed, asked: Question, last: Place): string => {
  const place = asked.order.by === "key"
    ? [last.key]
    : asked.order.by === "field"
    ? [last.created, last.value]
    : [last.created];
  const parts = [headOf(view, asked.order, asked.descending), asked.size, ...place];
  return new TextEncoder().encode(JSON.stringify(parts)).toBase64({ alphabet: "base64url", omitPadding: true });
};

/** What a cursor is good for: this order in this version of this view. */
const headOf = ({ name, version, shape }: Viewed, order: Order, descending: boolean): string =>
  `${name}@${version} ${order.by === "field" ? `.${shape.fields[order.field]}` : order.by}${descending ? " down" : ""}`;

const wordsOf = (name: string, shape: Shape, query: ViewQuery): readonly string[] | undefined => {
  if (query.text === undefined || query.text.trim() === "") return undefined;
  if (!shape.text) throw new ViewQuestion("no_text", `${name} has no full text`);
  const found = [...new Set(words(query.text))];
  if (found.length > QUERY_WORDS_MAX) {
    throw new ViewQuestion("bad_text", `a search has at most ${QUERY_WORDS_MAX} words, this one ${found.length}`);
  }
  return found;
};

const orderOf = (name: string, shape: Shape, sort: string | undefined, byAge: boolean): Order => {
  // In an append-only view they are the same.
  if (sort === undefined) return { by: byAge || shape.appendOnly ? "created" : "key" };
  if (sort === "key") return { by: shape.appendOnly ? "created" : "key" };
  if (shape.appendOnly) {
    throw new ViewQuestion("unknown_field", `${name} is ordered by position; it cannot be sorted by "${sort}"`);
  }
  return { by: "field", field: fieldOf(name, shape, sort) };
};

const fieldOf = (name: string, shape: Shape, field: string): number => {
  const index = shape.fields.indexOf(field);
  if (index >= 0) return index;
  const known = shape.fields.length > 0 ? shape.fields.join(", ") : "none";
  throw new ViewQuestion("unknown_field", `${name} has no indexed field "${field}"; it has: ${known}`);
};

const badCursor = (why: string) =>
  new ViewQuestion("bad_cursor", `after is not the next of a page of this list: ${why}`);

const decodeCursor = (text: string, head: string): Place & { readonly size: number } => {
  let parts: unknown;
  try {
    parts = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(text, { alphabet: "base64url" })),
    );
  } catch {
    throw badCursor("it cannot be read");
  }
  if (!Array.isArray(parts) || typeof parts[0] !== "string") throw badCursor("it cannot be read");
  if (parts[0] !== head) throw badCursor("the view, its version or the order is another");
  const [, size, place, value = null] = parts as readonly unknown[];
  const valued = value === null || typeof value === "string" || typeof value === "number";
  const [created, key] = typeof place === "number" ? [place, ""] : [0, place];
  if (!valued || !isCount(size) || !isCount(created) || typeof key !== "string") throw badCursor("it cannot be read");
  return { value, key, created, size };
};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && value as number >= 0;
