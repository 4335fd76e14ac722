/** What a row of the comparison is, and how its sides are measured. */
/** Work done and the time it took. */
export interface Measured {
  readonly units: number;
  readonly ms: number;
  /** Percentiles of one operation, ms, where they are told. */
  readonly p95?: number;
  readonly p99?: number;
}

export interface Stand {
  ours(): Promise<Measured>;
  /** Until nothing of ours is left to do behind either, so that one measurement does not pay for the one before; not measured. */
  rest?(): Promise<void>;
  baseline(): Promise<Measured>;
  close(): Promise<void>;
  /** What of `close` can be done at once, when the process ends before it. */
  abandon?(): void;
}

/** What the project holds itself to: ours to the baseline. */
export interface Goal {
  readonly must?: number;
  readonly aim?: number;
}

export interface Row extends Goal {
  readonly name: string;
  readonly group: "append" | "replay" | "verify" | "start" | "ask" | "project" | "ingest" | "import";
  /** Goes into the log with the run: nothing of the machine. */
  readonly against: string;
  /** What else to know, told when it runs. */
  readonly about?: string;
  readonly unit: string;
  /** What is compared: units per second, or the ms of all or of the slowest operations, of which less is better. Default `rate`. */
  readonly of?: "rate" | "ms" | "p99";
  /** The 95th percentile of one operation is compared, too. */
  readonly p95?: Goal;
  /** Why it cannot run here, `undefined` when it can. */
  without?(): string | undefined;
  open(): Promise<Stand>;
  /** The same as a fixed piece of work, for `deno bench`, which measures its time; default `open`. */
  openFixed?(): Promise<Stand>;
}
