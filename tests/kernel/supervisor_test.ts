import assert from "node:assert/strict";
import type { HealthNode } from "../../actors/kernel/daybook.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { Puppet, rig, supervise } from "./rig.ts";

const plenty = { max: 100, within: 1_000 };
const states = (supervisor: Supervisor) =>
  Object.fromEntries(supervisor.tree().children!.map(({ id, state }) => [id, state]));
const abc = (journal: string[]) => ["a", "b", "c"].map((id) => new Puppet(id, journal));

Deno.test("children start in order and stop in reverse", async () => {
  const r = rig();
  const journal: string[] = [];
  const { supervisor, stop, run, ended } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: abc(journal),
  });
  assert.equal(supervisor.tree().state, "running");
  stop.abort();
  await r.clock.until(run);
  assert.deepEqual(journal, ["+a", "+b", "+c", "-c", "-b", "-a"]);
  assert.equal(ended(), "stopped");
  assert.deepEqual(r.told(), ["started a", "started b", "started c", "stopped c", "stopped b", "stopped a"]);
});

Deno.test("each strategy restarts whom OTP says, stopping in reverse and starting in order", async () => {
  const expected = {
    one_for_one: ["+b"],
    rest_for_one: ["-c", "+b", "+c"],
    one_for_all: ["-c", "-a", "+a", "+b", "+c"],
  } as const;
  for (const strategy of ["one_for_one", "rest_for_one", "one_for_all"] as const) {
    const r = rig();
    const journal: string[] = [];
    const children = abc(journal);
    const { stop, run } = await supervise(r, { strategy, restarts: plenty, children });
    journal.length = 0;
    children[1]!.crash();
    await r.clock.settle();
    assert.deepEqual(journal, expected[strategy], strategy);
    assert.ok(children.every((child) => child.running));
    stop.abort();
    await r.clock.until(run);
  }
});

Deno.test("permanent, transient and temporary children come back as OTP says", async () => {
  const table = [
    ["permanent", "exit", true],
    ["permanent", "crash", true],
    ["transient", "exit", false],
    ["transient", "crash", true],
    ["temporary", "exit", false],
    ["temporary", "crash", false],
  ] as const;
  for (const [restart, how, back] of table) {
    const r = rig();
    const child = new Puppet("a", [], { restart });
    const { supervisor, stop, run } = await supervise(r, {
      strategy: "one_for_one",
      restarts: plenty,
      children: [child],
    });
    child[how]();
    await r.clock.settle();
    assert.equal(child.runs, back ? 2 : 1, `${restart} after ${how}`);
    assert.equal(states(supervisor).a, back ? "running" : how === "crash" ? "down" : "stopped");
    stop.abort();
    await r.clock.until(run);
  }
});

Deno.test("a temporary sibling that a strategy takes down is not started again", async () => {
  const r = rig();
  const journal: string[] = [];
  const a = new Puppet("a", journal);
  const b = new Puppet("b", journal, { restart: "temporary" });
  const { supervisor, stop, run } = await supervise(r, { strategy: "one_for_all", restarts: plenty, children: [a, b] });
  a.crash();
  await r.clock.settle();
  assert.deepEqual(journal, ["+a", "+b", "-b", "+a"]);
  assert.deepEqual(states(supervisor), { a: "running", b: "stopped" });
  stop.abort();
  await r.clock.until(run);
});

Deno.test("exactly max restarts within the period are granted; one more and the supervisor gives up, visibly", async () => {
  const r = rig();
  const journal: string[] = [];
  const [a, b] = [new Puppet("a", journal), new Puppet("b", journal)];
  const { supervisor, run, ended } = await supervise(r, {
    strategy: "one_for_one",
    restarts: { max: 3, within: 1_000 },
    children: [a, b],
  });
  for (let i = 0; i < 3; i++) {
    a.crash();
    await r.clock.settle();
  }
  assert.equal(a.runs, 4);
  assert.equal(ended(), undefined);
  b.crash(new Error("enough")); // the budget is the supervisor's, not the child's
  await r.clock.until(run);
  assert.match(ended()!, /^GaveUp: "root:b" ended, more than 3 times within 1000 ms: enough$/);
  assert.equal(supervisor.tree().state, "down");
  assert.equal(states(supervisor).b, "down");
  assert.equal(a.running, false);
  const last = r.facts.filter(({ type }) => type === "kernel.child.gave_up");
  assert.deepEqual(last, [{
    type: "kernel.child.gave_up",
    data: { child: "root", because: "root:b", cause: "enough", max: 3, within_ms: 1_000 },
  }]);
});

Deno.test("restarts that are further apart than the period never spend the budget", async () => {
  const r = rig();
  const a = new Puppet("a", []);
  const { stop, run, ended } = await supervise(r, {
    strategy: "one_for_one",
    restarts: { max: 1, within: 1_000 },
    children: [a],
  });
  for (let i = 0; i < 10; i++) {
    await r.clock.advance(1_001);
    a.crash();
    await r.clock.settle();
  }
  assert.equal(a.runs, 11);
  assert.equal(ended(), undefined);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a supervisor that gives up is restarted by its own, with a fresh budget, until that one gives up", async () => {
  const r = rig();
  const leaf = new Puppet("leaf", [], { begin: () => r.clock.schedule(0, () => leaf.crash()) });
  const inner = new Supervisor({
    id: "inner",
    strategy: "one_for_one",
    restarts: { max: 2, within: 1_000 },
    children: [leaf],
  }, r);
  const { run, ended } = await supervise(r, {
    strategy: "one_for_one",
    restarts: { max: 1, within: 1_000 },
    children: [inner],
  });
  await r.clock.until(run);
  assert.equal(leaf.runs, 6, "two runs of the inner supervisor, each with one start and two restarts");
  assert.match(ended()!, /^GaveUp: "root:inner"/);
  assert.deepEqual(r.told().filter((line) => line.startsWith("gave_up")), [
    "gave_up inner",
    "gave_up inner",
    "gave_up root",
  ]);
  assert.equal(r.told().includes("started inner:leaf"), true);
});

Deno.test("restarts are counted on when a supervisor is restarted", async () => {
  const r = rig();
  const leaf = new Puppet("leaf", []);
  const inner = new Supervisor({
    id: "inner",
    strategy: "one_for_one",
    restarts: { max: 2, within: 1_000 },
    children: [leaf],
  }, r);
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: [inner],
  });
  const counted: [number, number][] = [];
  for (let crashes = 0; crashes < 4; crashes++) {
    leaf.crash();
    await r.clock.settle();
    const [{ restarts, children }] = supervisor.tree().children as [HealthNode];
    counted.push([restarts, children![0]!.restarts]);
  }
  assert.deepEqual(counted, [[0, 1], [0, 2], [1, 2], [1, 3]]);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a throwing initialiser leaves no zombie", async () => {
  const r = rig();
  for (const readyWithin of [undefined, 100]) {
    const bad = new Puppet("bad", [], {
      readyWithin,
      begin: () => {
        throw new Error("cannot begin");
      },
    });
    const { supervisor, run, ended } = await supervise(r, {
      strategy: "one_for_one",
      restarts: { max: 2, within: 1_000 },
      children: [bad],
    });
    await r.clock.until(run);
    assert.equal(bad.runs, 3);
    assert.match(ended()!, /cannot begin/);
    assert.equal(states(supervisor).bad, "down");
  }
  assert.equal(r.facts.filter(({ type }) => type === "kernel.child.crashed").length, 6);
});

Deno.test("the next child starts when the one before says that it is ready", async () => {
  const r = rig();
  const journal: string[] = [];
  const slow = new Puppet("slow", journal, { readyWithin: 1_000 });
  const next = new Puppet("next", journal);
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "rest_for_one",
    restarts: plenty,
    children: [slow, next],
  });
  await r.clock.advance(500);
  assert.deepEqual(journal, ["+slow"]);
  assert.equal(states(supervisor).slow, "starting");
  slow.self!.ready();
  await r.clock.settle();
  assert.deepEqual(journal, ["+slow", "+next"]);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a child that is not ready in time is stopped, and that is a crash", async () => {
  const r = rig();
  const slow = new Puppet("slow", [], { readyWithin: 100 });
  const { run, ended } = await supervise(r, {
    strategy: "one_for_one",
    restarts: { max: 1, within: 10_000 },
    children: [slow],
  });
  await r.clock.until(run);
  assert.equal(slow.stops, 2);
  assert.match(ended()!, /not ready within 100 ms/);
});

Deno.test("restarts wait longer each time, with jitter, and start over after a long run", async () => {
  const r = rig();
  const begun: number[] = [];
  const a = new Puppet("a", [], { begin: () => begun.push(r.clock.monotonic()) });
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: { max: 100, within: 1_000 },
    backoff: { first: 100, last: 1_000, jitter: 0.1 },
    children: [a],
  });
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    const at = r.clock.monotonic();
    a.crash();
    await r.clock.settle();
    assert.equal(states(supervisor).a, "backoff");
    await r.clock.advance(1_101);
    waits.push(begun.at(-1)! - at);
    if (i === 4) await r.clock.advance(2_000);
  }
  for (const [i, base] of [100, 200, 400, 800, 1_000, 100].entries()) {
    assert.ok(waits[i]! >= base * 0.9 && waits[i]! <= base * 1.1, `wait ${i} was ${waits[i]}`);
  }
  assert.ok(waits.some((wait, i) => wait !== [100, 200, 400, 800, 1_000, 100][i]), "no jitter");
  stop.abort();
  await r.clock.until(run);
});

Deno.test("shutdown waits for a slow drain up to its grace, then abandons it and says so", async () => {
  const r = rig();
  const journal: string[] = [];
  const first = new Puppet("first", journal);
  const slow = new Puppet("slow", journal, { deaf: true, grace: 300 });
  const deaf = new Puppet("deaf", journal, { deaf: true, grace: 200 });
  const inner = new Supervisor({ id: "inner", strategy: "one_for_one", restarts: plenty, children: [deaf] }, r);
  const { supervisor, stop, run, ended } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: [first, inner, slow],
  });
  const began = r.clock.monotonic();
  stop.abort();
  r.clock.schedule(299, () => slow.exit());
  await r.clock.until(run);
  assert.equal(r.clock.monotonic() - began, 499);
  assert.equal(ended(), "stopped");
  assert.deepEqual(supervisor.abandoned, ["root:inner:deaf"]);
  assert.deepEqual(r.told().slice(-4), ["stopped slow", "abandoned inner:deaf", "stopped inner", "stopped first"]);
  deaf.crash(new Error("much later, and nobody minds"));
  await r.clock.settle();
});

Deno.test("shutdown while nothing happens takes no turns of the clock and leaves no timer behind", async () => {
  const r = rig();
  let turns = 0;
  const counting = {
    ...r,
    clock: {
      now: () => r.clock.now(),
      monotonic: () => r.clock.monotonic(),
      schedule: (after: number, call: () => void) => (turns++, r.clock.schedule(after, call)),
    },
  };
  const supervisor = new Supervisor({
    id: "root",
    strategy: "one_for_one",
    restarts: plenty,
    children: [new Puppet("deaf", [], { deaf: true, grace: 5_000 })],
  }, counting);
  const stop = new AbortController();
  const run = supervisor.run(stop.signal);
  await r.clock.advance(10_000);
  assert.equal(turns, 0);
  stop.abort();
  await r.clock.until(run);
  assert.equal(turns, 1, "the grace and nothing else");
});

Deno.test("a stop that races a waiting restart ends it", async () => {
  const r = rig();
  const a = new Puppet("a", []);
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    backoff: { first: 1_000, last: 1_000 },
    children: [a],
  });
  a.crash();
  await r.clock.settle();
  await r.clock.until(supervisor.stop("a"));
  await r.clock.advance(10_000);
  assert.equal(a.runs, 1);
  assert.equal(states(supervisor).a, "stopped");
  await r.clock.until(supervisor.again("a"));
  assert.equal(a.runs, 2);
  stop.abort();
  await r.clock.until(run);
});

Deno.test("a shutdown ends while a restart waits, while one starts, and in the same turn as a crash", async () => {
  for (const moment of ["waiting", "starting", "same turn"] as const) {
    const r = rig();
    const a = new Puppet("a", [], moment === "starting" ? { readyWithin: 60_000 } : {});
    const backoff = moment === "waiting" ? { first: 60_000, last: 60_000 } : undefined;
    const { stop, run, ended } = await supervise(r, {
      strategy: "one_for_all",
      restarts: plenty,
      backoff,
      children: [a],
    });
    if (moment !== "starting") a.crash();
    if (moment === "waiting") await r.clock.settle();
    stop.abort();
    const began = r.clock.monotonic();
    await r.clock.until(run);
    assert.equal(ended(), "stopped", moment);
    assert.equal(r.clock.monotonic(), began);
    assert.equal(a.running, false);
    assert.ok(a.runs <= 2);
  }
});

Deno.test("a stop asked for while another child is being stopped is not dropped", async () => {
  const r = rig();
  const slow = new Puppet("slow", [], { deaf: true, grace: 500 });
  const other = new Puppet("other", []);
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: [slow, other],
  });
  const both = [supervisor.stop("slow"), supervisor.stop("other"), supervisor.add(new Puppet("new", []))];
  other.crash();
  await r.clock.until(Promise.all(both));
  assert.deepEqual(states(supervisor), { slow: "stopped", other: "stopped", new: "running" });
  stop.abort();
  await r.clock.until(run);
});

Deno.test("children come and go while it runs; those are forgotten when the supervisor is restarted", async () => {
  const r = rig();
  const inner = new Supervisor({
    id: "inner",
    strategy: "one_for_one",
    restarts: { max: 0, within: 1_000 },
    children: [],
  }, r);
  const { stop, run } = await supervise(r, { strategy: "one_for_one", restarts: plenty, children: [inner] });
  const a = new Puppet("a", []);
  await r.clock.until(inner.add(a));
  await assert.rejects(inner.add(new Puppet("a", [])), /Cannot start "a" under "root:inner": there is one already/);
  await assert.rejects(inner.stop("nobody"), /has no child "nobody"/);
  await assert.rejects(inner.add(new Puppet("b:c", [])), /no ":"/);
  const broken = new Puppet("broken", [], {
    readyWithin: 10,
    begin: () => {
      throw new Error("no");
    },
  });
  await assert.rejects(inner.add(broken), /no/);
  assert.deepEqual(states(inner), { a: "running" });
  await r.clock.until(inner.remove("a"));
  assert.deepEqual(states(inner), {});
  await r.clock.until(inner.add(a));
  a.crash();
  await r.clock.settle();
  assert.deepEqual(states(inner), {});
  assert.equal(inner.tree().state, "running");
  stop.abort();
  await r.clock.until(run);
  await assert.rejects(inner.add(a), /"root:inner" is not running/);
});

Deno.test("watching tells of every kind of end, and at once of what is dead or unknown", async () => {
  const r = rig();
  const heard: string[] = [];
  const a = new Puppet("a", [], { restart: "temporary" });
  const deaf = new Puppet("deaf", [], { deaf: true, grace: 10 });
  const { supervisor, stop, run } = await supervise(r, {
    strategy: "one_for_one",
    restarts: plenty,
    children: [a, deaf],
  });
  supervisor.watch("a", (how) => heard.push(`a ${how}`));
  supervisor.watch("a", (how) => heard.push(`never ${how}`))();
  supervisor.watch("deaf", (how) => heard.push(`deaf ${how}`));
  supervisor.watch("nobody", (how) => heard.push(`nobody ${how}`));
  await r.clock.settle();
  assert.deepEqual(heard, ["nobody unknown"]);
  a.crash();
  await r.clock.settle();
  supervisor.watch("a", (how) => heard.push(`a again ${how}`));
  await r.clock.settle();
  assert.deepEqual(heard, ["nobody unknown", "a crashed", "a again not_running"]);
  stop.abort();
  await r.clock.until(run);
  assert.deepEqual(heard.slice(3), ["deaf abandoned"]);
});

Deno.test("no start, end or restart goes without a record", async () => {
  const r = rig(11);
  const children = ["a", "b", "c"].map((id) => new Puppet(id, []));
  const { stop, run } = await supervise(r, {
    strategy: "rest_for_one",
    restarts: { max: 1_000, within: 1_000 },
    children,
  });
  for (let i = 0; i < 200; i++) {
    const child = r.random.pick(children);
    if (child.running) child[r.random.pick(["exit", "crash"] as const)]();
    if (r.random.strikes(0.7)) await r.clock.settle();
  }
  await r.clock.settle();
  stop.abort();
  await r.clock.until(run);
  const count = (id: string, ...verbs: string[]) =>
    r.told().filter((line) => verbs.some((verb) => line === `${verb} ${id}`)).length;
  for (const { id, runs } of children) {
    assert.equal(count(id, "started", "restarted"), runs);
    assert.equal(count(id, "crashed", "stopped"), runs);
  }
});

Deno.test("two children of the same id, and ids with a colon, are refused", () => {
  const r = rig();
  const build = (...ids: string[]) =>
    new Supervisor({
      id: "root",
      strategy: "one_for_one",
      restarts: plenty,
      children: ids.map((id) => new Puppet(id, [])),
    }, r);
  assert.throws(() => build("a", "a"), /has two children "a"/);
  assert.throws(() => build("a:b"), /no ":"/);
  assert.throws(() => build(""), TypeError);
});
