/** What stands before actions that an enforced control guards. */
import type { NewEvent } from "../../events/log.ts";

export interface Action {
  /** Type of a command or an event, or an operation such as `token.create`. */
  readonly type: string;
  /** The stream it would be in, where there is one. */
  readonly target?: string;
  /** What would be recorded, sealed; then it is also asked whether that would break the control. */
  readonly event?: NewEvent;
}

export interface Gate {
  /** Whether any enforced control guards actions of this type. Costs a look-up. */
  guards(type: string): boolean;
  /** Throws `Declined` when a control that guards it is red, or would become so by it; that is recorded. */
  check(action: Action): Promise<void>;
}

/**
 * An enforced control is red and guards what was asked for: nothing was done. It may be asked again once the control holds, or an
 * exception was granted (`controls.exception.grant`).
 */
export class Declined extends Error {
  override readonly name = "Declined";
  readonly code = "control_failed";
  constructor(readonly control: string, readonly action: string, readonly because: string) {
    super(`The control "${control}" declines ${action}: ${because}`);
  }
}
