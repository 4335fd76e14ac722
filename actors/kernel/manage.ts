/**
 * Runs a process manager: follows the log, folds what it hears into a state per key, and has the effects performed, each at
 * least once. States and cursor are noted together, and only as far as all effects before are done. A child of the tree.
 *
 * Effects of one key are performed in order, those of different keys beside each other. A `command` effect goes to its entity
 * under an id made of position and index, so it counts once however often it is performed.
 */
import { atOnce } from "../../events/at_once.ts";
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import { isOfShape } from "../../events/upcast.ts";
import { type Views, ViewsFault } from "../../projections/views.ts";
import type { ProcessManager } from "../types.ts";
import type { Child, Self } from "./child.ts";
import type { DeadLetter } from "./held_letters.ts";
import { readableFrom } from "./kept.ts";
import type { EffectLetter, PerformerOptions } from "./perform.ts";
import { PERFORM, Performer } from "./perform.ts";
import type { Place, Places } from "./places.ts";
import { pause } from "./world.ts";

export { PERFORM, type Perform, type Performance, Undeliverable, type WorldEffect } from "./perform.ts";

export const MANAGER = {
  /** Events whose effects are under way; more wait for one of them. */
  in_flight_max: 64,
  /** Events that are not noted yet because one before them is not done. */
  unnoted_max: 2_000,
  /** States in memory; others are read from their notes. */
  states_max: 10_000,
  /** Events passed over after which the cursor is noted although nothing happened. */
  quiet_events: 10_000,
  /** Events taken in one go; then others have a turn. */
  turn_events: 2_000,
  grace_ms: 10_000,
} as const;

export interface ManagerOptions extends PerformerOptions {
  readonly log: EventLog;
  readonly views: Views;
  /** Where a manager without a cursor begins; what lies before is folded and has no effects. Default 0. */
  readonly from?: number | "end";
  /**
   * What lies in an archive that is not attached has no weight any more, so states are folded anew from what is kept. Default false: then
   * they are not until it is attached.
   */
  readonly keptIsEnough?: boolean;
  /** Who lets go of events asks there. */
  readonly places?: Places;
}

interface Entry {
  readonly key: string;
  readonly state: unknown;
  readonly isInitial: boolean;
  /** Where to resume while this one is the first that is not done. */
  readonly floor: number;
  /** Another shape of the same event comes behind it: they are noted together. */
  readonly more: boolean;
  /** Told when it is noted. */
  readonly noted?: () => void;
  done: boolean;
}

/** What of the log an entry is about. */
interface Shape extends Pick<Entry, "floor" | "more" | "noted"> {
  /** Which of the shapes that an upcast has made of its event it is, from 0. */
  readonly part: number;
}

interface Cursor {
  readonly version: number;
  readonly size: number;
}

interface Work {
  readonly signal: AbortSignal;
  /** The run must end with this. */
  readonly fail: (cause: unknown) => void;
  failure?: { readonly cause: unknown };
  /** Its states are all there. */
  isRestored: boolean;
  /** Resolves when the run has ended, and nothing of it is noted any more. */
  readonly ended: Promise<void>;
}

export class Manager implements Child, Place {
  readonly id: string;
  readonly grace = MANAGER.grace_ms;
  private readonly performer: Performer;
  private readonly initial: string;
  private readonly states = new Map<string, unknown>();
  private readonly lanes = new Map<string, Promise<void>>();
  private entries: Entry[] = [];
  /** All before it is taken; noted when all of that is done. */
  private reached = 0;
  private noted = 0;
  private underWay = 0;
  /** What the last run ended at is no shape that this program knows. */
  private isBehind = false;
  /** Of the present run; one that was abandoned has another. */
  private work: Work = { signal: AbortSignal.abort(), fail: () => {}, isRestored: false, ended: Promise.resolve() };
  private roomy: (() => void) | undefined;

  constructor(private readonly manager: ProcessManager, private readonly options: ManagerOptions) {
    this.id = manager.name;
    const { from = 0 } = options;
    if (from !== "end" && !(Number.isInteger(from) && from >= 0)) {
      throw new TypeError(`The manager "${this.id}" begins at a position or at "end", not at ${from}`);
    }
    this.initial = canonical(manager.initial);
    this.performer = new Performer(manager.name, options);
    options.deadLetters.route(`manager:${manager.name}`, (letter) => this.redeliver(letter), shapeNamed);
    options.places?.enter(managerCalled(manager.name), this);
  }

  /** Starting again would only spend the budget of those beside it: it stays down, for all to see, until another program runs it. */
  get restart(): Child["restart"] {
    return this.isBehind ? "temporary" : "permanent";
  }

  /** Events that are taken, their effects done. */
  get size(): number {
    return this.entries[0]?.floor ?? this.reached;
  }

  async run(signal: AbortSignal, self?: Self): Promise<void> {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    this.isBehind = false;
    try {
      await this.runOnce(signal, ended, self);
    } catch (cause) {
      this.isBehind = isOfShape(cause);
      throw cause;
    } finally {
      end();
    }
  }

  private async runOnce(signal: AbortSignal, ended: Promise<void>, self?: Self): Promise<void> {
    const { log } = this.options;
    const stop = new AbortController();
    const abort = () => {
      stop.abort();
      this.roomy?.();
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    const work: Work = this.work = {
      signal: stop.signal,
      isRestored: false,
      ended,
      fail: (cause) => {
        work.failure ??= { cause };
        abort();
      },
    };
    this.states.clear();
    this.lanes.clear();
    this.entries = [];
    this.underWay = 0;
    // Of the run before more may have been taken than is done.
    this.reached = this.noted;
    this.reached = this.noted = await this.restore(stop.signal);
    work.isRestored = true;
    // Told to stop while it was folding anew: what it has is not all, so nothing of it is noted.
    if (signal.aborted) return;
    self?.ready();
    try {
      for await (const { events, size } of log.hear(this.manager.hears, this.reached, stop.signal)) {
        await this.take(events, size);
      }
    } catch (cause) {
      work.fail(cause);
    }
    await Promise.all(this.lanes.values());
    signal.removeEventListener("abort", abort);
    if (work.failure) throw work.failure.cause;
    this.note();
  }

  /** Where to go on. States of another version, or of a log that was longer, are folded anew without their effects. */
  private async restore(signal: AbortSignal): Promise<number> {
    const { views, log, from: begins = 0 } = this.options;
    const noted = views.note(cursorNote(this.id)) as Cursor | undefined;
    if (!noted && begins === 0) return 0;
    const cursor = noted ?? { version: -1, size: begins === "end" ? log.size : begins };
    const { version } = this.manager;
    if (cursor.version === version && cursor.size <= log.size) return cursor.size;
    const size = Math.min(cursor.size, log.size);
    // Not valid for any version until all states are there.
    views.setNote(cursorNote(this.id), { version: -1, size } satisfies Cursor);
    const prefix = `manager/${this.id}/state/`;
    for (let some = views.notes(prefix, NOTES_AT_ONCE); some.length > 0; some = views.notes(prefix, NOTES_AT_ONCE)) {
      views.setNotes(some.map(([key]) => [key, undefined] as const));
    }
    let events = 0;
    const from = this.options.keptIsEnough ? readableFrom(log) : 0;
    const waiting = this.waiting();
    for (const page of log.read({ types: this.manager.hears, from, until: size })) {
      for (const { event, part } of shapesOf(page)) await this.refold(event, part, waiting);
      if ((events += page.length) < MANAGER.turn_events) continue;
      events = 0;
      if (this.states.size > MANAGER.states_max) this.noteStates();
      await pause(this.options.clock, 0, signal);
      if (signal.aborted) return 0;
    }
    this.noteStates();
    views.setNote(cursorNote(this.id), { version, size } satisfies Cursor);
    return size;
  }

  /** Shapes of events that are dead letters: they count when they are taken again, and not before. */
  private waiting(): ReadonlySet<string> {
    const waiting = new Set<string>();
    for (const { target, message } of this.options.deadLetters.list()) {
      const shape = target === `manager:${this.id}` ? shapeNamed(message) : undefined;
      if (shape !== undefined) waiting.add(shape);
    }
    return waiting;
  }

  private async refold(event: Event, part: number, waiting: ReadonlySet<string>): Promise<void> {
    const letter = letterOf(event, part);
    try {
      const key = this.key(event);
      const { state } = this.react(key, event);
      if (!waiting.has(shapeNamed(letter)!)) this.states.set(key, state);
    } catch (cause) {
      if (cause instanceof ViewsFault) throw cause;
      await this.performer.bury(cause, letter, event);
    }
  }

  /** All states in memory, which then is empty. */
  private noteStates(): void {
    this.options.views.setNotes([...this.states].map(([key, state]) => [this.stateNote(key), state] as const));
    this.states.clear();
  }

  /** Folds events that the manager hears and sets their effects going. Resolves when there is room for more. */
  private async take(events: readonly Event[], size: number): Promise<void> {
    let turn = 0;
    for (const { event, part, more } of shapesOf(events)) {
      if (this.work.signal.aborted) return;
      const { position } = event;
      this.begin(event, { floor: position, part, more });
      this.reached = event.position + 1;
      if (this.entries.length >= MANAGER.unnoted_max) this.noteDone();
      while (this.full && !this.work.signal.aborted) await new Promise<void>((resolve) => this.roomy = resolve);
      if (++turn % MANAGER.turn_events === 0) await pause(this.options.clock, 0);
    }
    this.reached = size;
    this.noteDone();
  }

  private get full(): boolean {
    return this.underWay >= MANAGER.in_flight_max || this.entries.length >= MANAGER.unnoted_max;
  }

  private begin(event: Event, { floor, part, more, noted }: Shape): Promise<void> {
    let key = "";
    let reaction: ReturnType<ProcessManager["react"]>;
    try {
      key = this.key(event);
      reaction = this.react(key, event);
    } catch (cause) {
      // What could not be read is no fault of the event.
      if (cause instanceof ViewsFault) throw cause;
      return this.poisoned(event, { floor, part, more, noted }, cause);
    }
    const { state, effects } = reaction;
    const { signal } = this.work;
    // What cannot be noted has no effects: they would be performed again with each start.
    const isInitial = canonical(state) === this.initial;
    this.states.set(key, state);
    const entry: Entry = { key, state, isInitial, floor, more, noted, done: false };
    return this.enter(
      entry,
      effects.length === 0 ? undefined : () => this.performer.all(effects, event, part, signal),
    );
  }

  /** An event that the manager cannot take is a dead letter of its own; redriving it has it taken again. */
  private poisoned(event: Event, { floor, part, more, noted }: Shape, cause: unknown): Promise<void> {
    const entry: Entry = { key: "", state: undefined, isInitial: false, floor, more, noted, done: false };
    return this.enter(entry, () => this.performer.bury(cause, letterOf(event, part), event));
  }

  /** An entry whose work waits for that of the same key before it. `act` answers whether it is done for good. */
  private enter(entry: Entry, act: (() => Promise<boolean>) | undefined): Promise<void> {
    const before = this.lanes.get(entry.key);
    this.entries.push(entry);
    if (!act && !before) {
      entry.done = true;
      return Promise.resolve();
    }
    const { work } = this;
    const run = async () => {
      await before;
      entry.done = act === undefined || await act();
      if (work === this.work) this.noteDone();
    };
    this.underWay++;
    const lane = run().catch(work.fail).finally(() => {
      if (work !== this.work) return;
      this.underWay--;
      if (this.lanes.get(entry.key) === lane) this.lanes.delete(entry.key);
      this.roomy?.();
    });
    this.lanes.set(entry.key, lane);
    return lane;
  }

  private async redeliver(letter: DeadLetter): Promise<void> {
    const { signal, isRestored } = this.work;
    if (signal.aborted || !isRestored) throw new Error(`the manager "${this.id}" is not running`);
    const { position, part, index = 0, effect } = letter.message as EffectLetter;
    for (const shapes of this.options.log.read({ from: position, limit: 1 })) {
      const event = shapes[part ?? Math.floor(index / PERFORM.shape_effects_max)];
      if (effect === undefined) {
        // Throws here, and so stays a letter, when the event still cannot be taken.
        this.react(this.key(event!), event!);
        return await this.again(event!, part ?? 0);
      }
      const verdict = await this.performer.attempt(effect, {
        position,
        index,
        attempt: 1,
        event: event!,
        signal,
      });
      if (verdict.is !== "done") throw verdict.cause;
    }
  }

  /** An event behind the cursor, which nobody would come back to: done when its effects are, and its state is noted. */
  private async again(event: Event, part: number): Promise<void> {
    const { ended } = this.work;
    let isNoted = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    const noted = () => {
      isNoted = true;
      resolve();
    };
    await this.begin(event, { floor: this.reached, part, more: false, noted });
    this.noteDone();
    await Promise.race([promise, ended]);
    if (!isNoted) throw new Error(`the manager "${this.id}" ended before it was done`);
  }

  private key(event: Event): string {
    return atOnce(this.manager.key(event), "key");
  }

  /** What is no reaction is thrown at, too. */
  private react(key: string, event: Event): ReturnType<ProcessManager["react"]> {
    const reaction = atOnce(this.manager.react(this.state(key), event), "react");
    if (reaction?.state !== undefined && Array.isArray(reaction.effects)) return reaction;
    throw new TypeError(`"${this.id}" reacted without a state and a list of effects`);
  }

  private state(key: string): unknown {
    if (this.states.has(key)) return this.states.get(key);
    return this.options.views.note(this.stateNote(key)) ?? this.manager.initial;
  }

  /** Throws what the run has failed with, or fails with now. */
  note(): void {
    if (this.work.failure) throw this.work.failure.cause;
    this.noteDone(1);
  }

  /**
   * Notes what is done from the front on, with the cursor behind it; that alone once so many events were passed over. Once it failed nothing
   * is noted: it would stand on what is not there.
   */
  private noteDone(quiet: number = MANAGER.quiet_events): void {
    const { work } = this;
    if (work.failure) return;
    try {
      this.keepDone(quiet);
    } catch (cause) {
      work.fail(cause);
      throw cause;
    }
  }

  private keepDone(quiet: number): void {
    let done = 0;
    while (this.entries[done]?.done) done++;
    while (done > 0 && this.entries[done - 1]!.more) done--;
    if (done > 0) this.keep(this.entries.splice(0, done));
    else if (this.size - this.noted >= quiet) this.keep([]);
    if (this.states.size > MANAGER.states_max) {
      const needed = new Set(this.entries.map(({ key }) => key));
      for (const key of this.states.keys()) if (!needed.has(key)) this.states.delete(key);
    }
  }

  private keep(entries: readonly Entry[]): void {
    const notes = new Map<string, unknown>();
    for (const { key, state, isInitial } of entries) {
      if (state === undefined) continue;
      // A key whose story is over needs no note.
      notes.set(this.stateNote(key), isInitial ? undefined : state);
    }
    const { size } = this;
    this.options.views.setNotes([...notes, [
      cursorNote(this.id),
      { version: this.manager.version, size } satisfies Cursor,
    ]]);
    this.noted = size;
    for (const { noted } of entries) noted?.();
  }

  private stateNote(key: string): string {
    return `manager/${this.id}/state/${key}`;
  }
}

/** Each with which of the shapes of its event it is, and whether another one comes. */
const shapesOf = function* (events: readonly Event[]): Iterable<{ event: Event; part: number; more: boolean }> {
  let part = 0;
  for (const [i, event] of events.entries()) {
    const more = events[i + 1]?.position === event.position;
    yield { event, part, more };
    part = more ? part + 1 : 0;
  }
};

const letterOf = ({ position }: Event, part: number): EffectLetter => part === 0 ? { position } : { position, part };

/** The shape of an event that a letter is about; `undefined` for a letter of one effect. */
const shapeNamed = (message: unknown): string | undefined => {
  const { position, part = 0, index } = (message ?? {}) as Partial<EffectLetter>;
  return position === undefined || index !== undefined ? undefined : `${position}.${part}`;
};

const NOTES_AT_ONCE = 1_000;
const cursorNote = (name: string): string => `manager/${name}/cursor`;

/** As people know it. */
export const managerCalled = (name: string): string => `process manager ${name}`;

/** Where a process manager goes on, whether or not it runs; `undefined` for one that has never run. */
export const managerPlaceIn = (views: Pick<Views, "note">, name: string): number | undefined =>
  (views.note(cursorNote(name)) as Cursor | undefined)?.size;
