/**
 * What every entity, row and key begins with is one value for all of them. Frozen, it tells a fold that changes what it is given of its
 * mistake with the first event; else one entity's past would be in the state of the next.
 */

/** Plain objects and arrays, to their depths; what else there is is left as it is. */
export const frozen = (value: unknown): void => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  const proto = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && proto !== Object.prototype && proto !== null) return;
  Object.freeze(value);
  for (const member of Object.values(value)) frozen(member);
};
