/**
 * What entries say of themselves, a column for each attribute that history and index ask for. Entries are read where they lie
 * (`header_scan.ts`), and no event is built of them; those that are not taken so are judged by definition (`entries.ts`).
 */
import { Buffer } from "node:buffer";
import type { Event } from "../../events/event.ts";
import { LIMITS } from "../../events/log.ts";
import { type Entries, eventAt, readEntry } from "./entries.ts";
import type { Failures } from "./failures.ts";
import { correlationFingerprint, nameFingerprint, streamFingerprint, typeFingerprint } from "./fingerprint.ts";
import { numberOf, type Secret } from "./index_sums.ts";
import { BEHIND, CHANGED, ENTRIES_MAX, type HeaderScan, INPUT_BYTES_MAX, openHeaderScan } from "./header_scan.ts";

/** Of the entries of one block; as long as the reader reads no other. */
export interface Headers {
  /** 0 where an entry is not an event; then nothing else is said of it. */
  readonly sound: Uint8Array;
  readonly revision: Float64Array;
  /** Fingerprint of the stream. */
  readonly stream: Float64Array;
  /** 1 where the stream is another than that of the entry before. */
  readonly changes: Uint8Array;
  /** Fingerprint of source and id. */
  readonly name: Float64Array;
  /** Fingerprint of what it is correlated by. */
  readonly correlation: Float64Array;
  /** The same of its type. */
  readonly kind: Float64Array;
  /** Keyed hash of its bytes, where there is a key. */
  readonly number: Float64Array;
  readonly type: readonly string[];
  readonly recordedat: readonly string[];
  /** Whether a text in one of them may be sealed. */
  readonly maySeal: boolean;
  /** The whole of one. */
  event(index: number): Event;
}

/** Which of so many entries is the first that is not an event; `Infinity` where all are. */
export const unsound = ({ sound }: Headers, count: number): number => {
  const index = sound.subarray(0, count).indexOf(0);
  return index < 0 ? Infinity : index;
};

/** Types whose texts are kept. */
const TYPES_MAX = 4_096;

const latin1 = (bytes: Uint8Array, from: number, until: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, until - from).toString("latin1");

const isAt = (bytes: Uint8Array, from: number, text: Uint8Array): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
};

/** None where the processor has no vectors of 128 bits; then all is read by definition. */
const headerScan = (): HeaderScan | null => {
  try {
    return openHeaderScan();
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return null;
    throw error;
  }
};

/** One for each thread, made when it is needed. */
let shared: { readonly scan: HeaderScan | null } | undefined;
export const sharedScan = (): HeaderScan | null => (shared ??= { scan: headerScan() }).scan;

/** Reads block after block; what was read before is gone then. */
export class HeaderReader implements Headers {
  sound = new Uint8Array(0);
  revision = new Float64Array(0);
  stream = new Float64Array(0);
  changes = new Uint8Array(0);
  kind = new Float64Array(0);
  name = new Float64Array(0);
  correlation = new Float64Array(0);
  number = new Float64Array(0);
  readonly type: string[] = [];
  readonly recordedat: string[] = [];
  maySeal = false;

  private block!: Entries;
  private readonly types = new Map<number, { readonly text: string; readonly bytes: Uint8Array }>();

  /** Without `scan` all is read by definition. */
  constructor(private readonly scan = sharedScan(), private readonly secret?: Secret) {}

  read(block: Entries, failures: Failures): Headers {
    const { count } = block;
    const { scan } = this;
    this.block = block;
    this.maySeal = false;
    if (this.sound.length < count) this.widen(count * 2);
    for (let from = 0; from < count;) {
      const until = scan ? fitting(block, from) : from;
      if (scan && until > from) this.take(scan, from, until, failures);
      else this.define(from, failures);
      from = Math.max(until, from + 1);
    }
    return this;
  }

  event(index: number): Event {
    return eventAt(this.block, index);
  }

  private widen(count: number): void {
    this.sound = new Uint8Array(count);
    this.revision = new Float64Array(count);
    this.stream = new Float64Array(count);
    this.changes = new Uint8Array(count);
    this.kind = new Float64Array(count);
    this.name = new Float64Array(count);
    this.correlation = new Float64Array(count);
    this.number = new Float64Array(count);
  }

  /** Reads entries `from` to `until` where they lie; those that are not taken so, by definition. */
  private take(scan: HeaderScan, from: number, until: number, failures: Failures): void {
    const { bytes, starts, first } = this.block;
    const { memory, input } = scan;
    const count = until - from;
    const offset = input - starts[from]!;
    const end = starts[until]! - 1;
    memory.set(bytes.subarray(starts[from]!, end), input);
    memory.fill(0, end + offset, end + offset + BEHIND);
    for (let i = 0; i <= count; i++) scan.starts[i] = starts[from + i]! + offset;
    if (scan.run(count)) this.maySeal = true;
    this.revision.set(scan.revision.subarray(0, count), from);
    this.stream.set(scan.stream.subarray(0, count), from);
    this.kind.set(scan.type.subarray(0, count), from);
    this.name.set(scan.name.subarray(0, count), from);
    this.correlation.set(scan.correlation.subarray(0, count), from);
    if (this.secret) {
      scan.secret.set(this.secret);
      scan.numbers(count);
      this.number.set(scan.number.subarray(0, count), from);
    }
    let taken = false;
    for (let i = 0; i < count; i++) {
      const at = from + i;
      const before = taken;
      taken = scan.sound[i] === 1 && scan.position[i] === first + at;
      if (!taken) {
        this.define(at, failures);
        continue;
      }
      const changes = scan.changes[i]!;
      this.sound[at] = 1;
      // What was not taken, though it reads like it, has left nothing here that could be the same.
      if (before && (changes & CHANGED.type) === 0) this.type[at] = this.type[at - 1]!;
      else this.type[at] = this.typeAt(scan.type[i]!, memory, scan.typeSpan[2 * i]!, scan.typeSpan[2 * i + 1]!);
      if (before && (changes & CHANGED.recordedat) === 0) this.recordedat[at] = this.recordedat[at - 1]!;
      else this.recordedat[at] = latin1(memory, scan.recordedSpan[2 * i]!, scan.recordedSpan[2 * i + 1]!);
      this.changes[at] = (before ? (changes & CHANGED.stream) === 0 : this.goesOn(at)) ? 0 : 1;
    }
  }

  /** Few types, in no order: each is decoded once. */
  private typeAt(kind: number, memory: Uint8Array, from: number, until: number): string {
    const known = this.types.get(kind);
    if (known && known.bytes.length === until - from && isAt(memory, from, known.bytes)) return known.text;
    if (this.types.size >= TYPES_MAX) this.types.clear();
    const text = latin1(memory, from, until);
    this.types.set(kind, { text, bytes: memory.slice(from, until) });
    return text;
  }

  /** By definition. */
  private define(i: number, failures: Failures): void {
    const event = readEntry(this.block, i, failures);
    this.maySeal = true;
    this.sound[i] = event ? 1 : 0;
    if (!event) return;
    const { revision, stream, source, id, type, recordedat, correlationid } = event;
    this.revision[i] = revision;
    this.stream[i] = streamFingerprint(stream);
    this.changes[i] = this.goesOn(i) ? 0 : 1;
    this.kind[i] = typeFingerprint(type);
    this.name[i] = nameFingerprint(source, id);
    this.correlation[i] = correlationFingerprint(correlationid ?? id);
    if (this.secret) {
      const bytes = this.block.entry(i);
      this.number[i] = numberOf(this.secret, new DataView(bytes.buffer, bytes.byteOffset), 0, bytes.length);
    }
    this.type[i] = type;
    this.recordedat[i] = recordedat;
  }

  /** Whether it is of the same stream as the one before. */
  private goesOn(i: number): boolean {
    return i > 0 && this.sound[i - 1] === 1 && this.stream[i - 1] === this.stream[i] &&
      this.event(i - 1).stream === this.event(i).stream;
  }
}

/** Behind the last of the entries from `from` on that are read together; `from` where that one is too long. */
const fitting = ({ starts, count }: Entries, from: number): number => {
  const most = Math.min(count, from + ENTRIES_MAX);
  let until = from;
  while (
    until < most && starts[until + 1]! - starts[from]! <= INPUT_BYTES_MAX &&
    starts[until + 1]! - 1 - starts[until]! <= LIMITS.entry_bytes_max
  ) until++;
  return until;
};
