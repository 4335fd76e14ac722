/** What the command line tells of services, of a history that is told here. */
import assert from "node:assert/strict";
import type { Io } from "../adapters/cli/io.ts";
import * as stacks from "../adapters/program/stack/plan.ts";
import { parseConfig } from "../config/config.ts";
import { parseStack } from "../config/stack.ts";
import type { ServiceFact } from "../events/services.ts";
import { servicesViews } from "../projections/services.ts";
import { givenStage, readerOf, type Stage } from "./cli_given.ts";
import type { ServiceCommand } from "../actors/services/stack.ts";
import { digestOf, needing, spec, upWith, World } from "./services_given.ts";
import { until } from "./until.ts";

/** A stage whose log tells what has happened in a world, and goes on with it. */
const staged = (world: World): { readonly stage: Stage; readonly tell: () => Promise<void> } => {
  const stage = givenStage();
  stage.runtime.projections = () => Promise.resolve(servicesViews as never);
  let told = 0;
  const tell = async () => {
    const fresh = world.facts.slice(told);
    const events = fresh.map(({ at, fact }: { readonly at: number; readonly fact: ServiceFact }) => ({
      ...fact,
      id: String(told++),
      source: "services/main",
      stream: "services/main" as const,
      time: new Date(at).toISOString(),
      version: 1,
      authtype: "user" as const,
      authid: "u_tester",
    }));
    if (events.length > 0) await stage.log.append({ events: events as never });
  };
  return { stage, tell };
};

/** Output as it comes, and what an interrupt does. */
const onTerminal = (stage: Stage): { out: string; interrupt: () => void } => {
  const seen = { out: "", interrupt: () => {} };
  Object.assign(
    stage.io,
    {
      env: (name) => name === "NO_COLOR" ? "1" : undefined,
      out: (text) => void (seen.out += text),
      terminal: { out: true, err: true },
      columns: 160,
      onStop: (stop) => {
        seen.interrupt = () => void stop();
        return () => {};
      },
    } satisfies Partial<Io>,
  );
  return seen;
};

Deno.test("the live board is drawn in place as things change, says what each takes, and ends when it is interrupted", async () => {
  const world = upWith(new World(() => ({ well: 5 })), [spec("db"), spec("api", needing("healthy", "db"))]);
  world.run(100);
  const { stage, tell } = staged(world);
  await tell();
  const taken = { memory_bytes: 3_000_000, cpus: 0.25, processes: 2, cpu_from: "cgroup", memory_from: "proc" };
  stage.runtime.remote = () =>
    Promise.resolve({
      operate: () => Promise.resolve({ instances: [{ service: "db", replica: 0, ...taken }] }),
      close: () => {},
    } as never);
  const seen = onTerminal(stage);
  const watching = stage.type("ps", "--watch");
  await until("api is healthy", () => seen.out, (out) => /api .*healthy/.test(out));
  assert.match(seen.out, /memory[^]*cores[^]*counted by/);
  assert.match(seen.out, /db .*0\.25 .*cgroup, memory \/proc/);
  const { nonce } = world.processes.get("db/0")!;
  world.end("db/0", "db", 0, nonce, 7, null);
  await tell();
  // deno-lint-ignore no-control-regex
  await until("db backs off", () => seen.out, (out) => /\u001b\[\d+A\u001b\[J[^]*db .*backoff.*code 7/.test(out));
  seen.interrupt();
  assert.equal((await watching).code, 0);
});

/** Lines that a terminal of so many columns shows; of its sequences those that move up, clear what follows, and wrap lines or not. */
const shownIn = (columns: number, text: string): readonly string[] => {
  const lines = [""];
  let row = 0;
  let wraps = true;
  // deno-lint-ignore no-control-regex
  for (const [piece, number, kind] of text.matchAll(/\u001b\[\??(\d*)([AJhl])|[^]/g)) {
    if (kind === "A") row = Math.max(0, row - Number(number));
    else if (kind === "J") lines.splice(row, Infinity, "");
    else if (kind !== undefined) wraps = kind === "h";
    else if (piece === "\n" || wraps && lines[row]!.length === columns) lines[++row] = piece === "\n" ? "" : piece;
    else if (lines[row]!.length < columns) lines[row] += piece;
  }
  return lines;
};

Deno.test("the live board stays in its place in a terminal that is narrower than its lines", async () => {
  const world = upWith(new World(() => ({ well: 5 })), [spec("db"), spec("api", needing("healthy", "db"))]);
  world.run(100);
  const { stage, tell } = staged(world);
  await tell();
  const seen = onTerminal(stage);
  Object.assign(stage.io, { columns: 44, env: () => undefined });
  const watching = stage.type("ps", "--watch");
  await until("it is drawn three times", () => seen.out, (out) => out.split("\u001b[?7h").length > 3);
  seen.interrupt();
  assert.equal((await watching).code, 0);
  // deno-lint-ignore no-control-regex
  const plain = seen.out.replaceAll(/\u001b\[\d*m/g, "");
  // deno-lint-ignore no-control-regex
  const lines = plain.replaceAll(/\u001b\[\??\d*[AJhl]/g, "").split("\n");
  assert.ok(
    lines.every((line) => line.length <= 44),
    "cut, so that nothing is in the last column that stands elsewhere",
  );
  for (const columns of [20, 44, 200]) {
    const shown = shownIn(columns, plain);
    assert.deepEqual(shown.map((line) => line.split(" ")[0]), ["service", "db", "api", ""], `${columns} columns`);
  }
});

Deno.test("status is JSON for editors: every service with its instances, what it takes where somebody looks, exit 1 where one is not well", async () => {
  const world = upWith(new World((name) => name === "bad" ? { refused: "no such program" } : { well: 5 }), [
    spec("db"),
    spec("bad", { restart: { ...spec("bad").restart, policy: "no" } }),
  ]);
  world.run(100);
  const { stage, tell } = staged(world);
  await tell();
  const { exit, services } = await stage.json<{ services: { service: string; instances: { state: string }[] }[] }>(
    "ps",
  );
  assert.equal(exit, 1);
  assert.deepEqual(services.map(({ service, instances }) => [service, instances.map(({ state }) => state)]), [
    ["db", ["healthy"]],
    ["bad", ["failed"]],
  ]);
});

Deno.test("why tells the chain from what failed first, over what a service needs, and leaves out what was asked for", async () => {
  const world = upWith(
    new World((name, attempt) => name === "db" && attempt === 2 ? { ends: { at: 5, code: 9 } } : { well: 5 }),
    [spec("db"), spec("api", needing("healthy", "db")), spec("web", needing("healthy", "api"))],
  );
  world.run(100);
  world.send({ type: "services.service.restart", data: { service: "db" } });
  world.run(world.at + 500);
  const { nonce } = world.processes.get("api/0")!;
  world.end("api/0", "api", 0, nonce, null, "SIGKILL");
  const { stage, tell } = staged(world);
  await tell();
  const { chain, first } = await stage.json<{
    chain: { type: string; data: { service: string } }[];
    first: { data: { service: string; code: number } };
  }>("why", "web");
  assert.deepEqual([first.data.service, first.data.code], ["db", 9]);
  assert.deepEqual(chain.map(({ type, data }) => `${data.service} ${type.slice(9)}`), [
    "db instance.exited",
    "db instance.delayed",
    "api instance.exited",
    "api instance.delayed",
  ]);
});

Deno.test("why tells what a service needs waits for before it is started, and not that others wait for that", async () => {
  const world = upWith(new World(), [spec("db"), spec("api", needing("healthy", "db"))]);
  const announced = world.facts.find(({ fact }) => fact.type === "services.instance.announced")!.fact.data as {
    nonce: string;
  };
  const lacked = { service: "db", replica: 0, nonce: announced.nonce, resource: "memory", needed: 9e14, free: 2e9 };
  world.send({ type: "services.process.record_shortage", data: lacked } as never, "services.orchestrator");
  const { stage, tell } = staged(world);
  await tell();
  const { out } = await stage.type("why", "api");
  assert.match(
    out,
    /^api is waiting since [^\n]+: for db\nfirst {2}\S+ {2}db waits for memory: needs 900000000000000, free 2000000000 \(\d+\)\n$/,
  );
});

Deno.test("what services took at most is what their resources might say; nothing is made up where nothing was measured", async () => {
  const world = upWith(new World(() => ({ well: 5 })), [spec("db")]);
  world.run(100);
  const { stage, tell } = staged(world);
  await tell();
  assert.match((await stage.type("stack", "suggest")).out, /nothing is on record yet/);
  const { nonce } = world.processes.get("db/0")!;
  for (const [rss_peak_bytes, cpus_peak_milli, space] of [[50_000_000, 900, 2e9], [80_000_000, 300, 1e9]] as const) {
    const peaks = { rss_peak_bytes, cpus_peak_milli, space_peak_bytes: space };
    const data = { service: "db", replica: 0, nonce, samples: 10, cpu_ms: 5_000, ...peaks };
    world.send({ type: "services.process.record_usage", data }, "services.orchestrator");
  }
  await tell();
  const { suggestions: [db] } = await stage.json<{ suggestions: unknown[] }>("stack", "suggest");
  const mib = 1_048_576;
  assert.deepEqual(db, {
    service: "db",
    samples: 20,
    rss_peak_bytes: 80_000_000,
    cpus_peak: 0.9,
    resources: {
      needs: { memory_bytes: Math.ceil(96_000_000 / mib) * mib, cpus: 1 },
      // Of address space, of which it has much more than it uses.
      limits: { memory_bytes: Math.ceil(3e9 / mib) * mib },
    },
  });
});

Deno.test("how often services were looked at is counted once, however often it was told of an instance", async () => {
  const world = upWith(new World(() => ({ well: 5 })), [spec("db", { replicas: 2 })]);
  world.run(100);
  const { stage, tell } = staged(world);
  const peaks = { rss_peak_bytes: 1, space_peak_bytes: 1, cpu_ms: 1, cpus_peak_milli: 1 };
  // Hourly of both; the server was started again after the second hour.
  for (const samples of [720, 1_440, 700, 1_420]) {
    for (const replica of [0, 1]) {
      const { nonce } = world.processes.get(`db/${replica}`)!;
      const data = { service: "db", replica, nonce, samples, ...peaks };
      world.send({ type: "services.process.record_usage", data }, "services.orchestrator");
    }
  }
  await tell();
  const { suggestions: [db] } = await stage.json<{ suggestions: { samples: number }[] }>("stack", "suggest");
  assert.equal(db!.samples, 2 * (1_440 + 1_420));
});

Deno.test("a line that is being written is shown whole by logs -f, as it is by logs, and in pieces where it does not end", async () => {
  const world = upWith(new World(() => ({ well: 5 })), [spec("db")]);
  world.run(100);
  const { stage, tell } = staged(world);
  await tell();
  const path = "/data/services/main/db-0.log";
  stage.files.set(path, "one\nha");
  assert.equal((await stage.type("logs", "db", "--lines", "1")).out, "ha\n");
  assert.equal((await stage.type("logs", "db", "--lines", "0")).out, "");
  const seen = onTerminal(stage);
  const following = stage.type("logs", "-f", "db");
  await until("one", () => seen.out, (out) => out.includes("one"));
  stage.files.set(path, "one\nhalf\n");
  await until("half", () => seen.out, (out) => out.includes("half"));
  stage.files.set(path, `one\nhalf\n${"x".repeat(100_000)}`);
  await until("what has no end", () => seen.out, (out) => out.includes("x"));
  assert.equal(seen.out, `one\nhalf\n${"x".repeat(100_000)}\n`);
  seen.interrupt();
  assert.equal((await following).code, 0);
});

Deno.test("logs -f goes on with what is written, also in a file that begins anew, until it is interrupted", async () => {
  const world = upWith(new World(() => ({ well: 5 })), [spec("db")]);
  world.run(100);
  const { stage, tell } = staged(world);
  await tell();
  const path = "/data/services/main/db-0.log";
  stage.files.set(path, "one\ntwo\n");
  const seen = onTerminal(stage);
  const following = stage.type("logs", "-f", "db", "--lines", "1");
  await until("two", () => seen.out, (out) => out === "two\n");
  stage.files.set(path, "one\ntwo\nthr");
  await new Promise((resolve) => setTimeout(resolve, 300));
  stage.files.set(path, "one\ntwo\nthree\n\u001b[31mred\n");
  await until("red", () => seen.out, (out) => out.includes("red"));
  stage.files.set(path, "new\n");
  await until("new", () => seen.out, (out) => out.includes("new\n"));
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(seen.out, /\u001b/);
  assert.match(seen.out, /^two\nthree\n.*red\nnew\n$/);
  seen.interrupt();
  assert.equal((await following).code, 0);
  assert.match((await stage.type("logs", "-x", "db")).err, /unknown option "-x"/);
  assert.match((await stage.type("logs", "--help")).out || seen.out, /-f, --follow/);
});

Deno.test("plan, graph and critical path are text, JSON and pictures; a chain that nobody has measured is counted in steps", async () => {
  const stage = givenStage();
  const yaml = "services:\n  db: { command: x }\n  api: { command: x, depends_on: [db] }\n  ui: { command: x }\n";
  stage.runtime.stacks = () => Promise.resolve(stacks);
  stage.world.settings = (file, overrides) => {
    const [config, stack] = [parseConfig("", "daybook.yaml", {}, overrides), parseStack(yaml, "/s.yaml")];
    assert.ok(config.ok && stack.ok && file === undefined);
    const { stack: settings, problemAt } = stack;
    return Promise.resolve({ config: config.config, file: "/c.yaml", stack: { settings, file: "/s.yaml", problemAt } });
  };
  assert.match((await stage.type("stack", "plan")).out, /^0 +db [^]*^1 +api +1 +x +db healthy/m);
  assert.match((await stage.type("stack", "graph")).out, /^api → db \(healthy\)$/m);
  assert.match((await stage.type("stack", "critical-path")).out, /^db → api\n2 steps; nothing of it was ever started/);
  for (const kind of ["plan", "graph", "critical-path"]) {
    assert.equal((await stage.type("stack", kind, "--svg", `/${kind}.svg`)).code, 0);
    const svg = stage.files.get(`/${kind}.svg`)!;
    assert.match(svg, /^<svg [^]*<title>api needs db healthy<\/title>[^]*<\/svg>\n$/);
  }
  assert.equal(stage.files.get("/plan.svg"), stage.files.get("/graph.svg"));
  assert.match(stage.files.get("/critical-path.svg")!, /class="marked"/);
});

Deno.test("the critical path counts what others wait for: until it is well, and of work until it is done", async () => {
  const world = upWith(
    new World((service) => service === "migrate" ? { ends: { at: 60_000, code: 0 } } : { well: 5 }),
    [spec("db"), spec("migrate", needing("healthy", "db")), spec("api", needing("completed_successfully", "migrate"))],
  );
  world.run(100_000);
  const { stage } = staged(world);
  const yaml = "services:\n  db: { command: x }\n  migrate: { command: x, depends_on: [db] }\n" +
    "  api: { command: x, depends_on: { migrate: { condition: completed_successfully } } }\n";
  stage.runtime.stacks = () => Promise.resolve(stacks);
  let recorded = world.facts.map(({ at, fact }) => ({ ...fact, recordedat: new Date(at).toISOString() }));
  stage.runtime.reader = () => Promise.resolve({ ...readerOf(stage.log), read: () => [recorded] } as never);
  stage.files.set("/data/log.db", "");
  stage.world.settings = (_, overrides) => {
    const [config, stack] = [parseConfig("", "daybook.yaml", {}, overrides), parseStack(yaml, "/s.yaml")];
    assert.ok(config.ok && stack.ok);
    const { stack: settings, problemAt } = stack;
    return Promise.resolve({ config: config.config, file: "/c.yaml", stack: { settings, file: "/s.yaml", problemAt } });
  };
  const { out } = await stage.type("stack", "critical-path", "--data", "/data", "--json");
  const { path, ms, measured } = JSON.parse(out);
  assert.deepEqual([path, measured], [["db", "migrate", "api"], 3]);
  assert.ok(ms >= 60_000 && ms < 61_000, out);

  // Of several starts the median: of two what lies between them.
  const started = (type: string, ms: number) => ({
    type,
    data: { service: "db", replica: 0 },
    recordedat: new Date(ms).toISOString(),
  });
  const start = (at: number, ms: number) => [
    started("services.instance.announced", at),
    started("services.health.confirmed", at + ms),
  ];
  for (const [took, median] of [[[300, 100], 200], [[300, 100, 50], 100], [[4, 1, 9, 2], 3]] as const) {
    recorded = took.flatMap((ms, i) => start(i * 1_000, ms)) as never;
    const told = await stage.type("stack", "critical-path", "--data", "/data", "--json");
    assert.equal(JSON.parse(told.out).ms, median, told.out);
  }
});

Deno.test("what cannot be recorded now is told as what it is, and is no bug of the program", async () => {
  for (
    const [asked, reason, said] of [
      [["down", "db"], "log", "the log cannot be written now, status says why; ask again when it can"],
      [["restart", "db"], "deadline", "it was not done in time, as far as is known; ask again"],
      [["alerts", "silence", "r", "--until", "1h", "--reason", "x"], "log", "the log cannot be written now, status .+"],
    ] as const
  ) {
    const world = upWith(new World(() => ({ well: 5 })), [spec("db")]);
    world.run();
    const { stage, tell } = staged(world);
    await tell();
    // By a server, and by whoever has the folder itself.
    stage.faults.ask = () => Promise.resolve({ is: "unavailable", reason, retryAfterMs: 1_000 });
    stage.runtime.remote = () => Promise.resolve({ ask: stage.faults.ask, close: () => {} } as never);
    const { code, err } = await stage.type(...asked);
    assert.equal(code, 3, err);
    assert.match(err, new RegExp(`^daybook: not done: ${said}\n$`));
    const { error } = JSON.parse((await stage.type(...asked, "--json")).out);
    assert.equal(error.code, "io");
  }
});

Deno.test("who asks for one thing while another asks for the opposite is told so, with exit 1", async () => {
  for (
    const [mine, theirs, said] of [
      ["up", "services.stack.down", /^daybook: meanwhile db has been told to stop\n$/],
      ["restart", "services.stack.down", /^daybook: meanwhile db has been told to stop\n$/],
      ["down", "services.stack.up", /^daybook: meanwhile db has been asked for again\n$/],
    ] as const
  ) {
    const world = upWith(new World(() => ({ well: 5 })), [spec("db"), spec("beside")]);
    world.run();
    const { stage, tell } = staged(world);
    await tell();
    stage.runtime.stacks = () => Promise.resolve({ profiles: [] } as never);
    stage.runtime.remote = () =>
      Promise.resolve({
        ask: async ({ type, data }: ServiceCommand) => {
          world.send({ type, data } as ServiceCommand);
          world.send({ type: theirs, data: { services: ["db"] } });
          world.run();
          await tell();
          return { is: "accepted" };
        },
        close: () => {},
      } as never);
    const { code, err } = await stage.type(mine, "db");
    assert.equal(code, 1, mine);
    assert.match(err, said);
    assert.equal(JSON.parse((await stage.type(mine, "db", "--json")).out).ok, false);
  }
});

Deno.test("of a change before, which was undone, nothing is said where another takes its place", async () => {
  const restart = { ...spec("db").restart, policy: "no" } as const;
  const at = (n: number) => [spec("db", { digest: digestOf(n), restart, probes: ["readiness"] })];
  let ends = false;
  const world = upWith(new World(() => ends ? { ends: { at: 5, code: 3 } } : { well: 5 }), at(1));
  world.run();
  ends = true;
  upWith(world, at(2));
  world.run();
  assert.equal(world.life("db"), "failed", "so is what was before");
  const { stage, tell } = staged(world);
  await tell();
  stage.runtime.remote = () =>
    Promise.resolve({
      operate: async (_: string, { plan }: { readonly plan: boolean }) => {
        if (!plan) {
          ends = false;
          upWith(world, at(3));
          world.run();
          await tell();
        }
        return { stack: "main", changes: [{ service: "db", change: "changed", replicas: 1, max_unavailable: 1 }] };
      },
      close: () => {},
    } as never);
  Object.assign(stage.io, { readText: () => Promise.resolve("services: {}") });
  const { code, err } = await stage.type("stack", "update", "/services.yaml");
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(world.life("db"), "healthy");
});
