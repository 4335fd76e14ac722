import assert from "node:assert/strict";
import { causeOf } from "../../actors/kernel/cause.ts";
import { FactRecorder, RECORDER } from "../../actors/kernel/recorder.ts";
import { CAUSE_CHARS_MAX, type KernelFact } from "../../events/kernel.ts";
import type { Append, EventLog } from "../../events/log.ts";
import { type FaultKind, LogFault } from "../../events/log.ts";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { rig } from "./rig.ts";

const crash = (child: string, cause = "boom"): KernelFact => ({
  type: "kernel.child.crashed",
  data: { child, cause, ran_ms: 1 },
});

const recording = () => {
  const r = rig();
  const inner = new MemoryLog(r.clock);
  let fault: FaultKind | undefined;
  let appends = 0;
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => {
        appends++;
        return fault ? Promise.reject(new LogFault(fault, "not now")) : inner.append(batch);
      },
    },
  });
  const recorder = new FactRecorder({ ...r, log });
  const stored = () => [...inner.read({})].flat();
  const types = () => stored().map(({ type }) => type.split(".").slice(1).join("."));
  return { ...r, recorder, stored, types, inner, appends: () => appends, fail: (kind?: FaultKind) => fault = kind };
};

Deno.test("facts are recorded in order, together, with their own time, by the kernel", async () => {
  const r = recording();
  r.recorder.record(crash("a"), { child: "a" });
  r.recorder.record(crash("b"), { child: "b", stream: "kernel/elsewhere", causationid: "c", correlationid: "d" });
  await r.clock.settle();
  const [a, b] = r.stored();
  assert.deepEqual([a!.stream, a!.source, a!.authid, a!.time], [
    "kernel/a",
    "kernel",
    "kernel",
    "2026-01-01T00:00:00.000Z",
  ]);
  assert.deepEqual([b!.stream, b!.causationid, b!.correlationid], ["kernel/elsewhere", "c", "d"]);
  assert.equal(r.appends(), 1);
});

Deno.test("a child's budget for one cause: what exceeds it is one fact that counts, and the last state", async () => {
  const r = recording();
  for (let i = 0; i < RECORDER.facts_per_cause + 7; i++) {
    r.recorder.record(crash("a"), { child: "a", cause: "boom" });
    await r.clock.advance(100);
  }
  assert.equal(r.inner.size, RECORDER.facts_per_cause);
  r.recorder.record(crash("a", "other"), { child: "a", cause: "other" });
  r.recorder.record(crash("b"), { child: "b", cause: "boom" });
  await r.clock.settle();
  assert.equal(r.inner.size, RECORDER.facts_per_cause + 2, "other causes and children have their own");
  await r.clock.advance(2 * RECORDER.window_ms);
  const [suppressed, last] = r.stored().slice(-2);
  assert.deepEqual(suppressed!.data, {
    child: "a",
    cause: "boom",
    count: 6,
    first: "2026-01-01T00:00:01.000Z",
    last: "2026-01-01T00:00:01.600Z",
  });
  assert.equal(last!.time, "2026-01-01T00:00:01.600Z");
  r.recorder.record(crash("a"), { child: "a", cause: "boom" });
  await r.clock.settle();
  assert.equal(r.types().at(-1), "child.crashed", "a new minute, a new budget");
});

Deno.test("a child's budget over all causes", async () => {
  const r = recording();
  for (let i = 0; i < 100; i++) r.recorder.record(crash("a", `cause ${i}`), { child: "a", cause: `cause ${i}` });
  await r.clock.settle();
  assert.equal(r.inner.size, RECORDER.facts_per_child);
  await r.clock.advance(2 * RECORDER.window_ms);
  assert.deepEqual(r.types().slice(-2), ["facts.suppressed", "child.crashed"]);
  assert.equal((r.stored().at(-2)!.data as { count: number }).count, 100 - RECORDER.facts_per_child - 1);
});

Deno.test("causes told apart are bounded", async () => {
  const r = recording();
  for (let i = 0; i < RECORDER.budgets_max; i++) r.recorder.record(crash(`c${i}`), { child: `c${i}` });
  await r.clock.advance(10);
  assert.ok(r.inner.size < RECORDER.budgets_max, `${r.inner.size} recorded`);
  assert.ok(r.inner.size >= RECORDER.budgets_max / 2);
  await r.clock.advance(3 * RECORDER.window_ms);
  assert.equal(r.types().filter((type) => type === "facts.suppressed").length >= 1, true);
});

Deno.test("while the log cannot be written facts wait, bounded, and follow in order when it can", async () => {
  for (const kind of ["full", "locked", "io", "overloaded", "read_only"] as const) {
    const r = recording();
    r.fail(kind);
    for (let i = 0; i < 5; i++) r.recorder.record(crash(`c${i}`), { child: `c${i}` });
    await r.clock.advance(60_000);
    assert.equal(r.recorder.waiting, 5);
    assert.ok(r.appends() < 60, `${r.appends()} attempts in a minute`);
    r.fail();
    await r.clock.advance(RECORDER.retry_last_ms * 2);
    assert.deepEqual(r.stored().map(({ stream }) => stream), [0, 1, 2, 3, 4].map((i) => `kernel/c${i}`));
    assert.equal(r.recorder.waiting, 0);
  }
});

Deno.test("what does not fit while the log cannot be written is counted, never silent", async () => {
  const r = recording();
  r.fail("full");
  for (let i = 0; i < RECORDER.waiting_max + 40; i++) {
    r.recorder.record(crash(`c${i % 900}`, `${i}`), { child: `c${i % 900}`, cause: `${i % 900}` });
  }
  assert.equal(r.recorder.waiting, RECORDER.waiting_max);
  await r.clock.advance(3 * RECORDER.window_ms);
  r.fail();
  await r.clock.advance(3 * RECORDER.window_ms);
  const suppressed = r.stored().filter(({ type }) => type === "kernel.facts.suppressed");
  assert.deepEqual(suppressed.map(({ data }) => (data as { cause: string }).cause), ["log_unwritable"]);
  assert.equal((suppressed[0]!.data as { count: number }).count, 39);
  assert.equal(r.inner.size, RECORDER.waiting_max + 2);
});

Deno.test("so many facts go to the log at once and no more", async () => {
  const r = recording();
  for (let i = 0; i <= 2 * RECORDER.batch_max; i++) r.recorder.record(crash(`c${i}`), { child: `c${i}` });
  await r.clock.settle();
  assert.deepEqual([r.appends(), r.inner.size, r.recorder.waiting], [3, 2 * RECORDER.batch_max + 1, 0]);
});

Deno.test("one fact that the log refuses does not hold up the others", async () => {
  const r = recording();
  r.recorder.record(crash("a"), { child: "a" });
  r.recorder.record({ type: "kernel.child.crashed", data: { child: "b", cause: "x".repeat(70_000), ran_ms: 0 } }, {
    child: "b",
  });
  r.recorder.record(crash("c"), { child: "c" });
  await r.clock.settle();
  assert.deepEqual(r.stored().map(({ stream }) => stream), ["kernel/a", "kernel/c"]);
  await r.clock.advance(2 * RECORDER.window_ms);
  assert.deepEqual(r.types(), ["child.crashed", "child.crashed", "facts.suppressed"]);
});

Deno.test("what was held back of one child is told although another was held back before it", async () => {
  const r = recording();
  const flood = (child: string) => {
    for (let i = 0; i < RECORDER.facts_per_cause + 2; i++) r.recorder.record(crash(child), { child });
  };
  flood("a");
  await r.clock.advance(RECORDER.window_ms / 2);
  flood("b");
  await r.clock.advance(2 * RECORDER.window_ms);
  const told = r.stored().filter(({ type }) => type === "kernel.facts.suppressed");
  assert.deepEqual(told.map(({ data }) => (data as { child: string }).child), ["a", "b"]);
});

Deno.test("a budget that is spent stays spent however many others there are", async () => {
  const r = recording();
  const of = (child: string) => r.stored().filter(({ stream }) => stream === `kernel/${child}`).length;
  for (let i = 0; i < RECORDER.facts_per_cause; i++) r.recorder.record(crash("a"), { child: "a" });
  for (let i = 0; i < RECORDER.budgets_max; i++) {
    r.recorder.record(crash(`c${i}`), { child: `c${i}` });
    if (i % 500 === 0) await r.clock.advance(10);
  }
  r.recorder.record(crash("a"), { child: "a" });
  await r.clock.advance(10);
  assert.equal(of("a"), RECORDER.facts_per_cause);
});

Deno.test("a log that cannot be written while facts go one by one loses none and turns none around", async () => {
  const r = rig();
  const inner = new MemoryLog(r.clock);
  let full = 1;
  const log: EventLog = Object.create(inner, {
    append: {
      value: (batch: Append) => {
        const refuse = (kind: FaultKind) => Promise.reject(new LogFault(kind, "no"));
        if (batch.events.some(({ stream }) => stream === "kernel/bad")) return refuse("invalid");
        return batch.events[0]!.stream === "kernel/b" && full-- > 0 ? refuse("full") : inner.append(batch);
      },
    },
  });
  const recorder = new FactRecorder({ ...r, log });
  for (const child of ["a", "b", "bad", "c"]) recorder.record(crash(child), { child });
  await r.clock.advance(RECORDER.retry_last_ms);
  assert.deepEqual([...inner.read({})].flat().map(({ stream }) => stream), ["kernel/a", "kernel/b", "kernel/c"]);
});

Deno.test("where the end of the run before lies in an archive, nothing says that it was clean", () => {
  const r = rig();
  const log: EventLog = Object.create(new MemoryLog(r.clock), {
    read: {
      value: () => {
        throw new LogFault("archived", "not attached");
      },
    },
  });
  assert.equal(new FactRecorder({ ...r, log }).begin({ version: "1", root: "r" }), false);
});

Deno.test("a run ends with one fact, waits for the log only so long, and says what it could not write", async () => {
  const r = recording();
  for (let i = 0; i < 13; i++) r.recorder.record(crash("a"), { child: "a" });
  assert.equal(await r.clock.until(r.recorder.end(["root:x"], 1_000)), 0);
  assert.deepEqual(r.types().slice(-3), ["facts.suppressed", "child.crashed", "process.stopped"]);
  assert.deepEqual(r.stored().at(-1)!.data, { abandoned: ["root:x"] });
  r.recorder.record(crash("late"), { child: "late" });
  await r.clock.advance(RECORDER.window_ms * 3);
  assert.equal(r.types().at(-1), "process.stopped");

  const many = recording();
  const paths = Array.from({ length: 101 }, (_, n) => `root:${n}`);
  assert.equal(await many.clock.until(many.recorder.end(paths, 1_000)), 0);
  assert.deepEqual(many.stored().at(-1)!.data, { abandoned: paths.slice(0, 100) });

  const stuck = recording();
  stuck.fail("full");
  stuck.recorder.record(crash("a"), { child: "a" });
  const began = stuck.clock.monotonic();
  assert.equal(await stuck.clock.until(stuck.recorder.end([], 1_000)), 2);
  assert.equal(stuck.clock.monotonic() - began, 1_000);
  await assert.rejects(stuck.clock.until(new Promise(() => {})), /no timer is left/);
});

Deno.test("recording into a closed log ends without a loop", async () => {
  const r = recording();
  r.fail("closed");
  r.recorder.record(crash("a"), { child: "a" });
  await r.clock.advance(60_000);
  assert.equal(r.appends(), 1);
});

Deno.test("a cause is one line, bounded, without addresses", () => {
  assert.equal(causeOf(new TypeError("bad\n  thing")), "TypeError: bad thing");
  assert.equal(causeOf(new Error("no")), "no");
  assert.equal(causeOf("text"), "text");
  assert.equal(causeOf(undefined), "threw undefined");
  assert.equal(causeOf(null), "threw null");
  assert.equal(causeOf(new Error("")), "Error");
  assert.equal(causeOf(new Error("mail to ann.b+c@mail.example.org, please")), "mail to [address], please");
  const long = causeOf(new Error("😀".repeat(1_000)));
  assert.ok(long.length <= CAUSE_CHARS_MAX && long.isWellFormed());
});
