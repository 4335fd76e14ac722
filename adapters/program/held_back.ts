/** A child that takes its place in the tree at once and begins its work later. */
import type { Child } from "../../actors/kernel/child.ts";

/** The child, whose runs begin once `until` has resolved, and end without having begun when they are stopped before. Without it: at once. */
export const heldBack = (child: Child, until: Promise<void> | undefined): Child =>
  until === undefined ? child : {
    ...child,
    async run(signal, self) {
      await Promise.race([until, aborted(signal)]);
      if (!signal.aborted) await child.run(signal, self);
    },
  };

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
