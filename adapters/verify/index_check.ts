/**
 * Holds the index against the blocks. Nothing else here reads it: whoever changes it changes no entry, but could hide
 * one from look-ups.
 *
 * Its tables are read before the walk and summed up; the walk takes away what the entries say must be in them; what
 * is left must be nothing. A failure names the first position of the segment that is wrong.
 *
 * | table   | columns                                                         | says of             |
 * |---------|-----------------------------------------------------------------|---------------------|
 * | ids     | fingerprint of source and id, position                          | each event          |
 * | streams | fingerprint of the stream, position, revision, count, place     | runs of one stream  |
 * | terms   | fingerprint of a type or correlation, first position of a block | each block          |
 *
 * A place that is not 0 is page × 2^32 + offset × 2^16 + length: there the run's entries lie once more, as a JSON
 * array.
 */
import { Buffer } from "node:buffer";
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import { type Failures, shown } from "./failures.ts";
import { correlationFingerprint, streamFingerprint, typeFingerprint } from "./fingerprint.ts";
import { IndexFault, isTable, readPage, readTable, type TableShape } from "./index_table.ts";
import { Sum } from "./index_sums.ts";
import type { Rows } from "./rows.ts";
import { leafHash } from "./tree.ts";

interface Segment {
  readonly from: number;
  readonly until: number;
  readonly ids: TableShape;
  readonly streams: TableShape;
  readonly terms: TableShape;
}

/** A segment with what is still to be accounted for in it. */
class Checked {
  readonly ids = new Sum();
  readonly streams = new Sum();
  readonly terms = new Sum();
  readonly copies = new Sum();
  /** Named already, or not comparable. */
  done = false;
  constructor(readonly segment: Segment) {}
}

/** Types whose fingerprints are kept. */
const TYPES_MAX = 4_096;

export class IndexCheck {
  private readonly segments: Checked[] = [];
  private current = 0;
  /** Positions whose entries lie in the index once more, a bit each. */
  private copied = new Uint8Array(0);
  private readonly types = new Map<string, number>();
  private block = -1;
  private readonly blockTerms = new Set<number>();
  private until = 0;

  constructor(private readonly rows: Rows, private readonly failures: Failures, private readonly size: number) {
    const manifest = this.manifest();
    if (!manifest) return;
    this.copied = new Uint8Array(Math.ceil(Math.min(this.until, size) / 8));
    for (const segment of manifest) {
      const checked = new Checked(segment);
      this.segments.push(checked);
      if (segment.until > size) checked.done = true;
      else this.attempt(checked);
    }
  }

  private manifest(): readonly Segment[] | undefined {
    const bytes = this.rows.get("manifest");
    if (bytes === undefined) return undefined;
    try {
      if (typeof bytes === "string") throw new Error(bytes);
      const manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Record<string, unknown>;
      // 2 has other members, which say nothing of entries.
      if (manifest.format !== 1 && manifest.format !== 2) throw new Error(`format ${shown(manifest.format)}`);
      if (!Array.isArray(manifest.segments)) throw new Error("no segments");
      let next = 0;
      for (const segment of manifest.segments as Partial<Segment>[]) {
        const { from, until } = segment;
        if (from !== next || !Number.isSafeInteger(until) || until! <= from) {
          throw new Error(`a segment from ${shown(from)} to ${shown(until)}`);
        }
        next = until!;
        if (!isTable(segment.ids, 2) || !isTable(segment.streams, 5) || !isTable(segment.terms, 2)) {
          throw new Error(`tables of the segment from ${from}`);
        }
      }
      if (manifest.until !== next) throw new Error(`segments to ${next}, said to reach to ${shown(manifest.until)}`);
      this.until = next;
      return manifest.segments as Segment[];
    } catch (error) {
      return void this.failures.add(
        0,
        "index",
        "a manifest of segments without a gap",
        shown((error as Error).message),
      );
    }
  }

  private attempt(checked: Checked): void {
    const { segment, ids, terms } = checked;
    try {
      readTable(this.rows, segment.ids, (page, at) => ids.add(1, page[at]!, page[at + 1]!));
      readTable(this.rows, segment.terms, (page, at) => terms.add(1, page[at]!, page[at + 1]!));
      readTable(this.rows, segment.streams, (page, at) => this.run(checked, page, at));
    } catch (error) {
      // Damaged pages come as SQLite's own errors; the blocks may be whole all the same.
      this.wrong(checked, shown((error as Error).message));
    }
  }

  private run(checked: Checked, page: Float64Array, at: number): void {
    const [fingerprint, position, revision, count, place] = page.subarray(at, at + 5) as unknown as [
      number,
      number,
      number,
      number,
      number,
    ];
    const { from, until } = checked.segment;
    if (!(position >= from && count >= 1 && position + count <= until)) {
      throw new IndexFault(`a run of ${count} from ${position}, in a segment from ${from} to ${until}`);
    }
    if (place === 0) {
      for (let i = 0; i < count; i++) checked.streams.add(1, fingerprint, position + i, revision + i);
      return;
    }
    const copies = this.copies(place);
    if (copies.length !== count || copies[0]!.position !== position || copies[0]!.revision !== revision) {
      throw new IndexFault(`other entries than the ${count} from ${position} on`);
    }
    for (const copy of copies) this.copy(checked, fingerprint, copy);
  }

  private copies(place: number): readonly Event[] {
    const low = place % 0x1_0000_0000;
    const offset = Math.floor(low / 0x1_0000);
    const bytes = readPage(this.rows, Math.floor(place / 0x1_0000_0000)).subarray(offset, offset + low % 0x1_0000);
    try {
      const events = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
      if (
        Array.isArray(events) && events.length > 0 &&
        events.every((event) => typeof event === "object" && event !== null)
      ) return events;
    } catch {
      // Said below.
    }
    throw new IndexFault("a copy of entries that cannot be read");
  }

  private copy({ streams, copies, segment: { from, until } }: Checked, fingerprint: number, event: Event): void {
    const { position, revision, stream } = event;
    const known = Number.isSafeInteger(position) && position >= from && position < until && typeof stream === "string";
    if (!known || streamFingerprint(stream) !== fingerprint) {
      throw new IndexFault(`the copy of an entry that is not of its run`);
    }
    streams.add(1, fingerprint, position, revision);
    this.copied[position >>> 3]! |= 1 << (position & 7);
    let leaf: Buffer;
    try {
      leaf = Buffer.from(leafHash(Buffer.from(canonical(event))));
    } catch (error) {
      throw new IndexFault(shown((error as Error).message));
    }
    copies.add(1, position, leaf.readUInt32BE(0), leaf.readUInt32BE(4));
  }

  /** The next event of the walk. `name` and `stream` are fingerprints, `leaf` its leaf hash. */
  add(event: Event, block: number, stream: number, name: number, leaf: Uint8Array): void {
    const { position } = event;
    if (position >= this.until) return;
    while (this.segments[this.current]!.segment.until <= position) this.current++;
    const { ids, streams, terms, copies } = this.segments[this.current]!;
    ids.add(-1, name, position);
    streams.add(-1, stream, position, event.revision);
    if (block !== this.block) {
      this.block = block;
      this.blockTerms.clear();
    }
    for (const term of [this.typeOf(event.type), correlationFingerprint(event.correlationid ?? event.id)]) {
      if (this.blockTerms.has(term)) continue;
      this.blockTerms.add(term);
      terms.add(-1, term, block);
    }
    if ((this.copied[position >>> 3]! >>> (position & 7) & 1) === 1) {
      const view = new DataView(leaf.buffer, leaf.byteOffset);
      copies.add(-1, position, view.getUint32(0), view.getUint32(4));
    }
  }

  private typeOf(type: string): number {
    let known = this.types.get(type);
    if (known === undefined) {
      if (this.types.size >= TYPES_MAX) this.types.clear();
      this.types.set(type, known = typeFingerprint(type));
    }
    return known;
  }

  private wrong(checked: Checked, found: string): void {
    checked.done = true;
    const { from, until } = checked.segment;
    this.failures.add(from, "index", `the index of ${from} to ${until - 1} to say what the blocks say`, found);
  }

  /** After the walk. `sound`: entries before this position were all read, and are events. */
  judge(sound: number, end: number): void {
    if (this.until > end) {
      this.failures.add(end, "truncated", `${this.until} entries, to which the index reaches`, `${end}`);
    }
    for (const checked of this.segments) {
      if (checked.done || checked.segment.until > sound) continue;
      const wrong = (["ids", "streams", "terms", "copies"] as const).filter((table) => !checked[table].zero);
      if (wrong.length > 0) this.wrong(checked, `other ${wrong.join(", ")}`);
    }
  }
}
