/**
 * What became of controls, as the kernel tells it: which turned, which are enforced, what was declined because of one, and that the
 * log was verified. Streams: `kernel/controls`; `kernel/log` for verifications.
 */
import { z } from "zod";
import type { Facts, FactSchemas } from "./event.ts";

export const CONTROL_FACT_LIMITS = {
  id_chars_max: 80,
  because_chars_max: 500,
  /** Of one fact; more are several. */
  changes_max: 50,
  guards_max: 50,
  action_chars_max: 200,
  target_chars_max: 600,
} as const;

const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
const id = z.string().min(1).max(CONTROL_FACT_LIMITS.id_chars_max);
const because = z.string().max(CONTROL_FACT_LIMITS.because_chars_max);
const mode = z.enum(["watch", "enforce"]);
const status = z.enum(["pass", "fail", "not_applicable", "no_evidence", "stale", "excepted"]);
/** Base64 of 32 bytes, as in checkpoints. */
const root = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "32 bytes in base64");

const change = z.strictObject({
  control: id,
  title: z.string().max(200),
  mode,
  frameworks: z.array(z.strictObject({ name: z.string().max(60), ref: z.string().max(60) })).max(300),
  /** Absent: it was not evaluated before. */
  from: status.optional(),
  status,
  because,
  /** Of an exception. */
  until: time.optional(),
  by: z.string().max(100).optional(),
  considered: count,
  violations: count,
  /** Position of the newest event it looked at. */
  newest: count.optional(),
});

export const controlKernelFacts = {
  /** Evaluated over the first `size` events at `at`; only what is not as it was. With `from` the same as `status` it was only counted further. */
  "kernel.control.turned": z.strictObject({
    at: time,
    size: count,
    changes: z.array(change).min(1).max(CONTROL_FACT_LIMITS.changes_max),
  }),
  /** From here on it declines `guards` while it is red. `stated`: the control, as the catalogue says it. */
  "kernel.control.enforced": z.strictObject({
    control: id,
    guards: z.array(z.string().max(CONTROL_FACT_LIMITS.action_chars_max)).min(1).max(CONTROL_FACT_LIMITS.guards_max),
    stated: z.json(),
  }),
  /** It declines nothing any more. */
  "kernel.control.relaxed": z.strictObject({ control: id }),
  /** The catalogue has no such control any more. */
  "kernel.control.dropped": z.strictObject({ control: id }),
  /** Nothing of the action was done or recorded. `target`: the stream it would have been in, where there is one. */
  "kernel.action.declined": z.strictObject({
    control: id,
    action: z.string().max(CONTROL_FACT_LIMITS.action_chars_max),
    target: z.string().max(CONTROL_FACT_LIMITS.target_chars_max).optional(),
    because,
  }),
  /** The log was verified up to `size`. `failures`: how many were found; `anchored`: up to where somebody else vouches for it. */
  "kernel.log.verified": z.strictObject({
    size: count,
    root,
    ok: z.boolean(),
    failures: count,
    anchored: count,
    because: z.enum(["asked", "schedule"]),
  }),
} satisfies FactSchemas;

export type ControlKernelFact = Facts<typeof controlKernelFacts>;

export const controlKernelAbout: Readonly<Record<keyof typeof controlKernelFacts, string>> = {
  "kernel.control.turned": "Controls were evaluated, and the status of some is another than before.",
  "kernel.control.enforced": "A control declines what it guards from here on, while it is red.",
  "kernel.control.relaxed": "A control declines nothing any more.",
  "kernel.control.dropped": "A control is no longer in the catalogue.",
  "kernel.action.declined": "An action was declined because a control that guards it is red, or would become so.",
  "kernel.log.verified": "The log was verified, and what came of it.",
};
