/**
 * Controls as data: what a rule says, and what came of it. `config/controls.ts` reads them from YAML; `evaluate.ts` decides
 * them over the log.
 *
 * A field is named as it stands in the event's JSON: `data.account`, `authid`, `source`.
 */
import type { Millis } from "../../events/event.ts";

export type Scalar = string | number | boolean | null;

/** What must hold of one field. All that is said must hold; a field that is absent passes `present: false` and `not…` alone. */
export interface Test {
  readonly is?: Scalar;
  readonly is_not?: Scalar;
  readonly any_of?: readonly Scalar[];
  readonly none_of?: readonly Scalar[];
  /** Whether it is there and not null. */
  readonly present?: boolean;
  /** Numbers, inclusive. */
  readonly at_least?: number;
  readonly at_most?: number;
  /** Text. */
  readonly starts_with?: string;
  /** A list with this in it. */
  readonly includes?: Scalar;
  readonly includes_any_of?: readonly Scalar[];
  /** A list of at least so many different values. */
  readonly different_at_least?: number;
  /** It is there, and equals none of these fields. */
  readonly other_than?: readonly string[];
  /** It is there, and equals this field. */
  readonly same_as?: string;
  /** An RFC 3339 time that lies at least, or at most, so long before the event. */
  readonly before_by_at_least?: Millis;
  /** An RFC 3339 time that lies at most so long after the event. */
  readonly after_by_at_most?: Millis;
}

/** Field to what must hold of it. */
export type Where = Readonly<Record<string, Test>>;

/** Which events: one of these types, and `where` holds. */
export interface Selector {
  readonly type: readonly string[];
  readonly where?: Where;
}

/** A field of the event a rule is about, and the one of the other event that must equal it. */
export interface Join {
  readonly this: string;
  readonly that: string;
}

/** Another event that belongs to the one a rule is about. */
export interface Related extends Selector {
  /** Default: none, any such event will do. */
  readonly same: readonly Join[];
  /** Default: however long. */
  readonly within?: Millis;
  /** Somebody else did it: its `authid` is another. */
  readonly by_other?: boolean;
}

export interface After extends Related {
  readonly within: Millis;
  /** A time the event says, from which the span counts where that is later than the event. */
  readonly counted_from?: string;
  /** It is enough that one came before, unless one of these undid it since. */
  readonly already_unless?: Selector;
}

export interface Before extends Related {
  /** Undoes it: the newest of both counts. Its fields are joined as those of the other. */
  readonly unless_since?: Selector;
}

/** Exactly one of `every`, `of` and `complete`. */
export interface Query {
  /** Each of these events… */
  readonly every?: Selector;
  /** …is like one of these by itself, */
  readonly satisfies?: readonly Where[];
  /** …is followed by each of these in time, */
  readonly followed_by?: readonly After[];
  /** …came after each of these, */
  readonly preceded_by?: readonly Before[];
  /** …and after none of these. */
  readonly not_preceded_by?: readonly Before[];
  /** Of these events… */
  readonly of?: Selector;
  /** …there are at most so many… */
  readonly at_most?: number;
  /** …for each value of these fields… */
  readonly per?: readonly string[];
  /** …within any span of this length (default: ever), */
  readonly within?: Millis;
  /** …counted anew after one of these, of the same `per`. */
  readonly reset_by?: Selector;
  /** …or there is never so long without one, */
  readonly gap_at_most?: Millis;
  /** …or what each took away, which is what lies before position `data.until`, was recorded at least so long before, in whole days. */
  readonly kept_at_least?: Millis;
  /** Nothing that sources numbered is missing. */
  readonly complete?: Completeness;
}

/** What is asked of sources that number their events, or promised signs of life. */
export interface Completeness {
  /** How long a missing number may be on its way. */
  readonly late: Millis;
  /** How far beyond what it promised a source may be silent. */
  readonly silent: Millis;
  /** Only sources that begin so. Default: all. */
  readonly source?: string;
}

export interface FrameworkReference {
  /** `SOC 2`, `PCI DSS 4`, `NIST 800-53`, `GDPR`, `SOX ITGC`, `CCPA`. */
  readonly name: string;
  /** `CC6.1`, `8.4.2`, `AC-2(3)`, `Art. 17`. */
  readonly ref: string;
}

export type Mode = "watch" | "enforce";

export interface Control {
  /** Letters, digits and dashes. */
  readonly id: string;
  readonly title: string;
  readonly frameworks: readonly FrameworkReference[];
  readonly mode: Mode;
  /** Types of commands and events, and operations, that are declined while it is enforced and red. */
  readonly guards: readonly string[];
  /** It applies once such an event was recorded. Default: always. */
  readonly applies_when?: Selector;
  /** Which times count: when events were recorded (default), or when they happened, as their sources say. */
  readonly clock: "recorded" | "occurred";
  readonly query: Query;
  /** What shows that anybody was watching. Default: the events that the query is about. */
  readonly evidence?: Selector;
  /** How old the newest evidence may be. */
  readonly freshness: Millis;
  readonly expectation: {
    readonly violations_at_most: number;
    /** How long a violation counts. */
    readonly over: Millis;
  };
}

/** `not_applicable`: nothing it speaks of exists here. `no_evidence`: nothing was seen at all. `stale`: nothing was seen lately. */
export type ControlStatus = "pass" | "fail" | "not_applicable" | "no_evidence" | "stale" | "excepted";

export interface Evidence {
  readonly position: number;
  readonly note: string;
}

export interface ControlResult {
  readonly id: string;
  readonly title: string;
  readonly frameworks: readonly FrameworkReference[];
  readonly mode: Mode;
  readonly status: ControlStatus;
  /** A sentence. */
  readonly because: string;
  /** Of an exception: RFC 3339, and the opaque id of who granted it. */
  readonly until?: string;
  readonly by?: string;
  /** Events that the rule was applied to. */
  readonly considered: number;
  /** Those that broke it and count. */
  readonly violations: number;
  /** What broke it, newest last; of a control that holds, what it was last seen by. At most `CONTROL_LIMITS.evidence_max`. */
  readonly evidence: readonly Evidence[];
  /** Position of the newest event it looked at. */
  readonly newest?: number;
  /** When it changes by itself, if nothing comes: RFC 3339. */
  readonly due?: string;
}

/** What is held for one control; a control that would need more cannot be decided any more, and says so by failing. */
export const CONTROL_LIMITS = {
  controls_max: 200,
  evidence_max: 20,
  /** Events that wait for what must follow. */
  open_max: 50_000,
  /** Keys for which something is remembered: by `preceded_by`, `not_preceded_by`, `at_most`. */
  keys_max: 200_000,
  /** Violations whose time is held; beyond, the oldest are only counted as long as the newest count. */
  violations_max: 1_000,
} as const;
