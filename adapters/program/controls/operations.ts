/** What is asked of whoever writes the folder on account of controls: whether something may be done, and to record that the log was verified. */
import { z } from "zod";
import { kernelEvent } from "../../../actors/kernel/kernel_event.ts";
import { LOG_STREAM } from "../../../events/kernel_log.ts";
import { controlKernelFacts } from "../../../events/kernel_controls.ts";
import { Refused } from "../../cli/runtime.ts";
import { operation } from "../operation.ts";

/** For what is done elsewhere than by a command or an event: a token is made in the key database. Throws `Declined`. */
export const checkAction = operation({
  about: "whether controls let an action be done; that one declines it is recorded",
  input: z.strictObject({ action: z.string().min(1).max(200) }),
  async run({ gate }, { input: { action } }) {
    await gate.check({ type: action });
    return { ok: true };
  },
});

const verified = controlKernelFacts["kernel.log.verified"];

/** Refused where what was verified is not this log; throws `LogFault` where it cannot be recorded now. */
export const recordVerification = operation({
  about: "record that the log was verified, and what came of it",
  input: verified.omit({ because: true }),
  async run({ log, supervision: { world: { clock, random } } }, { input }) {
    const root = input.size > 0 && input.size <= log.size ? log.tree.root(input.size) : undefined;
    if (input.size > log.size || (input.ok && root !== undefined && root.toBase64() !== input.root)) {
      throw new Refused("not_this_log", "what was verified is not the log that is served");
    }
    // Not by the recorder, which waits as long as the disk is full, and whoever asked with it.
    await log.append({
      events: [
        kernelEvent({ type: "kernel.log.verified", data: { ...input, because: "asked" } }, {
          id: random.id(),
          at: clock.now(),
          stream: LOG_STREAM,
        }),
      ],
    });
    return { ok: true };
  },
});
