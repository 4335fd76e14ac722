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
 * array; such a run is held against the blocks by the bytes of its entries, the others by what their rows say.
 */
import { createHash } from "node:crypto";
import { type Failures, shown } from "./failures.ts";
import { newSecret } from "./index_sums.ts";
import { isTable } from "./index_table.ts";
import { type Part, readTables, type Segment, type TablesFound } from "./index_tables.ts";
import { emptyTables, type IndexSpan, joinLanes, TABLES, type Tables, type Tallied } from "./index_tally.ts";
import { repeatedNames } from "./names.ts";
import type { Rows } from "./rows.ts";

/** A segment with what is still to be accounted for in it. */
class Checked {
  readonly tables: Tables;
  /** Why it cannot be compared. */
  fault: string | undefined;
  constructor(readonly segment: Segment, { secret }: IndexSpan) {
    this.tables = emptyTables(secret);
  }
}

/** What the walk found out. */
export interface IndexedLog {
  /** Entries before this position were all read, and are events. */
  readonly sound: number;
  /** Position behind the last block. */
  readonly end: number;
  /** The first entry that is there to be read. */
  readonly start: number;
  /** SHA-256 of the manifest as it was said, base64. */
  readonly index: string | undefined;
}

/** Tables to be read, by whoever. */
export interface Reading {
  readonly segment: Segment;
  readonly part: Part;
}

export class IndexCheck {
  /** What the blocks are to be summed up by; whole once all parts `streams` were read. */
  readonly span: IndexSpan;
  private readonly checked: readonly Checked[];
  private readonly comparable: readonly Checked[];
  private until = 0;
  private fault: string | undefined;
  /** Of the manifest. */
  private readonly hash: string | undefined;

  constructor(private readonly rows: Rows, size: number) {
    const manifest = rows.get("manifest");
    const segments = this.segmentsOf(manifest) ?? [];
    if (manifest instanceof Uint8Array) this.hash = createHash("sha256").update(manifest).digest("base64");
    this.span = {
      secret: newSecret(),
      manifest: manifest instanceof Uint8Array ? manifest : undefined,
      segments: segments.map(({ from, until }) => ({ from, until })),
      // Other threads look into it.
      left: new Uint8Array(new SharedArrayBuffer(Math.ceil(Math.min(this.until, size) / 8))),
    };
    this.checked = segments.map((segment) => new Checked(segment, this.span));
    // What reaches beyond the log is named as such.
    this.comparable = this.checked.filter(({ segment: { until } }) => until <= size);
  }

  /** What there is to read of a part, largest first. */
  readings(part: Part): readonly Reading[] {
    return this.comparable.map(({ segment }) => ({ segment, part })).sort((a, b) => span(b) - span(a));
  }

  /** Reads it here; yields after each page. */
  read({ segment, part }: Reading): Generator<void, TablesFound> {
    return readTables(this.rows, segment, part, this.span);
  }

  /** Takes over what was read. */
  found({ segment: { from } }: Pick<Reading, "segment">, { lanes, fault }: TablesFound): void {
    const checked = this.comparable.find(({ segment }) => segment.from === from)!;
    checked.fault ??= fault;
    joinLanes(checked.tables, lanes);
  }

  private segmentsOf(bytes: Uint8Array | string | undefined): readonly Segment[] | undefined {
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
      return void (this.fault = shown((error as Error).message));
    }
  }

  /** Takes away what the blocks of a range account for. */
  join(found: readonly Tallied[]): void {
    for (const { segment, lanes } of found) joinLanes(this.checked[segment]!.tables, lanes);
  }

  /**
   * Positions below have their names in the index, as far as is known before it is read; 0 where it is not to be believed.
   */
  get namesUntil(): number {
    return this.fault === undefined && this.comparable.length === this.checked.length ? this.until : 0;
  }

  /** After the walk: looks for names that repeat there or among `others`. `undefined` where the blocks have other names. */
  names(sound: number): ((others: Float64Array) => Float64Array) | undefined {
    const same = this.checked.every(({ tables, fault }) => fault === undefined && tables.ids.zero);
    if (!same || this.until > sound) return undefined;
    return (others) => repeatedNames(this.rows, this.checked.map(({ segment }) => segment.ids), others);
  }

  /** After the walk. */
  judge(failures: Failures, { sound, end, start, index }: IndexedLog): void {
    if (this.fault !== undefined) failures.add(0, "index", "a manifest of segments without a gap", this.fault);
    if (this.until > end) {
      failures.add(end, "truncated", `${this.until} entries, to which the index reaches`, `${end}`);
    }
    for (const { segment: { from, until }, tables, fault } of this.comparable) {
      // Of entries that are not there nobody can say what it should say.
      if (from < start) continue;
      const wrong = until > sound ? [] : TABLES.filter((table) => !tables[table].zero);
      const found = fault ?? (wrong.length > 0 ? `other ${wrong.join(", ")}` : undefined);
      if (found === undefined) continue;
      // Where entries were changed, the index of them differs from there on.
      const changed = failures.list.find(({ position }) => position >= from && position < until)?.position;
      failures.add(changed ?? from, "index", `the index of ${from} to ${until - 1} to say what the blocks say`, found);
    }
    if (index === undefined || this.hash === index || failures.has("index")) return;
    failures.add(0, "index", `a manifest with hash ${index}, as the newest checkpoint says`, this.hash ?? "none");
  }
}

const span = ({ segment: { from, until } }: Reading): number => until - from;
