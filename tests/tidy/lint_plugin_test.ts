/** The plugin says no where the house says no, and only there. */
import assert from "node:assert/strict";
import plugin, { importFault, packageFault, roomOf } from "./lint_plugin.ts";

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const lint = (path: string, source: string): readonly string[] =>
  Deno.lint.runPlugin(plugin, root + path, source).map((found) => `${found.id}: ${found.message}`);
const rules = (path: string, source: string): readonly string[] =>
  Deno.lint.runPlugin(plugin, root + path, source).map((found) => found.id.replace("daybook/", ""));

Deno.test("every folder is a room of its own, and each adapter is one", () => {
  assert.equal(roomOf("events/commits.ts"), "events");
  assert.equal(roomOf("actors/identity/key.ts"), "actors");
  assert.equal(roomOf("actors/kernel/mailbox.ts"), "kernel");
  assert.equal(roomOf("adapters/kv/log.ts"), "adapters/kv");
  assert.equal(roomOf("main.ts"), "main");
  assert.equal(roomOf("tests/given.ts"), "free");
});

const forbidden: readonly (readonly [from: string, specifier: string])[] = [
  ["events/a.ts", "../actors/types.ts"],
  ["events/a.ts", "ts-pattern"],
  ["events/a.ts", "node:fs"],
  ["events/a.ts", "https://example.com/x.ts"],
  ["projections/a.ts", "../actors/types.ts"],
  ["projections/a.ts", "node:sqlite"],
  ["projections/deep/a.ts", "../../adapters/kv/log.ts"],
  ["actors/a.ts", "./kernel/world.ts"],
  ["actors/a.ts", "../projections/projection.ts"],
  ["actors/a.ts", "node:crypto"],
  ["actors/kernel/a.ts", "../commits.ts"],
  ["actors/kernel/a.ts", "../mod.ts"],
  ["actors/kernel/a.ts", "../../projections/mod.ts"],
  ["actors/kernel/a.ts", "../../adapters/system/world.ts"],
  ["actors/kernel/a.ts", "../../config/config.ts"],
  ["actors/kernel/a.ts", "node:timers/promises"],
  ["config/a.ts", "../events/event.ts"],
  ["config/a.ts", "hono"],
  ["adapters/http/a.ts", "../kv/log.ts"],
  ["adapters/http/a.ts", "../../actors/commits.ts"],
  ["adapters/http/a.ts", "../../projections/commits.ts"],
  ["adapters/http/a.ts", "../../config/config.ts"],
  ["adapters/http/a.ts", "../../main.ts"],
  ["adapters/http/a.ts", "../program/daybook.ts"],
  ["adapters/http/a.ts", "../../tests/given.ts"],
  ["main.ts", "./tests/given.ts"],
  ["main.ts", "./bench/scale.ts"],
];

const allowed: readonly (readonly [from: string, specifier: string])[] = [
  ["events/a.ts", "./event.ts"],
  ["events/a.ts", "zod"],
  ["projections/a.ts", "../events/event.ts"],
  ["projections/a.ts", "ts-pattern"],
  ["actors/a.ts", "./types.ts"],
  ["actors/a.ts", "../events/commits.ts"],
  ["actors/identity/key.ts", "../types.ts"],
  ["actors/kernel/a.ts", "../types.ts"],
  ["actors/kernel/a.ts", "./world.ts"],
  ["actors/kernel/a.ts", "../../projections/views.ts"],
  ["config/a.ts", "yaml"],
  ["adapters/http/a.ts", "./b.ts"],
  ["adapters/http/pages/a.ts", "../b.ts"],
  ["adapters/http/a.ts", "../../actors/kernel/daybook.ts"],
  ["adapters/http/a.ts", "../../actors/mod.ts"],
  ["adapters/http/a.ts", "hono/streaming"],
  ["adapters/http/a.ts", "node:fs"],
  ["main.ts", "./adapters/kv/log.ts"],
  ["main.ts", "./adapters/program/daybook.ts"],
  ["adapters/program/daybook.ts", "../kv/log.ts"],
  ["main.ts", "./config/config.ts"],
  ["tests/a_test.ts", "../main.ts"],
  ["bench/a_bench.ts", "../adapters/kv/log.ts"],
];

Deno.test("import-direction refuses each way of importing what a room may not", () => {
  for (const [from, specifier] of forbidden) {
    for (
      const source of [
        `import { a } from "${specifier}"; a();`,
        `import "${specifier}";`,
        `export { a } from "${specifier}";`,
        `export * from "${specifier}";`,
        `const b = import("${specifier}"); b;`,
      ]
    ) {
      assert.deepEqual(rules(from, source), ["import-direction"], `${from}: ${source}`);
    }
  }
});

Deno.test("import-direction lets pass what the table allows", () => {
  for (const [from, specifier] of allowed) {
    assert.deepEqual(lint(from, `import { a } from "${specifier}"; a();`), [], `${from}: ${specifier}`);
    assert.deepEqual(lint(from, `export { a } from "${specifier}";`), [], `${from}: ${specifier}`);
  }
});

Deno.test("import-direction lets an adapter have the types of config/ and nothing else of it", () => {
  assert.deepEqual(
    lint("adapters/http/a.ts", `import type { Config } from "../../config/config.ts"; let c: Config;`),
    [],
  );
  assert.deepEqual(
    lint("adapters/http/a.ts", `import { type Config } from "../../config/config.ts"; let c: Config;`),
    [],
  );
  assert.deepEqual(
    rules("adapters/http/a.ts", `import { type Config, parseConfig } from "../../config/config.ts"; parseConfig();`),
    [
      "import-direction",
    ],
  );
});

Deno.test("import-direction takes a worker's module and a type import for imports", () => {
  const worker = (path: string) => `new Worker(new URL("${path}", import.meta.url), { type: "module" });`;
  assert.deepEqual(rules("adapters/kv/a.ts", worker("../http/b.ts")), ["import-direction"]);
  assert.deepEqual(rules("adapters/kv/a.ts", worker("./b.ts")), []);
  assert.deepEqual(rules("events/a.ts", `let a: import("../main.ts").Daybook;`), ["import-direction"]);
});

Deno.test("import-direction refuses an import in a pure room whose name is computed", () => {
  assert.deepEqual(rules("events/a.ts", "const a = (x: string) => import(x); a;"), ["import-direction"]);
  assert.deepEqual(rules("adapters/kv/a.ts", "const a = (x: string) => import(x); a;"), []);
});

Deno.test("no-ambient-world finds time, chance and I/O in every pure room", () => {
  const ambient = [
    "Date.now();",
    'Date["now"]();',
    "new Date();",
    "Date();",
    "Math.random();",
    "setTimeout(() => {}, 1);",
    "setInterval(() => {}, 1);",
    'fetch("http://example.com");',
    "crypto.randomUUID();",
    "performance.now();",
    'Deno.readTextFileSync("x");',
    "const { open } = Deno;",
    "globalThis.setTimeout;",
    "const later = setTimeout; later;",
    "const world = { fetch }; world;",
    "AbortSignal.timeout(5);",
    'console.log("x");',
    "(5).toLocaleString();",
    "new Date(0).getHours();",
    'eval("1");',
  ];
  for (const room of ["events", "projections", "actors", "actors/kernel", "config"]) {
    for (const source of ambient) {
      assert.deepEqual(rules(`${room}/a.ts`, source), ["no-ambient-world"], `${room}: ${source}`);
    }
  }
});

Deno.test("no-ambient-world leaves adapters, main.ts, tests and benchmarks alone", () => {
  for (const path of ["adapters/system/world.ts", "main.ts", "tests/a_test.ts", "bench/a_bench.ts"]) {
    assert.deepEqual(lint(path, "Date.now(); new Date(); Math.random(); setTimeout(() => {}, 1); Deno.cwd();"), []);
  }
});

Deno.test("no-ambient-world lets pass what is a function of its argument, and names that only look like the world", () => {
  for (
    const source of [
      'new Date(0).toISOString(); Date.parse("2026-01-01T00:00:00Z");',
      "const f = (clock: { now(): number }) => clock.now(); f;",
      "const f = (port: { fetch(): void; crypto: number }) => { port.fetch(); return port.crypto; }; f;",
      "const o = { fetch: 1, process: 2, crypto() {} }; o;",
      "class A { performance = 1; console() {} } new A();",
      "type T = ReturnType<typeof setTimeout>; let t: T;",
      "interface Child { process: string } let c: Child;",
      "Math.max(1, 2);",
      "const f = (process: { pid: number }) => process.pid; f;",
      "const g = ({ fetch }: { fetch(): void }, [self = 1, ...Worker]: number[]) => { fetch(); self; Worker; }; g;",
      'import { console } from "./console.ts"; console.log("x");',
    ]
  ) {
    assert.deepEqual(lint("actors/kernel/a.ts", source), [], source);
  }
});

Deno.test("environment-in-main keeps adapters from the environment and the arguments", () => {
  for (
    const source of [
      'Deno.env.get("X");',
      "Deno.args;",
      "process.env.X;",
      'import process from "node:process"; process;',
    ]
  ) {
    assert.deepEqual(rules("adapters/kv/a.ts", source), ["environment-in-main"], source);
    assert.deepEqual(rules("main.ts", source), [], source);
  }
  assert.deepEqual(rules("adapters/process/agent/agent.ts", `Deno.env.get("HOME");`), [], "the agent begins there");
});

Deno.test("no-async keeps deciders and folds synchronous, and lets the kernel wait", () => {
  const sources = [
    "async function f() {} f;",
    "const f = async () => {}; f;",
    "const o = { async f() {} }; o;",
    "class A { async f() {} } A;",
    "new Promise(() => {});",
    "Promise.resolve(1);",
  ];
  for (const source of sources) {
    for (const room of ["events", "projections", "actors"]) {
      assert.deepEqual(rules(`${room}/a.ts`, source), ["no-async"], `${room}: ${source}`);
    }
    assert.deepEqual(rules("actors/kernel/a.ts", source), [], source);
    assert.deepEqual(rules("adapters/kv/a.ts", source), [], source);
  }
  for (const source of ["await f();", "for await (const x of f()) x;", "await using x = f();"]) {
    assert.deepEqual(rules("events/a.ts", source), ["no-async"], source);
  }
});

Deno.test("no-async lets a port name what is awaited elsewhere", () => {
  assert.deepEqual(
    lint("events/log.ts", "export interface Log { append(): Promise<void>; follow(): AsyncIterable<number> }"),
    [],
  );
});

Deno.test("dotted-names refuses names built from pieces, and lets sentences and streams be", () => {
  for (
    const source of ["`${d}.branch.moved`;", "`commits.${n}.moved`;", "`commits.branch.${v}`;", "`${a}.${b}.${c}`;"]
  ) {
    assert.deepEqual(rules("actors/a.ts", source), ["dotted-names"], source);
  }
  for (
    const source of [
      "`commits/${id}`;",
      "`Cannot open ${file}.`;",
      "`${a}.${b}`;",
      '"commits.branch.moved";',
      "`commits.branch.moved`;",
    ]
  ) {
    assert.deepEqual(rules("actors/a.ts", source), [], source);
  }
});

Deno.test("bounded-wait refuses tests that wait in a loop without an end", () => {
  const pause = "await new Promise((resolve) => setTimeout(resolve, 5));";
  for (const loop of [`while (!done) ${pause}`, `for (;;) { if (done) break; ${pause} }`, `for (; !done;) ${pause}`]) {
    assert.deepEqual(rules("tests/a_test.ts", loop), ["bounded-wait"], loop);
    assert.deepEqual(rules("tests/until.ts", loop), [], loop);
  }
  for (
    const loop of [`for (let i = 0; i < 9; i++) ${pause}`, `while (Date.now() < end) ${pause}`, "while (i < 9) i++;"]
  ) {
    assert.deepEqual(rules("tests/a_test.ts", loop), [], loop);
  }
});

Deno.test("secret-comparison refuses to compare what is secret with what was said, where that is done", () => {
  const files = ["adapters/http/a.ts", "adapters/program/identity/a.ts", "adapters/keys/a.ts", "actors/identity/a.ts"];
  for (
    const source of [
      "a.state !== drawn.state;",
      "hash === b;",
      "p.stateOf(x) == y;",
      "x !== this.csrf!;",
      "a?.nonce === b;",
    ]
  ) {
    for (const file of files) assert.deepEqual(rules(file, source), ["secret-comparison"], `${file}: ${source}`);
    assert.deepEqual(rules("adapters/cli/a.ts", source), [], source);
  }
  for (
    const source of [
      'state === "open";',
      "secret === undefined;",
      "hash !== null;",
      "typeof secret === x;",
      "n === MAX;",
      "a === b;",
      "hash !== ANYBODY;",
    ]
  ) {
    assert.deepEqual(rules("adapters/http/a.ts", source), [], source);
  }
});

Deno.test("the reasons name the rule that was broken", () => {
  assert.match(importFault("adapters/a/x.ts", "adapters/b/y.ts", true)!, /an adapter never imports another adapter/);
  assert.match(importFault("adapters/a/x.ts", "main.ts", true)!, /imported by nothing/);
  assert.match(packageFault("events/a.ts", "hono")!, /events imports zod and no other package, not "hono"/);
});
