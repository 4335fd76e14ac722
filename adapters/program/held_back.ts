/** A child that takes its place in the tree at once and begins its work later. */
import type { Child } from "../../actors/kernel/child.ts";
import { aborted } from "../../actors/kernel/world.ts";

/** The child, whose runs begin once `until` has resolved, and end without having begun when they are stopped before. Without it: at once. */
export const heldBack = (child: Child, until: Promise<void> | undefined): Child =>
  until === undefined ? child : {
    ...child,
    async run(signal, self) {
      await Promise.race([until, aborted(signal)]);
      if (!signal.aborted) await child.run(signal, self);
    },
  };
