/** Stacks of services: what is decided, told by pretended worlds. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { criticalPath, graphOf } from "../actors/services/graph.ts";
import { backoff } from "../actors/services/settle.ts";
import { ORCHESTRATOR, services } from "../actors/services/stack.ts";
import type { ServiceSpec } from "../events/services.ts";
import { given } from "./given.ts";
import { digestOf, needing, spec, upWith, World } from "./services_given.ts";

const well: Partial<ServiceSpec> = { probes: ["readiness"] };

Deno.test("a service starts the moment what it needs is as it must be, not before, and not in batches", () => {
  const times: Readonly<Record<string, number>> = { db: 50, cache: 500, api: 20, web: 10 };
  const world = upWith(new World((name) => ({ well: times[name]! })), [
    spec("db", well),
    spec("cache", well),
    spec("api", { ...well, ...needing("healthy", "db") }),
    spec("web", { ...well, ...needing("healthy", "api") }),
  ]);
  world.run(100);
  assert.deepEqual(["db", "cache", "api", "web"].map((name) => world.life(name)), [
    "healthy",
    "running",
    "healthy",
    "healthy",
  ]);
  assert.deepEqual(world.story("api"), ["queued", "announced", "started", "confirmed"]);
});

Deno.test("in batches each waits for the depth before, in sequence for everyone before", () => {
  const make = (order: "ready" | "batches" | "sequential") => {
    const world = upWith(new World((name) => ({ well: name === "slow" ? 1_000 : 10 })), [
      spec("fast", well),
      spec("slow", well),
      spec("next", { ...well, ...needing("healthy", "fast") }),
    ], order);
    world.run();
    return (name: string) =>
      world.facts.find(({ fact }) => fact.type === "services.instance.announced" && fact.data.service === name)!.at;
  };
  assert.ok(make("ready")("next") < 20);
  assert.ok(make("batches")("next") >= 1_000 && make("batches")("slow") === 0);
  assert.ok(make("sequential")("slow") >= 10 && make("sequential")("next") >= 1_010);
});

Deno.test("conditions: started, log_ready, completed and completed_successfully", () => {
  const world = upWith(
    new World((name) =>
      name === "job" ? { ends: { at: 30, code: 0 } } : name === "bad" ? { ends: { at: 30, code: 3 } } : {}
    ),
    [
      spec("job"),
      spec("bad", { restart: { ...spec("x").restart, policy: "no" } }),
      spec("early", needing("started", "job")),
      spec("late", needing("completed_successfully", "job")),
      spec("either", needing("completed", "bad")),
      spec("never", needing("completed_successfully", "bad")),
      spec("beyond", needing("started", "never")),
      spec("loose", { needs: [{ service: "never", condition: "healthy", required: false }] }),
    ],
  );
  world.run();
  assert.deepEqual(
    ["job", "bad", "early", "late", "either", "never", "beyond", "loose"].map((name) => world.life(name)),
    ["completed", "failed", "healthy", "healthy", "healthy", "skipped", "skipped", "healthy"],
  );
  const skipped = world.facts.find(({ fact }) => fact.type === "services.instance.skipped")!.fact.data;
  assert.deepEqual(skipped, { service: "never", replica: 0, because: "bad will not be completed successfully" });
});

Deno.test("a line of output makes a service ready that nothing probes", () => {
  const world = upWith(new World(() => ({})), [spec("a", { ready_line: true }), spec("b", needing("log_ready", "a"))]);
  world.run();
  assert.deepEqual([world.life("a"), world.life("b")], ["running", "waiting"]);
  const { nonce } = world.processes.get("a/0")!;
  world.send(
    { type: "services.process.record_line", data: { service: "a", replica: 0, nonce } },
    "services.orchestrator",
  );
  world.run();
  assert.deepEqual([world.life("a"), world.life("b")], ["healthy", "healthy"]);
});

Deno.test("a service that nothing probes says so", () => {
  const world = upWith(new World(() => ({})), [spec("a")]);
  world.run();
  const { data } = world.facts.find(({ fact }) => fact.type === "services.health.confirmed")!.fact;
  assert.equal((data as { probed: boolean }).probed, false);
});

Deno.test("what fails is started again later and later, and given up after as many restarts as it may have", () => {
  const world = upWith(new World((name) => name === "a" ? { ends: { at: 5, code: 1 } } : {}), [
    spec("a", { restart: { policy: "always", max: 3, first_ms: 1_000, last_ms: 3_000, jitter: 0, reset_ms: 60_000 } }),
    spec("b", needing("healthy", "a")),
  ]);
  world.run();
  const waits = world.facts.flatMap(({ at, fact }) =>
    fact.type === "services.instance.delayed" ? [fact.data.until_ms - at] : []
  );
  assert.deepEqual(waits, [1_000, 2_000, 3_000]);
  assert.equal(world.life("a"), "failed");
  assert.equal(
    world.facts.filter(({ fact }) => fact.type === "services.instance.announced").length,
    5,
    "4 of a, 1 of b",
  );
});

Deno.test("one that was well for long begins its waits anew", () => {
  const restart = { policy: "always" as const, max: 2, first_ms: 1_000, last_ms: 9_000, jitter: 0, reset_ms: 60_000 };
  const world = upWith(new World(() => ({ ends: { at: 70_000, code: 1 } })), [spec("a", { restart })]);
  world.run(1_000_000);
  assert.equal(world.life("a") === "failed", false);
  const attempts = world.facts.flatMap(({ fact }) =>
    fact.type === "services.instance.delayed" ? [fact.data.attempt] : []
  );
  assert.ok(attempts.length > 5 && attempts.every((attempt) => attempt === 1), attempts.join());
});

Deno.test("the wait doubles up to the longest, and jitter moves it either way by as much as it says", () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 100 }),
      fc.integer({ min: 1, max: 60 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (jitter, attempt, chance) => {
        const wait = backoff({ ...spec("a").restart, first_ms: 100, last_ms: 5_000, jitter }, attempt, chance);
        const plain = Math.min(5_000, 100 * 2 ** (attempt - 1));
        assert.ok(wait >= Math.floor(plain * (1 - jitter / 100)) && wait <= Math.ceil(plain * (1 + jitter / 100)));
      },
    ),
  );
});

Deno.test("dependents wait through a dependency's restarts; a restart asked for while waiting neither wedges nor starts twice", () => {
  const world = upWith(
    new World((name, attempt) => name === "db" && attempt < 3 ? { ends: { at: 5, code: 1 } } : { well: 5 }),
    [
      spec("db", well),
      spec("api", { ...well, ...needing("healthy", "db") }),
    ],
  );
  world.run(1_500);
  assert.equal(world.life("api"), "waiting");
  assert.deepEqual(world.send({ type: "services.service.restart", data: { service: "api" } }), []);
  world.run();
  assert.deepEqual(world.story("api"), ["queued", "announced", "started", "confirmed"]);
});

Deno.test("a restart while running ends one process before it starts the next; while delayed it starts at once", () => {
  const world = upWith(
    new World((_, attempt) => attempt === 2 ? { ends: { at: 10, code: 1 } } : { well: 5, stops: 50 }),
    [spec("a", well)],
  );
  world.run();
  world.send({ type: "services.service.restart", data: { service: "a" } });
  world.run(world.at + 100);
  assert.equal(world.life("a"), "backoff");
  world.send({ type: "services.service.restart", data: { service: "a" } });
  world.run();
  assert.equal(world.life("a"), "healthy");
  assert.deepEqual(world.story("a").filter((type) => type !== "confirmed"), [
    ...["announced", "started", "stop_requested", "exited"],
    ...["announced", "started", "exited", "delayed"],
    ...["announced", "started"],
  ]);
});

Deno.test("stopping goes in reverse: who needs a service is gone before it is told to stop", () => {
  const world = upWith(new World(() => ({ well: 1, stops: 100 })), [
    spec("db", well),
    spec("api", { ...well, ...needing("healthy", "db") }),
    spec("web", { ...well, ...needing("healthy", "api") }),
    spec("apart", well),
  ]);
  world.run();
  const began = world.at;
  world.send({ type: "services.stack.down", data: {} });
  world.run();
  const told = (name: string) =>
    world.facts.find(({ fact }) => fact.type === "services.instance.stop_requested" && fact.data.service === name)!.at -
    began;
  assert.deepEqual([told("web"), told("apart"), told("api"), told("db")], [0, 0, 100, 200]);
  assert.ok(["db", "api", "web", "apart"].every((name) => world.life(name) === "stopped"));
  assert.equal(world.processes.size, 0);
});

Deno.test("one that does not listen is killed when its time to stop is over", () => {
  const world = upWith(new World(() => ({ well: 1, stops: Infinity })), [spec("a", well)]);
  world.run();
  const began = world.at;
  world.send({ type: "services.stack.down", data: {} });
  world.run();
  assert.deepEqual(world.story("a").slice(-4), ["stop_requested", "stop_expired", "exited", "stopped"]);
  assert.equal(world.at - began, 10_000);
});

Deno.test("stopped before its start was told of: it ends all the same", () => {
  const world = upWith(new World(() => ({ well: 1 })), [spec("a", well)]);
  world.send({ type: "services.stack.down", data: {} });
  world.run();
  assert.deepEqual(world.story("a"), ["announced", "stop_requested", "started", "exited", "stopped"]);
});

Deno.test("probes as Kubernetes has them: readiness says who may be used, liveness ends, startup ends too", () => {
  for (const probe of ["readiness", "liveness", "startup"] as const) {
    const world = upWith(new World(() => ({ well: 1 })), [spec("a", { probes: ["startup", "readiness", "liveness"] })]);
    world.run();
    const { nonce } = world.processes.get("a/0")!;
    world.probe("a/0", { service: "a", replica: 0, nonce, probe, ok: false });
    if (probe === "readiness") assert.equal(world.life("a"), "unhealthy");
    else assert.deepEqual(world.story("a").slice(-2), ["lost", "stop_requested"]);
    world.run();
    if (probe === "readiness") world.probe("a/0", { service: "a", replica: 0, nonce, probe, ok: true });
    assert.equal(world.life("a"), "healthy", probe);
    // Only what changes something is recorded.
    const before = world.facts.length;
    const now = world.processes.get("a/0")!.nonce;
    world.probe("a/0", { service: "a", replica: 0, nonce: now, probe: "readiness", ok: true });
    assert.equal(world.facts.length, before);
  }
});

Deno.test("the same stack again changes nothing; a changed service is replaced, one replica after another; one left out is stopped", () => {
  const first = [spec("db", well), spec("web", { ...well, replicas: 3 })];
  const world = upWith(new World(() => ({ well: 10, stops: 10 })), first);
  world.run();
  const before = world.facts.length;
  upWith(world, first.toReversed());
  assert.equal(world.facts.length, before);
  upWith(world, [spec("db", well), spec("web", { ...well, replicas: 3, digest: digestOf(2) })]);
  let fewest = 3;
  for (let i = 0; i < 100; i++) {
    world.run(world.at + 1);
    const lives = world.stack.services.web!.lives.filter(({ is }) => is === "healthy").length;
    fewest = Math.min(fewest, lives);
  }
  assert.deepEqual([fewest, world.story("db").length], [2, 3]);
  assert.ok(world.stack.services.web!.lives.every((life) => life.is === "healthy" && life.digest === digestOf(2)));
  upWith(world, [spec("web", { ...well, replicas: 1, digest: digestOf(2) })]);
  world.run();
  assert.deepEqual(Object.keys(world.stack.services), ["web"]);
  assert.equal(world.processes.size, 1);
});

/** Two replicas of a service, and the same changed. */
const changing = () =>
  [1, 2].map((digest) =>
    spec("web", {
      ...well,
      replicas: 2,
      digest: digestOf(digest),
      restart: { ...spec("web").restart, policy: "always", max: 1, first_ms: 10 },
      update: { max_unavailable: 1, healthy_ms: 1_000, deadline_ms: 20_000, rollback: true },
    })
  );
const updates = (world: World) =>
  world.facts.filter(({ fact }) => fact.type.startsWith("services.update.")).map(({ fact }) => fact.type.slice(16));
const digests = (world: World) =>
  world.stack.services.web!.lives.map((life) => life.is === "healthy" ? Number(life.digest) : life.is);

Deno.test("a change goes on when what is new has been well for long enough, and is completed when all are", () => {
  const [old, fresh] = changing();
  const world = upWith(new World(() => ({ well: 10, stops: 10 })), [old!]);
  world.run(5_000);
  upWith(world, [fresh!]);
  world.run(world.at + 900);
  assert.deepEqual(digests(world), [2, 1], "the second waits until the first was well for a second");
  world.run(world.at + 5_000);
  assert.deepEqual(digests(world), [2, 2]);
  assert.deepEqual(updates(world), ["begun", "completed"]);
  assert.deepEqual(digests(upWith(world, [fresh!])), [2, 2]);
});

Deno.test("a change that does not become well is undone, never takes more than it may, and is tried again only when asked", () => {
  const [old, fresh] = changing();
  let isNew = false;
  // What is new never becomes well; or ends at once, until it has failed.
  for (const bad of [{}, { ends: { at: 5, code: 1 } }]) {
    const world = upWith(new World(() => isNew ? bad : { well: 10, stops: 10 }), [old!]);
    isNew = false;
    world.run(5_000);
    isNew = true;
    upWith(world, [fresh!]);
    let fewest = 2;
    for (let i = 0; i < 3_000; i++) {
      world.run(world.at + 10);
      if (updates(world).includes("reverted")) isNew = false;
      fewest = Math.min(fewest, world.stack.services.web!.lives.filter(({ is }) => is === "healthy").length);
    }
    assert.deepEqual([digests(world), fewest], [[1, 1], 1]);
    assert.deepEqual(updates(world), ["begun", "reverted"]);
    upWith(world, [fresh!]);
    world.run(world.at + 5_000);
    assert.deepEqual(updates(world), ["begun", "reverted"]);
    world.send({
      type: "services.stack.apply",
      data: { services: [fresh!], profile: null, order: "ready", wanted: ["web"], again: true },
    });
    world.run(world.at + 5_000);
    assert.deepEqual(digests(world), [2, 2]);
  }
});

Deno.test("what a person stopped stays stopped where the policy says so, and comes back where it does not", () => {
  for (const [policy, life] of [["unless_stopped", "stopped"], ["always", "healthy"]] as const) {
    const specs = [spec("a", { ...well, restart: { ...spec("a").restart, policy } })];
    const world = upWith(new World(() => ({ well: 1 })), specs);
    world.run();
    world.send({ type: "services.stack.down", data: { services: ["a"] } });
    world.run();
    upWith(world, specs);
    world.run();
    assert.equal(world.life("a"), life, policy);
    world.send({ type: "services.stack.up", data: {} });
    world.run();
    assert.equal(world.life("a"), "healthy");
  }
});

Deno.test("one that runs at stated times waits for them, runs once for each, and not while it still runs", () => {
  const job = spec("job", { schedule: "0 3 * * *", restart: { ...spec("job").restart, policy: "no" } });
  const world = upWith(new World((name) => name === "job" ? { ends: { at: 100, code: 0 } } : {}), [
    job,
    spec("after", needing("completed", "job")),
  ]);
  world.run();
  assert.deepEqual([world.life("job"), world.life("after"), world.story("job")], ["idle", "waiting", []]);
  const trigger = (due_ms: number, by = ORCHESTRATOR) =>
    world.send({ type: "services.service.trigger", data: { service: "job", due_ms } }, by);
  assert.throws(() => trigger(8_640_000_000_000_000, "u_tester"), /not_due/);
  assert.throws(() => trigger(world.at + 1, "u_tester"), /not_due/);
  trigger(1_000);
  world.run(world.at + 50);
  assert.equal(trigger(1_000).length, 0, "the same time is told once");
  assert.deepEqual(trigger(2_000).map(({ data }) => data), [{ service: "job", due_ms: 2_000, running: true }]);
  world.run();
  assert.deepEqual([world.life("job"), world.life("after")], ["completed", "healthy"]);
  trigger(3_000);
  world.run();
  assert.equal(world.story("job").filter((type) => type === "announced").length, 2);
  world.send({ type: "services.stack.down", data: {} });
  world.send({ type: "services.stack.up", data: {} });
  world.run();
  assert.equal(world.life("job"), "idle", "it waits for its next time");
});

Deno.test("a stated time that a clock told which was far ahead does not count when the clock is set back; a near one does", () => {
  const job = spec("job", { schedule: "0 3 * * *", restart: { ...spec("job").restart, policy: "no" } });
  const world = upWith(new World(() => ({ ends: { at: 100, code: 0 } })), [job]);
  const trigger = (due_ms: number) =>
    world.send({ type: "services.service.trigger", data: { service: "job", due_ms } }, ORCHESTRATOR).length;
  const day = 86_400_000;
  world.at = 400 * day;
  assert.equal(trigger(400 * day), 2);
  world.run();
  world.at = 399 * day;
  assert.equal(trigger(399 * day), 0);
  world.at = 10 * day;
  assert.equal(trigger(10 * day), 2);
  world.run();
  assert.equal(trigger(10 * day), 0);
});

Deno.test("a program that cannot be started is a failure like any other, and says why", () => {
  const world = upWith(new World(() => ({ refused: "no such program" })), [
    spec("a", { restart: { ...spec("a").restart, policy: "no" } }),
  ]);
  world.run();
  const { data } = world.facts.at(-1)!.fact;
  assert.deepEqual(data, { service: "a", replica: 0, because: "no such program" });
});

Deno.test("an end that nobody saw is not a success", () => {
  const world = upWith(new World(() => ({})), [spec("a"), spec("b", needing("completed_successfully", "a"))]);
  world.run();
  const { nonce } = world.processes.get("a/0")!;
  world.end("a/0", "a", 0, nonce, null, null, false);
  assert.equal(world.life("a"), "backoff");
});

Deno.test("only who starts programs may say what a stack is, and what became of them, and of processes that are not there any more nothing is taken", () => {
  const world = upWith(new World(() => ({})), [spec("a")]);
  world.run();
  const data = { service: "a", replica: 0, nonce: "another", code: 0, signal: null, known: true };
  assert.throws(() => world.send({ type: "services.process.record_exit", data }), /not_the_orchestrator/);
  const none = { services: [], profile: null, order: "ready" as const, wanted: [] };
  given(services).when({ type: "services.stack.apply", data: none }).rejected("not_the_orchestrator");
  assert.deepEqual(world.send({ type: "services.process.record_exit", data }, ORCHESTRATOR), []);
});

Deno.test("a stack that cannot be is refused whole", () => {
  const refused = (specs: readonly ServiceSpec[], wanted: readonly string[] = []) => {
    const decision = services.decide(services.initial, {
      type: "services.stack.apply",
      data: { services: [...specs], profile: null, order: "ready", wanted: [...wanted] },
    }, { at: 0, by: ORCHESTRATOR, fresh: "f", id: "t" });
    return decision.ok ? "accepted" : decision.rejection;
  };
  assert.deepEqual(refused([spec("a", needing("healthy", "b")), spec("b", needing("started", "a"))]), {
    code: "dependency_cycle",
    because: "The services need each other: a → b",
  });
  assert.equal((refused([spec("a"), spec("a")]) as { code: string }).code, "service_twice");
  assert.equal((refused([spec("a", needing("healthy", "b"))]) as { code: string }).code, "service_unknown");
  assert.equal((refused([spec("a")], ["b"]) as { code: string }).code, "service_unknown");
  const many = Array.from({ length: 4 }, (_, i) => spec(`s${i}`, { replicas: 100 }));
  assert.equal((refused(many) as { code: string }).code, "too_many_instances");
});

/** Random stacks without cycles. */
const stacks = fc.integer({ min: 1, max: 20 }).chain((size) =>
  fc.tuple(
    fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: size, maxLength: size }),
    fc.array(fc.tuple(fc.nat({ max: size - 1 }), fc.nat({ max: size - 1 })), { maxLength: 40 }),
  ).map(([times, edges]) => {
    const needs = times.map(() => new Set<string>());
    for (const [a, b] of edges) if (a !== b) needs[Math.max(a, b)]!.add(`s${Math.min(a, b)}`);
    return { times, specs: times.map((_, i) => spec(`s${i}`, { ...well, ...needing("healthy", ...needs[i]!) })) };
  })
);

Deno.test("a start takes as long as its longest chain, whatever the graph; strict batches never less", () => {
  fc.assert(fc.property(stacks, ({ times, specs }) => {
    const nodes = specs.map(({ service, needs }) => ({ name: service, needs: needs.map((need) => need.service) }));
    const graph = graphOf(nodes);
    assert.ok(graph.ok);
    const time = (name: string) => times[Number(name.slice(1))]!;
    const made = (order: "ready" | "batches") => {
      const world = upWith(new World((name) => ({ well: time(name) })), specs, order);
      world.run();
      assert.ok(specs.every(({ service }) => world.life(service) === "healthy"));
      return world.at;
    };
    // Each start takes 1 ms in the pretended world.
    const bound = criticalPath(nodes, graph, (name) => time(name) + 1).length;
    assert.equal(made("ready"), bound);
    assert.ok(made("batches") >= bound);
  }));
});

const wishes = fc.array(
  fc.oneof(
    fc.record({ is: fc.constant("up" as const) }),
    fc.record({ is: fc.constant("down" as const), service: fc.option(fc.nat()) }),
    fc.record({ is: fc.constant("restart" as const), service: fc.nat() }),
    fc.record({ is: fc.constant("crash" as const), service: fc.nat(), code: fc.nat({ max: 2 }) }),
    fc.record({ is: fc.constant("change" as const), service: fc.nat(), digest: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ is: fc.constant("wait" as const), ms: fc.nat({ max: 5_000 }) }),
  ),
  { maxLength: 25 },
);

Deno.test("whatever is asked for and whatever dies: no instance has two processes, none starts too early, and in the end all is up", () => {
  fc.assert(fc.property(stacks, wishes, ({ times, specs }, wishes) => {
    let now = specs.map((each) => ({ ...each, restart: { ...each.restart, policy: "always" as const, max: 1_000 } }));
    const world = upWith(new World((name) => ({ well: times[Number(name.slice(1))]!, stops: 20 })), now);
    const named = (n: number) => now[n % now.length]!.service;
    for (const wish of wishes) {
      if (wish.is === "up") world.send({ type: "services.stack.up", data: {} });
      else if (wish.is === "down") {
        const services = wish.service === null ? undefined : [named(wish.service)];
        world.send({ type: "services.stack.down", data: services ? { services } : {} });
      } else if (wish.is === "wait") world.run(world.at + wish.ms);
      else if (wish.is === "crash") {
        const key = `${named(wish.service)}/0`;
        const process = world.processes.get(key);
        if (process) world.end(key, named(wish.service), 0, process.nonce, wish.code, null);
      } else if (wish.is === "change") {
        now = now.map((each) =>
          each.service === named(wish.service) ? { ...each, digest: digestOf(wish.digest) } : each
        );
        upWith(world, now);
      } else if (world.stack.services[named(wish.service)]!.wanted) {
        world.send({ type: "services.service.restart", data: { service: named(wish.service) } });
      }
    }
    world.send({ type: "services.stack.up", data: {} });
    world.run();
    for (const { service, digest } of now) {
      const life = world.stack.services[service]!.lives[0]!;
      assert.ok(life.is === "healthy" && life.digest === digest, `${service} is ${life.is}`);
    }
    assert.equal(world.processes.size, now.length);
    world.send({ type: "services.stack.down", data: {} });
    world.run();
    assert.equal(world.processes.size, 0);
  }));
});
