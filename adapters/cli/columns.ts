/** Tables of aligned columns, for terminals and pipes alike; wide characters count as two. */
import Table from "cli-table3";
import type { Palette } from "./print.ts";
import { PLAIN } from "./print.ts";

const NO_BORDER = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "",
  "mid-mid": "",
  "right": "",
  "right-mid": "",
  "middle": "  ",
};

export interface Column {
  readonly title: string;
  readonly right?: true;
}

/** Rows that are laid out together: the library compares each of them with all others. */
const ROWS_TOGETHER = 10;

/** Aligned columns under their titles; cells are taken as they are, so make them `safe` first. The last column may be long. */
export const table = (
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  colours: Palette = PLAIN,
): string => {
  const all = [columns.map(({ title }) => colours.dim(title)), ...rows];
  const parts = Array.from({ length: Math.ceil(all.length / ROWS_TOGETHER) }, (_, i) => {
    const rows = all.slice(i * ROWS_TOGETHER, (i + 1) * ROWS_TOGETHER);
    return { rows, ...drawn(columns, rows) };
  });
  const widths = columns.map((_, i) => Math.max(...parts.map((part) => part.widths[i] ?? 0)));
  const lines = parts.flatMap(({ rows, text, widths: own }) =>
    (own.every((width, i) => width === widths[i]) ? text : drawn(columns, rows, widths).text).split("\n")
  );
  return lines.map((line) => line.trimEnd()).join("\n") + "\n";
};

/** `colWidths`: those of its columns; default: as wide as the widest cell in each. */
const drawn = (columns: readonly Column[], rows: readonly (readonly string[])[], colWidths: readonly number[] = []) => {
  const one = new Table({
    chars: NO_BORDER,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    colAligns: columns.map(({ right }) => right ? "right" : "left"),
    colWidths: [...colWidths],
  });
  one.push(...rows.map((row) => [...row]));
  return { text: one.toString(), widths: one.options.colWidths };
};
