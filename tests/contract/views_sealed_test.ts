/** The same of views whose files are sealed, alone and after they were opened again. */
import { randomBytes } from "node:crypto";
import { sealingOf } from "../../adapters/keys/at_rest.ts";
import { sealedEngine } from "../../adapters/sqlite/sealed_engine.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import { viewsSuite } from "./views_suite.ts";

const engine = await sealedEngine();

viewsSuite("sealed", () => {
  const path = Deno.makeTempDirSync();
  const sealed = { sealing: sealingOf(randomBytes(32)), engine };
  return {
    views: new SqliteViews({ path, sealed }),
    reopen: () => new SqliteViews({ path, sealed }),
    remove: () => Deno.removeSync(path, { recursive: true }),
  };
});
