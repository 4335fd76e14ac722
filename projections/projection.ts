/**
 * A projection: a pure fold of the log into rows by key.
 *
 * Views see only the sealed form of personal fields. `read` gives a row as it was before the event, so that an event may
 * complete what earlier ones began.
 */
import type { z } from "zod";
import type { Event, Fact } from "../events/event.ts";

/** The row of a key of the same view as it was before the event; `undefined` where there is none. */
export type Read<V> = (key: string) => V | undefined;

// With this, a projection of any row fits an array of `Projection`: `keyof unknown` would be `never`.
type FieldOf<V> = unknown extends V ? string : keyof V & string;

/** Which rows by key follow from which events: plain data and pure functions, folded in a thread of its own. */
export interface Projection<V = unknown, F extends Fact = Fact> {
  /** Dotted `domain.noun`. */
  readonly name: string;
  /** Of rows and fold together: a new one is built beside the old and swapped in when it has caught up. */
  readonly version: number;
  /** `"*"`: every event. */
  readonly hears: readonly F["type"][] | "*";
  readonly row: z.ZodType<V>;
  readonly initial: V;
  /** Fields of the row that lists can be filtered and sorted by. */
  readonly indexes?: readonly FieldOf<V>[];
  /** Fields that a table for people shows beside the key, in this order. Default: all, in the order of the row's schema. */
  readonly columns?: readonly FieldOf<V>[];
  /** Text for full-text search, of the row or of the event that made it; sealed values left out. */
  text?(row: V, key: string, event: Event<F>): string;
  /**
   * Each event makes at most one row, whose key is its position in decimal, and no row ever changes; of an event that upcasts
   * have made several of, the first that makes a row does. Such a view is stored once and flat, is ordered by position, and answers `?at=` by cutting off what is newer. `apply` must not `read`.
   */
  readonly appendOnly?: boolean;
  /** What to do with an event that the fold throws at: stop this projection (default), or record it and go on. */
  readonly poison?: "stop" | "skip";
  /** `"all"` (default) keeps when each row version held, for `?at=`; `"none"` keeps the newest only. */
  readonly history?: "all" | "none";
  /** One line for people. */
  readonly about: string;
  /** Rows the event touches. A key that starts with `~` is a working row: its newest state alone is kept, out of lists and digests. */
  keys(event: Event<F>, read: Read<V>): readonly string[];
  /** The row after the event; `undefined` removes it. Never throws on anything the schemas allow. */
  apply(row: V, event: Event<F>, key: string, read: Read<V>): V | undefined;
}

/**
 * A projection of whatever rows and facts, for lists of them: every `Projection<V, F>` is one. A mapped type, because it makes
 * TypeScript compare members, which are methods and so bivariant, instead of the type arguments, which it deems invariant.
 */
export type AnyProjection = Pick<Projection, keyof Projection>;
