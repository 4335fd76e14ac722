/**
 * An event as a row of RFC 4180: its header in columns, its data as JSON in the last. What a spreadsheet would take for a formula
 * begins with an apostrophe instead, as it does when a person types it to mean text.
 */
import type { Event } from "../../events/event.ts";

const COLUMNS = [
  "position",
  "recordedat",
  "time",
  "type",
  "stream",
  "revision",
  "id",
  "source",
  "subject",
  "authtype",
  "authid",
  "correlationid",
  "causationid",
] as const satisfies readonly (keyof Event)[];

/** The first line. */
export const CSV_HEAD = [...COLUMNS, "data"].join(",");

const FORMULA = /^[=+\-@\t\r]/;
const QUOTED = /[",\r\n]|^\s|\s$/;

/** One record, without its line end; within a cell there may be others. */
export const csvOf = (event: Event): string =>
  [...COLUMNS.map((column) => event[column]), event.data === undefined ? event.data_base64 : JSON.stringify(event.data)]
    .map(cell).join(",");

const cell = (value: string | number | undefined): string => {
  if (value === undefined) return "";
  const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value);
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
