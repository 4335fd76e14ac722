/** What the linter cannot see because it looks at one file at a time: names, cycles, dependencies, records of decisions. */
import assert from "node:assert/strict";
import { roomOf } from "./lint_plugin.ts";

const root = new URL("../../", import.meta.url);

/** Every file git would keep, tracked or not yet. */
const files = (await new Deno.Command("git", {
  args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  cwd: root,
  // A checkout that belongs to somebody else is still the one that is asked about.
  env: { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: "*" },
}).output().then(({ success, stdout, stderr }) => {
  if (!success) throw new Error(`git ls-files: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "");
})).filter((path) => exists(path));

const sources = files.filter((path) => /\.tsx?$/.test(path));
const pages = files.filter((path) => path.endsWith(".md"));
const read = (path: string): string => Deno.readTextFileSync(new URL(path, root));

function exists(path: string): boolean {
  try {
    return Deno.statSync(new URL(path, root)) !== undefined;
  } catch {
    return false;
  }
}

/** What a file imports of the project, by path, and be it a type: whoever reads the one has to have read the other. */
const importsOf = (path: string): readonly string[] => {
  const statements = read(path).matchAll(/^(?:import|export)\s+(?:[^"';]*?\sfrom\s+)?"(\.[^"]+)"/gm);
  return [...statements].map(([, specifier]) => new URL(specifier!, new URL(path, "file:///")).pathname.slice(1));
};

/** One cycle of the graph, as the names on it, or none. */
const cycleOf = (graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined => {
  const done = new Set<string>();
  const walk = (node: string, trail: readonly string[]): readonly string[] | undefined => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = walk(next, [...trail, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = walk(node, []);
    if (cycle) return cycle;
  }
  return undefined;
};

Deno.test("cycleOf finds a cycle where there is one", () => {
  assert.deepEqual(cycleOf(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]])), ["b", "c", "b"]);
  assert.equal(cycleOf(new Map([["a", ["b", "c"]], ["b", ["c"]], ["c", []]])), undefined);
});

Deno.test("no two rooms import each other, however long the way around", () => {
  const rooms = new Map<string, string[]>();
  for (const path of sources) {
    const room = roomOf(path);
    if (room === "free") continue;
    const others = importsOf(path).map(roomOf).filter((other) => other !== room);
    rooms.set(room, [...rooms.get(room) ?? [], ...others]);
  }
  assert.ok(rooms.get("kernel")?.includes("events"), "imports are found at all");
  assert.equal(cycleOf(rooms), undefined);
});

Deno.test("no file imports itself by way of others", () => {
  assert.equal(cycleOf(new Map(sources.map((path) => [path, importsOf(path)]))), undefined);
});

Deno.test("every import names a file that is there", () => {
  for (const path of sources) {
    for (const target of importsOf(path)) assert.ok(files.includes(target), `${path} imports ${target}`);
  }
});

Deno.test("the top level holds what the plan has and nothing else", () => {
  const planned = new Set(
    ("deno.json deno.lock main.ts actors events projections adapters config tests bench docs README.md LICENSE NOTICE " +
      "CONTRIBUTING.md SECURITY.md CHANGELOG.md .ci .gitignore .gitattributes").split(" "),
  );
  for (const path of files) assert.ok(planned.has(path.split("/")[0]!), path);
});

Deno.test("files and folders of the source are named in snake_case, by nouns that say something", () => {
  for (const path of sources) {
    for (const name of path.replace(/\.tsx?$/, "").split("/")) {
      assert.match(name, /^[a-z0-9]+(_[a-z0-9]+)*$/, path);
      assert.doesNotMatch(name, /^(utils?|helpers?|common|misc|shared|managers?|.*_(utils?|helpers?|manager))$/, path);
    }
  }
});

Deno.test("no file of the source is so long that it hides a second one", () => {
  for (const path of sources) {
    const lines = read(path).split("\n").length;
    assert.ok(lines <= 500, `${path} has ${lines} lines`);
  }
});

Deno.test("every file of the source says why it exists, at its head or on its one export", () => {
  // A test's reason is its name.
  for (const path of sources.filter((path) => !path.endsWith("_test.ts"))) {
    const text = read(path);
    const exports = text.match(/^export (?!type|interface|\*|\{)/gm)?.length ?? 0;
    assert.match(text, exports > 1 ? /^(#!.*\n)?\/(\*\*?|\/)[\s*]/ : /^\/(\*\*?|\/)[\s*]/m, path);
  }
});

Deno.test("everything the library exports says what its type cannot", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "main.ts"],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  interface Symbol {
    readonly name: string;
    readonly declarations: readonly {
      readonly declarationKind: string;
      readonly kind: string;
      readonly jsDoc?: { readonly doc?: string };
    }[];
  }
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
    nodes: Record<string, { symbols: readonly Symbol[] }>;
  };
  const exported = Object.values(nodes).flatMap(({ symbols }) => symbols).flatMap(({ name, declarations }) =>
    declarations.filter(({ declarationKind }) => declarationKind === "export").map(({ kind, jsDoc }) => ({
      name,
      kind,
      doc: jsDoc?.doc,
    }))
  );
  assert.ok(exported.some(({ name }) => name === "openDaybook"), "the library's entry is found");
  const silent = exported.filter(({ kind, doc }) => kind !== "reference" && !doc).map(({ name }) => name);
  assert.deepEqual(silent, []);
});

Deno.test("no test is switched off or the only one, and none is exempt from the leak checks", () => {
  const option = "\\b(only: *true|ignore: *true|sanitize(Ops|Resources|Exit): *false)";
  const forbidden = new RegExp(`Deno\\.test\\.(only|ignore)|Deno\\.test\\(\\{[^}]*?${option}`);
  assert.match('Deno.test({\n  name: "a",\n  ignore: true,', forbidden);
  for (const path of sources.filter((path) => path.startsWith("tests/") && path !== "tests/tidy/house_test.ts")) {
    assert.doesNotMatch(read(path), forbidden, path);
  }
});

Deno.test("nothing unfinished, no type given up, no machine's own path", () => {
  const forbidden: readonly (readonly [RegExp, string])[] = [
    [new RegExp("\\b(TO" + "DO|FIX" + "ME|XX" + "X)\\b"), "unfinished work"],
    [new RegExp("@ts-" + "(ignore|nocheck)|deno-lint-ignore-" + "file|\\bas any\\b"), "a type given up"],
    [new RegExp("[\"'`\\s(=]/(ro" + "ot|ho" + "me/(?!git/|jane/)[a-z]+|wo" + "rk)/"), "a machine's own path"],
  ];
  for (const path of [...sources, ...pages, "deno.json", ".ci/run"].filter(exists)) {
    for (const [pattern, what] of forbidden) assert.doesNotMatch(read(path), pattern, `${what} in ${path}`);
  }
});

Deno.test("every dependency comes from npm at one exact version, and the lock is frozen", () => {
  const { imports, lock } = JSON.parse(read("deno.json")) as {
    imports: Record<string, string>;
    lock: { frozen: boolean };
  };
  for (const [name, target] of Object.entries(imports)) {
    assert.match(target, /^npm:(@[a-z0-9.-]+\/)?[a-z0-9.-]+@\d+\.\d+\.\d+(-build\d+)?$/, name);
    assert.ok(target.startsWith(`npm:${name}@`), `${name} goes by its own name`);
  }
  assert.equal(lock.frozen, true);
});

Deno.test("every dependency is used by something", () => {
  const { imports } = JSON.parse(read("deno.json")) as { imports: Record<string, string> };
  const text = sources.map(read).join("\n");
  for (const name of Object.keys(imports)) {
    assert.ok(text.includes(`"${name}"`) || text.includes(`"${name}/`), `${name} is imported nowhere`);
  }
});

Deno.test("a decision record says its context, the options, what was determined and what would change it", () => {
  const records = pages.filter((path) => path.startsWith("docs/decisions/"));
  assert.ok(records.length > 0);
  const numbers = records.map((path) => {
    const name = path.slice("docs/decisions/".length);
    assert.match(name, /^\d{4}-[a-z0-9-]+\.md$/, path);
    const headings = [...read(path).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    for (const heading of [/^context$/i, /^options weighed$/i, /^(the )?determination$/i, /^what would change it$/i]) {
      assert.ok(headings.some((found) => heading.test(found!)), `${path} has a heading like ${heading}`);
    }
    assert.match(read(path), new RegExp(`^# ${name.slice(0, 4)}[:.]? `), `${path} begins with its number`);
    return name.slice(0, 4);
  });
  assert.equal(new Set(numbers).size, numbers.length, `a number is given once: ${numbers}`);
});

Deno.test("links and paths in the documents lead somewhere", () => {
  for (const path of pages) {
    // Blocks of code are somebody else's text.
    const text = read(path).replace(/^(`{3,})[\s\S]*?^\1/gm, "");
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const found = decodeURIComponent(new URL(target!, new URL(path, "file:///")).pathname.slice(1));
      assert.ok(exists(found), `${path} links to ${target}`);
    }
    // `events/log.ts` or `docs/recipes/`: a room and something in it, without blanks to fill in.
    for (
      const [, named] of text.matchAll(
        /`((?:actors|events|projections|adapters|config|tests|bench|docs)\/[a-z0-9_./-]*)`/g,
      )
    ) {
      if (named!.includes("…") || named!.includes("...")) continue;
      assert.ok(exists(named!), `${path} speaks of ${named}`);
    }
  }
});
