/**
 * The log's own history: which key signs it, what of it lies elsewhere, where it left another log. Stream: `kernel/log`.
 *
 * These facts are what a verifier goes by where a log is not whole or not signed by one key, so it checks them itself and believes
 * none of them.
 */
import { z } from "zod";
import type { FactSchemas, StreamId } from "./event.ts";

export const LOG_STREAM = "kernel/log" satisfies StreamId;

const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
/** Base64 of 32 bytes. */
const root = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
/** A log's name in its checkpoints. */
const origin = z.string().min(1).max(1_000);
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
  /**
   * The entries before `until` (a multiple of 256) lie in an archive, in whole entry bundles; `root` is over them. The first block that is
   * kept here begins at `kept`, at most `until`, and links to `link`. Tiles, index and blobs stay.
   */
  "kernel.log.archived": z.strictObject({ until: count, kept: count, link: root, root }),
  /** The log is a copy of so many events with this root, made at `backup`, and goes on from there. Its first event behind them. */
  "kernel.log.restored": z.strictObject({ size: count, root, backup: time }),
  /**
   * Up to here (`size` is the position of this event) it was a copy of the log `from`, whose checkpoints `key` signed at last; from here on
   * it is a log of its own, called `to`. `beyond`: a checkpoint of the other that covers more than the copy had.
   */
  "kernel.log.forked": z.strictObject({
    from: z.strictObject({ origin, key: vkey, size: count, root }),
    to: origin,
    backup: time,
    beyond: z.strictObject({ size: count, root }).optional(),
  }),
} satisfies FactSchemas;

export const logAbout: Readonly<Record<keyof typeof logFacts, string>> = {
  "kernel.log.key_rotated": "The key that signs the log's checkpoints was changed; the old and the new key say so.",
  "kernel.log.archived": "The beginning of the log was moved to an archive.",
  "kernel.log.restored": "The log was brought back from a backup, and goes on.",
  "kernel.log.forked": "The log left another one, of which it was a copy, to go on under its own name.",
};
