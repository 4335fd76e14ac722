/** Tables of many cases that one code takes, of which a run of the tests takes some. */

/** `deno task soak --only tables` sets it. */
export const ALL = Deno.env.get("DAYBOOK_TEST_ALL") === "true";

/** One in so many, at each call the next ones: over as many calls each is taken once. With `DAYBOOK_TEST_ALL=true` every call takes all. */
export const sampling = (every: number, all = ALL): <T>(cases: readonly T[]) => readonly T[] => {
  let calls = 0;
  return (cases) => {
    const turn = all ? 0 : calls++;
    return cases.filter((_, i) => all || i % every === turn % every);
  };
};
