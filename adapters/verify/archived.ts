/**
 * The part of a log that was archived: its entries lie in a folder (C2SP tlog-tiles), where each block began and what it linked to
 * stands in the log's file, and an event of the log says up to where.
 *
 * With the folder, every block is made again and the log is verified as if nothing had been moved. Without it the leaf hashes come from the
 * stored tiles, which the signed roots clear; what hangs on the entries themselves is not looked at before the first block that is kept.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import type { Event } from "../../events/event.ts";
import { isCount } from "./counts.ts";
import { type Failures, shown } from "./failures.ts";
import { streamFingerprint } from "./fingerprint.ts";
import { type NumberedRow, Rows } from "./rows.ts";
import type { Opener } from "./sealed.ts";
import { type Bundle, bundlePath, fileIn, readBundle, WIDTH } from "./tlog_files.ts";
import { HASH_BYTES } from "./tree.ts";

export const ARCHIVED = "kernel.log.archived";
const RECORD = 40;
const HEADER = 56;
const RUN = 20;
const BUNDLE_BYTES_MAX = WIDTH * (2 + 65_535);

/** What the log's file says. */
export interface Archived {
  /** Entries before it are in the archive. */
  readonly until: number;
  /** First position of the first block that is kept, and the hash that it links to. */
  readonly kept: number;
  readonly link: Uint8Array;
  /** Where each archived block begins, and what it links to. */
  readonly blocks: readonly { readonly first: number; readonly link: Uint8Array }[];
  /** Entries that are told here, too, by position. */
  readonly told: readonly (readonly [number, Uint8Array])[];
}

/** `undefined`: nothing was archived. A text: why what the file says cannot be. */
export const readArchived = (rows: Rows): Archived | string | undefined => {
  const row = rows.get("archived");
  if (row === undefined) return undefined;
  try {
    if (typeof row === "string") throw new Error(row);
    const { until, kept, link, blocks, told } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(row));
    const hash = Buffer.from(String(link), "base64");
    if (!isCount(until) || until % WIDTH !== 0 || !isCount(kept) || kept > until || hash.length !== HASH_BYTES) {
      throw new Error("a boundary that is none");
    }
    const bounds = boundsIn(rows, blocks);
    bounds.forEach(({ first }, i) => {
      if ((i === 0 ? first !== 0 : first <= bounds[i - 1]!.first) || first >= kept) {
        throw new Error(`a block at ${first}`);
      }
    });
    if (!isCount(blocks) || bounds.length !== blocks || (kept > 0) !== (blocks > 0)) throw new Error("other blocks");
    const entries = (told as [number, string][]).map(([position, text]) => {
      if (!isCount(position) || position >= kept) throw new Error("an entry that was not archived");
      return [position, Buffer.from(text, "base64")] as const;
    });
    return { until, kept, link: hash, blocks: bounds, told: entries };
  } catch (error) {
    return shown((error as Error).message);
  }
};

const boundsIn = (rows: Rows, most: number): { readonly first: number; readonly link: Uint8Array }[] => {
  const bounds: { first: number; link: Uint8Array }[] = [];
  for (const { number, value } of rows.list("archive")) {
    if (typeof value === "string" || number !== bounds.length || value.length % RECORD !== 0) {
      throw new Error(`a row of blocks at ${number}`);
    }
    const bytes = Buffer.from(value);
    // What lies behind was begun and not said.
    for (let at = 0; at < bytes.length && bounds.length < most; at += RECORD) {
      bounds.push({ first: Number(bytes.readBigUInt64BE(at)), link: bytes.subarray(at + 8, at + RECORD) });
    }
    if (bounds.length >= most) break;
  }
  return bounds;
};

/** Rows with the archived blocks among them, made of what the folder holds. */
export class WholeRows extends Rows {
  private bundle: Bundle | string | undefined;
  private index = -1;

  constructor(
    db: DatabaseSync,
    open: Opener | undefined,
    private readonly archived: Archived,
    private readonly folder: string,
  ) {
    super(db, open);
  }

  override get made(): number {
    const { kept } = this;
    return this.archived.blocks.filter(({ first }) => first < kept).length;
  }

  /** The first block that is read here. */
  private get kept(): number {
    const there = super.first("log", 0);
    const { kept } = this.archived;
    return typeof there === "number" ? Math.min(there, kept) : kept;
  }

  override *list(name: string, from = 0, until = Infinity): Iterable<NumberedRow> {
    if (name !== "log") return yield* super.list(name, from, until === Infinity ? undefined : until);
    const { archived: { blocks, kept }, kept: start } = this;
    for (const [i, { first, link }] of blocks.entries()) {
      if (first >= start || first >= until) break;
      if (first >= from) yield { number: first, value: this.block(first, blocks[i + 1]?.first ?? kept, link) };
    }
    if (start < until) yield* super.list(name, Math.max(from, start), until === Infinity ? undefined : until);
  }

  override first(name: string, from: number): number | undefined | "none" {
    const block = name === "log" ? this.archived.blocks.find(({ first }) => first >= from) : undefined;
    return block ? block.first : super.first(name, from);
  }

  /** Entries that are in the archive and here, too: those of the archive must be the tree's. `leaf`: hash of a position. */
  expectTail(leaf: (position: number) => Uint8Array | undefined, failures: Failures): void {
    const { kept, until } = this.archived;
    for (let position = kept; position < until; position++) {
      const bundle = this.bundleOf(Math.floor(position / WIDTH));
      if (typeof bundle === "string") return failures.add(position, "archive", "an entry bundle", bundle);
      const { starts, bytes } = bundle;
      const at = position % WIDTH;
      const hash = leafOf(bytes.subarray(starts[at]!, starts[at + 1]! - 1));
      const wanted = leaf(position);
      if (wanted && Buffer.compare(hash, wanted) === 0) continue;
      return failures.add(position, "archive", "the entry of the tree, in the archive, too", "another");
    }
  }

  /** A block as it was; a text says why it cannot be made. */
  private block(first: number, until: number, link: Uint8Array): Uint8Array | string {
    const entries: Uint8Array[] = [];
    for (let position = first; position < until; position++) {
      const bundle = this.bundleOf(Math.floor(position / WIDTH));
      if (typeof bundle === "string") return bundle;
      const { starts, bytes } = bundle;
      entries.push(bytes.subarray(starts[position % WIDTH]!, starts[position % WIDTH + 1]! - 1));
    }
    try {
      return blockOf(first, entries, link);
    } catch {
      return `entries from ${first} to ${until - 1} of the archive that are no events`;
    }
  }

  private bundleOf(index: number): Bundle | string {
    if (this.index !== index || this.bundle === undefined) {
      const path = bundlePath(index, WIDTH);
      const stored = fileIn(this.folder, path, BUNDLE_BYTES_MAX);
      const bundle = typeof stored === "string" ? undefined : readBundle(stored, index * WIDTH, WIDTH);
      this.bundle = bundle ?? `${typeof stored === "string" ? stored : "other bytes"} as ${path} of the archive`;
      this.index = index;
    }
    return this.bundle;
  }
}

/** RFC 9162 section 2.1.1. */
const leafOf = (entry: Uint8Array): Buffer => createHash("sha256").update(Uint8Array.of(0)).update(entry).digest();

const text = new TextDecoder("utf-8", { fatal: true });

/** Format 1, codec 0: see `block.ts`. */
const blockOf = (first: number, entries: readonly Uint8Array[], link: Uint8Array): Uint8Array => {
  const runs: { stream: string; revision: number; count: number }[] = [];
  for (const entry of entries) {
    const { stream, revision } = JSON.parse(text.decode(entry)) as Event;
    if (runs.at(-1)?.stream === stream) runs.at(-1)!.count++;
    else runs.push({ stream, revision, count: 1 });
  }
  const body = HEADER + runs.length * RUN + entries.length * 4;
  const block = Buffer.alloc(body + entries.reduce((sum, { length }) => sum + length + 1, 1));
  block.write("DBK1", 0, "latin1");
  block.set(link, 8);
  block.writeBigUInt64BE(BigInt(first), 40);
  block.writeUInt32BE(entries.length, 48);
  block.writeUInt32BE(runs.length, 52);
  let at = HEADER;
  for (const { stream, revision, count } of runs) {
    block.writeBigUInt64BE(BigInt(streamFingerprint(stream)), at);
    block.writeBigUInt64BE(BigInt(revision), at + 8);
    block.writeUInt32BE(count, at + 16);
    at += RUN;
  }
  for (const { length } of entries) at = block.writeUInt32BE(length, at);
  let char = "[";
  for (const entry of entries) {
    block.write(char, at, "latin1");
    block.set(entry, at + 1);
    at += entry.length + 1;
    char = ",";
  }
  block.write("]", at, "latin1");
  return new Uint8Array(block);
};

/** Leaf hashes of entries before `start`, as the tiles have them, some at a time; what is missing is a failure, and ends it. */
export function* archivedLeaves(rows: Rows, start: number, failures: Failures): Generator<Uint8Array> {
  for (let first = 0; first < start; first += WIDTH) {
    const wanted = Math.min(WIDTH, start - first) * HASH_BYTES;
    const tile = rows.tile(0, first / WIDTH);
    if (!(tile instanceof Uint8Array) || tile.length < wanted) {
      failures.add(
        first,
        "tile",
        `the hashes of the archived entries from ${first} on`,
        tile === undefined ? "none" : "fewer",
      );
      return;
    }
    yield tile.subarray(0, wanted);
  }
}

/** Told entries that are those of the tree; the others are failures. `leaf`: of a position. */
export const toldEvents = (
  { told }: Archived,
  leaf: (position: number) => Uint8Array | undefined,
  failures: Failures,
): readonly Event[] =>
  told.flatMap(([position, entry]) => {
    const wanted = leaf(position);
    if (wanted && Buffer.compare(leafOf(entry), wanted) === 0) return [JSON.parse(entry.toString()) as Event];
    failures.add(position, "archive", "the entry of the tree, told beside the archive", "another");
    return [];
  });

/** Events that say what was archived. */
export class ArchivedTold {
  private readonly events: { readonly until?: unknown; readonly kept?: unknown; readonly link?: unknown }[] = [];

  take({ type, data }: Pick<Event, "type" | "data">): void {
    if (type === ARCHIVED && data !== null && typeof data === "object") this.events.push(data as object);
  }

  /** What the file says must have been said in the log. */
  judge(archived: Archived | undefined, failures: Failures): void {
    if (!archived) return;
    const { until, kept, link } = archived;
    const said = this.events.some((event) =>
      event.until === until && event.kept === kept && event.link === Buffer.from(link).toString("base64")
    );
    if (!said) failures.add(0, "archive", `an event that says that ${until} entries were archived`, "none");
  }
}
