/**
 * The graph of who needs whom: cycles, an order, depths, and how long a start takes at best. Pure; a name that is not there is passed
 * over, whoever reads the names says so, and of several nodes with one name the last counts.
 */

export interface Node {
  readonly name: string;
  readonly needs: readonly string[];
}

export type Graph =
  | { readonly ok: true; readonly order: readonly string[]; readonly depths: ReadonlyMap<string, number> }
  /** Each needs the next, the last the first. */
  | { readonly ok: false; readonly cycle: readonly string[] };

/**
 * An order in which none comes before what it needs (Kahn 1962), the same for the same nodes in the same order, and how many steps
 * each is from one that needs nothing; or a cycle.
 */
export const graphOf = (nodes: readonly Node[]): Graph => {
  const known = new Map(nodes.map((node) => [node.name, node]));
  const needs = new Map(
    [...known.values()].map(({ name, needs }) => [name, [...new Set(needs)].filter((need) => known.has(need))]),
  );
  const needed = new Map<string, string[]>([...known.keys()].map((name) => [name, []]));
  for (const [name, each] of needs) for (const need of each) needed.get(need)!.push(name);
  const open = new Map([...needs].map(([name, each]) => [name, each.length]));
  const depths = new Map<string, number>();
  const order: string[] = [];
  for (const name of known.keys()) {
    if (open.get(name) !== 0) continue;
    order.push(name);
    depths.set(name, 0);
  }
  for (let at = 0; at < order.length; at++) {
    const depth = depths.get(order[at]!)! + 1;
    for (const name of needed.get(order[at]!)!) {
      depths.set(name, Math.max(depths.get(name) ?? 0, depth));
      const left = open.get(name)! - 1;
      open.set(name, left);
      if (left === 0) order.push(name);
    }
  }
  if (order.length === known.size) return { ok: true, order, depths };
  return { ok: false, cycle: cycleIn(needs, new Set(order)) };
};

/** Every one that is left needs another that is left, so following needs comes back to somewhere. */
const cycleIn = (needs: ReadonlyMap<string, readonly string[]>, done: ReadonlySet<string>): readonly string[] => {
  const path: string[] = [];
  let at = [...needs.keys()].find((name) => !done.has(name))!;
  while (!path.includes(at)) {
    path.push(at);
    at = needs.get(at)!.find((need) => !done.has(need))!;
  }
  return path.slice(path.indexOf(at));
};

/** Names by depth: what may start together when each waits for all of the depth before. */
export const batchesOf = ({ order, depths }: Extract<Graph, { ok: true }>): readonly (readonly string[])[] => {
  const batches: string[][] = [];
  for (const name of order) (batches[depths.get(name)!] ??= []).push(name);
  return batches;
};

/**
 * The chain of needs that takes longest, and how long: no start of all of them is shorter, however many start at once (the critical
 * path method). `cost` in any unit.
 */
export const criticalPath = (
  nodes: readonly Node[],
  { order }: Extract<Graph, { ok: true }>,
  cost: (name: string) => number,
): { readonly path: readonly string[]; readonly length: number } => {
  const needs = new Map(nodes.map(({ name, needs }) => [name, needs]));
  const best = new Map<string, { readonly length: number; readonly before: string | undefined }>();
  for (const name of order) {
    let before: string | undefined;
    for (const need of needs.get(name)!) {
      if (best.has(need) && best.get(need)!.length > (before === undefined ? -1 : best.get(before)!.length)) {
        before = need;
      }
    }
    best.set(name, { length: cost(name) + (before === undefined ? 0 : best.get(before)!.length), before });
  }
  let last: string | undefined;
  for (const [name, { length }] of best) if (last === undefined || length > best.get(last)!.length) last = name;
  const path: string[] = [];
  for (let at = last; at !== undefined; at = best.get(at)!.before) path.unshift(at);
  return { path, length: last === undefined ? 0 : best.get(last)!.length };
};
