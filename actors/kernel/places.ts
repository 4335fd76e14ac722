/**
 * How far each has come that follows the log and acts on what it hears: timers, process managers, sinks. What one of them has not seen to
 * must not be let go of, or it would look for it in vain when it is started again.
 */
export interface Place {
  /** All before this position is seen to. */
  readonly size: number;
  /** Notes it, so that a run after this one begins there. */
  note(): void;
}

/** One that has not come as far as was asked. */
export interface Behind {
  /** As people know it: `sink siem`. */
  readonly who: string;
  readonly size: number;
}

export class Places {
  private readonly known = new Map<string, Place>();

  /** Who comes again under its name takes the place of the one before. */
  enter(who: string, place: Place): void {
    this.known.set(who, place);
  }

  has(who: string): boolean {
    return this.known.has(who);
  }

  /** Who has the furthest to go to this position; `undefined` where all are there. */
  behind(position: number): Behind | undefined {
    const all = [...this.known].map(([who, { size }]): Behind => ({ who, size }));
    return all.filter(({ size }) => size < position).sort((a, b) => a.size - b.size)[0];
  }

  /** All note theirs. Throws what the first throws that cannot. */
  note(): void {
    for (const place of this.known.values()) place.note();
  }
}
