/** Times as the log writes them. Many events share a millisecond, so the last text is kept. */
import type { Millis } from "../../events/event.ts";

let last: Millis = NaN;
let text = "";

/** RFC 3339, UTC, milliseconds. */
export const instant = (at: Millis): string => {
  if (at !== last) {
    text = new Date(at).toISOString();
    last = at;
  }
  return text;
};
