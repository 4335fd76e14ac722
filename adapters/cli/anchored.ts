/**
 * Up to where somebody else vouches for a log. A cut tail, and a folder put back as it once was, agree with themselves; so what nothing from
 * elsewhere covers is called unanchored, and nothing unanchored is called intact without that word.
 */
import type { Palette } from "./print.ts";
import { count, counted } from "./print.ts";

interface Anchored {
  readonly size: number;
  readonly anchored: number;
  readonly unanchored: number;
  readonly signed: number;
  readonly authenticated: boolean;
}

/** Of a log, or a folder with one, in which nothing is wrong. */
export const verdictOf = (what: "log" | "folder", { anchored, unanchored }: Anchored, c: Palette): string => {
  if (unanchored === 0 && anchored > 0) return c.green(`the ${what} is intact`);
  if (anchored === 0) return c.yellow(`the ${what} agrees with itself, unanchored`);
  return `${c.green(`the ${what} is intact`)} ${
    c.yellow(`up to ${count(anchored)}; ${counted(unanchored, "event")} unanchored behind`)
  }`;
};

/** `how`: what would anchor it. */
export const anchorLines = (
  { size, anchored, unanchored, signed, authenticated }: Anchored,
  c: Palette,
  how: string,
): string[] => {
  const of = (covered: number) => `up to ${count(covered)} of ${counted(size, "event")}`;
  const tail = unanchored > 0 ? `; ${c.yellow(`${count(unanchored)} unanchored`)} behind` : "";
  const lines = [
    anchored > 0
      ? `anchored  ${of(anchored)}${tail}`
      : `${c.yellow("unanchored")}: a cut tail or an older copy would look the same (${how})`,
  ];
  if (authenticated) lines.push(`signed    ${of(signed)}, by the key that was given`);
  return lines;
};
