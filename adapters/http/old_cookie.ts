/**
 * The cookie of sessions before it was `__Host-` (0169): no request comes in by it any more, so where a browser still brings it to a page, its
 * session ends and the browser forgets it.
 */
import { type Access, BEARER_LENGTH_MAX, cookieOf } from "./access.ts";
import type { Deadlines } from "./deadline.ts";

const OLD_COOKIE = "daybook_session";

interface Ending {
  readonly access: Access;
  readonly deadlines: Deadlines;
  /** Monotonic. */
  readonly now: () => number;
}

/** The same answer; where the session could not be ended the browser keeps the cookie, and the next page tries again. */
export const endOldSession = (
  { headers }: Request,
  answer: Response | Promise<Response>,
  ending: Ending,
): Response | Promise<Response> => {
  const old = cookieOf(headers.get("cookie"), OLD_COOKIE);
  return old === undefined ? answer : forgetting(old, answer, ending);
};

const forgetting = async (
  old: string,
  answer: Response | Promise<Response>,
  { access, deadlines, now }: Ending,
): Promise<Response> => {
  const response = await answer;
  const kept = () => response;
  const forgotten = () => {
    response.headers.append("set-cookie", `${OLD_COOKIE}=; Path=/; Max-Age=0`);
    return response;
  };
  // Nobody's is longer.
  const ended = old.length > BEARER_LENGTH_MAX ? Promise.resolve() : access.end(old);
  return await deadlines.race(ended.then(kept), now(), { done: forgotten, failed: kept, late: kept });
};
