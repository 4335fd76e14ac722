/**
 * A bounded queue of messages. What happens when it is full is chosen, never silent: `offer` says what was not taken, or
 * what had to go.
 */

/**
 * `reject`: the new message is not taken. `drop_oldest`: the longest waiting one makes room. `drop_newest`: the one that came
 * last before makes room.
 */
export type Overflow = "reject" | "drop_oldest" | "drop_newest";

/** `TAKEN`, or the message that found no place: the new one, or one that was waiting. */
export const TAKEN = Symbol("taken");

/** A ring that starts empty and grows to its capacity, so that ten thousand idle mailboxes cost next to nothing. */
export class Mailbox<M> {
  private ring: (M | undefined)[] = [];
  private head = 0;
  private count = 0;

  /** `capacity`: 1 or more messages. */
  constructor(readonly capacity: number, readonly overflow: Overflow = "reject") {
    if (!(capacity >= 1)) throw new TypeError(`A mailbox holds 1 or more messages, not ${capacity}`);
  }

  get size(): number {
    return this.count;
  }

  offer(message: M): M | typeof TAKEN {
    if (this.count === this.capacity) {
      if (this.overflow === "reject") return message;
      const gone = this.overflow === "drop_oldest" ? this.take()! : this.pop();
      this.put(message);
      return gone;
    }
    this.put(message);
    return TAKEN;
  }

  /** The longest waiting message; `undefined` when there is none. */
  take(): M | undefined {
    if (this.count === 0) return undefined;
    const { ring, head } = this;
    const message = ring[head];
    ring[head] = undefined;
    this.head = (head + 1) & (ring.length - 1);
    this.count--;
    return message;
  }

  private put(message: M): void {
    if (this.count === this.ring.length) this.grow();
    this.ring[(this.head + this.count++) & (this.ring.length - 1)] = message;
  }

  private pop(): M {
    const at = (this.head + --this.count) & (this.ring.length - 1);
    const message = this.ring[at] as M;
    this.ring[at] = undefined;
    return message;
  }

  /** The length stays a power of two, so that a mask does for a remainder. */
  private grow(): void {
    const ring = new Array<M | undefined>(Math.max(4, 2 * this.ring.length)).fill(undefined);
    for (let i = 0; i < this.count; i++) ring[i] = this.ring[(this.head + i) & (this.ring.length - 1)];
    this.ring = ring;
    this.head = 0;
  }
}
