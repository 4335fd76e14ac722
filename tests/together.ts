/**
 * Every test below the folders that are named, as one module: `deno test … tests/together.ts -- FOLDER… [--without PATH…]`.
 *
 * `deno test` gives each module an isolate of its own, which parses, compiles and warms up the whole program once more. In one isolate
 * the tests take half of the processor time. One file by itself goes as ever: `deno test -P=test tests/canonical_test.ts`.
 */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const named = Deno.args.indexOf("--without");
const folders = named < 0 ? Deno.args : Deno.args.slice(0, named);
const without = new Set(named < 0 ? [] : Deno.args.slice(named + 1).map((path) => resolve(path)));

const testsIn = function* (folder: string): Generator<string> {
  for (const { name, isDirectory } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    const path = join(folder, name);
    if (without.has(path)) continue;
    if (isDirectory) yield* testsIn(path);
    else if (name.endsWith("_test.ts")) yield path;
  }
};

for (const folder of folders) for (const path of testsIn(resolve(folder))) await import(pathToFileURL(path).href);
