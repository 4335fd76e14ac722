/** Which fields of rows a table for people shows, on a terminal as on a page. */
import type { ViewSpec } from "./computed.ts";
import type { ViewPage } from "./views.ts";

/** A field of a row; of a row that is no object the row itself. */
export const fieldOf = (row: unknown, field: string): unknown =>
  typeof row === "object" && row !== null ? (row as Record<string, unknown>)[field] : row;

/** As the view says, else in the order of the row's schema; what no row has, or the key says already for every row, is left out. */
export const fieldsShown = (view: Pick<ViewSpec, "columns" | "row">, rows: ViewPage["rows"]): readonly string[] => {
  if (view.columns) return view.columns.filter((field) => rows.some(({ row }) => fieldOf(row, field) !== undefined));
  const { shape = {} } = view.row as { readonly shape?: Readonly<Record<string, unknown>> };
  const found = rows.flatMap(({ row }) => typeof row === "object" && row !== null ? Object.keys(row) : ["value"]);
  const all = [...new Set([...Object.keys(shape).filter((field) => found.includes(field)), ...found])];
  const said = (key: string, value: unknown) =>
    typeof value === "string" && ["/", ":"].some((mark) => `${mark}${key}${mark}`.includes(`${mark}${value}${mark}`));
  return all.filter((field) => !rows.every(({ key, row }) => said(key, fieldOf(row, field))));
};

/** Whether every row has a number there, or nothing. */
export const isOfNumbers = (rows: ViewPage["rows"], field: string): boolean =>
  rows.every(({ row }) => ["number", "undefined"].includes(typeof fieldOf(row, field)));
