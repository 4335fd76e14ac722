/** What a supervisor starts, watches and stops. A supervisor is one itself. */
import type { Millis } from "../../events/event.ts";
import type { HealthNode } from "./daybook.ts";

/** What a run of a child is told about itself. */
export interface Self {
  /** Ids from the root down, joined by `:`. */
  readonly path: string;
  /** Says that the next sibling may start; see `Child.readyWithin`. */
  ready(): void;
}

export interface Child {
  /** Unique among its siblings; without `:`. */
  readonly id: string;
  /**
   * One run: resolving is an exit, rejecting (or throwing) a crash, the signal aborting means "please stop". Must be fit to
   * be called again once the run before has ended.
   */
  run(signal: AbortSignal, self: Self): Promise<void>;
  /** `permanent`: always again. `transient`: again after a crash. `temporary`: never again. */
  readonly restart: "permanent" | "transient" | "temporary";
  /** How long it may take to stop; then it is left behind, and that is recorded: a promise cannot be killed. */
  readonly grace: Millis;
  /** The next sibling starts when this one has called `ready`, and not being ready in time is a crash. Absent: ready at once. */
  readonly readyWithin?: Millis;
  /** Default `worker`. */
  readonly kind?: "supervisor" | "worker";
  /** Of what has children of its own. */
  tree?(): HealthNode;
  /** Paths of what was left behind below it. */
  readonly abandoned?: readonly string[];
}

export interface Backoff {
  /** Wait before the first restart. */
  readonly first: Millis;
  /** Longest wait; a child that ran longer than this starts at `first` again. */
  readonly last: Millis;
  /** Growth per crash. Default 2. */
  readonly factor?: number;
  /** Part of the wait drawn at random, either way, 0 to 1. Default 0.2. */
  readonly jitter?: number;
}

export interface SupervisorSpec {
  readonly id: string;
  readonly strategy: "one_for_one" | "one_for_all" | "rest_for_one";
  /** More than `max` restarts `within` so long, and the supervisor gives up. `each`: of one child; default, as in OTP: of all together. */
  readonly restarts: { readonly max: number; readonly within: Millis; readonly each?: boolean };
  /** Default: restart at once, as OTP does. */
  readonly backoff?: Backoff;
  /** Start in this order, stop in reverse. */
  readonly children: readonly Child[];
  /** As a child of another supervisor. Default `permanent`. */
  readonly restart?: Child["restart"];
  /** Default: as long as the children below take, each bounded by its own grace. */
  readonly grace?: Millis;
}
