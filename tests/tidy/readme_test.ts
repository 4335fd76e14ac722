/** The README says what there is: every command, every route, and no task that is not there. */
import assert from "node:assert/strict";
import { parse } from "../../adapters/cli/parse.ts";
import { COMMANDS } from "../../adapters/cli/table.ts";
import { routeTable } from "../../adapters/http/routes.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string): string => Deno.readTextFileSync(new URL(path, root));
const readme = read("README.md");

/** The first cells of the rows of a section's table. */
const firstCells = (section: string): readonly string[] => {
  const text = readme.split(new RegExp(`^## ${section}$`, "m"))[1]?.split(/^## /m)[0] ?? "";
  return [...text.matchAll(/^\| (`.*?`) \|/gm)].map(([, cell]) => cell!);
};

Deno.test("the README lists every command, and no other", () => {
  const names = COMMANDS.map(({ name }) => name);
  const listed = firstCells("Commands").map((cell) => {
    const [, first, second] = /^`([a-z-]+)(?: ([a-z-]+))?/.exec(cell)!;
    return second !== undefined && names.includes(`${first} ${second}`) ? `${first} ${second}` : first!;
  });
  assert.deepEqual([...listed].sort(), names.sort());
});

Deno.test("the README lists every route, and no other", () => {
  const listed = firstCells("Routes").flatMap((cell) =>
    [...cell.matchAll(/`([A-Z]+ [^`?]+?)(?:\?[^`]*)?`/g)].map(([, route]) => route!)
  );
  const routes = routeTable({}).map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
  // A browser asks for its icon by itself; nobody has to know.
  for (const route of routes.filter((route) => route !== "GET /favicon.ico")) {
    assert.ok(listed.includes(route), `the README lists ${route}`);
  }
});

Deno.test("the README leads to every recipe", () => {
  for (const page of folder("docs/recipes")) assert.ok(readme.includes(`](${page})`), page);
});

const PAGES = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...folder("docs"),
  ...folder("docs/decisions"),
  ...folder("docs/recipes"),
];

Deno.test("every task that a document speaks of is there", () => {
  const { tasks } = JSON.parse(read("deno.json")) as { tasks: Record<string, unknown> };
  for (const page of PAGES) {
    for (const [, task] of read(page).matchAll(/\bdeno(?:@2\.9\.6)? task ([a-z]+)/g)) {
      assert.ok(task! in tasks, `${page} speaks of the task ${task}`);
    }
  }
});

Deno.test("every command that a document shows can be typed as it is printed", () => {
  const place = { cwd: "/here", data: "/here/.daybook", version: "1.2.3", env: () => undefined };
  const first = new Set(COMMANDS.map(({ name }) => name.split(" ")[0]));
  let typed = 0;
  for (const page of PAGES) {
    const blocks = [...read(page).matchAll(/^```(?:ba)?sh\n([^]*?)^```$/gm)].map(([, text]) => text!);
    for (const line of blocks.flatMap((text) => text.replaceAll("\\\n", " ").split("\n"))) {
      assert.doesNotMatch(line, /^daybook /, `${page}: a command is a task`);
      const [, command = ""] =
        /^\s*(?:cd \S+ && )?(?:[A-Z_]+=\S+ )*(?:npx -y )?deno(?:@2\.9\.6)? task (?:-q )?(?:daybook )?([^#|&<>]+)/.exec(
          line,
        ) ?? [];
      const words = [...command.matchAll(/'([^']*)'|"([^"]*)"|([^\s"']+)/g)].map(([, ...said]) =>
        said.find((word) => word !== undefined)!
      );
      if (!first.has(words[0]!)) continue;
      assert.equal(parse(words, place).is, "call", `${page}: ${line}`);
      typed++;
    }
  }
  assert.ok(typed > 40, `${typed} commands`);
});

Deno.test("every task says what it does", () => {
  const { tasks } = JSON.parse(read("deno.json")) as { tasks: Record<string, { description?: string }> };
  for (const [name, task] of Object.entries(tasks)) assert.ok(task.description, `the task ${name} has a description`);
});

function folder(path: string): readonly string[] {
  return [...Deno.readDirSync(new URL(path, root))].filter(({ name }) => name.endsWith(".md")).map(({ name }) =>
    `${path}/${name}`
  );
}
