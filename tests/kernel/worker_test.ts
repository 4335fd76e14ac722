import assert from "node:assert/strict";
import { Silence } from "../../actors/kernel/silence.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { pause } from "../../actors/kernel/world.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import { WorkerChild, type WorkerSpec } from "../../adapters/system/worker_child.ts";
import type { KernelFact } from "../../events/kernel.ts";
import { steadyClock } from "../clock_given.ts";
import { until } from "../until.ts";

/** Silence that tells of a death, in time that a pause of the machine is no part of. */
const SILENT_MS = 2_500;

/** A supervised worker, in real time. */
const hire = async (spec: Partial<WorkerSpec> = {}, clock = steadyClock()) => {
  const facts: KernelFact[] = [];
  const said: unknown[] = [];
  const worker = new WorkerChild({
    id: "worker",
    url: new URL("./troubled_worker.ts", import.meta.url),
    heartbeat: { every: 50, within: SILENT_MS },
    message: (data) => void said.push(data),
    ...spec,
  }, clock);
  const recorder = {
    record: (fact: KernelFact) => void facts.push(fact),
    flush: () => Promise.resolve(),
  };
  const world = { clock: systemClock, random: systemRandom, recorder };
  const supervisor = new Supervisor({
    id: "root",
    strategy: "one_for_one",
    restarts: { max: 10, within: 60_000 },
    children: [worker],
  }, world);
  const stopping = new AbortController();
  const run = supervisor.run(stopping.signal);
  const state = () => supervisor.tree().children![0]!.state;
  const running = async () => {
    await until("it runs", state, (seen) => seen === "running");
  };
  await running();
  const echo = async (data: unknown) => {
    const before = said.length;
    assert.equal(worker.post(data), true);
    await until("it answers", () => said.length > before);
    return said.at(-1);
  };
  const crashes = () => facts.flatMap((fact) => fact.type === "kernel.child.crashed" ? fact.data.cause : []);
  const stop = async () => {
    stopping.abort();
    await run;
  };
  return { worker, echo, running, crashes, stop, facts };
};

Deno.test("a worker works, and stops when asked", async () => {
  const w = await hire();
  assert.deepEqual(await w.echo({ n: 1 }), { echo: { n: 1 } });
  await w.stop();
  assert.equal(w.worker.post("late"), false);
  assert.deepEqual(w.facts.map(({ type }) => type), ["kernel.child.started", "kernel.child.stopped"]);
});

Deno.test("a worker that throws, rejects, exits, closes itself or hangs is noticed, recorded and restarted", async () => {
  const w = await hire();
  for (const [i, trouble] of ["throw", "reject", "exit", "close", "hang"].entries()) {
    w.worker.post(trouble);
    await until(`crash ${i}`, () => w.crashes().length > i);
    await w.running();
    assert.deepEqual(await w.echo(trouble.length), { echo: trouble.length }, `after ${trouble}`);
  }
  const [thrown, rejected, ...silent] = w.crashes();
  assert.match(thrown!, /thrown in the worker/);
  assert.match(rejected!, /rejected in the worker/);
  for (const cause of silent) assert.equal(cause, `no heartbeat within ${SILENT_MS} ms`);
  await w.stop();
});

Deno.test("a process that was stopped itself takes no worker for dead that it could not hear", async () => {
  let stopped = 0;
  const steady = steadyClock();
  const w = await hire({}, { ...steady, monotonic: () => steady.monotonic() + stopped });
  for (let n = 0; n < 3; n++) {
    stopped += 60_000;
    // The next look comes before anything is heard.
    await pause(steady, 120);
    await w.echo({ n });
  }
  assert.deepEqual(w.crashes(), []);
  await w.stop();
});

Deno.test("silence is the time in which somebody could have been heard", () => {
  let now = 0;
  const silence = new Silence({ monotonic: () => now }, 1_000);
  const looked = (after: number) => (now += after, silence.look());
  assert.deepEqual([1_000, 1_900, 1_000].map(looked), [1_000, 2_900, 3_900]);
  assert.equal(looked(600_000), 4_900, "stopped, but for the time between two looks");
  assert.equal(looked(1_000), 5_900);
  silence.broken();
  assert.equal(looked(1_000), 1_000);
});

Deno.test("a worker that does not stop is terminated at its grace, and that is said", async () => {
  const w = await hire({ stopWithin: 100 });
  await w.echo("deaf");
  await w.stop();
  assert.deepEqual(w.facts.at(-1), {
    type: "kernel.child.stopped",
    data: { child: "root:worker", reason: "shutdown", cause: "terminated: it did not stop within 100 ms" },
  });
});

Deno.test("a worker that is stopped before it is ready ends, and leaves nothing behind", async () => {
  const worker = new WorkerChild(
    { id: "w", url: new URL("./troubled_worker.ts", import.meta.url), message: () => {} },
    systemClock,
  );
  const stopping = new AbortController();
  const run = worker.run(stopping.signal);
  stopping.abort();
  await run;
});

Deno.test("a worker has no permission that it was not given", async () => {
  const w = await hire();
  assert.equal(await w.echo("environment"), "NotCapable");
  await w.stop();
});

Deno.test("a worker whose module cannot be loaded is a crash, not an end of the process", async () => {
  const facts: KernelFact[] = [];
  const recorder = { record: (fact: KernelFact) => void facts.push(fact), flush: () => Promise.resolve() };
  const worker = new WorkerChild(
    { id: "w", url: new URL("./no_such_worker.ts", import.meta.url), message: () => {} },
    systemClock,
  );
  const supervisor = new Supervisor(
    { id: "root", strategy: "one_for_one", restarts: { max: 1, within: 60_000 }, children: [worker] },
    { clock: systemClock, random: systemRandom, recorder },
  );
  await assert.rejects(supervisor.run(new AbortController().signal), /root:w/);
  assert.equal(facts.filter(({ type }) => type === "kernel.child.crashed").length, 2);
});
