/** The supervision tree of the whole server: every part is a child of it, and what becomes of one is seen from outside. */
import assert from "node:assert/strict";
import { THREAT_RULES } from "../../events/threats.ts";
import type { HealthNode, Status } from "../../actors/kernel/daybook.ts";
import type { Io } from "../../adapters/cli/io.ts";
import { openSystem, type SystemOptions } from "../../adapters/program/daybook.ts";
import type { Opened } from "../../adapters/program/opened.ts";
import { serve } from "../../adapters/program/serve.ts";
import { parseConfig } from "../../config/config.ts";
import { projections } from "../../projections/mod.ts";
import { inFolder } from "../folder_given.ts";
import { Program, run } from "./program.ts";
import { until } from "../until.ts";

/** `path state`, parents before children. */
const drawn = ({ id, state, children = [] }: HealthNode, above = ""): readonly string[] => [
  `${above}${id} ${state}`,
  ...children.flatMap((child) => drawn(child, `${above}${id}:`)),
];

const names = projections.map(({ name }) => `daybook:projections:${name}`);
const RULES = [
  ...THREAT_RULES.map((rule) => `threats.${rule}`),
  "threats.responses",
  "responses",
].map((name) => `daybook:threats:${name}`);
const PATHS = [
  "daybook",
  "daybook:log",
  "daybook:log:background",
  "daybook:entities",
  "daybook:timers",
  "daybook:projections",
  "daybook:projections:thread",
  ...names,
  "daybook:attester",
  "daybook:limits",
  "daybook:threats",
  ...RULES,
  "daybook:http",
  "daybook:refusals",
  "daybook:token-uses",
  "daybook:controls",
  "daybook:alerts",
];

Deno.test("the page on the design lists the parts of a server in the order in which they start", () => {
  const page = Deno.readTextFileSync(new URL("../../docs/design.md", import.meta.url));
  const [, table] = page.split("**The tree of the process**");
  const listed = [...table!.split("\n\n`start` takes")[0]!.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`(?:daybook:)?([a-z-]+)/g)].map(([, name]) => name!)
  );
  const parts = [...new Set(PATHS.slice(1).map((path) => path.split(":")[1]!))];
  assert.deepEqual([...new Set(listed)].filter((name) => parts.includes(name)), parts);
});

Deno.test("status and health.tree of a running server draw every part of it, and history tells that it stopped in order", () =>
  inFolder(async (data) => {
    const program = await Program.start(data);
    let ended = false;
    try {
      const status = async () => JSON.parse((await run("status", "--data", data, "--json")).out) as Status;
      await until(
        "all that runs",
        async () => drawn((await status()).health).every((line) => line.endsWith("running")),
      );
      assert.deepEqual(drawn((await status()).health), PATHS.map((path) => `${path} running`));
      const { size } = await status();
      const seen = JSON.parse((await run("view", "health.tree", "--data", data, "--json", "--limit", "100")).out);
      const rows = (seen.rows as { key: string; state?: string; row?: { state: string } }[]).map((
        { key, state, row },
      ) => `${key} ${state ?? row!.state}`);
      assert.ok(size > 0);
      assert.deepEqual([...rows].sort(), PATHS.map((path) => `${path} running`).sort());
      ended = true;
      assert.equal((await program.end("SIGTERM")).code, 0);
      const told =
        (await run("events", "--data", data, "--type", "kernel.child.stopped", "--limit", "1000", "--json")).out;
      const stopped = [...told.matchAll(/"child":"(daybook[^"]*)"/g)].map(([, child]) => child!);
      // In reverse order of starting, each once; the root's own end is the process's.
      const views = [...names.toReversed(), "daybook:projections:thread", "daybook:projections"];
      assert.deepEqual(stopped, [
        "daybook:http",
        "daybook:alerts",
        "daybook:controls",
        "daybook:token-uses",
        "daybook:refusals",
        ...RULES.toReversed(),
        "daybook:threats",
        "daybook:limits",
        "daybook:attester",
        ...views,
        "daybook:timers",
        "daybook:entities",
        "daybook:log:background",
        "daybook:log",
      ]);
    } finally {
      if (!ended) await program.end("SIGKILL");
    }
  }));

interface Served {
  readonly opened: Opened;
  readonly url: string;
  readonly fallen: Promise<string | undefined>;
  readonly get: (path: string) => Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
}

/** The server in this process, so that parts of it can be broken. */
const withServer = async (
  options: SystemOptions & { readonly data: string },
  body: (served: Served) => Promise<void>,
): Promise<void> => {
  const parsed = parseConfig("server: { port: 0 }\nkernel: { backoff: { first_ms: 1, max_ms: 2 } }\n", "test", {});
  assert.ok(parsed.ok);
  const config = options.config ?? parsed.config;
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const opened = await openSystem({ ...options, config });
  try {
    const io = { env: () => undefined, err: () => {} } as unknown as Io;
    const serving = await serve(opened, {
      data: options.data,
      settings: { config, file: "test" },
      tell: async () => {},
    }, io);
    const { url, fallen } = serving;
    const get = async (path: string) => {
      const response = await fetch(`${url}${path}`, { client });
      return { status: response.status, body: await response.json() };
    };
    await body({ opened, url, fallen, get });
    await serving.stop();
  } finally {
    await opened.daybook.close();
    client.close();
  }
};

Deno.test("a worker that is given up is down in /readyz, which stays ready: the log goes on by itself", () =>
  inFolder((data) => {
    const url = new URL("../troubled_background_worker.ts?throw", import.meta.url);
    return withServer({ data, worker: { url } }, async ({ opened: { daybook }, get }) => {
      assert.deepEqual((await get("/readyz")).body.down, []);
      await until("the end of the worker", async () => (await get("/readyz")).body.down!.toString() === "daybook:log");
      const { status, body } = await get("/readyz");
      assert.deepEqual([status, body.status], [200, "ready"]);
      const { size } = daybook.status();
      assert.ok((await daybook.checkpoint(size))!.size >= size);
    });
  }));

/** Servers that listen while `body` runs, newest last. */
const listeners = async (body: (servers: Deno.HttpServer[]) => Promise<void>): Promise<void> => {
  const servers: Deno.HttpServer[] = [];
  const { serve } = Deno;
  Object.assign(Deno, {
    serve(...args: readonly unknown[]) {
      const server = (serve as (...args: readonly unknown[]) => Deno.HttpServer)(...args);
      servers.push(server);
      return server;
    },
  });
  try {
    await body(servers);
  } finally {
    Object.assign(Deno, { serve });
  }
};

Deno.test("a listener that is lost is a crash of the server, which comes back on the same port", () =>
  listeners((servers) =>
    inFolder((data) =>
      withServer({ data }, async ({ opened: { daybook }, get }) => {
        assert.equal(servers.length, 2); // the address, and the folder's socket
        await servers[0]!.shutdown();
        await until("the next server", () => servers.length === 4);
        assert.equal((await get("/livez")).status, 200);
        const crashes = () =>
          [...daybook.log.read({ stream: "kernel/daybook:http" })].flat().filter(({ type }) =>
            type === "kernel.child.crashed"
          );
        const http = () => daybook.status().health.children!.find(({ id }) => id === "http")!;
        // What supervisors do is recorded behind them, and a server is ready a moment after it listens.
        await until("the crash on record", () => crashes().length === 1 && http().state === "running");
        assert.equal((crashes()[0]!.data as { cause: string }).cause, "a listener was lost: it ended by itself");
        assert.equal(http().restarts, 1);
      })
    )
  ));

Deno.test("a server that cannot listen is refused with the reason, and the rest closes", () =>
  inFolder(async (data) => {
    await withServer({ data: ":memory:" }, async ({ url }) => {
      const parsed = parseConfig(`server: { port: ${new URL(url).port} }\n`, "test", {});
      assert.ok(parsed.ok);
      await assert.rejects(withServer({ data, config: parsed.config }, () => Promise.resolve()), Deno.errors.AddrInUse);
    });
  }));

Deno.test("when a budget is spent up to the root, the server ends and says why; history has it", () =>
  listeners((servers) =>
    inFolder(async (data) => {
      await withServer({ data }, async ({ opened: { daybook }, fallen }) => {
        for (let crash = 0; crash <= 5; crash++) {
          await until("the next server", () => servers.length === 2 * (crash + 1));
          await servers.at(-2)!.shutdown();
        }
        assert.match((await fallen)!, /"daybook:http" ended, more than 5 times within 60000 ms: a listener was lost/);
        const { state, health } = daybook.status();
        assert.deepEqual([state, health.state], ["down", "down"]);
        const outcome = await daybook.ask({
          type: "commits.branch.move",
          id: "shop",
          data: { branch: "main", to: "1".repeat(40) },
          by: { authtype: "system", authid: "test" },
        });
        assert.equal(outcome.is, "unavailable");
      });
      const { out } = await run("events", "--data", data, "--type", "kernel.child.gave_up", "--json");
      assert.match(out, /"because":"daybook:http"/);
    })
  ));
