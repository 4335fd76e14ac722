/**
 * When a probe's answers come to something: only so many of one kind in a row do, as Kubernetes has it ("Configure Probes",
 * https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/).
 */

export interface Thresholds {
  /** Failures in a row after which it is unwell. */
  readonly failures: number;
  /** Successes in a row after which it is well. */
  readonly successes: number;
}

export interface Judgement {
  readonly well: boolean | undefined;
  /** Answers of the last kind in a row: above 0 successes, below 0 failures. */
  readonly streak: number;
}

export const UNJUDGED: Judgement = { well: undefined, streak: 0 };

/** After one more answer. `well` changes only when as many in a row say so as must. */
export const judge = ({ well, streak }: Judgement, ok: boolean, { failures, successes }: Thresholds): Judgement => {
  const now = ok ? Math.max(streak, 0) + 1 : Math.min(streak, 0) - 1;
  if (ok && now >= successes) return { well: true, streak: now };
  if (!ok && -now >= failures) return { well: false, streak: now };
  return { well, streak: now };
};
