import { MemoryViews } from "../../adapters/memory/views.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import { viewsSuite } from "./views_suite.ts";

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
