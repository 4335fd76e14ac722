/** What sources can be vouched for, for people: those that have anything to say one by one, all others in a line. */
import type { Vouched } from "../../../projections/controls/mod.ts";
import type { AuditEvaluated } from "../audits.ts";
import { type Column, table } from "../columns.ts";
import { counted, type Palette, safe, short } from "../print.ts";

const SOURCES_SHOWN = 50;
const SOURCE_CHARS = 40;

const STYLES: Readonly<Record<Vouched["is"], "red" | "yellow" | "green" | "dim">> = {
  complete: "green",
  gap: "red",
  repeated: "yellow",
  unreadable: "yellow",
  silent: "red",
  was_silent: "yellow",
  window: "green",
  nothing: "dim",
};

const COLUMNS: readonly Column[] = [{ title: "source" }, { title: "can be vouched for" }, {
  title: "event",
  right: true,
}];

export const sourcesTold = (
  { sources, more_sources }: Pick<AuditEvaluated, "sources" | "more_sources">,
  c: Palette,
): string => {
  const telling = sources.filter(({ vouched }) => vouched.some(({ is }) => is !== "nothing"));
  const shown = telling.slice(0, SOURCES_SHOWN);
  const rows = shown.flatMap(({ source, vouched }) =>
    vouched.map(({ is, text, position }, i) => [
      i === 0 ? short(safe(source), SOURCE_CHARS) : "",
      // What is complete with numbers missing is no good news.
      c[is === "complete" && text.includes("missing") ? "yellow" : STYLES[is]](safe(text)),
      position === undefined ? "" : String(position),
    ])
  );
  const silent = sources.length - telling.length + more_sources;
  const rest = [
    ...(telling.length > shown.length
      ? [`… and ${counted(telling.length - shown.length, "more source")}; --json has all`]
      : []),
    ...(silent > 0 ? [`${counted(silent, "source")} without numbers: nothing can be said of what is missing`] : []),
  ];
  const lines = [...(rows.length > 0 ? [table(COLUMNS, rows, c).trimEnd()] : []), ...rest];
  return lines.length === 0 ? "" : `${lines.join("\n")}\n\n`;
};
