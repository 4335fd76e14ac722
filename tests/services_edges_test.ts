/** Stacks at their edges: what was taken away, what waits for its time, what comes back. */
import assert from "node:assert/strict";
import { operationRoutes } from "../adapters/program/operations.ts";
import { needing, spec, upWith, World } from "./services_given.ts";

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
