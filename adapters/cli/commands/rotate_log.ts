/** `keys rotate-log`: another key signs the log from now on. */
import type { Run } from "../call.ts";
import { spanOf, text, Usage } from "../call.ts";
import { count, palette, safe } from "../print.ts";
import { operateOn } from "../writer.ts";

const OVERLAP = "30d";
const OVERLAP_DAYS_MAX = 366;

interface Changed {
  readonly position: number;
  readonly old: string;
  readonly new: string;
  readonly until: string;
  readonly size: number;
}

export const rotateLog: Run = async (call, runtime) => {
  const given = text(call, "overlap") ?? OVERLAP;
  const overlap = given === "0" ? 0 : spanOf(given);
  if (overlap === undefined || overlap > OVERLAP_DAYS_MAX * 86_400_000) {
    throw new Usage(`--overlap takes 0, 45m, 12h, 30d, at most ${OVERLAP_DAYS_MAX}d, not ${JSON.stringify(given)}`);
  }
  const changed = await operateOn<Changed>(call, runtime, {
    operation: "rotate-log-key",
    input: { overlap_ms: overlap },
  });
  const { io } = runtime;
  if (call.json) io.out(`${JSON.stringify({ ok: true, ...changed })}\n`);
  else {
    const { old, new: next, until, position, size } = changed;
    io.out(
      `${palette(io).green("the log's key was changed")} at position ${count(position)}, over ${count(size)} events\n` +
        `old key   ${safe(old)}\nnew key   ${safe(next)}\n` +
        (overlap === 0 ? "the old key signs no more\n" : `both sign until ${safe(until)}\n`) +
        "give the new key to whoever verifies or witnesses this log; verify --key follows from one to the other\n",
    );
  }
  return 0;
};
