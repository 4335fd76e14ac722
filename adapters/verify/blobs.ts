/**
 * The blobs beside the events: each must be there as a whole and be what its SHA-256 says, and what an event of a known
 * type names must be there. One that nobody names is as it should be, and so are chunks of a put that was cut off, of which
 * nobody has been told. Memory: what is wrong, and nothing of what is right.
 */
import { createHash } from "node:crypto";
import { BLOB_LIMITS, BlobNames, blobsIn } from "../../events/blobs.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { Event, Json } from "../../events/event.ts";
import { type Failures, shown } from "./failures.ts";
import type { NamedRow, Rows } from "./rows.ts";

/** Damaged blobs that are remembered until an event is seen that names them; more are named without one. */
export const BAD_MAX = 10_000;
const HEX = /^[0-9a-f]{64}$/;

const utf8 = new TextDecoder("utf-8", { fatal: true });

interface Head {
  readonly bytes: number;
  readonly chunks: number;
}

/** What a head row says; a text says why it is none. */
const readHead = (value: Uint8Array | string): Head | string => {
  if (typeof value === "string") return value;
  try {
    const { bytes, chunks, ...more } = JSON.parse(utf8.decode(value)) as Head;
    const sound = Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= BLOB_LIMITS.blob_bytes_max &&
      chunks === Math.ceil(bytes / BLOB_LIMITS.chunk_bytes) && Object.keys(more).length === 0;
    return sound ? { bytes, chunks } : shown(utf8.decode(value));
  } catch (error) {
    return shown((error as Error).message);
  }
};

/** One blob as its rows come, in the order of their keys: the head, then the chunks. */
class Reading {
  private readonly hash = createHash("sha256");
  private next = 0;
  private bytes = 0;
  private fault: string | undefined;

  constructor(readonly hex: string, private readonly head: Head | string) {}

  take(n: number, value: Uint8Array | string): void {
    if (typeof value === "string") this.fault ??= `chunk ${n} is ${value}`;
    else if (n !== this.next) this.fault ??= `chunk ${this.next} is missing`;
    else {
      this.hash.update(value);
      this.bytes += value.length;
      const last = typeof this.head === "object" && n === this.head.chunks - 1;
      if (!last && value.length !== BLOB_LIMITS.chunk_bytes) this.fault ??= `chunk ${n} has ${value.length} bytes`;
    }
    this.next = n + 1;
  }

  /** Why it is not what it should be. */
  judge(): string | undefined {
    if (typeof this.head === "string") return this.head;
    if (this.fault !== undefined) return this.fault;
    const { bytes, chunks } = this.head;
    if (this.next !== chunks) return `${this.next} chunks of ${chunks}`;
    if (this.bytes !== bytes) return `${this.bytes} bytes of ${bytes}`;
    const found = this.hash.digest("hex");
    return found === this.hex ? undefined : `bytes whose hash is ${found}`;
  }
}

export class BlobCheck {
  /** Blobs that are there as a whole. */
  count = 0;
  private readonly bad = new Map<string, { readonly found: string; named: boolean }>();
  private readonly names: BlobNames | undefined;
  private readonly concerned = new Map<string, boolean>();

  constructor(
    private readonly rows: Rows,
    private readonly failures: Failures,
    private readonly catalogue: Pick<Catalogue, "spec"> | undefined,
  ) {
    this.names = catalogue && new BlobNames(catalogue);
  }

  /** Reads every blob; yields after each row, so that others get a turn. */
  *scan(): Generator<void, void> {
    let reading: Reading | undefined;
    for (const row of this.rows.named("blob")) {
      const { text, number } = row;
      if (text === undefined || !HEX.test(text) || row.strange) this.foreign(row);
      else if (number === undefined) {
        this.end(reading);
        reading = new Reading(text, readHead(row.value));
      } else if (reading?.hex === text) reading.take(number, row.value);
      yield;
    }
    this.end(reading);
  }

  private foreign({ key }: NamedRow): void {
    this.failures.add(0, "foreign", "the rows of a log and no others", `a row with key ${shown(key)}`);
  }

  private end(reading: Reading | undefined): void {
    const found = reading?.judge();
    if (!reading) return;
    if (found === undefined) this.count++;
    else if (this.bad.size < BAD_MAX) this.bad.set(reading.hex, { found, named: false });
    else this.failures.add(0, "blob", wanted(reading.hex), found);
  }

  /** Whether an event of the type may name one. */
  concerns(type: string): boolean {
    let known = this.concerned.get(type);
    if (known === undefined) {
      const spec = this.catalogue?.spec(type);
      // Unknown types come from outside without end; only the catalogue's are kept.
      if (!spec) return false;
      // What an earlier version becomes may name one where the present shape does not.
      this.concerned.set(type, known = (spec.version ?? 1) > 1 || blobsIn(spec.schema).length > 0);
    }
    return known;
  }

  /** The next event of the log. */
  add(event: Event): void {
    if (!this.names) return;
    for (const { type, data } of this.shapes(event)) {
      for (const { sha256, bytes, pointer } of this.names.in(type, data)) {
        const hex = Uint8Array.fromBase64(sha256).toHex();
        const bad = this.bad.get(hex);
        if (bad) bad.named = true;
        const found = bad?.found ?? this.missing(hex, bytes);
        if (found !== undefined) {
          this.failures.add(
            event.position,
            "blob",
            `${wanted(hex)}, which ${shown(event.type)} names at ${pointer}`,
            found,
          );
        }
      }
    }
  }

  private missing(hex: string, bytes: number): string | undefined {
    const value = this.rows.get("blob", hex);
    if (value === undefined) return "none";
    const head = readHead(value);
    return typeof head === "object" && head.bytes !== bytes ? `one of ${head.bytes} bytes, not ${bytes}` : undefined;
  }

  /** The event in the shapes its type has now. Nothing where an upcast cannot read it: then there is nothing to look up. */
  private shapes(event: Event): readonly { readonly type: string; readonly data: unknown }[] {
    const spec = this.catalogue!.spec(event.type);
    const version = spec?.version ?? 1;
    if (!spec || event.version >= version) return [event];
    let shapes: readonly { readonly type: string; readonly data: unknown }[] = [event];
    try {
      for (let v = event.version; v < version; v++) {
        shapes = shapes.flatMap(({ data }) => spec.upcasts![v - 1]!(data as Json));
      }
      return shapes;
    } catch {
      return [];
    }
  }

  /** Those that are damaged and that nobody was seen to name: an event of a type that is not known here may. */
  judge(): void {
    for (const [hex, { found, named }] of this.bad) if (!named) this.failures.add(0, "blob", wanted(hex), found);
  }
}

const wanted = (hex: string): string => `the blob with SHA-256 ${hex}`;
