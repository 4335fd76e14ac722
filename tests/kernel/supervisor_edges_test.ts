/** What supervisors do where several things happen to them at once. */
import assert from "node:assert/strict";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { Puppet, rig, supervise } from "./rig.ts";

const plenty = { max: 100, within: 1_000 };
const states = (supervisor: Supervisor) =>
  Object.fromEntries(supervisor.tree().children!.map(({ id, state }) => [id, state]));

Deno.test("a temporary child added at run time is forgotten when a strategy takes it down", async () => {
  const r = rig();
  const a = new Puppet("a", []);
  const { supervisor, stop, run } = await supervise(r, { strategy: "one_for_all", restarts: plenty, children: [a] });
  const added = () => new Puppet("b", [], { restart: "temporary" });
  await r.clock.until(supervisor.add(added()));
  a.crash();
  await r.clock.settle();
  assert.deepEqual(states(supervisor), { a: "running" });
  await r.clock.until(supervisor.add(added()));
  assert.deepEqual(states(supervisor), { a: "running", b: "running" });
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a child that is not ready in time and slow to stop has ended, or is abandoned, before it starts again", async () => {
  for (const [deaf, abandoned] of [[false, 0], [true, 1]] as const) {
    const r = rig();
    const begun: number[] = [];
    const slow = new Puppet("slow", [], {
      readyWithin: 100,
      grace: 50,
      deaf: true,
      begin: (run, { ready }) => {
        begun.push(r.clock.monotonic());
        if (run > 1) ready();
        else if (!deaf) r.clock.schedule(130, () => slow.exit());
      },
    });
    const { supervisor, stop, run } = await supervise(r, {
      strategy: "one_for_one",
      restarts: plenty,
      children: [slow],
    });
    await r.clock.advance(1_000);
    assert.deepEqual(begun, [0, deaf ? 150 : 130]);
    assert.equal(r.facts.filter(({ type }) => type === "kernel.child.abandoned").length, abandoned);
    assert.deepEqual(states(supervisor), { slow: "running" });
    stop.abort();
    await r.clock.until(run);
  }
});

Deno.test("who crashes while another waits to be restarted takes along nobody whose wait is not over", async () => {
  const r = rig();
  const [a, b] = [new Puppet("a", []), new Puppet("b", [])];
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    backoff: { first: 100, last: 1_000, jitter: 0 },
    children: [a, b],
  });
  for (const wait of [100, 200]) {
    a.crash();
    await r.clock.advance(wait);
  }
  a.crash(); // for 400 ms
  await r.clock.settle();
  b.crash();
  await r.clock.advance(100);
  assert.deepEqual(states(supervisor), { a: "backoff", b: "running" });
  await r.clock.advance(300);
  assert.deepEqual(states(supervisor), { a: "running", b: "running" });
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a transient child added at run time stays, visibly stopped, when it has ended", async () => {
  const r = rig();
  const { supervisor, stop, run } = await supervise(r, { strategy: "one_for_one", restarts: plenty, children: [] });
  const a = new Puppet("a", [], { restart: "transient" });
  await r.clock.until(supervisor.add(a));
  a.exit();
  await r.clock.settle();
  assert.deepEqual(states(supervisor), { a: "stopped" });
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a child that fails when it is started again on request is restarted within the budget, and no further", async () => {
  for (const max of [1, 0]) {
    const r = rig();
    const a = new Puppet("a", [], {
      readyWithin: 10,
      begin: (run, { ready }) => {
        if (run === 2) throw new Error("not now");
        ready();
      },
    });
    const { supervisor, stop, run, ended } = await supervise(r, {
      strategy: "one_for_one",
      restarts: { max, within: 1_000 },
      children: [a],
    });
    const again = r.clock.until(supervisor.again("a"));
    if (max === 0) {
      await assert.rejects(again, /more than 0 times/);
      await r.clock.until(run);
      assert.match(ended()!, /^GaveUp/);
      continue;
    }
    await again;
    await r.clock.settle();
    assert.deepEqual([a.runs, states(supervisor)], [3, { a: "running" }]);
    stop.abort();
    await r.clock.until(run);
  }
});

Deno.test("nobody is started any more when a shutdown comes while another is starting", async () => {
  const r = rig();
  const journal: string[] = [];
  const children = [new Puppet("slow", journal, { readyWithin: 1_000 }), new Puppet("next", journal)];
  const { stop, run } = await supervise(r, { strategy: "one_for_one", restarts: plenty, children });
  stop.abort();
  await r.clock.until(run);
  assert.deepEqual(journal, ["+slow", "-slow"]);
});

Deno.test("those behind a child whose start fails wait until it has started", async () => {
  for (const strategy of ["rest_for_one", "one_for_all"] as const) {
    const r = rig();
    const journal: string[] = [];
    const a = new Puppet("a", journal, {
      readyWithin: 10,
      begin: (run, { ready }) => {
        if (run === 1) throw new Error("not yet");
        ready();
      },
    });
    const { supervisor, stop, run } = await supervise(r, {
      strategy,
      restarts: plenty,
      backoff: { first: 100, last: 100, jitter: 0 },
      children: [a, new Puppet("b", journal)],
    });
    await r.clock.advance(99);
    assert.deepEqual(journal, ["+a"], strategy);
    await r.clock.advance(1);
    assert.deepEqual(journal, ["+a", "+a", "+b"], strategy);
    assert.deepEqual(states(supervisor), { a: "running", b: "running" });
    stop.abort();
    await r.clock.until(run);
  }
});

Deno.test("who asks in the same turn as a shutdown is answered, and no timer is left behind", async () => {
  const r = rig();
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: [new Puppet("a", [])],
  });
  const asked = [supervisor.stop("a"), supervisor.stop("a")].map((asked) => asked.then(() => "done", String));
  stop.abort();
  await r.clock.until(run);
  assert.deepEqual(await Promise.all(asked), ["done", 'Error: "root" is not running']);
  await assert.rejects(r.clock.until(new Promise(() => {})), /no timer is left/);
  assert.equal(r.clock.monotonic(), 0);
});

Deno.test("a supervisor that was restarted tells no more of why it went down", async () => {
  const r = rig();
  const a = new Puppet("a", []);
  const inner = new Supervisor({
    id: "inner",
    strategy: "one_for_one",
    restarts: { max: 0, within: 1_000 },
    children: [a],
  }, r);
  const { stop, run } = await supervise(r, { strategy: "one_for_one", restarts: plenty, children: [inner] });
  a.crash();
  await r.clock.settle();
  assert.deepEqual([a.runs, inner.tree().state, inner.tree().cause], [2, "running", undefined]);
  stop.abort();
  await r.clock.until(run);
  assert.equal(inner.tree().state, "stopped");
});

Deno.test("who watches is told once, also where a child ends again, and not after taking it back", async () => {
  const r = rig();
  const heard: string[] = [];
  const a = new Puppet("a", []);
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: [a],
  });
  supervisor.watch("a", (how) => heard.push(how));
  supervisor.watch("nobody", (how) => heard.push(how))();
  for (let i = 0; i < 2; i++) {
    a.crash();
    await r.clock.settle();
  }
  assert.deepEqual(heard, ["crashed"]);
  stop.abort();
  await r.clock.until(run);
});
