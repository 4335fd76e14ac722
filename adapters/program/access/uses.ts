/** When tokens and keys were last shown is kept every minute, and at the end: a request writes nothing. */
import type { Child } from "../../../actors/kernel/child.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import type { Keys } from "../../keys/keys.ts";

const USES_EVERY_MS = 60_000;

export const usesOf = (tokens: Pick<Keys["tokens"], "flushUses">, clock: Clock): Child => ({
  id: "token-uses",
  restart: "permanent",
  grace: 5_000,
  async run(signal, self) {
    self.ready();
    try {
      while (!signal.aborted) {
        await pause(clock, USES_EVERY_MS, signal);
        tokens.flushUses();
      }
    } finally {
      tokens.flushUses();
    }
  },
});
