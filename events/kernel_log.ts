/**
 * The log's own history: which key signs it, what of it lies elsewhere, where it left another log. Stream: `kernel/log`.
 *
 * These facts are what a verifier goes by where a log is not whole or not signed by one key, so it checks them itself and believes
 * none of them.
 */
import { z } from "zod";
import type { Facts, FactSchemas, StreamId } from "./event.ts";

export const LOG_STREAM = "kernel/log" satisfies StreamId;

const time = z.iso.datetime({ offset: true });
/** Public key of a log: `name+id+key` (C2SP signed-note). */
const vkey = z.string().min(1).max(1_200);
/** A signed note (C2SP signed-note). */
const note = z.string().min(1).max(8_000);

export const logFacts = {
  /**
   * From here on `new` signs the log, and up to `until` `old` does too. `note`: the statement of the change, signed by both; its text is
   * a line each of `daybook/log-key-rotation@v1`, `origin …`, `size …` and `root …` (of a checkpoint kept in the log), `old …`, `new …`,
   * `until …`. A checkpoint that covers this event is signed by `new`.
   */
  "kernel.log.key_rotated": z.strictObject({ old: vkey, new: vkey, until: time, note }),
} satisfies FactSchemas;

export type LogHistoryFact = Facts<typeof logFacts>;

export const logAbout: Readonly<Record<keyof typeof logFacts, string>> = {
  "kernel.log.key_rotated": "The key that signs the log's checkpoints was changed; the old and the new key say so.",
};
