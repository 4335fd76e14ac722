/**
 * How text becomes words, the same for every store: letters and digits, lower case, without diacritics, split at all else.
 */

/** More words than these in one question are refused. */
export const QUERY_WORDS_MAX = 64;

// ASCII is most of what there is, and needs no normalisation.
// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/** The words of a text, in order, repeated as often as they occur. */
export const words = (text: string): readonly string[] =>
  ASCII.test(text)
    ? text.toLowerCase().match(/[a-z0-9]+/g) ?? []
    : text.normalize("NFKD").replace(/\p{M}+/gu, "").toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];

/**
 * A text for an index that knows ASCII letters, their case and digits, and takes all else but ASCII for letters, too (FTS5's
 * `ascii`): it finds the same words there as `words` gives. Nearly all text is ASCII, and is handed on as it is.
 */
export const spelled = (text: string): string => ASCII.test(text) ? text : words(text).join(" ");
