/**
 * A group: the appends that go into one commit. Each gets its places on top of what the log has and of those before it; one that
 * does not go in is answered and leaves no trace.
 */
import type { Event, StreamId } from "../../events/event.ts";
import {
  type Appended,
  entryTooLarge,
  type Expected,
  LIMITS,
  LogFault,
  type NewEvent,
  type Receipt,
} from "../../events/log.ts";
import { sameAsSent } from "../../events/same.ts";
import { BLOCK_OVERHEAD, blockHash, type BlockPlan, encodeBlock, ENTRY_OVERHEAD, type Run } from "./block.ts";
import type { Entry } from "./place.ts";

/** Events of one commit, so that with its blocks' headers it stays below what Deno KV takes (819,200 bytes). */
export const COMMIT_EVENTS_MAX = 2_000;
/** What our own members add to an entry, at most. */
const OURS_BYTES_MAX = 110;

/** An append that waits for its commit. */
export interface Waiting {
  readonly entries: readonly Entry[];
  readonly expected: readonly (readonly [StreamId, Expected])[];
  /** Of the entries, without what their places add. */
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (fault: unknown) => void;
}

/** An append that is part of the group. */
export interface Riding {
  readonly waiting: Waiting;
  readonly receipts: readonly Receipt[];
  readonly accepted: number;
}

/** What the log has before the group. */
export interface Ground {
  readonly size: number;
  head(stream: StreamId): number;
  /** `settled`: false where it is known that no segment of the index holds it. */
  findStored(source: string, id: string, fingerprint: number, settled: boolean): Event | undefined;
  fingerprintOf(stream: StreamId): number;
  /** Compares the data of a repeat with what is stored; default by letters. */
  readonly equal?: (sent: unknown, stored: unknown, event: NewEvent) => boolean;
}

/** A block as it will be stored. */
export interface Written {
  readonly first: number;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

export class Group {
  /** That have their places. */
  readonly entries: Entry[] = [];
  readonly riding: Riding[] = [];
  private readonly heads = new Map<StreamId, number>();
  /** By fingerprint; several where fingerprints meet. */
  private readonly ids = new Map<number, Entry | Entry[]>();
  private bytes = 0;

  constructor(private readonly ground: Ground) {}

  /** Whether an append fits beside those that are in. The first one always does. */
  hasRoomFor({ bytes, entries }: Waiting): boolean {
    if (this.entries.length === 0) return true;
    const most = this.bytes + bytes + entries.length * OURS_BYTES_MAX;
    return most <= LIMITS.append_bytes_max && this.entries.length + entries.length <= COMMIT_EVENTS_MAX;
  }

  /** Takes an append in, or answers it at once: a lost race, a clash of ids, a fault. */
  take(waiting: Waiting): void {
    const start = this.entries.length;
    try {
      this.seat(waiting, start);
    } catch (fault) {
      this.takeBack(start);
      waiting.reject(fault);
    }
  }

  private seat(waiting: Waiting, start: number): void {
    const receipts: Receipt[] = [];
    const lost = this.place(waiting, receipts) ?? this.unmet(waiting.expected, start);
    const { bytes, longest } = this.bytesFrom(start);
    const tooLarge = longest > LIMITS.entry_bytes_max
      ? entryTooLarge(this.entries.find((entry, i) => i >= start && entry.bytes === longest)!.event)
      : bytes > LIMITS.append_bytes_max
      ? `the entries of an append have at most ${LIMITS.append_bytes_max} bytes together, these ${bytes}`
      : undefined;
    if (lost || tooLarge !== undefined) {
      this.takeBack(start);
      return lost ? waiting.resolve(lost) : waiting.reject(new LogFault("too_large", tooLarge!));
    }
    this.bytes += bytes;
    this.riding.push({ waiting, receipts, accepted: this.entries.length - start });
  }

  /** Gives every event its place, or says why the append cannot go in. */
  private place({ entries }: Waiting, receipts: Receipt[]): Appended | undefined {
    for (const entry of entries) {
      const { id, source, stream } = entry.event;
      const before = this.known(entry);
      if (before) {
        if (!before.same) return { ok: false, conflict: "id", source, id, position: before.receipt.position };
        receipts.push(before.receipt);
        continue;
      }
      const revision = entry.revision = (this.heads.get(stream) ?? this.ground.head(stream)) + 1;
      const position = entry.position = this.ground.size + this.entries.length;
      this.heads.set(stream, revision);
      this.entries.push(entry);
      const same = this.ids.get(entry.fp);
      this.ids.set(entry.fp, same === undefined ? entry : [...listOf(same), entry]);
      receipts.push({ id, source, stream, revision, position, duplicate: false });
    }
    return undefined;
  }

  /** The same event, recorded or on its way, and whether it says the same. */
  private known({ event, fp, settled }: Entry): { readonly receipt: Receipt; readonly same: boolean } | undefined {
    const { id, source } = event;
    const here = this.ids.get(fp);
    const riding = here && listOf(here).find((entry) => entry.event.id === id && entry.event.source === source);
    const before = riding ? asRecorded(riding) : this.ground.findStored(source, id, fp, settled);
    if (!before) return undefined;
    const { stream, revision, position } = before;
    return {
      receipt: { id, source, stream, revision, position, duplicate: true },
      same: sameAsSent(event, { ...before }, this.ground.equal),
    };
  }

  /** A repeat of the whole is answered whatever is expected by now; anything new must meet what is expected. */
  private unmet(expected: Waiting["expected"], start: number): Appended | undefined {
    if (this.entries.length === start) return undefined;
    for (const [stream, want] of expected) {
      if (want === "any") continue;
      let revision = this.heads.get(stream) ?? this.ground.head(stream);
      for (let i = start; i < this.entries.length; i++) {
        if (this.entries[i]!.event.stream !== stream) continue;
        revision = this.entries[i]!.revision - 1;
        break;
      }
      const met = want === "none" ? revision < 0 : want === "exists" ? revision >= 0 : revision === want;
      if (!met) return { ok: false, conflict: "revision", stream, expected: want, revision };
    }
    return undefined;
  }

  /** Of the entries as they will be stored, which only their places settle: all together, and the longest. */
  private bytesFrom(start: number): { readonly bytes: number; readonly longest: number } {
    let [bytes, longest] = [0, 0];
    for (let i = start; i < this.entries.length; i++) {
      const one = this.entries[i]!.bytes;
      bytes += one;
      if (one > longest) longest = one;
    }
    return { bytes, longest };
  }

  private takeBack(start: number): void {
    for (const { event, fp, revision } of this.entries.splice(start).reverse()) {
      const left = listOf(this.ids.get(fp)!).slice(0, -1);
      left.length === 0 ? this.ids.delete(fp) : this.ids.set(fp, left);
      this.heads.set(event.stream, revision - 1);
    }
  }

  /** The blocks of the commit; the first links to `link`. */
  encode(link: Uint8Array, recordedat: string): Written[] {
    const blocks: Written[] = [];
    for (const plan of this.plan(recordedat)) {
      const bytes = encodeBlock(plan, link);
      link = blockHash(bytes);
      blocks.push({ bytes, first: plan.first, hash: link });
    }
    return blocks;
  }

  private *plan(recordedat: string): Iterable<BlockPlan> {
    let plan = emptyPlan(this.entries[0]!.position);
    let stream: StreamId | undefined;
    for (const entry of this.entries) {
      const { event, position, revision, bytes } = entry;
      const most = plan.bytes + bytes + (plan.lengths.length + 1) * ENTRY_OVERHEAD + BLOCK_OVERHEAD;
      if (plan.lengths.length > 0 && most > LIMITS.block_bytes_max) {
        yield plan;
        plan = emptyPlan(position);
        stream = undefined;
      }
      if (event.stream !== stream) {
        stream = event.stream;
        plan.runs.push({ fingerprint: this.ground.fingerprintOf(stream), revision, count: 0 });
      }
      plan.runs[plan.runs.length - 1]!.count++;
      plan.text.push(plan.lengths.length > 0 ? "," : "[");
      entry.write(plan.text, recordedat);
      plan.lengths.push(bytes);
      plan.bytes += bytes;
    }
    yield plan;
  }
}

const listOf = <T>(one: T | T[]): T[] => Array.isArray(one) ? one : [one];

/** An event on its way, as it will be read. */
const asRecorded = ({ event, position, revision }: Entry): Event => {
  const { extensions, timeGiven: _t, traceGiven: _g, ...rest } = event;
  return { ...extensions, ...rest, position, revision } as unknown as Event;
};

const emptyPlan = (first: number) => ({
  first,
  runs: [] as Run[],
  text: [] as string[],
  lengths: [] as number[],
  bytes: 0,
});
