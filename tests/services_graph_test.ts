/** Who needs whom. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { batchesOf, criticalPath, graphOf, type Node } from "../actors/services/graph.ts";

/** Any graph of up to 12 nodes; acyclic where each needs only those before it. */
const graph = (acyclic: boolean) =>
  fc.integer({ min: 0, max: 12 }).chain((size) =>
    fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 30 }).map((edges): Node[] => {
      const nodes = Array.from({ length: size }, (_, i) => ({ name: `n${i}`, needs: [] as string[] }));
      for (const [a, b] of edges) {
        if (size === 0) break;
        const [from, to] = [a % size, b % size];
        if (!acyclic) nodes[from]!.needs.push(`n${to}`);
        else if (from !== to) nodes[Math.max(from, to)]!.needs.push(`n${Math.min(from, to)}`);
      }
      return nodes.reverse();
    })
  );

/** By trying every walk. */
const hasCycle = (nodes: readonly Node[]): boolean => {
  const needs = new Map(nodes.map(({ name, needs }) => [name, needs]));
  const reaches = (from: string, to: string, seen: Set<string>): boolean =>
    needs.get(from)!.some((need) => need === to || (!seen.has(need) && (seen.add(need), reaches(need, to, seen))));
  return nodes.some(({ name }) => reaches(name, name, new Set()));
};

Deno.test("an order puts none before what it needs, and there is none exactly where there is a cycle, which is named", () => {
  fc.assert(fc.property(fc.boolean().chain(graph), (nodes) => {
    const found = graphOf(nodes);
    assert.equal(found.ok, !hasCycle(nodes));
    const needs = new Map(nodes.map(({ name, needs }) => [name, needs]));
    if (!found.ok) {
      found.cycle.forEach((name, i) => {
        assert.ok(needs.get(name)!.includes(found.cycle[(i + 1) % found.cycle.length]!), found.cycle.join());
      });
      return assert.equal(new Set(found.cycle).size, found.cycle.length);
    }
    assert.equal(found.order.length, nodes.length);
    for (const [at, name] of found.order.entries()) {
      for (const need of needs.get(name)!) assert.ok(found.order.indexOf(need) < at);
    }
    for (const [depth, names] of batchesOf(found).entries()) {
      for (const name of names) {
        const below: number[] = needs.get(name)!.map((need: string) => found.depths.get(need)!);
        assert.equal(depth, below.length === 0 ? 0 : 1 + Math.max(...below));
      }
    }
  }));
});

Deno.test("the critical path is a chain of needs, as long as the longest of all chains", () => {
  fc.assert(
    fc.property(
      graph(true),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 12, maxLength: 12 }),
      (nodes, costs) => {
        const found = graphOf(nodes);
        assert.ok(found.ok);
        const cost = (name: string) => costs[Number(name.slice(1))]!;
        const needs = new Map(nodes.map(({ name, needs }) => [name, needs]));
        const longest = (name: string): number => cost(name) + Math.max(0, ...needs.get(name)!.map(longest));
        const { path, length } = criticalPath(nodes, found, cost);
        assert.equal(length, Math.max(0, ...nodes.map(({ name }) => longest(name))));
        assert.equal(path.reduce((sum, name) => sum + cost(name), 0), length);
        path.slice(1).forEach((name, i) => assert.ok(needs.get(name)!.includes(path[i]!)));
      },
    ),
  );
});

Deno.test("of several nodes with one name the last counts", () => {
  const found = graphOf([{ name: "a", needs: ["b"] }, { name: "b", needs: [] }, { name: "a", needs: [] }]);
  assert.ok(found.ok);
  assert.deepEqual([found.order, found.depths.get("a")], [["a", "b"], 0]);
});

Deno.test("a service that needs itself is a cycle of one", () => {
  assert.deepEqual(graphOf([{ name: "a", needs: [] }, { name: "b", needs: ["b", "a"] }]), { ok: false, cycle: ["b"] });
});
