/**
 * Exceptions from controls: who says until when, and why. Stream: `controls/{id of the control}`. They are facts and no edits of the
 * catalogue, so that what was tolerated is as much on record as what was found.
 *
 * What becomes of controls is the kernel's to tell (`kernel_controls.ts`).
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas } from "./event.ts";

export const EXCEPTION_LIMITS = {
  why_chars_max: 500,
  /** An exception that lasts longer is another rule. */
  days_max: 366,
} as const;

const why = z.string().min(1).max(EXCEPTION_LIMITS.why_chars_max);

export const controlFacts = {
  /** Takes the place of one that stands. Who grants it is `authid`. */
  "controls.exception.granted": z.strictObject({
    until: z.iso.datetime({ offset: true }),
    why,
    /** Opaque id of who agreed, when it was not who granted it. */
    approvedby: z.string().min(1).max(100).optional(),
  }),
  /** Before its time. */
  "controls.exception.ended": z.strictObject({ why }),
} satisfies FactSchemas;

export type ControlFact = Facts<typeof controlFacts>;

export const controlsDomain: Domain = {
  name: "controls",
  facts: {
    "controls.exception.granted": {
      schema: controlFacts["controls.exception.granted"],
      kind: "decided",
      about: "A control is excepted for a while; who says so, until when, and why.",
    },
    "controls.exception.ended": {
      schema: controlFacts["controls.exception.ended"],
      kind: "decided",
      about: "The exception from a control was ended before its time.",
    },
  },
};
