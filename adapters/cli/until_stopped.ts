/** What is looked at again and again, until somebody interrupts it. */
import type { Runtime } from "./runtime.ts";

/** Looks at once, then so often, and once more when it is interrupted. */
export const untilStopped = async (
  { io, clock }: Pick<Runtime, "io" | "clock">,
  every_ms: number,
  look: () => Promise<void>,
): Promise<void> => {
  let stopped = false;
  let wake = () => {};
  const forget = io.onStop(() => {
    stopped = true;
    wake();
  });
  try {
    for (;;) {
      const last = stopped;
      await look();
      if (last) return;
      if (stopped) continue;
      await new Promise<void>((resolve) => {
        const cancel = clock.schedule(every_ms, resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
  } finally {
    forget();
  }
};
