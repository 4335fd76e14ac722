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

/** Aligned columns under their titles; cells are taken as they are, so make them `safe` first. The last column may be long. */
export const table = (
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  colours: Palette = PLAIN,
): string => {
  const drawn = new Table({
    chars: NO_BORDER,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    colAligns: columns.map(({ right }) => right ? "right" : "left"),
  });
  drawn.push(columns.map(({ title }) => colours.dim(title)), ...rows.map((row) => [...row]));
  return drawn.toString().split("\n").map((line) => line.trimEnd()).join("\n") + "\n";
};
