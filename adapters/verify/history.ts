/**
 * What must hold between entries: revisions without a gap in each stream, times that never decrease, names (`source`
 * and `id`) that occur once, attestations that do not go back.
 *
 * Memory: 32 to 64 bytes for a stream, in typed arrays. Names that the index has are compared there (`names.ts`), page by page, once it
 * was held against the blocks. The others, which are a few thousand unless the index is not to be believed, take 8 bytes each, 16
 * at the end while they are sorted; one pass holds at most `names_max`. Streams and names are held as fingerprints. Where those
 * meet it is only a suspicion; a second reading of the log, which a sound log hardly ever needs, compares the texts
 * themselves.
 */
import type { Event } from "../../events/event.ts";
import { Attested } from "./attested.ts";
import type { Failures } from "./failures.ts";
import { shown } from "./failures.ts";
import { nameFingerprint } from "./fingerprint.ts";
import { type HistoryFound, holdsName, judgeTime, type NamesRule } from "./history_span.ts";

/** Names held by one pass over the log; more take more passes. */
const NAMES_MAX = 16_777_216;
const CHUNK = 1 << 16;

/** Next revision by fingerprint of the stream: open addressing, never more than half full. */
class Heads {
  private keys = new Float64Array(1 << 12);
  private next = new Float64Array(1 << 12);
  private used = 0;

  get size(): number {
    return this.used;
  }

  /** Notes that the stream's next revision is `next`; answers which one was next before. */
  advance(fingerprint: number, next: number): number {
    if (this.used * 2 >= this.keys.length) this.grow();
    const at = this.slot(fingerprint + 1);
    if (this.keys[at] === 0) {
      this.keys[at] = fingerprint + 1;
      this.used++;
    }
    const expected = this.next[at]!;
    this.next[at] = next;
    return expected;
  }

  private slot(key: number): number {
    const mask = this.keys.length - 1;
    let at = Math.imul((key >>> 0) ^ (key / 0x1_0000_0000), 0x9e3779b1) >>> 0 & mask;
    while (this.keys[at] !== 0 && this.keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  private grow(): void {
    const { keys, next } = this;
    this.keys = new Float64Array(keys.length * 2);
    this.next = new Float64Array(keys.length * 2);
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] === 0) continue;
      const at = this.slot(keys[i]!);
      this.keys[at] = keys[i]!;
      this.next[at] = next[i]!;
    }
  }
}

/** Numbers, as many as come. */
class Numbers {
  private readonly chunks: Float64Array[] = [];
  private length = 0;

  pushAll(values: Float64Array): void {
    for (let done = 0; done < values.length;) {
      const at = this.length % CHUNK;
      if (at === 0) this.chunks.push(new Float64Array(CHUNK));
      const next = values.subarray(done, done + CHUNK - at);
      this.chunks[this.chunks.length - 1]!.set(next, at);
      done += next.length;
      this.length += next.length;
    }
  }

  push(value: number): void {
    const at = this.length % CHUNK;
    if (at === 0) this.chunks.push(new Float64Array(CHUNK));
    this.chunks[this.chunks.length - 1]![at] = value;
    this.length++;
  }

  /** All of them in order; they are held no longer. */
  sorted(): Float64Array {
    const all = new Float64Array(this.length);
    this.chunks.forEach((chunk, i) => all.set(chunk.subarray(0, this.length - i * CHUNK), i * CHUNK));
    this.chunks.length = 0;
    this.length = 0;
    return all.sort();
  }
}

/** Values that occur more than once in a sorted array, once each. */
const repeated = (sorted: Float64Array): Float64Array => {
  const found: number[] = [];
  for (let i = 1; i < sorted.length; i++) {
    if (sorted[i] === sorted[i - 1] && found[found.length - 1] !== sorted[i]) found.push(sorted[i]!);
  }
  return Float64Array.from(found);
};

const holds = (sorted: Float64Array, value: number): boolean => {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    sorted[middle]! < value ? low = middle + 1 : high = middle;
  }
  return sorted[low] === value;
};

/** The events of the log once more, in order, with the fingerprints of their streams. */
export type Again = (visit: (event: Event, stream: number) => void) => void;

export class History {
  private readonly heads = new Heads();
  private names = new Numbers();
  private readonly suspectStreams = new Set<number>();
  private recorded = "";
  /** From this position on an unknown event may have been in any stream, so revisions say nothing. */
  private blindFrom = Infinity;
  private readonly attested: Attested;

  readonly rule: NamesRule;

  /** `events`: about how many will come. `indexed`: those whose names are in the index. */
  constructor(
    private readonly failures: Failures,
    private readonly events: number,
    indexed: number,
    private readonly names_max = NAMES_MAX,
    /** Entries before are not known, so a stream may go on from any revision. */
    private readonly unknownBefore = 0,
  ) {
    this.rule = this.ruleFrom(indexed);
    this.attested = new Attested(failures);
  }

  private ruleFrom(from: number): NamesRule {
    return { from, passes: Math.max(1, Math.ceil((this.events - from) / this.names_max)) };
  }

  /** Streams seen; two whose fingerprints meet count once. */
  get streams(): number {
    return this.heads.size;
  }

  /** The next range of the log. */
  join({ streams, suspects, names, times, blindFrom, attested }: HistoryFound): void {
    const blind = this.blindFrom < Infinity;
    for (let i = 0; i < streams.length; i += 3) {
      const first = streams[i + 1]!;
      const known = this.heads.size;
      const expected = this.heads.advance(streams[i]!, streams[i + 2]!);
      if (this.unknownBefore > 0 && this.heads.size > known) continue;
      if (!blind && first >= 0 && expected !== first) this.suspectStreams.add(streams[i]!);
    }
    if (!blind) { for (const stream of suspects) this.suspectStreams.add(stream); }
    this.names.pushAll(names);
    if (times) {
      if (times.first !== this.recorded) judgeTime(this.failures, times.position, times.first, this.recorded);
      this.recorded = times.last;
    }
    this.blindFrom = Math.min(this.blindFrom, blindFrom);
    this.attested.join(attested);
  }

  /**
   * Follows up what is suspected; `again` is called only then. `indexed` finds names that repeat in the index or among others;
   * without it those in the index count for nothing.
   */
  settle(again: Again, indexed: ((others: Float64Array) => Float64Array) | undefined): void {
    if (this.suspectStreams.size > 0) this.settleStreams(again);
    const held = this.rule.from === 0 || indexed !== undefined;
    const rule = held ? this.rule : this.ruleFrom(0);
    if (!held) this.names = new Numbers();
    for (let pass = 0; pass < rule.passes; pass++) {
      if (pass > 0 || !held) {
        again(({ position, source, id }) => {
          const name = nameFingerprint(source, id);
          if (holdsName(rule, pass, position, name)) this.names.push(name);
        });
      }
      const sorted = this.names.sorted();
      const suspects = (rule.from > 0 ? indexed!(sorted) : repeated(sorted))
        .filter((name) => rule.passes === 1 || name % rule.passes === pass);
      if (suspects.length > 0) this.settleNames(suspects, again);
    }
  }

  private settleStreams(again: Again): void {
    const next = new Map<string, number>();
    again((event, fingerprint) => {
      if (event.position >= this.blindFrom || !this.suspectStreams.has(fingerprint)) return;
      const expected = next.get(event.stream) ?? (this.unknownBefore > 0 ? event.revision : 0);
      if (event.revision !== expected) {
        this.failures.add(
          event.position,
          "revision",
          `revision ${expected} of ${shown(event.stream)}`,
          `revision ${event.revision}`,
        );
      }
      next.set(event.stream, event.revision + 1);
    });
  }

  private settleNames(suspects: Float64Array, again: Again): void {
    const seen = new Map<string, number>();
    again(({ source, id, position }) => {
      if (!holds(suspects, nameFingerprint(source, id))) return;
      const name = `${source}\n${id}`;
      const before = seen.get(name);
      if (before === undefined) seen.set(name, position);
      else {
        this.failures.add(
          position,
          "duplicate",
          "a source and id that occur once",
          `those of position ${before}: ${shown(source)} ${shown(id)}`,
        );
      }
    });
  }
}
