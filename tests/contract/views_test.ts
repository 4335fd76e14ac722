import assert from "node:assert/strict";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import { ViewsFault } from "../../projections/views.ts";
import { change, items, ledger, viewsSuite } from "./views_suite.ts";

viewsSuite("memory", () => ({ views: new MemoryViews() }));

viewsSuite("sqlite in memory", () => ({ views: new SqliteViews({ path: ":memory:" }) }));

viewsSuite("sqlite", () => {
  const path = Deno.makeTempDirSync();
  return {
    views: new SqliteViews({ path }),
    reopen: () => new SqliteViews({ path }),
    remove: () => Deno.removeSync(path, { recursive: true }),
  };
});

for (const projection of [items, ledger]) {
  Deno.test(`of two threads that go on with ${projection.name} the slower one is refused, and goes on from where the other is`, () => {
    const path = Deno.makeTempDirSync();
    const [given, next] = [new SqliteViews({ path }), new SqliteViews({ path })];
    const at = (position: number, title: string) => change(position, String(position), { title });
    try {
      const [slow, quick] = [given.open(projection), next.open(projection)];
      quick.commit([at(0, "once")], 1);
      const before = next.digest(projection.name);
      assert.throws(() => slow.commit([at(0, "twice")], 1), (fault) => {
        return fault instanceof ViewsFault && fault.kind === "unwritable" && /another thread/.test(fault.message);
      });
      assert.deepEqual(next.digest(projection.name), before, "nothing of it is there");
      const again = given.open(projection);
      assert.equal(again.size, 1);
      again.commit([at(1, "then")], 2);
      assert.deepEqual(next.list(projection.name, {}).rows.map(({ row }) => row), [{ title: "once" }, {
        title: "then",
      }]);
    } finally {
      given.close();
      next.close();
      Deno.removeSync(path, { recursive: true });
    }
  });
}
