/**
 * Dead letters that are held: bounded in number and bytes. The room is shared by those they were for: who has most of it gives way, the
 * oldest first, so that many letters of one leave those of the others.
 */
export interface DeadLetter {
  readonly id: string;
  /** Whom it was for: kind, `:`, name. */
  readonly target: string;
  readonly cause: string;
  /** RFC 3339. */
  readonly at: string;
  readonly bytes: number;
  /** Absent when it was too long to be recorded and the process that had it is gone. */
  readonly message?: unknown;
}

interface Share {
  /** Oldest first. */
  readonly letters: Held[];
  bytes: number;
}

interface Held {
  readonly letter: DeadLetter;
  /** Rises from the oldest to the newest. */
  readonly order: number;
}

export class HeldLetters {
  private readonly byId = new Map<string, DeadLetter>();
  private readonly shares = new Map<string, Share>();
  private order = 0;
  bytes = 0;
  /** Those that gave way. */
  evicted = 0;

  constructor(private readonly bounds: { readonly letters_max: number; readonly bytes_max: number }) {}

  get size(): number {
    return this.byId.size;
  }

  get(id: string): DeadLetter | undefined {
    return this.byId.get(id);
  }

  /** Oldest first. */
  list(): readonly DeadLetter[] {
    return [...this.shares.values()].flatMap(({ letters }) => letters)
      .sort((a, b) => a.order - b.order).map(({ letter }) => letter);
  }

  /** The newest, or one that is older than all. One of an id that is held already is no other. */
  keep(letter: DeadLetter, { older = false }: { readonly older?: boolean } = {}): void {
    const { id, target, bytes } = letter;
    if (this.byId.has(id)) return;
    let share = this.shares.get(target);
    if (!share) this.shares.set(target, share = { letters: [], bytes: 0 });
    const order = older ? -++this.order : ++this.order;
    if (older) share.letters.unshift({ letter, order });
    else share.letters.push({ letter, order });
    share.bytes += bytes;
    this.byId.set(id, letter);
    this.bytes += bytes;
    for (; this.size > this.bounds.letters_max; this.evicted++) this.drop(this.oldestOf((one) => one.letters.length));
    for (; this.bytes > this.bounds.bytes_max; this.evicted++) this.drop(this.oldestOf((one) => one.bytes));
  }

  /** Of whom has most of what is short; of several the one whose oldest letter is the oldest. */
  private oldestOf(room: (share: Share) => number): DeadLetter {
    let most: Share | undefined;
    for (const share of this.shares.values()) {
      const more = most === undefined ? 1 : room(share) - room(most);
      if (more > 0 || (more === 0 && share.letters[0]!.order < most!.letters[0]!.order)) most = share;
    }
    return most!.letters[0]!.letter;
  }

  drop({ id, target, bytes }: DeadLetter): void {
    if (!this.byId.delete(id)) return;
    this.bytes -= bytes;
    const share = this.shares.get(target)!;
    share.bytes -= bytes;
    share.letters.splice(share.letters.findIndex(({ letter }) => letter.id === id), 1);
    if (share.letters.length === 0) this.shares.delete(target);
  }
}
