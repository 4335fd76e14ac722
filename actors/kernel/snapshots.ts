/**
 * States of entities, written behind, so that a long stream need not be read from its beginning. A snapshot is a
 * shortcut and never a truth: one of another actor, another version or another history is not used.
 */
import { canonical, CanonicalError } from "../../events/canonical.ts";
import type { StreamId } from "../../events/event.ts";
import { type EventLog, LogFault } from "../../events/log.ts";
import { type Views, ViewsFault } from "../../projections/views.ts";
import type { Actor, Command } from "../types.ts";
import type { Held } from "./held.ts";
import { isArchived } from "./kept.ts";
import type { Clock, Hash } from "./world.ts";

/** Snapshots that wait to be written; one more, and all are written at once. */
export const SNAPSHOTS_WAITING_MAX = 256;
/** How long a snapshot waits for others, ms. */
export const SNAPSHOTS_BEHIND_MS = 1_000;

interface Note {
  readonly actor: string;
  readonly revision: number;
  /** `id` of the event at that revision: in another history it is another. */
  readonly last: string;
  readonly state: string;
  readonly timers: readonly (readonly [string, number, number, Command])[];
}

export interface SnapshotsWorld {
  readonly clock: Clock;
  readonly hash: Hash;
  readonly log: EventLog;
  readonly views: Views;
}

export class Snapshots {
  private readonly waiting = new Map<StreamId, { readonly actor: Actor; readonly held: Held }>();
  private readonly prints = new Map<Actor, string>();
  /** Actors whose state is not plain JSON; theirs are not taken. */
  private readonly unfit = new Set<Actor>();
  private cancel: (() => void) | undefined;
  /** Snapshots that the views would not take or give. */
  failed = 0;

  constructor(private readonly world: SnapshotsWorld) {}

  /** The state at some revision of this very stream; whoever reads on from there ends in the true state. */
  read(stream: StreamId, actor: Actor): Held | undefined {
    const waiting = this.waiting.get(stream);
    if (waiting) return waiting.held;
    const note = this.noted(stream);
    if (!note || !this.isBy(actor, note, stream)) return undefined;
    const { revision, last, state, timers } = note;
    if (!this.isIn(stream, revision, last)) return undefined;
    const standing = new Map(timers.map(([name, set, at, command]) => [name, { set, at, command }]));
    return { state: JSON.parse(state), revision, last, timers: standing };
  }

  /** Where what it was made from is archived, and cannot be folded again, the version alone counts. */
  private isBy(actor: Actor, note: Note, stream: StreamId): boolean {
    const print = this.print(actor);
    if (note.actor === print) return true;
    const versioned = (by: string) => by.slice(0, by.lastIndexOf(" "));
    return versioned(note.actor) === versioned(print) && this.isGone(stream);
  }

  private isGone(stream: StreamId): boolean {
    try {
      for (const _ of this.world.log.read({ stream, limit: 1 })) break;
      return false;
    } catch (error) {
      if (!isArchived(error)) throw error;
      return true;
    }
  }

  /** Of an event that was archived, and whose archive is not attached, it is enough that the stream goes so far. */
  private isIn(stream: StreamId, revision: number, last: string): boolean {
    const { log } = this.world;
    try {
      for (const [event] of log.read({ stream, revision, limit: 1 })) {
        return event?.revision === revision && event.id === last;
      }
      return false;
    } catch (error) {
      if (!isArchived(error)) throw error;
      return log.head(stream) >= revision;
    }
  }

  private noted(stream: StreamId): Note | undefined {
    try {
      return this.world.views.note(keyOf(stream)) as Note | undefined;
    } catch (error) {
      if (!(error instanceof ViewsFault)) throw error;
      this.failed++;
      return undefined;
    }
  }

  /** Takes a state that is in the log to the last event; it is written a little later. */
  keep(stream: StreamId, actor: Actor, held: Held): void {
    if (this.unfit.has(actor)) return;
    this.waiting.set(stream, { actor, held });
    if (this.waiting.size > SNAPSHOTS_WAITING_MAX) this.flush();
    else this.cancel ??= this.world.clock.schedule(SNAPSHOTS_BEHIND_MS, () => this.flush());
  }

  /** Writes all that waits. A fault of the views loses shortcuts only, so it is counted and not passed on. */
  flush(): void {
    const notes = this.taken();
    try {
      if (notes.length > 0) this.world.views.setNotes(notes);
    } catch {
      this.failed += notes.length;
    }
  }

  /** Writes these at once: what they were made from is about to go. Throws what the views say, and `LogFault` `invalid` for what is not JSON. */
  leave(states: readonly (readonly [stream: StreamId, actor: Actor, held: Held])[]): void {
    for (const [stream, actor, held] of states) this.waiting.set(stream, { actor, held });
    this.world.views.setNotes(this.taken());
    const unfit = states.find(([, actor]) => this.unfit.has(actor));
    if (unfit) throw new LogFault("invalid", `the state of ${unfit[0]} is not plain JSON, so its facts have to stay`);
  }

  private taken(): readonly (readonly [string, Note])[] {
    this.cancel?.();
    this.cancel = undefined;
    const notes = [...this.waiting].flatMap(([stream, { actor, held }]) => {
      const note = this.note(actor, held);
      return note ? [[keyOf(stream), note] as const] : [];
    });
    this.waiting.clear();
    return notes;
  }

  private note(actor: Actor, { state, revision, last, timers }: Held): Note | undefined {
    try {
      const standing = [...timers].map(([name, { set, at, command }]) => [name, set, at, command] as const);
      return { actor: this.print(actor), revision, last, state: canonical(state), timers: standing };
    } catch (error) {
      if (!(error instanceof CanonicalError)) throw error;
      this.unfit.add(actor);
      return undefined;
    }
  }

  /** Of what a state depends on: the version, and the text of the fold in case a change forgot to raise it. */
  private print(actor: Actor): string {
    let print = this.prints.get(actor);
    if (print === undefined) {
      const fold = canonical([actor.facts, String(actor.evolve), JSON.stringify(actor.initial) ?? ""]);
      print = `${actor.domain} ${actor.version} ${this.world.hash.sha256(fold).slice(0, 16)}`;
      this.prints.set(actor, print);
    }
    return print;
  }
}

const keyOf = (stream: StreamId) => `snapshot/${stream}`;
