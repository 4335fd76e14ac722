/** What a start loads: modules that are large and not used by it stay out of its static imports (docs/decisions/0072). */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

interface Graph {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly { readonly code?: { readonly specifier: string }; readonly isDynamic?: boolean }[];
  }[];
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** All that is loaded before the first line of a module runs: own modules by their paths, packages by their names. */
const loadedBy = async (path: string): Promise<ReadonlySet<string>> => {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", path],
    cwd: ROOT,
    stderr: "null",
  }).output();
  assert.ok(success, path);
  const { roots, redirects, modules }: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const imports = new Map(modules.map(({ specifier, dependencies = [] }) => [
    specifier,
    dependencies.flatMap(({ code, isDynamic }) => code && !isDynamic ? [code.specifier] : []),
  ]));
  const loaded = new Set<string>();
  const load = (stated: string): void => {
    const specifier = redirects[stated] ?? stated;
    if (loaded.has(specifier)) return;
    loaded.add(specifier);
    imports.get(specifier)?.forEach(load);
  };
  roots.forEach(load);
  return new Set(
    [...loaded].map((specifier) =>
      specifier.startsWith("file:")
        ? fileURLToPath(specifier).slice(ROOT.length)
        : specifier.replace(/^npm:\/?(@?[^@]+)@.*$/, "$1")
    ),
  );
};

const HEAVY = ["yaml", "prom-client", "@opentelemetry/api", "cli-table3", "swagger-ui-dist"];
const WRITER = ["@deno/kv", "adapters/program/daybook.ts", "adapters/kv/store.ts", "hono", "adapters/http/server.ts"];

for (
  const [path, there, absent] of [
    ["main.ts", "adapters/cli/table.ts", [
      ...HEAVY,
      ...WRITER,
      "config/schema.ts",
      "node:crypto",
      "adapters/program/runtime.ts",
    ]],
    ["adapters/program/runtime.ts", "node:sqlite", [
      ...HEAVY,
      ...WRITER.filter((name) => name !== "adapters/kv/store.ts"),
    ]],
    ["adapters/program/daybook.ts", "adapters/kv/store.ts", [...HEAVY, "hono", "config/config.ts", "config/schema.ts"]],
    ["adapters/http/server.ts", "hono", [...HEAVY, "adapters/http/openapi.ts", "adapters/http/pages/status.tsx"]],
    ["adapters/program/log_background_worker.ts", "adapters/kv/store.ts", [...HEAVY, "@deno/kv", "zod"]],
    ["adapters/program/projections_thread.ts", "zod", [...HEAVY, "@deno/kv", "hono"]],
  ] as const
) {
  Deno.test(`${path} loads nothing that it may never use`, async () => {
    const loaded = await loadedBy(path);
    assert.ok(loaded.has(there), [...loaded].join(" "));
    assert.deepEqual(absent.filter((name) => loaded.has(name)), []);
  });
}
