/** The stored frontier of the tree, from which the next checkpoint would be made, against the tree over the entries. */
import { sameBytes } from "./block.ts";
import type { Frontier } from "./claims.ts";
import type { Failures } from "./failures.ts";
import { peaksOf, type Subtree, subtreesOf } from "./tree.ts";

/** What the walk found out. */
export interface Grown {
  /** Of the tree of the frontier's size; absent where it never grew to it. */
  readonly subtrees: readonly Subtree[] | undefined;
  /** Position behind the last block. */
  readonly end: number;
  /** First position at which anything else is wrong. */
  readonly firstBad: number;
}

export const judgeFrontier = (
  frontier: Frontier | undefined,
  { subtrees, end, firstBad }: Grown,
  failures: Failures,
): void => {
  if (!frontier) return;
  const { size, hashes } = frontier;
  if (hashes.length !== peaksOf(size)) {
    failures.add(Math.max(0, end - 1), "tree", `${peaksOf(size)} hashes for size ${size}`, `${hashes.length}`);
    return;
  }
  if (!subtrees) {
    if (size > end) failures.add(end, "truncated", `${size} entries, which the tree covers`, `${end}`);
    return;
  }
  const wrong = subtreesOf(size, hashes).find(({ hash }, i) => !sameBytes(hash, subtrees[i]!.hash));
  if (!wrong) return;
  const until = wrong.from + wrong.count;
  const position = firstBad >= wrong.from && firstBad < until ? firstBad : wrong.from;
  failures.add(position, "tree", `the hash of entries ${wrong.from} to ${until - 1}`, wrong.hash.toBase64());
};
