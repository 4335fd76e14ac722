/** How a cache is bounded here. */

/**
 * Options of an `LRUCache` of at most `max` entries. Of a size of one each, for with `max` it would make arrays of that length at once, and
 * most processes never fill them.
 */
export const entries = (max: number): { readonly maxSize: number; readonly sizeCalculation: () => number } => ({
  maxSize: max,
  sizeCalculation: () => 1,
});
