/** Who signs the log's checkpoints: its key, with the key database told what was signed. */
import { LogFault } from "../../events/log.ts";
import type { Keys } from "../keys/keys.ts";
import type { Signer } from "../kv/behind.ts";
import { systemClock } from "../system/world.ts";

/** A checkpoint is remembered at most so often, and when the log closes: each time is a flush of the key database. */
const REMEMBER_MS = 5_000;

export interface Remembering extends Signer {
  /** Remembers the newest. */
  flush(): void;
}

/** Signs with the log's key, and lets the key database know of it. */
export const signerOf = ({ logKey }: Keys): Remembering => {
  let remembered = -Infinity;
  let newest: { readonly size: number; readonly note: string } | undefined;
  const flush = () => {
    if (!newest) return;
    // A log must not sign two roots of one size (C2SP tlog-checkpoint).
    if (logKey.remember(newest.note) === "fork") {
      const message = `another checkpoint of size ${newest.size} is known; the log has been put back or changed`;
      throw new LogFault("fenced", message);
    }
    remembered = systemClock.monotonic();
    newest = undefined;
  };
  return {
    origin: logKey.signer.name,
    sign(size, root) {
      const note = logKey.checkpoint(size, root);
      newest = { size, note };
      if (systemClock.monotonic() - remembered >= REMEMBER_MS) flush();
      return note;
    },
    flush,
  };
};

/** The last act on the keys: one more try, for a checkpoint that is not remembered is only one that a later fork is not held against. */
export const rememberLast = (signer: Remembering, report: (line: string) => void): void => {
  try {
    signer.flush();
  } catch (error) {
    report(`the newest checkpoint was not remembered: ${(error as Error).message}`);
  }
};
