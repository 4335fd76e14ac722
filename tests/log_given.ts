/** A log as it is shipped: a worker makes what follows its commits. */
import { inlineBackground } from "../adapters/kv/background.ts";
import { KvLog } from "../adapters/kv/log.ts";
import type { LogOptions } from "../adapters/kv/log_options.ts";
import { LOG_BACKGROUND, logWorker } from "../adapters/program/log_background.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Store } from "../events/store.ts";

/** Over a store that keeps its values in the file at `path`; closing ends the worker, too. A worker that dies fails the test. */
export const openWithWorker = async (
  store: Store,
  path: string,
  options: Omit<LogOptions, "background"> & { readonly key?: Uint8Array },
): Promise<KvLog> => {
  const background = inlineBackground(store, options.clock);
  const log = await KvLog.open(store, { ...options, background, backgroundWaitMs: LOG_BACKGROUND.wait_ms });
  const stopping = new AbortController();
  const self = { path: "log:background", ready: () => {} };
  const run = logWorker(log, { path, clock: systemClock, key: options.key }).run(stopping.signal, self);
  const close = store.close.bind(store);
  store.close = async () => {
    stopping.abort();
    await run;
    await close();
  };
  return log;
};
