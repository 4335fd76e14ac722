/** The one walk over a log that finds everything out; see `verify.ts`. */
import type { Event } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import {
  ARCHIVED,
  type Archived,
  archivedLeaves,
  ArchivedTold,
  readArchived,
  toldEvents,
  WholeRows,
} from "./archived.ts";
import { ArchivedTiles } from "./archived_tiles.ts";
import { BlobCheck } from "./blobs.ts";
import { sameBytes, StoredBlock } from "./block.ts";
import { type Claims, collectClaims, judgeClaims } from "./claims.ts";
import type { Keys } from "./claim.ts";
import { Failures, shown } from "./failures.ts";
import type { LogFile } from "./file.ts";
import { streamFingerprint } from "./fingerprint.ts";
import { judgeFrontier } from "./frontier.ts";
import { checkHidden, checkTables } from "./hidden.ts";
import { HeaderReader } from "./headers.ts";
import { History } from "./history.ts";
import { IndexCheck, type Reading } from "./index_check.ts";
import { LINEAGE_TYPES, LineageWalk } from "./lineage.ts";
import { PARTS, type TablesFound } from "./index_tables.ts";
import { type Range, type RangeFound, type Rules, type Seam, unknownSeam, walkRange } from "./range.ts";
import { type LogReport, reportOf, type VerifyOptions } from "./report.ts";
import { Rows } from "./rows.ts";
import { shareOut, type Task } from "./share_out.ts";
import { openerOf, sealIn, sealOf } from "./sealed.ts";
import { SubjectCheck } from "./subjects.ts";
import { mayThread, Threads, threadsFor } from "./threads.ts";
import { changedEntry, TileCheck } from "./tiles.ts";
import { GROUP, groupsOf, HASH_BYTES, MerkleTree, rootOf, type Subtree } from "./tree.ts";

/** The event loop gets a turn so often. */
const TURN_MS = 40;
/** Positions that a range spans; some 50 ms of work, and what memory holds of it is a few MB. */
const RANGE_EVENTS = 16_384;
/** No entry with a whole header has fewer. */
const ENTRY_BYTES_MIN = 100;
const ZERO_LINK = new Uint8Array(32);

/**
 * One walk over the log, in one read transaction, range by range: what a range shows by itself is found in `range.ts`, here or in a
 * thread, and joined here in order.
 */
export class Verification {
  private readonly rows: Rows;
  private readonly archived: Archived | undefined;
  private readonly archivedTold = new ArchivedTold();
  /** The first entry that is there to be read. */
  private readonly start: number;
  /** The key, where the log is sealed. */
  private readonly sealedUnder: Uint8Array | undefined;
  private readonly tree = new MerkleTree((level, hashes) => {
    this.tiles.take(level, hashes);
    this.archivedTiles?.take(level, hashes);
  });
  private readonly roots = new Map<number, string>();
  private wanted: number[] = [];
  private subtrees: readonly Subtree[] | undefined;
  private frontierAt = -1;
  private history!: History;
  private index!: IndexCheck;
  private blobs!: BlobCheck;
  private tiles!: TileCheck;
  private readonly subjects: SubjectCheck | undefined;
  /** Where the archive was given. */
  private readonly archivedTiles: ArchivedTiles | undefined;
  private readonly lineage = new LineageWalk();
  /** First position whose entry could not be read. */
  private lost = Infinity;
  private seam: Seam = { whole: true, next: 0, end: 0, before: { hash: ZERO_LINK, first: 0 } };
  private readonly links: { readonly before: number; readonly at: number }[] = [];
  private stop = false;
  private blocks = 0;
  private entryBytes = 0;
  private turn = performance.now();

  constructor(
    private readonly file: Pick<LogFile, "db" | "path" | "short">,
    private readonly options: VerifyOptions,
    private readonly keys: Keys,
    private readonly failures: Failures,
  ) {
    this.subjects = options.subjects && new SubjectCheck(options.subjects, options.catalogue);
    file.db.exec("begin");
    const stored = new Rows(file.db);
    this.sealedUnder = keyFor(stored, options.sealedUnder);
    const opener = this.sealedUnder && openerOf(this.sealedUnder);
    const rows = opener ? new Rows(file.db, opener) : stored;
    const archived = readArchived(rows);
    if (typeof archived === "string") failures.add(0, "archive", "what was archived, and where it was cut", archived);
    else this.archived = archived;
    if (this.archived && options.archive !== undefined) {
      this.rows = new WholeRows(file.db, opener, this.archived, options.archive);
      this.archivedTiles = new ArchivedTiles(options.archive, this.archived.until);
    } else this.rows = rows;
    this.start = this.archived && options.archive === undefined ? startOf(rows, this.archived) : 0;
  }

  async run(): Promise<LogReport> {
    const kept = this.archivedTiles?.checkpoint(this.failures);
    const claims = collectClaims(this.rows, [...this.options.against ?? [], ...kept ? [kept] : []], this.keys);
    this.checkRows();
    this.wanted = [
      ...new Set([...claims.claims, ...(claims.frontier ? [claims.frontier] : [])].map(({ size }) => size)),
    ].sort((a, b) => b - a);
    this.frontierAt = claims.frontier?.size ?? -1;
    const total = this.total();
    this.index = new IndexCheck(this.rows, total);
    const { start } = this;
    const indexed = start > 0 ? 0 : this.index.namesUntil;
    this.history = new History(this.failures, total, indexed, this.options.namesMax, start);
    this.blobs = new BlobCheck(this.rows, this.failures, this.options.catalogue);
    this.tiles = new TileCheck(this.rows, this.failures, claims.frontier);
    this.passSize(0);
    if (this.start > 0) this.begin(this.archived!);
    if (this.rows instanceof WholeRows) this.rows.expectTail((position) => this.leafAt(position), this.failures);
    if (!this.stop) {
      await this.readBlobs(total);
      await this.walk(total);
    }
    this.history.settle((visit) => this.again(visit), this.index.names(this.sound));
    return this.judge(claims);
  }

  /** What was archived, as far as it is known here. */
  private begin(archived: Archived): void {
    const { start } = this;
    for (const leaves of archivedLeaves(this.rows, start, this.failures)) {
      this.grow(leaves, groupsOf(wholeGroups(leaves)));
    }
    const link = archived.blocks.find(({ first }) => first === start)?.link ?? archived.link;
    this.seam = {
      whole: this.tree.size === start,
      next: start,
      end: start,
      before: { hash: link, first: start },
    };
    const told = toldEvents(archived, (position) => this.leafAt(position), this.failures);
    for (const event of told) this.lineage.take(event);
  }

  /** As the tiles have it, which are held against the tree. */
  private leafAt(position: number): Uint8Array | undefined {
    const tile = this.rows.tile(0, Math.floor(position / GROUP));
    const at = position % GROUP * HASH_BYTES;
    return tile instanceof Uint8Array ? tile.subarray(at, at + HASH_BYTES) : undefined;
  }

  /** About how many entries there are, by what the last block says, if there is room for so many: it decides about memory and passes. */
  private total(): number {
    const last = this.rows.last("log");
    const value = last === undefined ? undefined : this.rows.get("log", last);
    const block = value instanceof Uint8Array ? StoredBlock.read(value) : undefined;
    const room = Math.ceil(this.rows.bytes / ENTRY_BYTES_MIN) + (this.archived?.until ?? 0);
    return Math.min(block instanceof StoredBlock ? block.until : last ?? 0, room);
  }

  /** Rows beside the blocks. */
  private checkRows(): void {
    checkTables(this.file.db, this.failures);
    const format = this.rows.get("format");
    if (format === undefined) {
      if (this.rows.last("log") !== undefined) this.failures.add(0, "foreign", "a format beside the blocks", "none");
    } else {
      const said = typeof format === "string" ? format : new TextDecoder().decode(format);
      const seal = this.sealedUnder ? `,"seal":"${sealOf(this.sealedUnder)}"` : "";
      if (said !== `{"format":1${seal}}`) {
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
      await this.inTurns(this.blobs.scan(), total);
    } catch (error) {
      if (this.options.signal?.aborted) throw error;
      this.failures.add(0, "unreadable", "pages that SQLite can read", shown((error as Error).message));
    }
  }

  /** Between two pieces of work. */
  private async rest(total: number): Promise<void> {
    this.options.signal?.throwIfAborted();
    if (performance.now() - this.turn >= TURN_MS) await this.pause(total);
  }

  private async inTurns<Found>(steps: Iterator<void, Found>, total: number): Promise<Found> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (performance.now() - this.turn >= TURN_MS) await this.pause(total);
    }
  }

  private async walk(total: number): Promise<void> {
    const rules: Rules = {
      index: this.index.span,
      names: this.history.rule,
      sealedUnder: this.sealedUnder,
      begins: this.firstFrom(0),
      wide: this.options.wide,
      subjects: this.subjects !== undefined,
    };
    const threads = this.rows instanceof WholeRows ? 1 : this.options.threads ?? threadsFor(total);
    if (threads > 1 && mayThread()) {
      await this.walkInThreads(new Threads(this.file.path, rules, threads - 1), total, rules);
    } else {
      for (const part of PARTS) {
        for (const reading of this.index.readings(part)) {
          this.index.found(reading, await this.inTurns(this.index.read(reading), total));
        }
      }
      for (const range of this.ranges()) {
        if (!this.join(range, walkRange(this.rows, range, this.seam, rules))) break;
        if (performance.now() - this.turn >= TURN_MS) await this.pause(total);
      }
    }
    this.options.progress?.({ done: this.seam.end, total: Math.max(total, this.seam.end), unit: "events" });
  }

  private async walkInThreads(threads: Threads, total: number, rules: Rules): Promise<void> {
    const reading = (reading: Reading): Task => ({
      asked: async () => await threads.read(reading) ?? await this.inTurns(this.index.read(reading), total),
      here: () => this.inTurns(this.index.read(reading), total),
      take: (found) => this.index.found(reading, found as TablesFound),
    });
    const walking = (range: Range): Task => {
      const { whole } = this.seam;
      return {
        asked: async () => await threads.walk(range, whole) ?? walkRange(this.rows, range, unknownSeam(whole), rules),
        here: () => walkRange(this.rows, range, unknownSeam(whole), rules),
        take: (answer) => {
          const found = answer as RangeFound;
          const same = this.follows(found, whole);
          return this.join(range, same ? found : walkRange(this.rows, range, this.seam, rules));
        },
      };
    };
    const { index } = this;
    const ranges = Iterator.from(this.ranges());
    try {
      // What lies in the index once more is known before blocks are read.
      await shareOut(threads.count, PARTS.flatMap((part) => index.readings(part)).map(reading), () => this.rest(total));
      await shareOut(threads.count, ranges.map(walking), () => this.rest(total));
    } finally {
      await threads.close();
    }
  }

  /** The log's blocks in ranges, each from a key that is there. */
  private *ranges(): Iterable<Range> {
    const step = this.options.rangeEvents ?? RANGE_EVENTS;
    for (let from = 0;;) {
      const next = this.firstFrom(from + step);
      if (next === undefined) return yield { from };
      yield { from, until: from + step };
      from = next;
    }
  }

  /** `undefined` where what follows is to be looked at as a whole: nothing, or what cannot be told apart. */
  private firstFrom(position: number): number | undefined {
    try {
      const first = this.rows.first("log", position);
      return first === "none" ? undefined : first;
    } catch {
      // Whoever walks on meets the same, and says so.
      return undefined;
    }
  }

  /** Whether what was found where nothing before was known, but `whole`, is what would be found here. */
  private follows({ rows, first }: RangeFound, whole: boolean): boolean {
    const { next } = this.seam;
    return rows === 0 || (first !== undefined && whole === this.seam.whole && (next === undefined || next === first));
  }

  /** The next range. False: nothing behind it can be read. */
  private join(range: Range, found: RangeFound): boolean {
    const { before } = this.seam;
    if (found.link && before && !sameBytes(before.hash, found.link)) {
      this.links.push({ before: before.first, at: found.first! });
    }
    for (const link of found.links) this.links.push(link);
    this.failures.join(found.failures);
    const from = this.tree.size;
    if (found.types.some((type) => type === ARCHIVED || LINEAGE_TYPES.includes(type))) this.takeLineage(range, from);
    this.grow(found.leaves, found.groups);
    this.history.join(found.history);
    this.index.join(found.index);
    this.lost = Math.min(this.lost, found.lost);
    this.blocks += found.blocks;
    this.entryBytes += found.entryBytes;
    if (found.rows > 0) this.seam = found.seam;
    if (found.types.some((type) => this.blobs.concerns(type))) {
      this.events(range, (event) => event.position >= from && this.blobs.add(event));
    }
    const suspects = this.subjects?.suspects(found.subjects);
    if (suspects) this.events(range, (event) => event.position >= from && this.subjects!.judge(event, suspects));
    if (found.broken === undefined) return true;
    this.seam = { ...this.seam, whole: false };
    this.failures.add(this.seam.end, "unreadable", "pages that SQLite can read", found.broken);
    return false;
  }

  /** What it tells of roots is told before the tree has grown past them. */
  private takeLineage(range: Range, from: number): void {
    this.events(range, (event) => {
      this.archivedTold.take(event);
      const size = event.position < from ? undefined : this.lineage.take(event);
      if (size === from) this.roots.set(size, this.tree.root().toBase64());
      else if (size !== undefined) this.wanted = [...new Set([...this.wanted, size])].sort((a, b) => b - a);
    }, Infinity);
  }

  private async pause(total: number): Promise<void> {
    this.options.progress?.({ done: this.seam.end, total: Math.max(total, this.seam.end), unit: "events" });
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.options.signal?.throwIfAborted();
    this.turn = performance.now();
  }

  /** Takes leaves into the tree, and those in groups of 256 as such; stops at each size that claims will ask for. */
  private grow(leaves: Uint8Array, groups: Uint8Array): void {
    const { size } = this.tree;
    const firstGroup = Math.ceil(size / GROUP);
    const cut = (bytes: Uint8Array, from: number, until: number) =>
      bytes.subarray(from * HASH_BYTES, until * HASH_BYTES);
    for (let done = 0, count = leaves.length / HASH_BYTES; done < count;) {
      const position = size + done;
      const stop = Math.min(count, (this.wanted[this.wanted.length - 1] ?? Infinity) - size);
      const until = size + stop;
      const whole = position % GROUP === 0 ? Math.floor((until - position) / GROUP) : 0;
      const taken = whole > 0 ? whole * GROUP : Math.min(until - position, GROUP - position % GROUP);
      const next = cut(leaves, done, done + taken);
      const group = position / GROUP - firstGroup;
      if (whole > 0) this.tree.addGroups(next, cut(groups, group, group + whole));
      else this.tree.add(next);
      done += taken;
      this.passSize(size + done);
    }
  }

  /** Keeps what the claims will ask for. */
  private passSize(size: number): void {
    if (this.wanted[this.wanted.length - 1] === size) {
      this.wanted.pop();
      this.roots.set(size, this.tree.root().toBase64());
    }
    if (this.frontierAt === size) this.subtrees = this.tree.subtrees();
  }

  /** Entries before this position were all read, and are events. */
  private get sound(): number {
    return Math.min(this.lost, this.tree.size);
  }

  /** The sound part of the log once more. */
  private again(visit: (event: Event, stream: number) => void): void {
    this.events({ from: 0 }, (event) => visit(event, streamFingerprint(event.stream)));
  }

  private events({ from, until }: Range, visit: (event: Event) => void, size = this.tree.size): void {
    const ignored = new Failures();
    const headers = new HeaderReader();
    for (const { number, value } of this.rows.list("log", from, until)) {
      if (number === undefined || typeof value === "string") continue;
      if (number >= size) return;
      const block = StoredBlock.read(value);
      if (!(block instanceof StoredBlock) || block.first !== number) continue;
      const { sound } = headers.read(block, ignored);
      for (let i = 0; i < block.count && number + i < size; i++) if (sound[i] === 1) visit(headers.event(i));
    }
  }

  private judge(claims: Claims): LogReport {
    const { short } = this.file;
    if (short) {
      const { pages, page_bytes, bytes } = short;
      this.failures.add(this.seam.end, "unreadable", `${pages} pages of ${page_bytes} bytes`, `${bytes} bytes`);
    }
    // A blob's damage is not in the entry that names it.
    const bad = this.failures.list.find(({ kind }) => kind !== "blob");
    const { roots, tree: { size } } = this;
    const changed = changedEntry(claims.claims, roots, this.tiles);
    if (changed && bad?.position !== changed.position) {
      const { position, leaf } = changed;
      this.failures.add(position, "entry", `the entry with leaf hash ${leaf}, which a checkpoint covers`, "another");
    }
    const at = changed?.position ?? Infinity;
    // Of a block that the next one does not link to, the entry that was changed, if that is known.
    const links = this.links.map((link) => at >= link.before && at < link.at ? { ...link, before: at } : link);
    const firstBad = Math.min(bad?.position ?? Infinity, at, ...links.map(({ before }) => before));
    const lineage = this.lineage.judge({ origin: claims.newest?.origin, roots, size }, this.failures);
    const walked = { size, end: this.seam.end, roots, firstBad, lineage };
    const { cleared, anchored, signed, authenticated } = judgeClaims(
      claims,
      walked,
      this.keys,
      this.failures,
      (below, claim) => Math.max(below, this.suspect(claims, claim.size, claim.root)),
    );
    for (const { before, at } of links) {
      // A root that covers the block before clears it, so it is this block's link that is wrong.
      const position = cleared >= at ? at : before;
      this.failures.add(position, "link", `the block at ${at} to link to the one at ${before}`, "another hash");
    }
    judgeFrontier(claims.frontier, { subtrees: this.subtrees, end: this.seam.end, firstBad }, this.failures);
    this.tiles.judge(cleared, this.seam.end, changed?.position);
    this.archivedTiles?.judge(this.failures, cleared, changed?.position);
    this.blobs.judge();
    const { sound, start, seam: { end } } = this;
    this.index.judge(this.failures, { sound, end, start, index: claims.index });
    // Behind a gap nobody has looked for it.
    if (this.seam.whole) this.archivedTold.judge(this.archived, this.failures);
    checkHidden(this.file.db, this.blocks - this.rows.made, this.failures);
    return reportOf(this.failures, {
      size: this.tree.size,
      tree: this.tree,
      anchored,
      signed,
      authenticated,
      ...(lineage.keyChanges.length > 0 ? { key_changes: lineage.keyChanges } : {}),
      ...(this.archived
        ? { archived: { until: this.archived.until, kept: this.archived.kept, checked: this.start === 0 } }
        : {}),
      ...(this.sealedUnder ? { sealed: true as const } : {}),
      ...(lineage.forks.length > 0 ? { forks: lineage.forks } : {}),
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
}

/** Of the blocks that were archived some may not be deleted yet. */
const startOf = (rows: Rows, { kept, blocks }: Archived): number => {
  const first = rows.first("log", 0);
  return typeof first === "number" && blocks.some((block) => block.first === first) ? first : kept;
};

const wholeGroups = (leaves: Uint8Array): Uint8Array =>
  leaves.subarray(0, Math.floor(leaves.length / HASH_BYTES / GROUP) * GROUP * HASH_BYTES);

/** The key that the log is to be read with, if any. Throws `LogFault` `sealed` where nothing can be read without it, or with it. */
const keyFor = (rows: Rows, key: Uint8Array | undefined): Uint8Array | undefined => {
  const format = rows.get("format");
  const seal = format instanceof Uint8Array ? sealIn(format) : undefined;
  if (seal === undefined) return undefined;
  if (key === undefined) {
    throw new LogFault(
      "sealed",
      "Cannot verify: the log is sealed at rest, and its key, which is in the folder's key database, was not given; " +
        "neither entries, links, index nor blobs were looked at",
    );
  }
  // A format that was changed does not make the blocks unreadable.
  if (seal !== sealOf(key) && typeof firstOf(rows, key) === "string") {
    throw new LogFault("sealed", "Cannot verify: the log is sealed at rest under another key than the one given");
  }
  return key;
};

/** The first block, if it opens; a text where it does not. */
const firstOf = (rows: Rows, key: Uint8Array): Uint8Array | string => {
  const first = rows.first("log", 0);
  if (typeof first !== "number") return "there is none";
  return new Rows(rows.db, openerOf(key)).get("log", first) ?? "there is none";
};
