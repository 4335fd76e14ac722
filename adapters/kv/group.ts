/**
 * A group: the appends that go into one commit. Each gets its places on top of what the log has and of those before it; one that
 * does not go in is answered and leaves no trace.
 */
import type { Event, StreamId } from "../../events/event.ts";
import { type Appended, type Expected, LIMITS, LogFault, type Receipt } from "../../events/log.ts";
import { sameAsSent } from "../../events/same.ts";
import { BLOCK_OVERHEAD, blockHash, type BlockPlan, encodeBlock, ENTRY_OVERHEAD, type Run } from "./block.ts";
import { entryBytes, type Prepared, writeEntry } from "./place.ts";

/** Events of one commit, so that with its blocks' headers it stays below what Deno KV takes (819,200 bytes). */
export const COMMIT_EVENTS_MAX = 2_000;
/** What our own members add to an entry, at most. */
const OURS_BYTES_MAX = 110;

/** An append that waits for its commit. */
export interface Waiting {
  readonly prepared: readonly Prepared[];
  readonly expected: readonly (readonly [StreamId, Expected])[];
  /** Of the prepared parts. */
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

export interface Placed {
  readonly prepared: Prepared;
  readonly position: number;
  readonly revision: number;
}

/** What the log has before the group. */
export interface Ground {
  readonly size: number;
  head(stream: StreamId): number;
  findStored(source: string, id: string, fingerprint: number): Event | undefined;
  fingerprintOf(stream: StreamId): number;
  /** Compares the data of a repeat with what is stored; default by letters. */
  readonly equal?: (sent: unknown, stored: unknown) => boolean;
}

/** A block as it will be stored. */
export interface Written {
  readonly first: number;
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
}

export class Group {
  readonly events: Placed[] = [];
  readonly riding: Riding[] = [];
  private readonly heads = new Map<StreamId, number>();
  /** By fingerprint; several where fingerprints meet. */
  private readonly ids = new Map<number, Placed | Placed[]>();
  private bytes = 0;

  constructor(private readonly ground: Ground) {}

  /** Whether an append fits beside those that are in. The first one always does. */
  hasRoomFor({ bytes, prepared }: Waiting): boolean {
    if (this.events.length === 0) return true;
    const most = this.bytes + bytes + prepared.length * OURS_BYTES_MAX;
    return most <= LIMITS.append_bytes_max && this.events.length + prepared.length <= COMMIT_EVENTS_MAX;
  }

  /** Takes an append in, or answers it at once: a lost race, a clash of ids, a fault. */
  take(waiting: Waiting): void {
    const start = this.events.length;
    const receipts: Receipt[] = [];
    const lost = this.place(waiting, receipts) ?? this.unmet(waiting.expected, start);
    const bytes = lost ? 0 : this.bytesFrom(start);
    if (lost || bytes > LIMITS.append_bytes_max) {
      this.takeBack(start);
      return lost ? waiting.resolve(lost) : waiting.reject(
        new LogFault(
          "too_large",
          `the entries of an append have at most ${LIMITS.append_bytes_max} bytes together, these ${bytes}`,
        ),
      );
    }
    this.bytes += bytes;
    this.riding.push({ waiting, receipts, accepted: this.events.length - start });
  }

  /** Gives every event its place, or says why the append cannot go in. */
  private place({ prepared }: Waiting, receipts: Receipt[]): Appended | undefined {
    for (const one of prepared) {
      const { id, source, stream } = one.event;
      const before = this.known(one);
      if (before) {
        if (!before.same) return { ok: false, conflict: "id", source, id, position: before.receipt.position };
        receipts.push(before.receipt);
        continue;
      }
      const revision = (this.heads.get(stream) ?? this.ground.head(stream)) + 1;
      const placed = { prepared: one, position: this.ground.size + this.events.length, revision };
      this.heads.set(stream, revision);
      this.events.push(placed);
      const same = this.ids.get(one.fp);
      this.ids.set(one.fp, same === undefined ? placed : [...listOf(same), placed]);
      receipts.push({ id, source, stream, revision, position: placed.position, duplicate: false });
    }
    return undefined;
  }

  /** The same event, recorded or on its way, and whether it says the same. */
  private known({ event, fp }: Prepared): { readonly receipt: Receipt; readonly same: boolean } | undefined {
    const { id, source } = event;
    const here = this.ids.get(fp);
    const riding = here &&
      listOf(here).find(({ prepared }) => prepared.event.id === id && prepared.event.source === source);
    const before = riding ? asRecorded(riding) : this.ground.findStored(source, id, fp);
    if (!before) return undefined;
    const { stream, revision, position } = before;
    return {
      receipt: { id, source, stream, revision, position, duplicate: true },
      same: sameAsSent(event, { ...before }, this.ground.equal),
    };
  }

  /** A repeat of the whole is answered whatever is expected by now; anything new must meet what is expected. */
  private unmet(expected: Waiting["expected"], start: number): Appended | undefined {
    if (this.events.length === start) return undefined;
    for (const [stream, want] of expected) {
      if (want === "any") continue;
      let revision = this.heads.get(stream) ?? this.ground.head(stream);
      for (let i = start; i < this.events.length; i++) {
        if (this.events[i]!.prepared.event.stream !== stream) continue;
        revision = this.events[i]!.revision - 1;
        break;
      }
      const met = want === "none" ? revision < 0 : want === "exists" ? revision >= 0 : revision === want;
      if (!met) return { ok: false, conflict: "revision", stream, expected: want, revision };
    }
    return undefined;
  }

  private bytesFrom(start: number): number {
    let bytes = 0;
    for (let i = start; i < this.events.length; i++) {
      const { prepared, position, revision } = this.events[i]!;
      bytes += entryBytes(prepared, position, revision);
    }
    return bytes;
  }

  private takeBack(start: number): void {
    for (const { prepared, revision } of this.events.splice(start).reverse()) {
      const left = listOf(this.ids.get(prepared.fp)!).slice(0, -1);
      left.length === 0 ? this.ids.delete(prepared.fp) : this.ids.set(prepared.fp, left);
      this.heads.set(prepared.event.stream, revision - 1);
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
    let plan = emptyPlan(this.events[0]!.position);
    let stream: StreamId | undefined;
    for (const { prepared, position, revision } of this.events) {
      const length = entryBytes(prepared, position, revision);
      const most = plan.bytes + length + (plan.entries.length + 1) * ENTRY_OVERHEAD + BLOCK_OVERHEAD;
      if (plan.entries.length > 0 && most > LIMITS.block_bytes_max) {
        yield plan;
        plan = emptyPlan(position);
        stream = undefined;
      }
      if (prepared.event.stream !== stream) {
        stream = prepared.event.stream;
        plan.runs.push({ fingerprint: this.ground.fingerprintOf(stream), revision, count: 0 });
      }
      plan.runs[plan.runs.length - 1]!.count++;
      plan.entries.push(writeEntry(prepared, position, recordedat, revision));
      plan.lengths.push(length);
      plan.bytes += length;
    }
    yield plan;
  }
}

const listOf = <T>(one: T | T[]): T[] => Array.isArray(one) ? one : [one];

/** An event on its way, as it will be read. */
const asRecorded = ({ prepared: { event }, position, revision }: Placed): Event => {
  const { extensions, timeGiven: _t, traceGiven: _g, ...rest } = event;
  return { ...extensions, ...rest, position, revision } as unknown as Event;
};

const emptyPlan = (
  first: number,
): { first: number; runs: Run[]; entries: string[]; lengths: number[]; bytes: number } => ({
  first,
  runs: [],
  entries: [],
  lengths: [],
  bytes: 0,
});
