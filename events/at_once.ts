/**
 * What a pure function gave, which it gives at once. A promise would be taken for a state, a row or a decision, and its failure, for
 * which nobody waits, would end the process: it is a `TypeError` that names `who`.
 */
export const atOnce = <T>(given: T, who: string): T => {
  if (typeof given !== "object" || given === null) return given;
  const { then } = given as { readonly then?: unknown };
  if (typeof then !== "function") return given;
  then.call(given, undefined, () => {});
  throw new TypeError(`${who} gave a promise; it has to answer at once`);
};
