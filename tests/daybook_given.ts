/** A daybook in memory, which is closed where its block ends (`await using`). */
import { openDaybook } from "../main.ts";

export const opened = async () => {
  const daybook = await openDaybook({ data: ":memory:" });
  return Object.assign(daybook, { [Symbol.asyncDispose]: () => daybook.close() });
};
