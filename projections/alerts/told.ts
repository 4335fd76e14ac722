/** Values out of events and rows as alerts may tell them: in clear, of one line, and short. */
import { ALERT_LIMITS, type Labels } from "../../events/alerts.ts";
import { isPseudonym, isSealed, SEALED_TEXT } from "../../events/personal.ts";

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/g;

/** One line of at most so many characters; what is cut through is replaced. */
const lineOf = (text: string, max: number): string => text.slice(0, max).replaceAll(CONTROL, " ").toWellFormed();

/** A decider takes no text for sealed, or for a pseudonym, that it was given: here it is only spoken of. */
const textOf = (value: unknown): string => {
  if (typeof value !== "string") return JSON.stringify(value) ?? "";
  return isSealed(value) ? SEALED_TEXT : isPseudonym(value) ? `pseudonym ${value}` : value;
};

export const labelsOf = (names: readonly string[], values: readonly unknown[]): Labels =>
  names.slice(0, ALERT_LIMITS.labels_max).map((name, i) => ({
    name: lineOf(name.replace(/^data\./, ""), ALERT_LIMITS.label_chars_max),
    value: lineOf(textOf(values[i]), ALERT_LIMITS.label_chars_max),
  }));

/** Of a field that is not there, what is said instead. */
export const becauseOf = (value: unknown, instead: string): string =>
  lineOf(value === undefined || value === null ? instead : textOf(value), ALERT_LIMITS.because_chars_max);
