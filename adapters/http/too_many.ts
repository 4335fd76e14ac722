/** The refusal of who asks too often, or has used up what they may: always with which limit it was and when to come again. */
import type { Millis } from "../../events/event.ts";
import { Problem, type ProblemCode } from "./problem.ts";
import { rateHeaders, type RateLimiter, retryAfter } from "./rate.ts";

export interface Limited {
  /** As the configuration and `/metrics` call it. */
  readonly name: string;
  readonly max: number;
  /** Absent: so many at a time. */
  readonly window_ms?: Millis;
}

export interface TooMany {
  readonly limit: Limited;
  /** There may be more after so long. */
  readonly ms: Millis;
  readonly detail: string;
  /** Default: `too_many_requests`. */
  readonly code?: Extract<ProblemCode, "too_many_requests" | "quota_exceeded">;
  readonly members?: Readonly<Record<string, unknown>>;
}

export const tooMany = ({ limit, ms, detail, code = "too_many_requests", members }: TooMany): Problem =>
  new Problem(code, detail, {
    ...(members && { members }),
    headers: { ...retryAfter(ms), ...rateHeaders(limit.name, limit, { left: 0, reset_ms: ms }) },
  });

/** Of what was wrong from one address: `what` has come too often. */
export const deniedTooOften = ({ rate }: RateLimiter, ms: Millis, what = "wrong tokens"): Problem =>
  tooMany({ limit: { name: "denied", ...rate }, ms, detail: `Too many ${what} from this address.` });
