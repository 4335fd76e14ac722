/** A wish on its way to an entity, and the answers it can get. */
import type { Event, Millis, StreamId } from "../../events/event.ts";
import type { Command, Context } from "../types.ts";
import type { Ask, Outcome, Principal } from "./daybook.ts";
import type { Deadlines } from "./deadlines.ts";
import { Waiting } from "./deadlines.ts";
import type { Random } from "./world.ts";

const RETRY_AFTER_MS = {
  mailbox_full: 100,
  deadline: 100,
  contention: 50,
  log: 1_000,
  archived: 60_000,
  stopping: 1_000,
} as const;

export const unavailable = (reason: keyof typeof RETRY_AFTER_MS): Outcome => ({
  is: "unavailable",
  reason,
  retryAfterMs: RETRY_AFTER_MS[reason],
});

/** What a timer that came due is known by, and whether its command is fit to be decided on. */
export interface Due {
  readonly name: string;
  readonly set: number;
  /** The command cannot be delivered: only that it fired is recorded. */
  readonly undeliverable: boolean;
}

/** Captured once at the door; a decision that is made anew after a lost race gets the same. */
export class Door implements Context {
  private drawn: string | undefined;

  constructor(
    readonly at: Millis,
    private readonly asker: Principal,
    readonly id: string,
    private readonly random: Random,
  ) {}

  get by(): string {
    return this.asker.authid;
  }

  get account(): string | undefined {
    return this.asker.account;
  }

  /** Drawn when first looked at: most deciders never do. */
  get fresh(): string {
    return this.drawn ??= this.random.id();
  }
}

export class Message extends Waiting {
  answered = false;

  constructor(
    readonly command: Command,
    readonly context: Context,
    readonly ask: Ask,
    /** Caller and the caller's id of the command; its facts are `{key}/{index}`. */
    readonly key: string,
    /** Of a command whose id the caller chose, so that it may come again; else `undefined`. */
    readonly digest: string | undefined,
    readonly due: Due | undefined,
    private readonly deadlines: Deadlines,
    private readonly resolve: (outcome: Outcome) => void,
    private readonly reject: (cause: unknown) => void,
  ) {
    super();
  }

  /** The first answer counts. */
  answer(outcome: Outcome): void {
    if (this.answered) return;
    this.answered = true;
    this.deadlines.lift(this);
    this.resolve(outcome);
  }

  fail(cause: unknown): void {
    if (this.answered) return;
    this.answered = true;
    this.deadlines.lift(this);
    this.reject(cause);
  }

  override expire(): void {
    this.answer(unavailable("deadline"));
  }
}

/** `at`: of the command's last event. */
export const accepted = (
  stream: StreamId,
  at: { readonly revision: number; readonly position: number },
  facts: () => readonly Event[],
  duplicate: boolean,
): Outcome => ({
  is: "accepted",
  stream,
  revision: at.revision,
  position: at.position,
  // Most callers look at the numbers only.
  get facts() {
    return facts();
  },
  duplicate,
});
