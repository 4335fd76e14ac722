/** What is kept of a sink beyond its run: its place in the log, whether it was failing, and what nobody will take. */
import { type Event, millis } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import { type Views, ViewsFault } from "../../projections/views.ts";
import { causeOf } from "./cause.ts";
import type { DeadLetters } from "./dead_letters.ts";
import { isArchived } from "./kept.ts";
import type { Place, Places } from "./places.ts";
import type { Recorder } from "./recorder.ts";
import { NotNow } from "./transport.ts";
import type { Clock } from "./world.ts";

export interface SinkPlaceOptions {
  readonly name: string;
  readonly log: Pick<EventLog, "size" | "read">;
  readonly views: Pick<Views, "note" | "setNote">;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly deadLetters: DeadLetters;
  /** Where it begins when it is new. */
  readonly from: "beginning" | "end";
  /** Who lets go of events asks there. */
  readonly places?: Places;
}

interface Trouble {
  /** Milliseconds since 1970: it may have begun in another run. */
  readonly since: number;
  attempts: number;
  /** Of those the ones before it last came on. */
  before: number;
}

export class SinkPlace implements Place {
  /** All before it is delivered, or passed over. */
  settled = 0;
  /** Events that became dead letters. */
  refused = 0;
  private noted = 0;
  private trouble: Trouble | undefined;
  /** Positions behind the place that are dead letters already, so that they are not sent, nor become letters, again. */
  private readonly buried = new Set<number>();

  constructor(private readonly options: SinkPlaceOptions) {}

  /** Deliveries fail at present. */
  get failing(): boolean {
    return this.trouble !== undefined;
  }

  /** Goes on where the run before was. */
  open(): void {
    this.buried.clear();
    this.settled = this.noted = this.last();
    const turn = this.turned();
    this.trouble = turn?.type === "kernel.sink.failed"
      ? { since: millis(turn.time), attempts: 0, before: 0 }
      : undefined;
  }

  /** Of one that has failed since before what was archived the next failure tells anew. */
  private turned(): Event | undefined {
    try {
      return newest(this.options, "kernel.sink.failed", "kernel.sink.recovered");
    } catch (error) {
      if (!isArchived(error)) throw error;
      return undefined;
    }
  }

  /** A new sink says where it began, so that its place can be lost without losing events. */
  private last(): number {
    const { name, log, views, from, recorder } = this.options;
    const known = sinkPlaceIn(this.options);
    if (known !== undefined) return known;
    const begins = from === "end" ? log.size : 0;
    recorder.record({ type: "kernel.sink.added", data: { sink: name, from: begins } }, this.about);
    views.setNote(cursorNote(name), { size: begins });
    return begins;
  }

  /** All before `size` is delivered or passed over; noted at once, or when `quiet` events have come together. */
  settle(size: number, quiet = 0): void {
    this.settled = size;
    for (const position of this.buried) if (position < size) this.buried.delete(position);
    if (size - this.noted > quiet) this.note();
  }

  /** Some of what failed is delivered all the same: the next attempt is the first at what is left. */
  advance(size: number): void {
    this.settle(size);
    if (this.trouble) this.trouble.before = this.trouble.attempts;
  }

  get size(): number {
    return this.settled;
  }

  note(): void {
    if (this.noted === this.settled) return;
    this.options.views.setNote(cursorNote(this.options.name), { size: this.settled });
    this.noted = this.settled;
  }

  isBuried(position: number): boolean {
    return this.buried.has(position);
  }

  /**
   * The letter names the event and does not hold it: it is in the log. To be awaited with `DeadLetters.recorded`. What tells of a sink's
   * letter becomes none: it would be told of in turn, and where all is refused that would fill the log.
   */
  bury(event: Event, cause: unknown): void {
    const { position, id, correlationid } = event;
    this.buried.add(position);
    if (tellsOfLetter(event)) return;
    this.refused++;
    this.options.deadLetters.add({
      target: `sink:${this.options.name}`,
      cause,
      message: { position },
      lasting: true,
      causationid: id,
      correlationid,
    });
  }

  /** Says that it fails, once; answers how many attempts have failed in a row. That notes cannot be written, or an event not read, is no attempt. */
  failed(cause: unknown): number {
    const { name, clock, recorder } = this.options;
    if (!this.trouble) {
      this.trouble = { since: clock.now(), attempts: 0, before: 0 };
      const data = { sink: name, cause: causeOf(cause), size: this.settled };
      recorder.record({ type: "kernel.sink.failed", data }, this.about);
    }
    if (!(cause instanceof ViewsFault || cause instanceof NotNow)) this.trouble.attempts++;
    return this.trouble.attempts - this.trouble.before;
  }

  /** Says that it delivers again, if it did not. */
  recovered(): void {
    if (!this.trouble) return;
    const { name, clock, recorder } = this.options;
    const { since, attempts } = this.trouble;
    this.trouble = undefined;
    // The clock may have been set back.
    const failed_ms = Math.max(0, Math.round(clock.now() - since));
    const data = { sink: name, failed_ms, attempts, size: this.settled };
    recorder.record({ type: "kernel.sink.recovered", data }, this.about);
  }

  private get about(): { readonly child: string; readonly stream: `kernel/sink:${string}` } {
    const child = `sink:${this.options.name}` as const;
    return { child, stream: `kernel/${child}` };
  }
}

/** As people know it. */
export const sinkCalled = (name: string): string => `sink ${name}`;

const CURSORS = "sink/";
const SINKS_TOLD_MAX = 1_000;
const cursorNote = (name: string): string => `${CURSORS}${name}/cursor`;

type SinkNotes = Pick<SinkPlaceOptions, "name" | "log"> & { readonly views: Pick<Views, "note"> };

/** Where a sink goes on, whether or not it runs; `undefined` for one that has never run. */
export const sinkPlaceIn = (notes: SinkNotes): number | undefined => {
  const { name, log, views } = notes;
  const cursor = views.note(cursorNote(name)) as { readonly size: number } | undefined;
  const known = cursor?.size ??
    (newest(notes, "kernel.sink.added")?.data as { readonly from: number } | undefined)?.from;
  return known === undefined ? undefined : Math.min(known, log.size);
};

/** All that ever ran, be they in the configuration no more: by name, and where each would go on. */
export const sinkPlacesIn = (views: Pick<Views, "notes">): readonly (readonly [string, number])[] =>
  views.notes(CURSORS, SINKS_TOLD_MAX).map(([key, cursor]) => [
    key.slice(CURSORS.length, key.lastIndexOf("/")),
    (cursor as { readonly size: number }).size,
  ]);

/** The newest fact of these types about a sink. */
const newest = ({ name, log }: Pick<SinkNotes, "name" | "log">, ...types: readonly string[]): Event | undefined => {
  for (const page of log.read({ types, backward: true })) {
    const found = page.find(({ data }) => (data as { readonly sink: string }).sink === name);
    if (found) return found;
  }
  return undefined;
};

const tellsOfLetter = ({ type, data }: Event): boolean =>
  type === "kernel.message.dead_lettered" && (data as { readonly target: string }).target.startsWith("sink:");
