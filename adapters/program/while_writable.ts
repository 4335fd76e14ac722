/** Waiting for what needs the log to be written: not for as long as a disk is full, or for a log that is not written any more. */
import { pause } from "../../actors/kernel/world.ts";
import type { KvLog } from "../kv/log.ts";
import { systemClock } from "../system/world.ts";

/** A log that refuses for so long is not waited for; a lock of somebody else passes. */
const REFUSED_MS = 2_000;
const LOOK_MS = 50;

/** What is waited for, or thrown why the log cannot be written. What was under way goes on, and is done when it can be. */
export const whileWritable = async <T>(log: Pick<KvLog, "unwritable">, waited: Promise<T>): Promise<T> => {
  const over = new AbortController();
  const refused = async (): Promise<T> => {
    for (let since = systemClock.monotonic(); !over.signal.aborted;) {
      await pause(systemClock, LOOK_MS, over.signal);
      if (!log.unwritable) since = systemClock.monotonic();
      else if (systemClock.monotonic() - since >= REFUSED_MS) throw log.unwritable;
    }
    return await waited;
  };
  try {
    return await Promise.race([waited, refused()]);
  } finally {
    over.abort();
  }
};
