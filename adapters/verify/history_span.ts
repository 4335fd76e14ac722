/** What must hold between the entries of a range, and what `history.ts` joins it to the rest by. */
import { type AttestedFound, AttestedSpan, nextAttestation } from "./attested.ts";
import { type Failures, shown } from "./failures.ts";
import type { Headers } from "./headers.ts";

const RECORDED = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** Which names are held between entries. */
export interface NamesRule {
  /** Those of earlier positions are in the index. */
  readonly from: number;
  /** Readings of the log, in each of which a part of the others is. */
  readonly passes: number;
}

export const holdsName = ({ from, passes }: NamesRule, pass: number, position: number, name: number): boolean =>
  position >= from && (passes === 1 || name % passes === pass);

/** Of one range; plain data. */
export interface HistoryFound {
  /**
   * For each stream in it its fingerprint, its first revision and the revision behind its last. The first is −1 where nothing can
   * be said: an entry before it cannot be read.
   */
  readonly streams: Float64Array;
  /** Fingerprints of streams whose revisions do not follow each other within the range. */
  readonly suspects: readonly number[];
  /** Fingerprints of source and id, those that are to be held. */
  readonly names: Float64Array;
  readonly times: { readonly position: number; readonly first: string; readonly last: string } | undefined;
  /** First position whose entry cannot be read. */
  readonly blindFrom: number;
  readonly attested: readonly AttestedFound[];
}

/** Where a time differs from the one before it, and that one. */
export const judgeTime = (failures: Failures, position: number, recordedat: string, before: string): void => {
  if (!RECORDED.test(recordedat)) {
    failures.add(position, "time", "a UTC time with milliseconds", shown(recordedat));
  } else if (recordedat < before) {
    failures.add(position, "time", `recorded at ${before} or later`, recordedat);
  }
};

const COLUMNS = 3;

/** First and next revision by fingerprint of the stream: open addressing, never more than half full. */
class Streams {
  /** Fingerprint + 1, first revision, next revision. */
  private table = new Float64Array(COLUMNS << 10);
  private used = 0;

  /** Where the stream's row is; a new one has a zero in front. */
  at(fingerprint: number): number {
    if (this.used * 2 * COLUMNS >= this.table.length) this.grow();
    return this.slot(fingerprint + 1);
  }

  begin(at: number, fingerprint: number, revision: number): void {
    this.used++;
    this.table[at] = fingerprint + 1;
    this.table[at + 1] = revision;
  }

  has(at: number): boolean {
    return this.table[at] !== 0;
  }

  next(at: number): number {
    return this.table[at + 2]!;
  }

  advance(at: number, revision: number): void {
    this.table[at + 2] = revision + 1;
  }

  private slot(key: number): number {
    const mask = this.table.length / COLUMNS - 1;
    let row = Math.imul((key >>> 0) ^ (key / 0x1_0000_0000), 0x9e3779b1) >>> 0 & mask;
    while (this.table[row * COLUMNS] !== 0 && this.table[row * COLUMNS] !== key) row = (row + 1) & mask;
    return row * COLUMNS;
  }

  private grow(): void {
    const { table } = this;
    this.table = new Float64Array(table.length * 2);
    for (let row = 0; row < table.length; row += COLUMNS) {
      if (table[row] !== 0) this.table.set(table.subarray(row, row + COLUMNS), this.slot(table[row]!));
    }
  }

  get rows(): Float64Array {
    const { table } = this;
    const rows = new Float64Array(this.used * COLUMNS);
    for (let row = 0, to = 0; row < table.length; row += COLUMNS) {
      if (table[row] === 0) continue;
      rows[to] = table[row]! - 1;
      rows[to + 1] = table[row + 1]!;
      rows[to + 2] = table[row + 2]!;
      to += COLUMNS;
    }
    return rows;
  }
}

export class HistorySpan {
  private readonly streams = new Streams();
  private readonly suspects = new Set<number>();
  private readonly names: number[] = [];
  private first: { readonly position: number; readonly recordedat: string } | undefined;
  private recorded = "";
  private blindFrom = Infinity;

  private readonly attested: AttestedSpan;

  constructor(private readonly failures: Failures, private readonly rule: NamesRule) {
    this.attested = new AttestedSpan(failures);
  }

  /** The next block. */
  take(first: number, count: number, headers: Headers): void {
    this.takeTimes(first, count, headers);
    this.takeStreams(first, count, headers);
    this.takeNames(first, count, headers);
    this.takeAttestations(count, headers);
  }

  private takeTimes(from: number, count: number, { sound, recordedat }: Headers): void {
    for (let i = 0; i < count; i++) {
      const time = recordedat[i]!;
      if (time === this.recorded || sound[i] === 0) continue;
      // What is far too late would make all that follow look wrong; it stays the one that is wrong.
      if (this.first) judgeTime(this.failures, from + i, time, this.recorded);
      else this.first = { position: from + i, recordedat: time };
      this.recorded = time;
    }
  }

  private takeStreams(from: number, count: number, { sound, changes, stream, revision }: Headers): void {
    const { streams } = this;
    let at = -1;
    for (let i = 0; i < count; i++) {
      if (sound[i] === 0) {
        this.lose(from + i);
        at = -1;
        continue;
      }
      if (at < 0 || changes[i] === 1) at = streams.at(stream[i]!);
      const blind = this.blindFrom < from + i;
      if (!streams.has(at)) streams.begin(at, stream[i]!, blind ? -1 : revision[i]!);
      else if (!blind && streams.next(at) !== revision[i]) this.suspects.add(stream[i]!);
      streams.advance(at, revision[i]!);
    }
  }

  private takeNames(from: number, count: number, { sound, name }: Headers): void {
    if (from + count <= this.rule.from) return;
    for (let i = 0; i < count; i++) {
      if (sound[i] === 1 && holdsName(this.rule, 0, from + i, name[i]!)) this.names.push(name[i]!);
    }
  }

  private takeAttestations(count: number, headers: Headers): void {
    for (let i = nextAttestation(headers.type, 0); i >= 0 && i < count; i = nextAttestation(headers.type, i + 1)) {
      if (headers.sound[i] === 1) this.attested.add(headers.event(i));
    }
  }

  /** The event at this position cannot be read. */
  lose(position: number): void {
    this.blindFrom = Math.min(this.blindFrom, position);
  }

  get found(): HistoryFound {
    const { first } = this;
    return {
      streams: this.streams.rows,
      suspects: [...this.suspects],
      names: Float64Array.from(this.names),
      times: first && { position: first.position, first: first.recordedat, last: this.recorded },
      blindFrom: this.blindFrom,
      attested: this.attested.found,
    };
  }
}
