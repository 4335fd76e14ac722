/**
 * What follows the commits: the tree's hashes and the index's segments. It only reads the store and says what should be
 * written; the log, the one writer, writes it. Each step is bounded, so that whoever runs it (a worker beside the log, or the
 * log's own thread between two commits) can attend to other things in between.
 */
import type { Store } from "../../events/store.ts";
import { Block } from "./block.ts";
import { encodeManifest, type Manifest } from "./index/index.ts";
import { BITS_PER_KEY } from "./index/filter.ts";
import { mergesDue, mergeSegments, type Merging, pagesOf, runOf } from "./index/merge.ts";
import { type Extent, Pages, type Put } from "./index/pages.ts";
import { type Segment, SegmentBuilder } from "./index/segment.ts";
import type { Frontier } from "./tree.ts";
import { type MadeRoot, TreeWork } from "./tree_work.ts";

/** Wishes, in the order they come. */
export type Wish =
  /** The root over the first `size` events. */
  | { readonly wish: "root"; readonly size: number }
  /** A segment over `[from, until)`; both at the edges of blocks. */
  | { readonly wish: "segment"; readonly from: number; readonly until: number };

export type Made =
  | MadeRoot
  /** Pages, to be written before the manifest that names them; and tiles. */
  | { readonly made: "pages"; readonly puts: readonly Put[] }
  | { readonly made: "manifest"; readonly manifest: Manifest; readonly bytes: Uint8Array };

/** Stretches of pages that wait to be let go; the manifest names them and is one value of the store. More segments wait. */
export const GARBAGE_MAX = 1_000;
const BLOCKS_PER_STEP = 16;
const PAGES_PER_STEP = 10;
/** However busy the log is, a merge of n events is done by the time n divided by this have come since: long before its result is merged itself. */
const MERGE_PACE = 2;

/** A merge under way. */
interface Merge {
  readonly plan: Merging;
  readonly run: readonly Segment[];
  readonly pieces: Generator<readonly Put[], Segment>;
  /** Pages it should have written before the next segment is built. */
  owed: number;
}

export class Integrator {
  private readonly wishes: Wish[] = [];
  private readonly tree: TreeWork;
  /** The segment under way; until it is whole nothing else gets numbers for pages. */
  private segment: Generator<Made | undefined> | undefined;
  /** Those the manifest names. */
  private merges: Merge[] = [];
  private manifest: Manifest;
  private readonly pages: Pages;

  constructor(
    private readonly store: Pick<Store, "get" | "list">,
    frontier: Frontier,
    manifest: Manifest,
    private readonly filterBytesMax: number,
  ) {
    this.tree = new TreeWork(store, frontier, (from, until) => this.blocks(from, until));
    this.pages = new Pages(store, 0);
    const stale = manifest.merging.filter((plan) => !runOf(manifest.segments, plan));
    this.manifest = {
      ...manifest,
      merging: manifest.merging.filter((plan) => !stale.includes(plan)),
      garbage: [...manifest.garbage, ...stale.map(({ pages }) => pages)],
    };
    this.begin(this.manifest.merging);
  }

  ask(wish: Wish): void {
    this.wishes.push(wish);
  }

  get idle(): boolean {
    if (this.segment || this.wishes.some(({ wish }) => wish === "root")) return false;
    return this.tree.filled && (this.full || (this.wishes.length === 0 && this.merges.length === 0));
  }

  private get full(): boolean {
    return this.manifest.garbage.length >= GARBAGE_MAX;
  }

  /** Does a bounded piece of work; answers with what came of it, if something did. */
  step(): Made | undefined {
    // A root is asked for by somebody who waits; a segment can wait, and a merge until it holds the next ones up.
    const root = this.wishes.findIndex((wish) => wish.wish === "root");
    if (root >= 0) {
      return this.grow(root, this.wishes[root]!.wish === "root" ? (this.wishes[root] as { size: number }).size : 0);
    }
    if (!this.segment) {
      if (this.full) return this.tree.fill();
      const owing = this.merges.find(({ owed }) => owed > 0) ?? (this.wishes.length === 0 ? this.merges[0] : undefined);
      if (owing) return this.goOn(owing);
      const wish = this.wishes.shift();
      if (wish?.wish !== "segment") return this.tree.fill();
      this.segment = this.build(wish.from, wish.until);
    }
    const next = this.segment.next();
    if (next.done) this.segment = undefined;
    return next.value ?? undefined;
  }

  private grow(at: number, size: number): Made | undefined {
    const made = this.tree.grow(size);
    if (made?.made === "root") this.wishes.splice(at, 1);
    return made;
  }

  private *blocks(from: number, until: number): Iterable<Block> {
    if (from >= until) return;
    const [floor] = this.store.list({ prefix: ["log"], until: from + 1, backward: true, limit: 1 });
    if (!floor) return;
    for (const [first, bytes] of this.store.list({ prefix: ["log"], from: floor[0], until, limit: BLOCKS_PER_STEP })) {
      yield new Block(bytes, first);
    }
  }

  private *build(from: number, until: number): Generator<Made | undefined> {
    if (until <= this.manifest.until) return;
    const builder = new SegmentBuilder();
    for (let next = from; next < until;) {
      for (const block of this.blocks(next, until)) {
        builder.add(block);
        next = block.until;
      }
      yield undefined;
    }
    const puts: Put[] = [];
    const sink = { next: this.manifest.next, put: (page: Put) => puts.push(page) };
    const segment = builder.finish(sink, this.bitsPerKey(2 * (until - from)));
    for (let i = 0; i < puts.length; i += PAGES_PER_STEP) {
      yield { made: "pages", puts: puts.slice(i, i + PAGES_PER_STEP) };
    }
    yield this.publish({ ...this.manifest, until, next: sink.next, segments: [...this.manifest.segments, segment] });
    for (const merge of this.merges) {
      const { plan } = merge;
      merge.owed += Math.ceil((MERGE_PACE * plan.pages.pages * (until - from)) / (plan.until - plan.from));
    }
  }

  /** The next pages of a merge or, when all are written, what it leaves. */
  private goOn(merge: Merge): Made {
    const { plan, run, pieces } = merge;
    const piece = pieces.next();
    if (!piece.done) {
      merge.owed -= piece.value.length;
      return { made: "pages", puts: piece.value };
    }
    this.merges = this.merges.filter((other) => other !== merge);
    const { manifest } = this;
    return this.publish({
      ...manifest,
      segments: manifest.segments.flatMap((old) => old === run[0] ? [piece.value] : run.includes(old) ? [] : [old]),
      merging: manifest.merging.filter((other) => other !== plan),
      garbage: [...manifest.garbage, ...pagesOf(run)],
    });
  }

  /** Those of the lowest level first: they are short, and become what the others merge. */
  private begin(plans: readonly Merging[]): void {
    for (const plan of plans) {
      const run = runOf(this.manifest.segments, plan)!;
      this.merges.push({ plan, run, pieces: mergeSegments(run, this.pages, plan, PAGES_PER_STEP), owed: 0 });
    }
    this.merges.sort((a, b) => a.run[0]!.level - b.run[0]!.level);
  }

  /** With the merges that have become due. */
  private publish(manifest: Manifest): Made {
    const { segments, merging, next } = this.manifest = manifest;
    const due = mergesDue(segments, merging, next, this.bitsPerKey());
    this.manifest = {
      ...manifest,
      next: due.reduce((free, { pages }) => free + pages.pages, next),
      merging: [...merging, ...due],
    };
    this.begin(due);
    return { made: "manifest", manifest: this.manifest, bytes: encodeManifest(this.manifest) };
  }

  /** The log has let go of pages that were garbage. */
  swept(gone: readonly Extent[]): void {
    const starts = new Set(gone.map(({ start }) => start));
    this.manifest = { ...this.manifest, garbage: this.manifest.garbage.filter(({ start }) => !starts.has(start)) };
  }

  /** Full size while the filters of ids and streams, and of `more` that are to come, fit the budget, fewer bits beyond. */
  private bitsPerKey(more = 0): number {
    const keys = this.manifest.segments.reduce((sum, { ids, streams }) => sum + ids.rows + streams.rows, more);
    return Math.max(1, Math.min(BITS_PER_KEY, Math.floor((this.filterBytesMax * 8) / Math.max(1, keys))));
  }
}
