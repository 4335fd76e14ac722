/** Of many problems those that are told. */

/** So many problems are told in one line; whoever has more of them begins with these. */
export const PROBLEMS_TOLD_MAX = 10;

/** The first of several problems, in one line, and how many more there are. */
export const firstOf = (problems: readonly string[]): string => {
  const told = problems.slice(0, PROBLEMS_TOLD_MAX).join("; ");
  const more = problems.length - PROBLEMS_TOLD_MAX;
  return more > 0 ? `${told}; and ${more} more` : told;
};
