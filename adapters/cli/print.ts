/** How things look: on a terminal for people, piped plain, and never a control character that came out of an event. */
import type { Io } from "./io.ts";

// C0 and C1 controls, and the marks that reorder or hide text (Unicode Bidi_Control, zero width).
// deno-lint-ignore no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text from outside, safe to print: what could move the cursor, colour, or hide something is shown as an escape. */
export const safe = (text: string): string =>
  text.replace(UNSAFE, (c) => NAMED[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** One line of at most `width` characters. */
export const short = (text: string, width: number): string => {
  const characters = [...safe(text)];
  return characters.length <= width ? characters.join("") : `${characters.slice(0, Math.max(0, width - 1)).join("")}…`;
};

export type Paint = (text: string) => string;
export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

const paint = (code: number): Paint => (text) => `\u001b[${code}m${text}\u001b[0m`;
const plain: Paint = (text) => text;
const COLOURED: Palette = {
  bold: paint(1),
  dim: paint(2),
  red: paint(31),
  green: paint(32),
  yellow: paint(33),
  cyan: paint(36),
};
export const PLAIN: Palette = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain, cyan: plain };

/** Colour on a terminal, unless NO_COLOR is set to anything but nothing (https://no-color.org). */
export const palette = (io: Io, to: "out" | "err" = "out"): Palette =>
  io.terminal[to] && !io.env("NO_COLOR") ? COLOURED : PLAIN;

/** `width` characters, filled in proportion. */
export const bar = (share: number, width: number): string => {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  const full = "█".repeat(Math.floor(eighths / 8));
  return full + (eighths % 8 > 0 ? "▏▎▍▌▋▊▉"[eighths % 8 - 1] : "");
};

/** 12,345; of whole numbers. By hand, for the platform takes 10 ms to load what it knows of languages. */
export const count = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

/** `1 branch`, `12,345 branches`. */
export const counted = (number: number, one: string, many = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : many}`;

/** 1.4 MB: powers of 1,000, as disks are sold. */
export const bytes = (number: number): string => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const at = number < 1_000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(number) / 3));
  return at === 0 ? `${number} B` : `${(number / 1_000 ** at).toFixed(1)} ${units[at]}`;
};

/** 45 ms, 1.2 s, 3 min 5 s, 2 h 7 min. */
export const duration = (ms: number): string => {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return seconds < 3_600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3_600)} h ${Math.floor(seconds % 3_600 / 60)} min`;
};

/** A value in one cell: texts as they are, the rest as JSON; control characters escaped. */
export const cell = (value: unknown, width = 60): string =>
  short(typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value), width);
