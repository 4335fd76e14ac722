/** Stacks at their edges: what was taken away, what waits for its time, what comes back. */
import assert from "node:assert/strict";
import { operationRoutes } from "../adapters/program/operations.ts";
import type { ServiceSpec } from "../events/services.ts";
import { digestOf, needing, spec, upWith, World } from "./services_given.ts";

Deno.test("a restart is of the replicas there are to be: those that were taken away are not started", () => {
  const world = upWith(new World(), [spec("web", { replicas: 3 })]);
  world.run(1_000);
  upWith(world, [spec("web", { replicas: 1 })]);
  world.run(2_000);
  assert.deepEqual([world.life("web", 1), world.life("web", 2)], ["stopped", "stopped"]);
  const before = world.facts.length;
  world.send({ type: "services.service.restart", data: { service: "web" } });
  world.run(3_000);
  const since = world.facts.slice(before).map(({ fact }) => fact.data as { readonly replica?: number });
  assert.ok(since.length > 0 && since.every(({ replica }) => replica === 0));
  assert.equal(world.life("web"), "healthy");
});

Deno.test("in sequence and in batches nobody waits for one that waits for its time", () => {
  for (const order of ["sequential", "batches"] as const) {
    const world = upWith(new World(), [
      spec("report", { schedule: "0 3 * * *" }),
      spec("db"),
      spec("api", needing("healthy", "db")),
    ], order);
    world.run(1_000);
    assert.deepEqual([world.life("report"), world.life("api")], ["idle", "healthy"], order);
  }
});

Deno.test("one that is on its way out and is in the stack again, though not to run, stays in it", () => {
  const world = upWith(new World(() => ({ well: 10, stops: 5_000 })), [spec("db"), spec("web")]);
  world.run(1_000);
  upWith(world, [spec("web")]);
  world.run(1_500);
  assert.equal(world.life("db"), "stopping");
  world.send({
    type: "services.stack.apply",
    data: { services: [spec("db"), spec("web")], profile: null, order: "ready", wanted: ["web"] },
  });
  world.run(20_000);
  assert.equal(world.life("db"), "stopped");
  world.send({ type: "services.stack.up", data: { services: ["db"] } });
  world.run(30_000);
  assert.equal(world.life("db"), "healthy");
});

Deno.test("who may administer over the network may not have programs of theirs run: that takes the machine itself", async () => {
  const route = operationRoutes({} as never).find(({ path }) => path === "/operations/update-stack")!;
  const grant = {
    id: "t_admin",
    scopes: ["admin"],
    tenant: "default",
    principal: { authtype: "user", authid: "t_admin" },
  };
  const asked = Promise.resolve().then(() => route.handle({ grant } as never));
  await assert.rejects(asked, ({ code }: { readonly code: string }) => code === "forbidden");
});

const noncesOf = (world: World) => [...world.processes.values()].map(({ nonce }) => nonce);
const updatesOf = (world: World) =>
  world.facts.flatMap(({ fact }) => fact.type.startsWith("services.update.") ? [fact.type.slice(16)] : []);

Deno.test("another number of replicas adds or takes away, and leaves the others alone; those that were taken away come back", () => {
  const web = (replicas: number) => [spec("web", { probes: ["readiness"], replicas })];
  const world = upWith(new World(() => ({ well: 10, stops: 10 })), web(2));
  world.run(1_000);
  const first = noncesOf(world);
  upWith(world, web(3));
  world.run(2_000);
  assert.deepEqual(noncesOf(world).slice(0, 2), first);
  upWith(world, web(1));
  world.run(3_000);
  assert.deepEqual(noncesOf(world), first.slice(0, 1));
  upWith(world, web(3));
  world.run(4_000);
  assert.equal(noncesOf(world)[0], first[0]);
  assert.deepEqual([0, 1, 2].map((at) => world.life("web", at)), ["healthy", "healthy", "healthy"]);
  assert.deepEqual(updatesOf(world), []);
});

Deno.test("a change that takes replicas away and is undone brings them back", () => {
  let isNew = false;
  const world = upWith(new World(() => isNew ? { ends: { at: 5, code: 1 } } : { well: 10 }), [
    spec("web", { probes: ["readiness"], replicas: 3 }),
  ]);
  world.run(1_000);
  isNew = true;
  upWith(world, [spec("web", {
    probes: ["readiness"],
    replicas: 1,
    digest: digestOf(2),
    restart: { ...spec("web").restart, policy: "no" },
  })]);
  for (let ms = 0; !updatesOf(world).includes("reverted"); ms++) {
    assert.ok(ms < 100_000, "it is never reverted");
    world.run(world.at + 1);
  }
  isNew = false;
  world.run(world.at + 1_000);
  assert.deepEqual([0, 1, 2].map((at) => world.life("web", at)), ["healthy", "healthy", "healthy"]);
});

Deno.test("a change that is not to be undone and does not become well is over all the same, and takes no more than it may", () => {
  const web = (digest: number, over: Partial<ServiceSpec> = {}) =>
    spec("web", {
      probes: ["readiness"],
      replicas: 3,
      digest: digestOf(digest),
      update: { max_unavailable: 1, healthy_ms: 0, deadline_ms: 5_000, rollback: false },
      ...over,
    });
  // It never becomes well; or it fails at once.
  const no = { ...spec("web").restart, policy: "no" as const };
  for (const [bad, over, at] of [[{}, {}, 5_000], [{ ends: { at: 5, code: 1 } }, { restart: no }, 50]] as const) {
    let isNew = false;
    const world = upWith(new World(() => isNew ? bad : { well: 10 }), [web(1)]);
    world.run(1_000);
    isNew = true;
    upWith(world, [web(2, over)]);
    world.run(world.at + at);
    assert.deepEqual(updatesOf(world), ["begun", "failed"]);
    world.run(world.at + 60_000);
    assert.deepEqual(updatesOf(world), ["begun", "failed"]);
    assert.equal(world.stack.services.web!.lives.filter(({ is }) => is === "healthy").length, 2);
    // What mends it is a change like any other.
    isNew = false;
    upWith(world, [web(3)]);
    world.run(world.at + 1_000);
    assert.ok(world.stack.services.web!.lives.every((life) => life.is === "healthy" && life.digest === digestOf(3)));
    assert.deepEqual(updatesOf(world).slice(2), ["begun", "completed"]);
  }
});

Deno.test("a restart that would leave fewer healthy than there must be is refused; of one that is not well it never would", () => {
  const world = upWith(new World(() => ({ well: 10, stops: 10 })), [
    spec("web", { probes: ["readiness"], replicas: 3 }),
    spec("db", { probes: ["readiness"] }),
  ]);
  world.run(1_000);
  const restart = (data: { service: string; replica?: number }) => () =>
    world.send({ type: "services.service.restart", data });
  assert.throws(restart({ service: "web" }), /below_minimum/);
  restart({ service: "web", replica: 0 })();
  assert.throws(restart({ service: "web", replica: 1 }), /below_minimum/);
  restart({ service: "db" })();
  const { nonce } = world.processes.get("web/2")!;
  world.end("web/2", "web", 2, nonce, 1, null);
  restart({ service: "web", replica: 2 })();
  world.run(2_000);
  restart({ service: "web", replica: 1 })();
});

Deno.test("one that is healthy is told to stop so long before its signal is due; one that nobody uses is not waited for", () => {
  const world = upWith(new World(() => ({ well: 10, stops: Infinity })), [
    spec("web", { probes: ["readiness"], stop: { signal: "SIGTERM", grace_ms: 1_000, drain_ms: 500 } }),
  ]);
  world.run(1_000);
  const until = () => {
    const life = world.stack.services.web!.lives[0]!;
    return life.is === "stopping" ? life.until - world.at : life.is;
  };
  world.send({ type: "services.service.restart", data: { service: "web" } });
  assert.equal(until(), 1_500);
  world.run(2_600);
  assert.equal(world.life("web"), "healthy", "it was killed when its time was over");
  const { nonce } = world.processes.get("web/0")!;
  world.probe("web/0", { service: "web", replica: 0, nonce, probe: "liveness", ok: false });
  assert.equal(until(), 1_000);
});

Deno.test("one that never becomes ready is on record as that, once, and may become it later", () => {
  const world = upWith(new World(() => ({})), [spec("web", { probes: ["readiness"] })]);
  world.run(1_000);
  const [nonce] = noncesOf(world);
  const probed = (ok: boolean) =>
    world.probe("web/0", { service: "web", replica: 0, nonce: nonce!, probe: "readiness", ok });
  probed(false);
  assert.equal(world.life("web"), "unhealthy");
  probed(false);
  assert.equal(world.story("web").filter((type) => type === "lost").length, 1);
  probed(true);
  assert.equal(world.life("web"), "healthy");
});

Deno.test("where a change that turns a dependency round is undone, what would need it the other way is put back with it", () => {
  let isBad = false;
  const world = upWith(new World((name) => isBad && name === "a" ? {} : { well: 10 }), [
    spec("a", { probes: ["readiness"], ...needing("healthy", "b") }),
    spec("b", { probes: ["readiness"] }),
  ]);
  world.run();
  isBad = true;
  const changed = { digest: digestOf(2), probes: ["readiness" as const] };
  const late = { ...spec("b").update, deadline_ms: 1_000_000_000 };
  upWith(world, [spec("a", changed), spec("b", { ...changed, update: late, ...needing("healthy", "a") })]);
  world.run(50_000);
  isBad = false;
  world.run(110_000);
  assert.deepEqual([world.life("a"), world.life("b")], ["healthy", "healthy"]);
  const digests = Object.values(world.stack.services).map(({ spec: { digest } }) => digest);
  assert.deepEqual(digests, [digestOf(1), digestOf(1)]);
});

const MANY = 300;
const many = (digest: number, over: Partial<ServiceSpec> = {}, prefix = "a") =>
  Array.from({ length: MANY }, (_, n) => spec(`${prefix}${n}`, { digest: digestOf(digest), ...over }));
const livesOf = (world: World) =>
  Object.values(world.stack.services).map(({ lives }) => lives.map(({ is }) => is).join());

Deno.test("as many services as a stack may have are changed, stopped while they change, and replaced by others, all at once", () => {
  const world = upWith(new World(() => ({ well: 10, stops: 10 })), many(1, { probes: ["readiness"] }));
  world.run();
  upWith(world, many(2, { probes: ["readiness"] }));
  world.run();
  const digests = Object.values(world.stack.services).map(({ lives: [life] }) => (life as { digest: string }).digest);
  assert.deepEqual(new Set(digests), new Set([digestOf(2)]));
  upWith(world, many(3, { probes: ["readiness"] }));
  world.send({ type: "services.stack.down", data: {} });
  world.run();
  assert.deepEqual([...new Set(livesOf(world)), world.processes.size], ["stopped", 0]);
  world.send({ type: "services.stack.up", data: {} });
  world.run();
  upWith(world, many(1, {}, "b"));
  world.run();
  assert.deepEqual([livesOf(world).length, ...new Set(livesOf(world))], [MANY, "healthy"]);
});

Deno.test("as many services as a stack may have wait for each other, whatever they are called", () => {
  for (const order of ["sequential", "batches"] as const) {
    const world = upWith(new World(() => ({})), many(1, {}, "called-so-".repeat(5)), order);
    world.run();
    assert.deepEqual([...new Set(livesOf(world))], ["healthy"], order);
  }
});
