/** What was cut off is ended and recorded, once everything that is supervised runs. */
import type { Child } from "../../../actors/kernel/child.ts";
import type { Opened } from "../opened.ts";
import { decide } from "./register.ts";
import { rotate } from "./rotate_root_key.ts";
import type { Pending } from "./settle.ts";

/** A child that ends when all is recorded. */
export const unfinishedWork = (
  opened: Pick<Opened, "keys" | "crash" | "entities">,
  pending: readonly Pending[],
): Child => ({
  id: "privacy",
  restart: "transient",
  grace: 1_000,
  async run(signal) {
    for (const data of pending) {
      if (signal.aborted) return;
      await decide(opened, { type: "privacy.subject.finish_erasure", data }, `finish ${data.subject}`);
    }
    const { keys } = opened;
    for (const subject of keys.erasedAgain) {
      if (signal.aborted) return;
      const data = { subject, key: "destroyed", because: "restore" } as const;
      await decide(opened, { type: "privacy.subject.finish_erasure", data }, `again ${subject}`);
    }
    if (keys.erasedAgain.length > 0) keys.erasedAgainRecorded();
    if (!signal.aborted && opened.keys.unfinishedRotation) await rotate(opened, {});
  },
});
