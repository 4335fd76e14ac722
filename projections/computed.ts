/**
 * Views that are not kept: there would be a row for every question that could be asked. What is asked is stated by `where`, or
 * begins the key of the row, and rows are made then, of what the log tells up to then.
 */
import type { AnyProjection } from "./projection.ts";
import { type ViewQuery, ViewQuestion, type Views } from "./views.ts";

/** What a view is to who asks it; a projection is one, too. */
export type ViewSpec = Pick<
  AnyProjection,
  "name" | "version" | "about" | "row" | "indexes" | "columns" | "text" | "history" | "appendOnly"
>;

export interface Computed extends ViewSpec {
  /** Fields that a question must give. A key has their values and a word of its own, with blanks between; only the second may have blanks in it. */
  readonly asks: readonly [first: string, second: string];
  /** What one must be permitted to do, beside reading views. */
  readonly action: string;
}

export type Asked = Readonly<Record<string, string>>;

/** `Views` of one computed view, which cannot be answered at once. */
export interface ComputedView {
  readonly view: Computed;
  row(key: string, options: Pick<ViewQuery, "at" | "time">): Promise<ReturnType<Views["row"]>>;
  list(query: ViewQuery): Promise<ReturnType<Views["list"]>>;
}

/** Throws `ViewQuestion`. */
export const askedBy = ({ name, asks }: Computed, where: Asked = {}): Asked => {
  const missing = asks.filter((field) => where[field] === undefined);
  if (missing.length === 0) return Object.fromEntries(asks.map((field) => [field, where[field]!]));
  const said = asks.map((field) => `${field}=…`).join(" and ");
  throw new ViewQuestion(
    "unasked",
    `${name} is made when it is asked: say where ${said}; missing: ${missing.join(", ")}`,
    missing[0],
  );
};

export const keyOf = ({ asks }: Computed, asked: Asked, own: string): string =>
  [...asks.map((field) => asked[field]!), own].join(" ");

/** Of a key; `undefined` where it cannot be one. */
export const askedIn = ({ asks: [first, second] }: Computed, key: string): Asked | undefined => {
  const [, one, two] = /^(\S+) (.+) \S+$/su.exec(key) ?? [];
  return one === undefined ? undefined : { [first]: one, [second]: two! };
};
