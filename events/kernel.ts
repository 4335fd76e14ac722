/**
 * The kernel's own history: what supervisors did and why, what could not be delivered, which timers stand.
 *
 * Streams: `kernel/process`, `kernel/{path of the child}`, `kernel/dead_letters`, `kernel/projection:{name}`, `kernel/sink:{name}`, `kernel/controls`; timers stand in
 * the stream of the entity that set them. A path is the ids from the root down, joined by `:`, as in `daybook:http`.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas } from "./event.ts";
import { controlKernelAbout, controlKernelFacts } from "./kernel_controls.ts";
import { doorAbout, doorFacts } from "./kernel_door.ts";
import { logAbout, logFacts } from "./kernel_log.ts";

/** One line, at most so many characters: a cause is for reading, not a stack trace. */
export const CAUSE_CHARS_MAX = 300;

const path = z.string().min(1).max(400);
const cause = z.string().max(CAUSE_CHARS_MAX);
const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
const kind = z.enum(["supervisor", "worker"]);
const sink = z.string().min(1).max(60);
const projection = { projection: z.string(), version: count, position: count, cause };

export const kernelFacts = {
  /** `clean`: whether the run before said that it stopped. `root`: path of the supervision tree's root. */
  "kernel.process.started": z.strictObject({ version: z.string(), root: path, clean: z.boolean() }),
  "kernel.process.stopped": z.strictObject({ abandoned: z.array(path).max(100) }),
  /** `order`: place among its siblings, from 0; they start in this order. */
  "kernel.child.started": z.strictObject({ child: path, kind, order: count }),
  "kernel.child.crashed": z.strictObject({ child: path, cause, ran_ms: count }),
  /** `because`: path of the child whose end brought this about; its own, or by strategy a sibling's. */
  "kernel.child.restarted": z.strictObject({ child: path, kind, order: count, because: path, restarts: count }),
  /** A supervisor has restarted too often (`max` within `within_ms`), stops what is left below it and fails upwards. */
  "kernel.child.gave_up": z.strictObject({ child: path, because: path, cause, max: count, within_ms: count }),
  "kernel.child.stopped": z.strictObject({
    child: path,
    /** `ended`: by itself. `asked`: by a person or program. `sibling`: by strategy. `shutdown`: with its supervisor. */
    reason: z.enum(["ended", "asked", "sibling", "shutdown"]),
    /** What it failed with while it was stopping. */
    cause: cause.optional(),
  }),
  /** It did not stop within its grace and was left behind. */
  "kernel.child.abandoned": z.strictObject({ child: path, grace_ms: count }),
  /** `message` is kept where it can be redriven after a restart; as given, so sealed where it was sealed. */
  "kernel.message.dead_lettered": z.strictObject({
    letter: z.string(),
    target: z.string().max(600),
    cause,
    bytes: count,
    message: z.json().optional(),
  }),
  "kernel.message.redriven": z.strictObject({ letter: z.string(), target: z.string().max(600) }),
  /** Facts of this child and cause beyond its budget, or beyond what could wait for the log. */
  "kernel.facts.suppressed": z.strictObject({ child: path, cause, count, first: time, last: time }),
  "kernel.timer.set": z.strictObject({
    name: z.string().min(1).max(200),
    at: time,
    command: z.strictObject({ type: z.string(), data: z.json() }),
  }),
  "kernel.timer.cancelled": z.strictObject({ name: z.string() }),
  /** `set`: revision of the `kernel.timer.set` that came true. `code`: of the rejection. */
  "kernel.timer.fired": z.strictObject({
    name: z.string(),
    set: count,
    outcome: z.enum(["accepted", "rejected", "undeliverable"]),
    code: z.string().optional(),
  }),
  /** The projection stands still before `position`: that event cannot be folded, or its views cannot be used. */
  "kernel.projection.stopped": z.strictObject(projection),
  /** The event at `position` could not be folded; the projection's policy is to go on without it. */
  "kernel.projection.skipped": z.strictObject(projection),
  /**
   * What this version of the projection holds after the first `size` events, so never including this fact. `digest`: 32 bytes,
   * base64, by `method` (`DIGEST_METHOD` of `projections/digest.ts`). Of one projection and version sizes never decrease.
   */
  "kernel.projection.attested": z.strictObject({
    projection: z.string().min(1).max(200),
    version: count,
    size: count,
    rows: count,
    digest: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
    method: z.string().min(1).max(60),
  }),
  /** A sink of this name delivers for the first time, from this position on; where its cursor is lost it begins here again. */
  "kernel.sink.added": z.strictObject({ sink, from: count }),
  /** Deliveries fail since now; `size`: what was delivered before it is settled. It is tried again for as long as it takes. */
  "kernel.sink.failed": z.strictObject({ sink, cause, size: count }),
  /** They do no more; `failed_ms`: since the first that failed. */
  "kernel.sink.recovered": z.strictObject({ sink, failed_ms: count, attempts: count, size: count }),
} satisfies FactSchemas;

export type KernelFact = Facts<typeof kernelFacts>;

const about: Readonly<Record<keyof typeof kernelFacts, string>> = {
  "kernel.process.started": "The process started; whether the run before it stopped cleanly.",
  "kernel.process.stopped": "The process stopped in order; what it had to leave behind.",
  "kernel.child.started": "A supervised child started for the first time in this run.",
  "kernel.child.crashed": "A supervised child failed.",
  "kernel.child.restarted": "A supervised child was started again.",
  "kernel.child.gave_up": "A supervisor spent its budget of restarts and failed upwards.",
  "kernel.child.stopped": "A supervised child ended, or was stopped.",
  "kernel.child.abandoned": "A child did not stop within its grace and was left behind.",
  "kernel.message.dead_lettered": "A message could not be delivered.",
  "kernel.message.redriven": "A dead letter was delivered after all.",
  "kernel.facts.suppressed": "Kernel facts of one child and cause beyond its budget.",
  "kernel.timer.set": "An entity asked for a command to itself at a time.",
  "kernel.timer.cancelled": "An entity took back a timer.",
  "kernel.timer.fired": "A timer came true.",
  "kernel.projection.stopped": "A projection stopped: at an event it cannot fold, or because its views cannot be used.",
  "kernel.projection.skipped": "A projection met an event it cannot fold, and passed over it.",
  "kernel.projection.attested":
    "What a view holds after so many events, as a digest that whoever folds the log again must get.",
  "kernel.sink.added": "A sink began to deliver; from which position on.",
  "kernel.sink.failed": "A sink could not deliver; what it had delivered before.",
  "kernel.sink.recovered": "A sink delivers again; how long it could not.",
};

const domainFacts = { ...kernelFacts, ...logFacts, ...controlKernelFacts, ...doorFacts };
const abouts = { ...about, ...logAbout, ...controlKernelAbout, ...doorAbout };

export const kernelDomain: Domain = {
  name: "kernel",
  facts: Object.fromEntries(
    (Object.keys(domainFacts) as (keyof typeof domainFacts)[])
      .map((type) => [type, { schema: domainFacts[type], kind: "decided", about: abouts[type] }]),
  ),
};
