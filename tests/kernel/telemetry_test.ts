/** The kernel's side of telemetry: what becomes a span, of what, how many at most, and nothing where nobody traces. */
import assert from "node:assert/strict";
import { PROJECT, Projector } from "../../actors/kernel/project.ts";
import { feedOf } from "../../actors/kernel/project_feed.ts";
import {
  appending,
  type Attributes,
  during,
  errorOf,
  parseTraceparent,
  type Span,
  SPANS_MAX,
  type Telemetry,
  TRACED_MS_MAX,
} from "../../actors/kernel/telemetry.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { LogFault } from "../../events/log.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { counts, logOf, named, newEvent, running } from "../projections_given.ts";

interface Told {
  readonly name: string;
  readonly parent: string | undefined;
  attributes: Attributes;
  error?: string;
  ends: number;
}

const recording = (): Telemetry & { readonly told: Told[]; readonly waits: number[] } => {
  const told: Told[] = [];
  const waits: number[] = [];
  return {
    told,
    waits,
    span(name, parent, attributes = {}): Span {
      const one: Told = { name, parent, attributes, ends: 0 };
      told.push(one);
      return {
        traceparent: `span ${told.length}`,
        end(more, error) {
          one.attributes = { ...one.attributes, ...more };
          one.error = error;
          one.ends++;
        },
      };
    },
    appended: (ms) => void waits.push(ms),
    committed() {},
    request: () => undefined,
  };
};

const traceparent = (n: number) => `00-a${n.toString(16).padStart(31, "0")}-00f067aa0ba902b7-01`;
const traced = (n: number, type = "tests.item.counted") => ({
  ...newEvent(type, { key: "k", by: 1 }),
  traceparent: traceparent(n),
});
const done = { ok: true, receipts: [], accepted: 0, duplicates: 0, size: 0 } as const;

Deno.test("a traceparent names a trace and a span; what W3C calls invalid names nothing", () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const span = "00f067aa0ba902b7";
  assert.deepEqual(parseTraceparent(`00-${trace}-${span}-01`), { trace, span, flags: "01" });
  // Section 3.2.2.5: flags that have no meaning yet are set to zero.
  for (const [sent, flags] of [["00", "00"], ["02", "02"], ["03", "03"], ["09", "01"], ["fc", "00"], ["ff", "03"]]) {
    assert.deepEqual(parseTraceparent(`00-${trace}-${span}-${sent}`), { trace, span, flags }, sent);
  }
  // Section 3.2.4: of a later version only the flag that is known is taken.
  assert.deepEqual(parseTraceparent(`cc-${trace}-${span}-09-more`), { trace, span, flags: "01" });
  for (
    const invalid of [
      "",
      `00-${trace}-${span}`,
      `00-${trace}-${span}-01-more`,
      `ff-${trace}-${span}-01`,
      `00-${"0".repeat(32)}-${span}-01`,
      `00-${trace}-${"0".repeat(16)}-01`,
      `00-${trace.toUpperCase()}-${span}-01`,
      `00-${trace}-${span}-1`,
      ` 00-${trace}-${span}-01`,
    ]
  ) assert.equal(parseTraceparent(invalid), undefined, invalid);
});

Deno.test("an append is a span in each trace of its events, of a bounded number of traces", async () => {
  const telemetry = recording();
  const world = { telemetry, monotonic: () => 0 };
  const events = [traced(1), traced(2), traced(1), newEvent("a.b.c", {})];
  await appending(world, events, () => Promise.resolve(done));
  assert.deepEqual(telemetry.told.map(({ parent, attributes }) => [parent, attributes["daybook.events"]]), [
    [traceparent(1), 2],
    [traceparent(2), 1],
    [undefined, 1],
  ]);
  const many = Array.from({ length: SPANS_MAX + 10 }, (_, n) => traced(n));
  await appending(world, many, () => Promise.resolve(done));
  assert.equal(telemetry.told.length, 3 + SPANS_MAX);
  assert.ok(telemetry.told.every(({ name, ends, error }) => name === "append" && ends === 1 && error === undefined));
  assert.equal(telemetry.waits.length, 2);
});

Deno.test("work that fails ends its spans with the kind of the failure, never with its message", async () => {
  const telemetry = recording();
  const full = new LogFault("full", "ada@example.org");
  await assert.rejects(appending({ telemetry, monotonic: () => 0 }, [traced(1)], () => Promise.reject(full)), full);
  const broken = new TypeError("ada@example.org");
  const told = () => ({ attributes: {} });
  await assert.rejects(during(telemetry.span("command a.b.c"), () => Promise.reject(broken), told), broken);
  assert.deepEqual(telemetry.told.map(({ error, ends }) => [error, ends]), [["full", 1], ["TypeError", 1]]);
  assert.equal(errorOf("ada@example.org"), "unknown");
  assert.deepEqual(telemetry.waits, []);
});

Deno.test("a transaction of a projection is a span in each recent trace that it folds, of a bounded number", async () => {
  const telemetry = recording();
  const log = logOf();
  let now = Date.now();
  const clock = { ...systemClock, now: () => now };
  const views = new MemoryViews();
  // As many as there are in one transaction, however long they take.
  const bounds = { ...PROJECT, batch_ms: 60_000 };
  const feed = feedOf(log);
  const projections = new Projector({ projections: [counts], feed, views, clock, bounds, record() {}, telemetry });
  await log.append({ events: [traced(1), traced(1), traced(2), traced(3, "tests.other.happened")] });
  const run = running(projections.children);
  await projections.wait(counts.name, 3, 60_000);
  const names = () => telemetry.told.map(({ name, parent, ends }) => [name, parent, ends]);
  assert.deepEqual(names(), [
    ["project tests.counts", traceparent(1), 1],
    ["project tests.counts", traceparent(2), 1],
  ]);
  const { size } = log;
  await log.append({ events: Array.from({ length: SPANS_MAX + 10 }, (_, n) => traced(100 + n)) });
  await projections.wait(counts.name, log.size - 1, 60_000);
  assert.equal(telemetry.told.length, 2 + SPANS_MAX, `of ${log.size - size} traces`);
  now += TRACED_MS_MAX + 60_000;
  await log.append({ events: [traced(1_000)] });
  await projections.wait(counts.name, log.size - 1, 60_000);
  assert.equal(telemetry.told.length, 2 + SPANS_MAX, "nobody waits for a trace of long ago");
  await run.stop();
  assert.deepEqual(run.crashes, []);
});

Deno.test("an event that cannot be folded ends its own span as a failure, and no other", async () => {
  const telemetry = recording();
  const log = logOf();
  const views = new MemoryViews();
  const projections = new Projector({
    projections: [named(counts as unknown as AnyProjection, { poison: "skip" })],
    feed: feedOf(log),
    views,
    clock: systemClock,
    record() {},
    telemetry,
  });
  await log.append({ events: [traced(1), traced(2, "tests.item.poisoned"), traced(3)] });
  const run = running(projections.children);
  await projections.wait(counts.name, 2, 60_000);
  assert.deepEqual(telemetry.told.map(({ parent, error, ends }) => [parent, error, ends]), [
    [traceparent(1), undefined, 1],
    [traceparent(2), "poison", 1],
    [traceparent(3), undefined, 1],
  ]);
  await run.stop();
});
