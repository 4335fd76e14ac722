/** How a sink reaches its receiver: the port that files, webhooks and syslog implement. */
import type { Event } from "../../events/event.ts";

export interface Parcel {
  readonly position: number;
  /** From 0: which of the events it is that an old shape is read as. */
  readonly part: number;
  readonly event: Event;
  /** The event as it goes out. */
  readonly text: string;
}

/** The receiver will never take it. */
export interface Refusal {
  readonly position: number;
  /** One line, nothing personal. */
  readonly because: string;
}

/** Of a receiver that answers each by itself. */
export type Answered = (parcel: Parcel, refusal: Refusal | undefined) => void;

export interface Transport {
  connect(signal: AbortSignal): Promise<Connection>;
}

/** Not to be used any more once anything of it has thrown. */
export interface Connection {
  /** After so long without another `send`, `settle` is called; 0: after each. */
  readonly settleMs: number;
  /** Whether it goes on after `settle`; else the next `send` is on another. */
  readonly stays: boolean;
  /** Rejects when the receiver has gone; never resolves. Only of one that does not stay. */
  readonly lost?: Promise<never>;
  /**
   * Hands over, in order; answers what will never be taken. Throws when nobody knows what was, but for those that `answered` was called
   * with: the receiver has them, or will never take them.
   */
  send(parcels: readonly Parcel[], signal: AbortSignal, answered?: Answered): Promise<readonly Refusal[]>;
  /** Resolves when the receiver has all that was sent. */
  settle(signal: AbortSignal): Promise<void>;
  /** At once; may be called twice. */
  close(): void;
}

/** The receiver asks to be left alone for so long. */
export class Later extends Error {
  override readonly name = "Later";
  constructor(readonly ms: number, message: string) {
    super(message);
  }
}

/** What an event says cannot be read now, as under a key that is not to be had; it is waited for, and is no dead letter. */
export class NotNow extends Error {
  override readonly name = "NotNow";
}
