/** The one walk over a log that finds everything out; see `verify.ts`. */
import type { DatabaseSync } from "node:sqlite";
import type { Event } from "../../events/event.ts";
import { BlobCheck } from "./blobs.ts";
import { sameBytes, StoredBlock } from "./block.ts";
import { type Claims, collectClaims, judgeClaims, type Keys } from "./claims.ts";
import { readEntries } from "./entries.ts";
import { Failures, shown } from "./failures.ts";
import { nameFingerprint, streamFingerprint } from "./fingerprint.ts";
import { History } from "./history.ts";
import { IndexCheck } from "./index_check.ts";
import { type LogReport, reportOf, type VerifyOptions } from "./report.ts";
import { Rows } from "./rows.ts";
import { checkRuns } from "./runs.ts";
import { TileCheck } from "./tiles.ts";
import { HASH_BYTES, hashesOf, MerkleTree, peaksOf, rootOf, type Subtree, subtreesOf } from "./tree.ts";

/** The event loop gets a turn so often. */
const TURN_MS = 40;
const ZERO_LINK = new Uint8Array(32);

/** One walk over the log, in one read transaction. */
export class Verification {
  private readonly rows: Rows;
  private readonly tree = new MerkleTree((level, hashes) => this.tiles.take(level, hashes));
  private readonly roots = new Map<number, string>();
  private wanted: number[] = [];
  private subtrees: readonly Subtree[] | undefined;
  private frontierAt = -1;
  private history!: History;
  private index!: IndexCheck;
  private blobs!: BlobCheck;
  private tiles!: TileCheck;
  /** First position whose entry could not be read. */
  private lost = Infinity;
  /** Position behind the last block; where it is not known, the next block says. */
  private next: number | undefined = 0;
  private end = 0;
  /** Hash and first position of the block before; `undefined` where there is none to link to. */
  private before: { readonly hash: Uint8Array; readonly first: number } | undefined = { hash: ZERO_LINK, first: 0 };
  private readonly links: { readonly before: number; readonly at: number }[] = [];
  /** False from the first gap on: what follows has no place in tree and history. */
  private whole = true;
  private stop = false;
  private blocks = 0;
  private entryBytes = 0;
  private turn = performance.now();

  constructor(
    private readonly db: DatabaseSync,
    private readonly options: VerifyOptions,
    private readonly keys: Keys,
    private readonly failures: Failures,
  ) {
    db.exec("begin");
    this.rows = new Rows(db);
  }

  async run(): Promise<LogReport> {
    const claims = collectClaims(this.rows, this.options.against ?? [], this.keys);
    this.checkRows();
    this.wanted = [
      ...new Set([...claims.claims, ...(claims.frontier ? [claims.frontier] : [])].map(({ size }) => size)),
    ].sort((a, b) => b - a);
    this.frontierAt = claims.frontier?.size ?? -1;
    const total = this.total();
    this.history = new History(this.failures, total, this.options.namesMax);
    this.index = new IndexCheck(this.rows, this.failures, total);
    this.blobs = new BlobCheck(this.rows, this.failures, this.options.catalogue);
    this.tiles = new TileCheck(this.rows, this.failures, claims.frontier);
    this.passSize(0);
    if (!this.stop) {
      await this.readBlobs(total);
      await this.walk(total);
    }
    this.history.settle((visit) => this.again(visit));
    return this.judge(claims);
  }

  /** About how many entries there are; only to say how far we are. */
  private total(): number {
    const last = this.rows.last("log");
    const value = last === undefined ? undefined : this.rows.get("log", last);
    const block = value instanceof Uint8Array ? StoredBlock.read(value) : undefined;
    return block instanceof StoredBlock ? block.until : last ?? 0;
  }

  /** Rows beside the blocks. */
  private checkRows(): void {
    const format = this.rows.get("format");
    if (format === undefined) {
      if (this.rows.last("log") !== undefined) this.failures.add(0, "foreign", "a format beside the blocks", "none");
    } else {
      const said = typeof format === "string" ? format : new TextDecoder().decode(format);
      if (said !== '{"format":1}') {
        const newer = /^\{"format":([2-9]|[1-9]\d+)\b/.test(said);
        this.failures.add(0, newer ? "newer" : "foreign", "format 1", shown(said));
        this.stop = newer;
      }
    }
    for (const key of this.rows.foreign(10)) {
      this.failures.add(0, "foreign", "the rows of a log and no others", `a row with key ${shown(key)}`);
    }
  }

  private async readBlobs(total: number): Promise<void> {
    try {
      for (const _ of this.blobs.scan()) if (performance.now() - this.turn >= TURN_MS) await this.pause(total);
    } catch (error) {
      if (this.options.signal?.aborted) throw error;
      this.failures.add(0, "unreadable", "pages that SQLite can read", shown((error as Error).message));
    }
  }

  private async walk(total: number): Promise<void> {
    try {
      for (const { number, value } of this.rows.list("log")) {
        if (number === undefined) this.failures.add(this.end, "order", "a position as a block's key", "another key");
        else if (typeof value === "string") {
          this.lose(number, () => this.failures.add(number, "unreadable", "a block", value));
        } else this.visit(number, value);
        if (performance.now() - this.turn >= TURN_MS) await this.pause(total);
      }
    } catch (error) {
      if (this.options.signal?.aborted) throw error;
      this.whole = false;
      this.failures.add(this.end, "unreadable", "pages that SQLite can read", shown((error as Error).message));
    }
    this.options.progress?.({ done: this.end, total: Math.max(total, this.end), unit: "events" });
  }

  private async pause(total: number): Promise<void> {
    this.options.progress?.({ done: this.end, total: Math.max(total, this.end), unit: "events" });
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.options.signal?.throwIfAborted();
    this.turn = performance.now();
  }

  /** From here on there is a gap in what is known. */
  private lose(position: number, say: () => void): void {
    say();
    this.whole = false;
    this.before = undefined;
    this.next = undefined;
    this.end = Math.max(this.end, position + 1);
  }

  private visit(position: number, bytes: Uint8Array): void {
    if (this.next !== undefined && position < this.next) {
      this.failures.add(position, "order", `no block before position ${this.next}`, `one at ${position}`);
      return;
    }
    if (this.next !== undefined && position > this.next) {
      const from = this.next;
      this.lose(
        from,
        () => this.failures.add(from, "missing_block", `a block at position ${from}`, `the next one is at ${position}`),
      );
    }
    const block = StoredBlock.read(bytes);
    if (!(block instanceof StoredBlock)) {
      return this.lose(position, () => this.failures.add(position, block.kind, block.expected, block.found));
    }
    if (block.first !== position) {
      return this.lose(
        position,
        () => this.failures.add(position, "order", `a block of position ${position}`, `one of ${block.first}`),
      );
    }
    if (this.before && !sameBytes(this.before.hash, block.link)) {
      this.links.push({ before: this.before.first, at: position });
    }
    this.take(block);
    this.before = { hash: block.hash(), first: position };
    this.next = block.until;
    this.end = block.until;
  }

  private take(block: StoredBlock): void {
    this.blocks++;
    const events = readEntries(block, this.failures);
    const streams = checkRuns(block, events, this.failures);
    if (!this.whole) return;
    const leaves = this.grow(block);
    for (let i = 0; i < block.count; i++) {
      const event = events[i];
      if (!event) {
        this.lost = Math.min(this.lost, block.first + i);
        this.history.lose(block.first + i);
        continue;
      }
      const stream = streams[i] || streamFingerprint(event.stream);
      const name = nameFingerprint(event.source, event.id);
      this.history.add(event, stream, name);
      this.blobs.add(event);
      this.index.add(event, block.first, stream, name, leaves.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
    }
  }

  /** Takes the block's entries into the tree; their leaf hashes. */
  private grow(block: StoredBlock): Uint8Array {
    const { bytes, count, first, starts } = block;
    const from = (index: number) => starts[index]!;
    const until = (index: number) => starts[index + 1]! - 1;
    const leaves = hashesOf({ bytes, prefix: 0, count, from, until });
    this.entryBytes += bytes.length - starts[0]! - count;
    for (let done = 0; done < count;) {
      const stop = Math.min(count, (this.wanted[this.wanted.length - 1] ?? Infinity) - first);
      this.tree.add(leaves.subarray(done * HASH_BYTES, stop * HASH_BYTES));
      this.passSize(first + stop);
      done = stop;
    }
    return leaves;
  }

  /** Keeps what the claims will ask for. */
  private passSize(size: number): void {
    if (this.wanted[this.wanted.length - 1] === size) {
      this.wanted.pop();
      this.roots.set(size, this.tree.root().toBase64());
    }
    if (this.frontierAt === size) this.subtrees = this.tree.subtrees();
  }

  /** The sound part of the log once more. */
  private again(visit: (event: Event, stream: number) => void): void {
    const ignored = new Failures();
    for (const { number, value } of this.rows.list("log")) {
      if (number === undefined || typeof value === "string") continue;
      if (number >= this.tree.size) return;
      const block = StoredBlock.read(value);
      if (!(block instanceof StoredBlock) || block.first !== number) continue;
      for (const event of readEntries(block, ignored)) {
        if (event && event.position < this.tree.size) visit(event, streamFingerprint(event.stream));
      }
    }
  }

  private judge(claims: Claims): LogReport {
    // A blob's damage is not in the entry that names it.
    const bad = this.failures.list.find(({ kind }) => kind !== "blob");
    const firstBad = Math.min(bad?.position ?? Infinity, ...this.links.map(({ before }) => before));
    const walked = { size: this.tree.size, end: this.end, roots: this.roots, firstBad };
    const { cleared, anchored, authenticated } = judgeClaims(
      claims,
      walked,
      this.keys,
      this.failures,
      (below, claim) => Math.max(below, this.suspect(claims, claim.size, claim.root)),
    );
    for (const { before, at } of this.links) {
      // A root that covers the block before clears it, so it is this block's link that is wrong.
      const position = cleared >= at ? at : before;
      this.failures.add(position, "link", `the block at ${at} to link to the one at ${before}`, "another hash");
    }
    this.judgeFrontier(claims, firstBad);
    this.tiles.judge(cleared, this.end);
    this.blobs.judge();
    this.index.judge(Math.min(this.lost, this.tree.size), this.end);
    return reportOf(this.failures, {
      size: this.tree.size,
      tree: this.tree,
      anchored,
      authenticated,
      streams: this.history.streams,
      blocks: this.blocks,
      entry_bytes: this.entryBytes,
      blobs: this.blobs.count,
      ...(claims.newest ? { origin: claims.newest.origin, checkpoint: claims.newest.size } : {}),
    });
  }

  /**
   * The first entry that can differ, by the stored frontier: where it has the root that is claimed, it speaks for its
   * subtrees.
   */
  private suspect({ frontier }: Claims, size: number, root: string): number {
    if (!frontier || !this.subtrees || frontier.size !== size || frontier.hashes.length !== this.subtrees.length) {
      return 0;
    }
    if (rootOf(frontier.hashes).toBase64() !== root) return 0;
    return this.subtrees.find(({ hash }, i) => !sameBytes(hash, frontier.hashes[i]!))?.from ?? 0;
  }

  private judgeFrontier({ frontier }: Claims, firstBad: number): void {
    if (!frontier) return;
    if (frontier.hashes.length !== peaksOf(frontier.size)) {
      this.failures.add(
        Math.max(0, this.end - 1),
        "tree",
        `${peaksOf(frontier.size)} hashes for size ${frontier.size}`,
        `${frontier.hashes.length}`,
      );
      return;
    }
    if (!this.subtrees) {
      if (frontier.size > this.end) {
        this.failures.add(this.end, "truncated", `${frontier.size} entries, which the tree covers`, `${this.end}`);
      }
      return;
    }
    const wrong = subtreesOf(frontier.size, frontier.hashes).find(({ hash }, i) =>
      !sameBytes(hash, this.subtrees![i]!.hash)
    );
    if (wrong) {
      const until = wrong.from + wrong.count;
      const position = firstBad >= wrong.from && firstBad < until ? firstBad : wrong.from;
      this.failures.add(position, "tree", `the hash of entries ${wrong.from} to ${until - 1}`, wrong.hash.toBase64());
    }
  }
}
