/**
 * Names of accounts in the form in which they are compared.
 *
 * After RFC 8265 (PRECIS, UsernameCaseMapped): full-width and half-width characters become the usual ones, capitals small ones. Of the
 * letters of the world only those of ASCII are taken: then no two names look alike, as Cyrillic `а` and Latin `a` do.
 */
const NAME_CHARS_MAX = 255;

const NAME = /^[a-z0-9](?:[a-z0-9._+@-]*[a-z0-9])?$/;

/** `undefined` for what can be no name. */
export const accountName = (typed: string): string | undefined => {
  if (typed.length > NAME_CHARS_MAX) return undefined;
  // U+FF01 to U+FF5E are ASCII in another width; what else NFKC folds (`①`, `ﬁ`, `K`) PRECIS does not take.
  const name = typed.replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .toLowerCase();
  // Small letters of some others are ASCII (the Kelvin sign's is `k`), so what was typed counts, too.
  return /^[\x21-\x7e\uff01-\uff5e]+$/.test(typed) && NAME.test(name) ? name : undefined;
};
