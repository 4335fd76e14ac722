/**
 * Exceptions from controls, decided one control at a time: `controls/{id of the control}`. Whether there is such a control is the
 * catalogue's to know, not ours: an exception from one that is not there excepts nothing.
 */
import { z } from "zod";
import { type ControlFact, EXCEPTION_LIMITS } from "../events/controls.ts";
import { millis } from "../events/event.ts";
import { time } from "./time.ts";
import { accept, type Actor, type Commands, type CommandSchemas, type Decision, reject } from "./types.ts";

const why = z.string().min(1).max(EXCEPTION_LIMITS.why_chars_max);

const commands = {
  "controls.exception.grant": z.strictObject({
    until: time,
    why,
    approvedby: z.string().min(1).max(100).optional(),
  }),
  "controls.exception.end": z.strictObject({ why }),
} satisfies CommandSchemas;

export type ControlCommand = Commands<typeof commands>;
/** Until when the control is excepted, if it ever was. */
export type Exception = { readonly until?: string };

const DAY_MS = 86_400_000;

export const controls: Actor<Exception, ControlCommand, ControlFact> = {
  domain: "controls",
  version: 1,
  commands,
  facts: ["controls.exception.granted", "controls.exception.ended"],
  initial: {},

  decide(exception, { type, data }, { at, by, account = by }): Decision<ControlFact> {
    switch (type) {
      case "controls.exception.grant": {
        const left = millis(data.until) - at;
        if (left <= 0) return reject("exception_over", "An exception ends in the future");
        if (left > EXCEPTION_LIMITS.days_max * DAY_MS) {
          return reject("exception_too_long", `An exception ends within ${EXCEPTION_LIMITS.days_max} days`);
        }
        // Whoever holds a key is who its account is.
        if (data.approvedby === by || data.approvedby === account) {
          return reject("approved_by_oneself", "Who grants an exception cannot be the one who approves it");
        }
        return accept({ type: "controls.exception.granted", data });
      }
      case "controls.exception.end":
        return exception.until !== undefined && millis(exception.until) > at
          ? accept({ type: "controls.exception.ended", data })
          : reject("no_exception", "No exception from this control stands");
    }
  },

  evolve(_, fact): Exception {
    switch (fact.type) {
      case "controls.exception.granted":
        return { until: fact.data.until };
      case "controls.exception.ended":
        return {};
    }
  },
};
