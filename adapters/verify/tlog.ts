/**
 * Verifies a log that lies in a folder as C2SP tlog-tiles has it (https://c2sp.org/tlog-tiles), from its entries alone: their form, their
 * history, the tree over them, each tile, the checkpoint there and every other that was kept. It writes nothing. Memory: one bundle, what
 * `history.ts` holds, and the names of the files.
 */
import { readdirSync } from "node:fs";
import { LogFault } from "../../events/log.ts";
import type { Event } from "../../events/event.ts";
import { type Against, claimOf, judgeClaims } from "./claims.ts";
import type { Claim, Keys } from "./claim.ts";
import { Failures, FAILURES_MAX, shown } from "./failures.ts";
import { HeaderReader, unsound } from "./headers.ts";
import { History } from "./history.ts";
import { HistorySpan } from "./history_span.ts";
import { LINEAGE_TYPES, LineageWalk } from "./lineage.ts";
import { readNote, readVerifierKey, signedBy, type VerifierKey } from "./note.ts";
import { type Bundle, bundlePath, fileIn, MISSING, pathsIn, pathsOf, readBundle, WIDTH } from "./tlog_files.ts";
import { Roots, type TlogOptions, type TlogReport } from "./tlog_report.ts";
import { TlogTiles } from "./tlog_tiles.ts";
import { HASH_BYTES, leavesOf, MerkleTree } from "./tree.ts";

export type { TlogOptions, TlogReport } from "./tlog_report.ts";

const CHECKPOINT_BYTES_MAX = 65_536;
/** An entry's length is said in two bytes. */
const BUNDLE_BYTES_MAX = WIDTH * (2 + 65_535);
/** Bundles whose history is looked at by itself before it is joined to the rest. */
const SPAN_BUNDLES = 64;
const TURN_MS = 40;

/** Throws `LogFault`: `io` when the folder cannot be read, `missing` when there is none, `foreign` for a file, `invalid` for a key that is none; or the signal's reason. */
export const verifyTlog = async (options: TlogOptions): Promise<TlogReport> => {
  const keys: Keys = { given: keyOf(options.key, "text"), folder: keyOf(options.folderKey, "text") };
  const witnesses = (options.witnesses ?? []).map((vkey) => keyOf(vkey, "time and text")!);
  try {
    readdirSync(options.folder);
  } catch (error) {
    const kind = ({ ENOENT: "missing", ENOTDIR: "foreign" } as const)[(error as { code?: string }).code ?? ""];
    throw new LogFault(kind ?? "io", `there is no tlog-tiles folder at ${options.folder}`, {
      cause: error,
    });
  }
  options.signal?.throwIfAborted();
  return await new TlogWalk(options, keys, witnesses).run();
};

const keyOf = (vkey: string | undefined, signs: VerifierKey["signs"]): VerifierKey | undefined => {
  if (vkey === undefined) return undefined;
  const key = readVerifierKey(vkey);
  if (key?.signs === signs) return key;
  const type = signs === "text" ? "0x01 (Ed25519)" : "0x04 (cosignature)";
  throw new LogFault("invalid", `Cannot verify with key "${shown(vkey)}": expected name+id+key of type ${type}`);
};

class TlogWalk {
  private readonly failures = new Failures();
  private readonly tiles: TlogTiles;
  private readonly tree: MerkleTree;
  private readonly roots = new Roots((size) => size <= this.tree.size ? this.tiles.root(size) : undefined);
  private readonly lineage = new LineageWalk();
  private readonly headers = new HeaderReader();
  private readonly claims: Claim[] = [];
  private newest: Claim | undefined;
  private history!: History;
  /** Position behind the last bundle that the folder should have. */
  private end = 0;
  /** Where the first bundle that cannot be read begins. */
  private lost = Infinity;
  private entryBytes = 0;
  private turn = performance.now();

  constructor(
    private readonly options: TlogOptions,
    private readonly keys: Keys,
    private readonly witnesses: readonly VerifierKey[],
  ) {
    this.tiles = new TlogTiles(options.folder);
    this.tree = new MerkleTree((level, hashes) => this.tiles.take(level, hashes));
  }

  async run(): Promise<TlogReport> {
    this.readClaims();
    this.end = this.checkFiles(this.newest?.size ?? 0);
    this.history = new History(this.failures, this.end, 0);
    this.tiles.begin(this.newest?.size ?? 0);
    const wanted = new Set(this.claims.map(({ size }) => size));
    this.pass(wanted);
    await this.walk(wanted);
    this.history.settle((visit) => this.again(visit), undefined);
    return this.judge();
  }

  private readClaims(): void {
    const { folder, against = [] } = this.options;
    const stored = fileIn(folder, "checkpoint", CHECKPOINT_BYTES_MAX);
    if (typeof stored === "string") this.failures.add(0, "file", "the file checkpoint", stored);
    else this.newest = this.claim({ text: textOf(stored), name: "checkpoint", elsewhere: false }, "file");
    for (const kept of against) this.claim(kept, kept.elsewhere ? "elsewhere" : "folder");
  }

  private claim({ text, name }: Against, from: Claim["from"]): Claim | undefined {
    const claim = claimOf(text, name, from, this.keys);
    if (typeof claim === "string") {
      this.failures.add(0, "checkpoint", "the text of a checkpoint", claim);
      return undefined;
    }
    this.claims.push(this.witnessed(claim, text));
    return claim;
  }

  /** What a witness that is believed has cosigned counts as kept elsewhere, with it. */
  private witnessed(claim: Claim, text: string): Claim {
    const note = readNote(text);
    if (!note) return claim;
    for (const witness of this.witnesses) {
      const state = signedBy(note, witness);
      if (state === "signed") return { ...claim, from: "elsewhere" };
      if (state === "wrong") return { ...claim, unsigned: `${claim.name} has a wrong cosignature of ${witness.name}` };
    }
    return claim;
  }

  /** That each file is there and no other. Answers where the entries end that are to be read. */
  private checkFiles(size: number): number {
    const paths = new Set(pathsIn(this.options.folder));
    const bundles = paths.keys().filter((path) => path.startsWith("tile/entries/")).reduce((count) => count + 1, 0);
    // A size that nobody vouches for yet must not decide how much work there is.
    if (Math.ceil(size / WIDTH) > bundles + FAILURES_MAX) {
      let index = 0;
      while (paths.has(bundlePath(index, WIDTH))) index++;
      return index * WIDTH;
    }
    const expected = pathsOf(size);
    for (const [path, position] of expected) {
      if (!paths.delete(path)) this.failures.add(position, "file", `the file ${path}`, MISSING);
    }
    paths.delete("checkpoint");
    for (const path of paths) {
      this.failures.add(Math.max(0, size - 1), "file", `the files of ${size} entries`, `${shown(path)} too`);
    }
    return size;
  }

  private async walk(wanted: Set<number>): Promise<void> {
    let span = this.span();
    for (let index = 0; index * WIDTH < this.end; index++) {
      const first = index * WIDTH;
      const bundle = this.bundle(first);
      if (bundle) this.take(bundle, span, wanted);
      else {
        this.lost = Math.min(this.lost, first);
        span.lose(first);
      }
      if (index % SPAN_BUNDLES === SPAN_BUNDLES - 1) {
        this.history.join(span.found);
        span = this.span();
      }
      if (performance.now() - this.turn >= TURN_MS) await this.pause(first);
    }
    this.history.join(span.found);
    this.tiles.end();
    this.options.progress?.({ done: this.end, total: this.end, unit: "events" });
  }

  private span(): HistorySpan {
    return new HistorySpan(this.failures, this.history.rule);
  }

  private async pause(done: number): Promise<void> {
    this.options.progress?.({ done, total: this.end, unit: "events" });
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    this.options.signal?.throwIfAborted();
    this.turn = performance.now();
  }

  private bundle(first: number): Bundle | undefined {
    const count = Math.min(WIDTH, this.end - first);
    const path = bundlePath(first / WIDTH, count);
    const stored = fileIn(this.options.folder, path, BUNDLE_BYTES_MAX);
    if (typeof stored === "string") {
      if (stored !== MISSING) this.failures.add(first, "file", `the file ${path}`, stored);
      return undefined;
    }
    const bundle = readBundle(stored, first, count);
    if (!bundle) this.failures.add(first, "bundle", `${count} entries in ${path}`, `${stored.length} other bytes`);
    return bundle;
  }

  private take(bundle: Bundle, span: HistorySpan, wanted: Set<number>): void {
    const { first, count, bytes, starts } = bundle;
    const headers = this.headers.read(bundle, this.failures);
    this.entryBytes += bytes.length - 1 - count;
    // From the first gap on there is no tree.
    if (this.tree.size === first) this.grow(leavesOf(bytes, starts), wanted);
    span.take(first, count, headers);
    this.lost = Math.min(this.lost, first + unsound(headers, count));
    for (let i = 0; i < count; i++) {
      if (headers.sound[i] === 1 && LINEAGE_TYPES.includes(headers.type[i]!)) this.lineage.take(headers.event(i));
    }
  }

  private grow(leaves: Uint8Array, wanted: Set<number>): void {
    const { size } = this.tree;
    const count = leaves.length / HASH_BYTES;
    const stops = [...wanted].filter((at) => at > size && at <= size + count).sort((a, b) => a - b);
    let done = 0;
    for (const stop of [...stops, size + count]) {
      this.tree.add(leaves.subarray(done * HASH_BYTES, (stop - size) * HASH_BYTES));
      done = stop - size;
      this.pass(wanted);
    }
  }

  private pass(wanted: Set<number>): void {
    const { size } = this.tree;
    if (wanted.has(size)) this.roots.set(size, this.tree.root().toBase64());
  }

  /** The sound part once more. */
  private again(visit: (event: Event, stream: number) => void): void {
    const ignored = new Failures();
    const headers = new HeaderReader();
    for (let first = 0; first < Math.min(this.end, this.lost); first += WIDTH) {
      const count = Math.min(WIDTH, this.end - first);
      const stored = fileIn(this.options.folder, bundlePath(first / WIDTH, count), BUNDLE_BYTES_MAX);
      const bundle = typeof stored === "string" ? undefined : readBundle(stored, first, count);
      if (!bundle) return;
      const { sound, stream } = headers.read(bundle, ignored);
      for (let i = 0; i < count && first + i < this.lost; i++) {
        if (sound[i] === 1) visit(headers.event(i), stream[i]!);
      }
    }
  }

  private judge(): TlogReport {
    const { failures, tree, roots, claims, newest } = this;
    const holds = (claim: Claim) => roots.get(claim.size) === claim.root;
    // Where the tiles agree with the checkpoint and the entries do not, it is the entries that were changed.
    const wanted = newest && !holds(newest) ? newest.root : undefined;
    this.tiles.judge(failures, wanted);
    const firstBad = failures.list[0]?.position ?? Infinity;
    const lineage = this.lineage.judge({ origin: newest?.origin, roots, size: tree.size }, failures);
    const walked = { size: tree.size, end: this.end, roots, firstBad, lineage };
    const judged = judgeClaims(
      { claims, newest, faults: [] },
      walked,
      this.keys,
      failures,
      (below) => below,
    );
    return {
      ok: failures.count === 0,
      size: tree.size,
      root: tree.root().toBase64(),
      anchored: judged.anchored,
      unanchored: tree.size - judged.anchored,
      signed: judged.signed,
      authenticated: judged.authenticated,
      checkpoints: [...new Set(claims.filter(holds).map(({ size }) => size))].sort((a, b) => a - b),
      failures: failures.list,
      failed: failures.count,
      ...(newest ? { origin: newest.origin, checkpoint: newest.size } : {}),
      ...(lineage.keyChanges.length > 0 ? { key_changes: lineage.keyChanges } : {}),
      ...(lineage.forks.length > 0 ? { forks: lineage.forks } : {}),
      streams: this.history.streams,
      entry_bytes: this.entryBytes,
    };
  }
}

const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
