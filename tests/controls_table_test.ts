/**
 * Every shipped control finds what breaks it, and nothing else does: violations sown into ordinary logs that come near every limit.
 * `DAYBOOK_CONTROL_SEEDS=200` sows more; the table is printed.
 */
import assert from "node:assert/strict";
import type { Event } from "../events/event.ts";
import { type Control, type ControlResult, evaluate } from "../projections/controls/mod.ts";
import { BEGAN, DAY, ENDS, MINUTE, shipped, type Story, storyOf } from "./controls_given.ts";
import { ALSO, LEFT_OUT, SOWINGS } from "./control_stories/sowings.ts";

const SEEDS = Number(Deno.env.get("DAYBOOK_CONTROL_SEEDS") ?? 5);
const controls = shipped();

/** Their limits are longer than these logs. */
const YEARLY = "root-key-rotated-yearly";
const KEPT = "log-kept-12-months";
const STARTED = { version: "1", root: "daybook", clean: true };

/** An ordinary log, and what is sown into it. */
const logOf = (seed: number, sow: (story: Story) => void = () => {}) => {
  const story = storyOf(seed);
  story.say(BEGAN, "kernel.process.started", STARTED);
  for (const { clean } of Object.values(SOWINGS)) clean(story);
  story.sowing = true;
  sow(story);
  return story.log();
};

const byId = (results: readonly ControlResult[]) => new Map(results.map((result) => [result.id, result]));
const judged = (events: readonly Event[]) => byId(evaluate(controls, events, { at: ENDS }));

interface Line {
  seeded: number;
  found: number;
  falseAlarms: number;
}

Deno.test("every shipped control finds every violation sown, at its event, and raises no false alarm", () => {
  const table = new Map<string, Line>(controls.map(({ id }) => [id, { seeded: 0, found: 0, falseAlarms: 0 }]));
  const wrong: string[] = [];
  const hold = (results: ReadonlyMap<string, ControlResult>, where: string, ...but: readonly string[]) => {
    for (const { id, status, because } of results.values()) {
      if (status === "pass" || but.includes(id)) continue;
      table.get(id)!.falseAlarms++;
      wrong.push(`${where}: ${id} is ${status}: ${because}`);
    }
  };
  const expectFailed = (
    id: string,
    results: ReadonlyMap<string, ControlResult>,
    where: string,
    sown?: readonly number[],
  ) => {
    const line = table.get(id)!;
    line.seeded++;
    const { status, evidence, because } = results.get(id)!;
    const found = evidence.map(({ position }) => position);
    const exact = sown === undefined ||
      (found.length === sown.length && sown.every((position, i) => position === found[i]));
    if (status === "fail" && exact) line.found++;
    else wrong.push(`${where}: expected ${id} to fail at ${sown}, is ${status} at ${found}: ${because}`);
    hold(results, where, id, ...ALSO[id] ?? []);
  };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const clean = logOf(seed).events;
    hold(judged(clean), `seed ${seed}, clean`);
    for (const { id } of controls) {
      const sowing = SOWINGS[id];
      assert.ok(sowing, `there is a story of ${id}`);
      for (const [index, sow] of sowing.broken.entries()) {
        const { events, sown } = logOf(seed, sow);
        assert.ok(sown.length > 0);
        expectFailed(id, judged(events), `seed ${seed}, ${id} ${index}`, sown);
      }
      const leftOut = LEFT_OUT[id];
      if (!leftOut) continue;
      const events = clean.filter((event) => !leftOut(event));
      assert.ok(events.length < clean.length);
      expectFailed(id, judged(events), `seed ${seed}, ${id} left out`);
    }
    // A year is longer than these logs: the rule holds on the last day and is broken on the next.
    const yearly = controls.filter(({ id }) => id === YEARLY);
    const until = BEGAN + (150 + 366) * DAY;
    hold(byId(evaluate(yearly, clean, { at: until })), `seed ${seed}, a year later`);
    expectFailed(
      YEARLY,
      byId(evaluate(yearly, clean, { at: until + MINUTE })),
      `seed ${seed}, a year and a minute later`,
    );
  }
  console.log(tableText(table));
  assert.deepEqual(wrong, []);
  for (const [id, { seeded, found, falseAlarms }] of table) {
    assert.ok(seeded >= SEEDS, `${id} is sown`);
    assert.deepEqual([found, falseAlarms], [seeded, 0], id);
  }
});

const tableText = (table: ReadonlyMap<string, Line>): string => {
  const lines = [...table].map(([id, { seeded, found, falseAlarms }]) =>
    `${id.padEnd(36)} ${`${found}/${seeded}`.padStart(9)} ${String(falseAlarms).padStart(6)}`
  );
  const sum = [...table.values()].reduce((all, line) => ({
    seeded: all.seeded + line.seeded,
    found: all.found + line.found,
    falseAlarms: all.falseAlarms + line.falseAlarms,
  }));
  return [
    `${"control".padEnd(36)} ${"found".padStart(9)} ${"false".padStart(6)}`,
    ...lines,
    `${`${table.size} controls, ${SEEDS} seeds`.padEnd(36)} ${`${sum.found}/${sum.seeded}`.padStart(9)} ${
      String(sum.falseAlarms).padStart(6)
    }`,
  ].join("\n");
};

Deno.test("no control passes on a log that says nothing of it", () => {
  const started = logOf(1).events.slice(0, 1);
  const results = evaluate(controls, started, { at: BEGAN + MINUTE });
  const silent: readonly Control[] = controls.filter(({ evidence, query }) =>
    !(evidence ?? query.of ?? query.every)?.type.includes("kernel.process.started")
  );
  for (const { id } of silent) {
    const { status } = results.find((result) => result.id === id)!;
    assert.ok(["no_evidence", "not_applicable"].includes(status), `${id} is ${status}`);
  }
  assert.ok(silent.length >= 25);
});

/** Every number in a query, by its path. */
const limitsIn = (value: unknown, path: readonly string[] = []): (readonly string[])[] =>
  typeof value === "number"
    ? [path]
    : typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => limitsIn(inner, [...path, key]))
    : [];

const moved = <T>(value: T, [step, ...path]: readonly string[], by: number): T => {
  if (step === undefined) return Number(value) + by as T;
  if (Array.isArray(value)) return value.map((inner, i) => String(i) === step ? moved(inner, path, by) : inner) as T;
  return { ...value, [step]: moved(value[step as keyof T], path, by) };
};

/** In one direction alone: what comes daily or weekly and is left out once is late by more; who is erased on day 45 is late by another rule. */
const ONE_WAY = new Set([
  "log-verified-daily query.gap_at_most",
  "views-attested query.gap_at_most",
  "erasure-within-45-days query.followed_by.0.within",
]);

Deno.test("the logs come so near every limit of every control that moving it by one, a millisecond or an event, is noticed", () => {
  const logs = [1, 2, 3].map((seed) => logOf(seed).events);
  for (const control of controls) {
    const broken = SOWINGS[control.id]!.broken.map((sow) => logOf(1, sow).events);
    const leftOut = LEFT_OUT[control.id];
    if (leftOut) broken.push(logs[0]!.filter((event) => !leftOut(event)));
    for (const path of limitsIn(control.query, ["query"])) {
      const name = `${control.id} ${path.join(".")}`;
      if (control.id === YEARLY || control.id === KEPT) continue;
      const noticed = [1, -1].filter((by) => {
        const other = moved(control, path, by);
        const is = (events: readonly Event[]) => evaluate([other], events, { at: ENDS })[0]!.status;
        return logs.some((events) => is(events) !== "pass") || broken.some((events) => is(events) !== "fail");
      });
      assert.ok(noticed.length >= (ONE_WAY.has(name) ? 1 : 2), `${name} moved by one: noticed ${noticed}`);
    }
  }
});
