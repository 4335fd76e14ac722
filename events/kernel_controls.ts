/**
 * What became of controls, as the kernel tells it: which turned, which are enforced, what was declined because of one, what is missing of
 * sources, and that the log was verified. Streams: `kernel/controls`, `kernel/sources`; `kernel/log` for verifications.
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
  source_chars_max: 1_100,
} as const;

const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
const id = z.string().min(1).max(CONTROL_FACT_LIMITS.id_chars_max);
const because = z.string().max(CONTROL_FACT_LIMITS.because_chars_max);
const mode = z.enum(["watch", "enforce"]);
const status = z.enum(["pass", "fail", "not_applicable", "no_evidence", "stale", "excepted"]);
/** Base64 of 32 bytes, as in checkpoints. */
const root = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "32 bytes in base64");

const source = z.string().min(1).max(CONTROL_FACT_LIMITS.source_chars_max);
const beside = z.strictObject({ position: count, time: z.string() });

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
  /**
   * A source that counts lacks these numbers. `after` and `before`: the events on both sides, by place and by when they happened; nothing
   * of the count came before where `after` is absent. `missing` is less than their number where two gaps are told as one.
   */
  "kernel.gap.opened": z.strictObject({
    source,
    first: z.int(),
    last: z.int(),
    missing: z.int().positive(),
    after: beside.optional(),
    before: beside,
  }),
  /** They have come, or those that are left are told as smaller gaps. */
  "kernel.gap.closed": z.strictObject({ source, first: z.int(), last: z.int() }),
  /** Nothing of a source came since `since`; by its own word something was due at `due`. */
  "kernel.silence.opened": z.strictObject({ source, since: time, due: time }),
  "kernel.silence.closed": z.strictObject({ source, since: time }),
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
  "kernel.gap.opened": "Numbers of a source are missing; which, and between which events.",
  "kernel.gap.closed": "Numbers of a source that were missing have come, or are told as smaller gaps.",
  "kernel.silence.opened": "A source is silent for longer than it promised.",
  "kernel.silence.closed": "A source that was silent was heard again.",
  "kernel.log.verified": "The log was verified, and what came of it.",
};
