/**
 * What follows the commits: the tree's hashes and the index's segments. It only reads the store and says what should be
 * written; the log, the one writer, writes it. Each step is bounded, so that whoever runs it (a worker beside the log, or the
 * log's own thread between two commits) can attend to other things in between.
 */
import type { Store } from "../../events/store.ts";
import { Block } from "./block.ts";
import { encodeManifest, type Manifest } from "./index/index.ts";
import { BITS_PER_KEY } from "./index/filter.ts";
import { Pages, type Put } from "./index/pages.ts";
import { buildSegment, FANOUT, mergeSegments, pagesOf, type Segment } from "./index/segment.ts";
import { type Frontier, Tree } from "./tree.ts";

/** Wishes, in the order they come. */
export type Wish =
  /** The root over the first `size` events. */
  | { readonly wish: "root"; readonly size: number }
  /** A segment over `[from, until)`; both at the edges of blocks. */
  | { readonly wish: "segment"; readonly from: number; readonly until: number };

export type Made =
  | { readonly made: "root"; readonly frontier: Frontier; readonly root: Uint8Array }
  /** Pages, to be written before the manifest that names them. */
  | { readonly made: "pages"; readonly puts: readonly Put[] }
  | { readonly made: "manifest"; readonly manifest: Manifest; readonly bytes: Uint8Array };

/** Stretches of pages that wait to be let go; the manifest names them and is one value of the store. More segments wait. */
export const GARBAGE_MAX = 1_000;
const BLOCKS_PER_STEP = 16;
const PAGES_PER_STEP = 10;

export class Integrator {
  private readonly wishes: Wish[] = [];
  private readonly tree: Tree;
  private job: Generator<Made> | undefined;
  private readonly pages: Pages;

  constructor(
    private readonly store: Pick<Store, "get" | "list">,
    frontier: Frontier,
    private manifest: Manifest,
    private readonly filterBytesMax: number,
  ) {
    this.tree = new Tree(frontier);
    this.pages = new Pages(store, 0);
  }

  ask(wish: Wish): void {
    this.wishes.push(wish);
  }

  get idle(): boolean {
    return this.job === undefined && !this.wishes.some(({ wish }) => wish === "root" || !this.full);
  }

  private get full(): boolean {
    return this.manifest.garbage.length >= GARBAGE_MAX;
  }

  /** Does a bounded piece of work; answers with what came of it, if something did. */
  step(): Made | undefined {
    // A root is asked for by somebody who waits; a segment can wait.
    const root = this.wishes.findIndex((wish) => wish.wish === "root");
    if (root >= 0) {
      return this.grow(root, this.wishes[root]!.wish === "root" ? (this.wishes[root] as { size: number }).size : 0);
    }
    if (!this.job) {
      if (this.full) return undefined;
      const wish = this.wishes.shift();
      if (wish?.wish !== "segment") return undefined;
      this.job = this.build(wish.from, wish.until);
    }
    const next = this.job.next();
    if (next.done) this.job = undefined;
    return next.value ?? undefined;
  }

  private grow(at: number, size: number): Made | undefined {
    for (const block of this.blocks(this.tree.size, Math.max(size, this.tree.size), BLOCKS_PER_STEP)) {
      for (let i = this.tree.size - block.first; i < block.count && this.tree.size < size; i++) {
        this.tree.add(block.entry(i));
      }
    }
    if (this.tree.size < size) return undefined;
    this.wishes.splice(at, 1);
    return { made: "root", frontier: this.tree.frontier(), root: this.tree.root() };
  }

  private *blocks(from: number, until: number, most: number): Iterable<Block> {
    if (from >= until) return;
    const [floor] = this.store.list({ prefix: ["log"], until: from + 1, backward: true, limit: 1 });
    if (!floor) return;
    for (const [first, bytes] of this.store.list({ prefix: ["log"], from: floor[0], until, limit: most })) {
      yield new Block(bytes, first);
    }
  }

  private *build(from: number, until: number): Generator<Made> {
    if (until <= this.manifest.until) return;
    const blocks: Block[] = [];
    for (let next = from; next < until; next = blocks.at(-1)!.until) {
      blocks.push(...this.blocks(next, until, BLOCKS_PER_STEP));
    }
    const puts: Put[] = [];
    const sink = { next: this.manifest.next, put: (page: Put) => puts.push(page) };
    const segment = buildSegment(blocks, sink, this.bitsPerKey(until));
    for (let i = 0; i < puts.length; i += PAGES_PER_STEP) {
      yield { made: "pages", puts: puts.slice(i, i + PAGES_PER_STEP) };
    }
    yield this.publish({ ...this.manifest, until, next: sink.next, segments: [...this.manifest.segments, segment] });
    for (let run = this.mergeable(); run; run = this.mergeable()) yield* this.merge(run);
  }

  /** The oldest run of neighbours of one level that is long enough to become one of the next. */
  private mergeable(): readonly Segment[] | undefined {
    const { segments } = this.manifest;
    for (let i = 0; i + FANOUT <= segments.length; i++) {
      const run = segments.slice(i, i + FANOUT);
      if (run.every((segment) => segment.level === run[0]!.level)) return run;
    }
    return undefined;
  }

  private *merge(run: readonly Segment[]): Generator<Made> {
    const merging = mergeSegments(run, this.pages, this.manifest.next, this.bitsPerKey(this.manifest.until));
    let puts: Put[] = [];
    for (;;) {
      const step = merging.next();
      if (step.done) {
        if (puts.length > 0) yield { made: "pages", puts };
        const { segment, next } = step.value;
        const segments = this.manifest.segments.flatMap((old) =>
          old === run[0] ? [segment] : run.includes(old) ? [] : [old]
        );
        yield this.publish({
          ...this.manifest,
          next,
          segments,
          garbage: [...this.manifest.garbage, ...pagesOf(run)],
        });
        return;
      }
      puts.push(step.value);
      if (puts.length === PAGES_PER_STEP) {
        yield { made: "pages", puts };
        puts = [];
      }
    }
  }

  private publish(manifest: Manifest): Made {
    this.manifest = manifest;
    return { made: "manifest", manifest, bytes: encodeManifest(manifest) };
  }

  /** The log has let go of the pages that were garbage. */
  swept(count: number): void {
    this.manifest = { ...this.manifest, garbage: this.manifest.garbage.slice(count) };
  }

  /** Full size while the filters of ids and streams fit the budget, fewer bits beyond. */
  private bitsPerKey(events: number): number {
    return Math.max(1, Math.min(BITS_PER_KEY, Math.floor((this.filterBytesMax * 8) / (2 * Math.max(1, events)))));
  }
}
