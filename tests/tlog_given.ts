/** A log in memory with a signed checkpoint, and the folder of tiles it is written into. */
import { inlineBackground } from "../adapters/kv/background.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { MemoryStore } from "../adapters/memory/store.ts";
import { systemClock } from "../adapters/system/world.ts";
import { tlogFiles, writeTlog } from "../adapters/tlog/writer.ts";
import { catalogue } from "../events/catalogue.ts";
import type { Checkpoint } from "../events/log.ts";
import { event } from "./contract/log_contract.ts";
import { inFolder } from "./folder_given.ts";
import { signer } from "./verify_given.ts";

/** Signed at every size in `sizes`, in order; the last is that of the log. */
export const withSignedLog = async <T>(
  sizes: readonly number[],
  use: (log: KvLog, checkpoints: readonly Checkpoint[]) => T | Promise<T>,
): Promise<T> => {
  const store = new MemoryStore();
  // The same entries and hashes each time.
  const clock = { ...systemClock, now: () => Date.UTC(2026, 0, 1) };
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock,
    background: inlineBackground(store, clock),
    signer: { origin: signer.name, sign: (size, root) => signer.checkpoint(size, root) },
  });
  try {
    const checkpoints: Checkpoint[] = [];
    for (const size of sizes) {
      await log.append({ events: Array.from({ length: size - log.size }, (_, i) => event(log.size + i)) });
      checkpoints.push((await log.checkpoint(size))!);
    }
    return await use(log, checkpoints);
  } finally {
    await log.close();
  }
};

/** The folder of a log of `size` entries, made by the writer. */
export const withTlogFolder = (
  size: number,
  use: (folder: string, log: KvLog) => void | Promise<void>,
): Promise<void> =>
  withSignedLog([size], (log, [checkpoint]) =>
    inFolder(async (folder) => {
      await writeTlog(folder, tlogFiles(log, checkpoint!));
      await use(folder, log);
    }));
