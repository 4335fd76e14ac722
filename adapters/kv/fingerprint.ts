/**
 * 53 bits of a text, as a number that a double holds. Fast, not cryptographic: whoever chooses texts can make two collide,
 * so everything found by a fingerprint is compared with the text itself before it counts.
 *
 * Two rounds of the multiply-xor mixing of MurmurHash3 (https://github.com/aappleby/smhasher) over UTF-16 code units.
 */
export const fingerprint = (text: string, seed = 0): number => {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x85ebca6b ^ seed;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0xcc9e2d51);
    b = Math.imul(b ^ unit, 0x1b873593);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (b & 0x1fffff) * 2 ** 32 + (a >>> 0);
};

/** Of `source` and `id` together; the newline stands in neither. */
export const fingerprintOfId = (source: string, id: string): number => fingerprint(source + "\n" + id);
