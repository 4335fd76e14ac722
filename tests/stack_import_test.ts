/** Files of process-compose and compose, as stacks of ours. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { parseStack } from "../config/stack.ts";
import { type Imported, importStack } from "../config/stack_import.ts";

const good = (text: string): Extract<Imported, { ok: true }> => {
  const imported = importStack(text, "theirs.yaml");
  assert.ok(imported.ok, JSON.stringify(imported));
  const parsed = parseStack(imported.yaml, "ours.yaml");
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return imported;
};

const PROCESS_COMPOSE = `
version: "0.5"
log_level: info
processes:
  DB Server:
    command: "pg_ctl -D $DATA start"
    working_dir: ./db
    environment: ["DATA=/tmp/d$1", "SECRET"]
    readiness_probe:
      exec: { command: "pg_isready" }
      initial_delay_seconds: 2
      period_seconds: 5
      failure_threshold: 4
    availability: { restart: always, backoff_seconds: 2, max_restarts: 5 }
    shutdown: { command: "pg_ctl stop", timeout_seconds: 7, signal: 2 }
    namespace: data
  api:
    command: ./api
    replicas: 2
    depends_on:
      DB Server: { condition: process_healthy }
      migrate: { condition: process_completed_successfully }
    liveness_probe: { http_get: { host: 127.0.0.1, port: 8080, path: /live, scheme: http } }
  migrate: { command: ./migrate, disabled: false, log_location: ./m.log }
`;

Deno.test("a file of process-compose becomes a stack that can be run, and says what has no place in it", () => {
  const { kind, yaml, services, unmapped } = good(PROCESS_COMPOSE);
  assert.deepEqual([kind, services], ["process-compose", 3]);
  assert.deepEqual(parse(yaml).services, {
    "db-server": {
      command: "/bin/sh",
      arguments: ["-c", "pg_ctl -D $$DATA start"],
      working_folder: "./db",
      environment: { DATA: "/tmp/d$$1", SECRET: { env: "SECRET" } },
      probes: {
        readiness: {
          exec: { command: "/bin/sh", arguments: ["-c", "pg_isready"] },
          interval_ms: 5_000,
          timeout_ms: 1_000,
          initial_delay_ms: 2_000,
          failures: 4,
        },
      },
      restart: { policy: "always", first_ms: 2_000, max: 5 },
      stop: { signal: "SIGINT", grace_ms: 7_000 },
      hooks: { before_stop: { command: "/bin/sh", arguments: ["-c", "pg_ctl stop"] } },
    },
    api: {
      command: "/bin/sh",
      arguments: ["-c", "./api"],
      depends_on: { "db-server": { condition: "healthy" }, migrate: { condition: "completed_successfully" } },
      probes: {
        liveness: { http: { port: 8080, path: "/live", scheme: "http" }, interval_ms: 10_000, timeout_ms: 1_000 },
      },
      restart: { policy: "no" },
      stop: {},
      replicas: 2,
    },
    migrate: { command: "/bin/sh", arguments: ["-c", "./migrate"], probes: {}, restart: { policy: "no" }, stop: {} },
  });
  assert.deepEqual(unmapped.map(({ path, line }) => [path, line]), [
    ["processes.DB Server.shutdown.command", 15],
    ["processes.DB Server.namespace", 16],
    ["processes.migrate.log_location", 24],
    ["log_level", 3],
  ]);
});

Deno.test("a compose file becomes a stack as far as it says which programs to run", () => {
  const { kind, yaml, services, unmapped } = good(`
name: Shop
services:
  cache:
    image: redis:7
    command: ["redis-server", "--port", "6379"]
    ports: ["127.0.0.1:16379:6379"]
    healthcheck: { test: ["CMD", "redis-cli", "ping"], interval: 1m30s, timeout: 500ms, retries: 2, start_period: 3s }
    restart: unless-stopped
    stop_signal: SIGINT
    stop_grace_period: 1m
    volumes: ["data:/data"]
  web:
    image: example/web
    entrypoint: /web
    command: --verbose
    environment: { MODE: fast, TOKEN: null }
    depends_on: { cache: { condition: service_healthy, required: false } }
    restart: on-failure:4
  ghost: { image: example/ghost }
volumes: { data: {} }
`);
  assert.deepEqual([kind, services], ["compose", 2]);
  const ours = parse(yaml);
  assert.equal(ours.stack.name, "shop");
  assert.deepEqual(ours.services.cache, {
    command: "redis-server",
    arguments: ["--port", "6379"],
    ports: { main: 6379 },
    probes: {
      readiness: {
        exec: { command: "redis-cli", arguments: ["ping"] },
        interval_ms: 90_000,
        timeout_ms: 500,
        failures: 2,
        initial_delay_ms: 3_000,
      },
    },
    restart: { policy: "unless_stopped" },
    stop: { signal: "SIGINT", grace_ms: 60_000 },
  });
  assert.deepEqual(ours.services.web.depends_on, { cache: { condition: "healthy", required: false } });
  assert.deepEqual(ours.services.web.environment, { MODE: "fast", TOKEN: { env: "TOKEN" } });
  assert.deepEqual(ours.services.web.restart, { policy: "on_failure", max: 4 });
  assert.deepEqual(unmapped.map(({ path }) => path), [
    "services.cache.image",
    "services.cache.ports",
    "services.cache.healthcheck.start_period",
    "services.cache.volumes",
    "services.web.image",
    "services.ghost.image",
    "services.ghost",
    "volumes",
  ]);
});

Deno.test("what is taken over otherwise than it was is said, each at its place", () => {
  const told = (text: string) => good(text).unmapped.map(({ path, because }) => `${path}: ${because}`);
  assert.deepEqual(
    told(`
processes:
  a:
    command: ./a
    depends_on: { b: { condition: process_pending } }
    shutdown: { signal: 14, timeout_seconds: soon }
    availability: { restart: always, max_restarts: 0 }
  b: { command: ./b, shutdown: { command: ./b stop } }
`),
    [
      "processes.a.shutdown.signal: 14 is not sent here: SIGTERM is",
      "processes.a.availability.max_restarts: 0 is without end there: say restart.max",
      "processes.a.depends_on.b: process_pending is not known here: started is enough",
      "processes.a.shutdown.timeout_seconds: soon is no number of seconds",
      "processes.b.shutdown.command: SIGTERM follows when it has ended",
    ],
  );
  assert.deepEqual(
    told(`
services:
  a:
    command: ./a
    ports: ["3000-3005", "127.0.0.1:8080:80/tcp", { target: 90 }, { published: 9 }]
    depends_on: { b: { condition: service_pending } }
    healthcheck: { test: [CMD, ./well], interval: "90 seconds", start_period: 40s }
  b: { command: ./b, healthcheck: { disable: true, start_period: 40s } }
`),
    [
      "services.a.ports: 3000-3005 is not one port",
      "services.a.ports: 127.0.0.1:8080:80/tcp is reached at 80, for there is no container around it",
      'services.a.ports: {"published":9} is not one port',
      "services.a.depends_on.b: service_pending is not known here: started is enough",
      "services.a.healthcheck.interval: 90 seconds is no span of time such as 1m30s",
      "services.a.healthcheck.start_period: nothing is looked at until it is over: who is well earlier counts as well only then",
    ],
  );
});

Deno.test("what is neither is refused, with what was found", () => {
  for (const [text, found] of [["a: 1", "a"], ["[]", "nothing"], ["", "nothing"]] as const) {
    const imported = importStack(text, "theirs.yaml");
    assert.ok(!imported.ok);
    assert.equal(imported.problems[0]!.found, found);
  }
  assert.ok(!importStack("services: [", "theirs.yaml").ok);
});
