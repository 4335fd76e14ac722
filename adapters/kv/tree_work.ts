/**
 * What grows the tree behind the log, step by step. A tree whose tiles are not all there, as those of logs made before there were tiles,
 * goes on without; a second one makes up for them from the blocks when there is nothing else to do, and takes its place then.
 */
import type { Store } from "../../events/store.ts";
import type { Block } from "./block.ts";
import type { Put } from "./index/pages.ts";
import { TileEdge } from "./tiles.ts";
import { type Frontier, Tree, TREE_KEY } from "./tree.ts";

/** Full tiles that are written in one commit. */
export const TILES_PER_STEP = 32;

export interface MadeRoot {
  readonly made: "root";
  readonly frontier: Frontier;
  readonly root: Uint8Array;
  /** To be written beside the frontier. */
  readonly tiles: readonly Put[];
}

export interface MadeTiles {
  readonly made: "pages";
  readonly puts: readonly Put[];
}

export class TreeWork {
  private tree: Tree;
  private filling: Tree | undefined;

  /** `blocks`: some of those that hold positions from `from` on, up to `until`. */
  constructor(
    private readonly store: Pick<Store, "get">,
    frontier: Frontier,
    private readonly blocks: (from: number, until: number) => Iterable<Block>,
  ) {
    const tiled = treeOf(store, frontier.tiled ?? 0);
    if (tiled?.size === frontier.size && sameNodes(tiled, frontier)) this.tree = tiled;
    else {
      this.tree = new Tree(frontier);
      this.filling = tiled && tiled.size < frontier.size ? tiled : treeOf(store, 0);
    }
  }

  /** Tiles are missing that `fill` makes. */
  get filled(): boolean {
    return this.filling === undefined;
  }

  /** One step towards the root over `size` events. */
  grow(size: number): MadeRoot | MadeTiles | undefined {
    const { tree } = this;
    this.step(tree, size);
    if (tree.tiles && tree.tiles.waiting >= TILES_PER_STEP) return { made: "pages", puts: tree.tiles.takeFull() };
    if (tree.size < size) return undefined;
    return { made: "root", frontier: tree.frontier(), root: tree.root(), tiles: tree.tiles?.take() ?? [] };
  }

  /** One step towards all the tiles that the stored tree should have. */
  fill(): MadeTiles | undefined {
    const { filling } = this;
    if (!filling) return undefined;
    this.step(filling, this.tree.size);
    const done = filling.size === this.tree.size;
    if (!done && filling.tiles!.waiting < TILES_PER_STEP) return undefined;
    const stored = this.store.get(TREE_KEY);
    const frontier: Frontier | undefined = stored && JSON.parse(new TextDecoder().decode(stored));
    if (done) {
      this.filling = undefined;
      // The last root could not be signed: nothing of it is stored, and nothing more will be.
      if (frontier?.size !== filling.size) return undefined;
      this.tree = filling;
    }
    const row = new TextEncoder().encode(JSON.stringify({ ...frontier, tiled: filling.size }));
    return { made: "pages", puts: [...filling.tiles!.take(), [TREE_KEY, row]] };
  }

  private step(tree: Tree, size: number): void {
    for (const block of this.blocks(tree.size, Math.max(size, tree.size))) {
      tree.add(block.leafHashes(tree.size - block.first, Math.min(block.count, size - block.first)));
    }
  }
}

/** The tree of this size whose tiles are stored. */
const treeOf = (store: Pick<Store, "get">, size: number): Tree | undefined => {
  const edge = TileEdge.read(store, size);
  return edge && new Tree({ size, nodes: edge.nodes().map((node) => node.toBase64()) }, edge);
};

const sameNodes = (tree: Tree, { nodes }: Frontier): boolean =>
  tree.frontier().nodes.every((node, i) => node === nodes[i]) && tree.frontier().nodes.length === nodes.length;
