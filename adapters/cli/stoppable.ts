/** What takes away again what it had begun when it is told to stop. */
import type { Io } from "./io.ts";

/** Told by a signal to stop, and did. */
export class StoppedFault extends Error {
  override readonly name = "StoppedFault";
  readonly kind = "stopped";
}

/** Works until SIGINT, SIGTERM or SIGHUP; then the signal aborts with a fault that says `left`, what is there now. */
export const stoppable = async <T>(
  io: Pick<Io, "onStop">,
  left: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const stop = new AbortController();
  const forget = io.onStop(() => stop.abort(new StoppedFault(`stopped: ${left}`)));
  try {
    return await work(stop.signal);
  } finally {
    forget();
  }
};
