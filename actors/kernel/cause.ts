/** Why something failed, as one line for people: no stack, no line breaks, no mail addresses, bounded. */
import { CAUSE_CHARS_MAX } from "../../events/kernel.ts";

/** Mail addresses are the personal thing that error messages quote most; a cause ends in the log, where none may be. */
const ADDRESS = /[^\s@"'<>(),;:]{1,64}@[^\s@"'<>(),;:]{1,255}/g;

export const causeOf = (error: unknown): string => {
  const text = error instanceof Error
    ? (error.message === "" ? error.name : error.name === "Error" ? error.message : `${error.name}: ${error.message}`)
    : typeof error === "string"
    ? error
    : `threw ${error === null ? "null" : typeof error}`;
  return text.slice(0, 4 * CAUSE_CHARS_MAX).replace(/\s+/g, " ").replace(ADDRESS, "[address]").toWellFormed().slice(
    0,
    CAUSE_CHARS_MAX,
  ).toWellFormed();
};
