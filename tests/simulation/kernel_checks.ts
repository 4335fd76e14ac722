/** What must hold when a simulated history has come to rest, whatever befell it. */
import assert from "node:assert/strict";
import type { Ask, Outcome } from "../../actors/kernel/daybook.ts";
import type { Held } from "../../actors/kernel/held.ts";
import type { Event, StreamId } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import type { Views } from "../../projections/views.ts";
import { type Toy, toys } from "../kernel/toy.ts";
import { type Added, isEchoed, totals } from "./kernel_domain.ts";

/** One client's command and the answer it accepted. */
export interface Told {
  readonly client: number;
  readonly ask: Ask;
  readonly stream: StreamId;
  readonly outcome: Outcome;
}

/** What is left at the end of a history. */
export interface Remains {
  readonly log: EventLog;
  readonly views: Views;
  /** Positions whose bell was rung. */
  readonly rung: ReadonlySet<number>;
  stored(): Event[];
  held(stream: StreamId): Held | undefined;
}

export const check = (world: Remains, told: readonly Told[]): void => {
  const events = world.stored();
  const byKey = Map.groupBy(events, ({ source, id }) => `${source} ${id.slice(0, id.lastIndexOf("/"))}`);
  inPlace(events);
  acknowledged(told, events, byKey);
  inOrder(told);
  states(world, events);
  timersOnce(events);
  effects(world, events);
  rows(world, events);
};

/** Positions and revisions without a gap; recorded times that never go back, whatever the clock did. */
const inPlace = (events: readonly Event[]): void => {
  const heads = new Map<StreamId, number>();
  let recorded = "";
  for (const [i, { position, stream, revision, recordedat }] of events.entries()) {
    assert.equal(position, i, "positions have a gap");
    assert.equal(revision, (heads.get(stream) ?? -1) + 1, `revisions of ${stream} have a gap`);
    heads.set(stream, revision);
    assert.ok(recordedat >= recorded, `recorded time went back at ${i}`);
    recorded = recordedat;
  }
};

/** The view is the fold of the whole log, in whatever batches, lives and versions it was made. */
const rows = (world: Remains, events: readonly Event[]): void => {
  const folded = new Map<string, { readonly total: number; readonly at: number }>();
  const fold = totals(1);
  for (const event of events) {
    if (event.type !== "toys.count.added") continue;
    const row = folded.get(event.stream) ?? fold.initial;
    folded.set(event.stream, fold.apply(row, event as Event<Added>, event.stream, () => undefined)!);
  }
  const served = new Map(world.views.list("toys.totals", { limit: 1_000 }).rows.map(({ key, row }) => [key, row]));
  assert.deepEqual(served, new Map([...folded].toSorted()), "the view is not the fold of the log");
};

/** What was answered is there as it was answered, once; what was refused is not there. */
const acknowledged = (
  told: readonly Told[],
  events: readonly Event[],
  byKey: ReadonlyMap<string, readonly Event[]>,
): void => {
  for (const { ask, stream, outcome } of told) {
    const own = byKey.get(`${stream} ${ask.by.authid}:${ask.command}`) ?? [];
    if (outcome.is === "rejected") {
      assert.equal(own.length, 0, `${stream} ${ask.command}: rejected, and recorded`);
      continue;
    }
    assert.equal(outcome.is, "accepted", `${stream} ${ask.command}: ${JSON.stringify(outcome)}`);
    if (outcome.is !== "accepted") continue;
    const times = ask.type === "toys.count.repeat" ? (ask.data as { times: number }).times : 1;
    assert.equal(own.length, times, `${stream} ${ask.command}: recorded ${own.length} times`);
    assert.equal(own.at(-1)!.position, outcome.position, "the position that was answered");
    assert.equal(own.at(-1)!.revision, outcome.revision, "the revision that was answered");
    assert.deepEqual(
      own.map(({ revision }) => revision),
      own.map((_, i) => own[0]!.revision + i),
      "facts of one command together",
    );
    const domain = own.filter(({ type }) => type.startsWith("toys."));
    assert.deepEqual(outcome.facts.map(({ id, data }) => ({ id, data })), domain.map(({ id, data }) => ({ id, data })));
    assert.deepEqual(events[outcome.position], own.at(-1));
  }
};

/** A client that waited for one answer before it asked again finds its wishes in that order. */
const inOrder = (told: readonly Told[]): void => {
  const last = new Map<string, number>();
  for (const { client, stream, outcome } of told) {
    if (outcome.is !== "accepted") continue;
    const key = `${client} ${stream}`;
    assert.ok(outcome.revision > (last.get(key) ?? -1), `client ${client} on ${stream}: reordered`);
    last.set(key, outcome.revision);
  }
};

/** What is in memory is the fold of the log, and no prefix of it breaks the domain's rule. */
const states = (world: Remains, events: readonly Event[]): void => {
  const folded = new Map<StreamId, Toy>();
  for (const event of events) {
    if (event.type !== "toys.count.added") continue;
    const state = toys.evolve(folded.get(event.stream) ?? toys.initial, event as unknown as Added);
    assert.ok(state.total >= 0, `${event.stream} is below zero at ${event.position}`);
    folded.set(event.stream, state);
  }
  for (const [stream, state] of folded) {
    const held = world.held(stream);
    if (held && held.revision === world.log.head(stream)) assert.deepEqual(held.state, state, stream);
  }
};

/** Each timer fires once, and what it brought about is there once. */
const timersOnce = (events: readonly Event[]): void => {
  for (const set of events.filter(({ type }) => type === "kernel.timer.set")) {
    const caused = events.filter(({ causationid }) => causationid === set.id);
    assert.deepEqual(
      caused.map(({ type }) => type),
      ["kernel.timer.fired", "toys.count.added"],
      `timer ${JSON.stringify(set.data)}`,
    );
    // The wall clock jumps, so that it came not too early shows in the order alone.
    assert.ok(caused[0]!.position > set.position);
  }
};

/** Commands of the manager count once, its effects in the world happened at least once. */
const effects = (world: Remains, events: readonly Event[]): void => {
  for (const event of events) {
    if (event.type !== "toys.count.added" || !isEchoed(event)) continue;
    const echoes = events.filter(({ causationid, stream }) => causationid === event.id && stream === "toys/echo");
    assert.equal(echoes.length, 1, `position ${event.position} was echoed ${echoes.length} times`);
    assert.ok(world.rung.has(event.position), `the bell of position ${event.position} was never rung`);
  }
};
