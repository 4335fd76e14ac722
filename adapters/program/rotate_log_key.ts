/** `rotate-log-key`: the log's key is changed while everything else goes on. */
import { z } from "zod";
import { changeLogKey } from "./log_key_change.ts";
import { operation } from "./operation.ts";
import { signed } from "./settled.ts";

/** A change that nobody could follow any more is no overlap. */
const OVERLAP_MS_MAX = 366 * 86_400_000;

export const rotateLogKey = operation({
  about: "Changes the key that signs the log's checkpoints.",
  input: z.strictObject({
    /** How long both keys sign, in ms. */
    overlap_ms: z.int().min(0).max(OVERLAP_MS_MAX),
  }),
  async run({ log, keys, crash }, { input }) {
    const changed = await changeLogKey(log, keys.logKey, { overlap: input.overlap_ms, crash });
    // So that whoever asks for a checkpoint next sees who signs. Where none can be made now the key is changed all the same.
    const checkpoint = await signed(log, changed.position + 1).catch(() => undefined);
    return { ...changed, ...(checkpoint ? { checkpoint: checkpoint.note } : {}) };
  },
});
