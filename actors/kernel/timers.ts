/**
 * Makes timers come true. Which ones stand is folded from the log, so they outlive the process; after an outage each that
 * fell due fires once. A child of the supervision tree.
 *
 * That a timer fired is recorded by its entity together with what came of it, so firing twice is found out there.
 */
import type { Event, Millis, StreamId } from "../../events/event.ts";
import { correlationOf, millis } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { EventLog } from "../../events/log.ts";
import { type Views, ViewsFault } from "../../projections/views.ts";
import type { Command } from "../types.ts";
import type { Child, Self } from "./child.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { DeadLetter } from "./held_letters.ts";
import type { DueTimer, Entities } from "./entities.ts";
import { instant } from "./instant.ts";
import { isArchived } from "./kept.ts";
import type { Place, Places } from "./places.ts";
import { Schedule } from "./schedule.ts";
import { startsSetBack } from "./set_back.ts";
import type { Clock, Random } from "./world.ts";
import { pause } from "./world.ts";

export const TIMERS = {
  /** Timers fired at a time. */
  at_once: 64,
  /** Faults of the decider after which the timer is a dead letter. */
  attempts: 5,
  /** Waits between attempts, doubling. */
  retry_first_ms: 100,
  retry_last_ms: 30_000,
  /** The wall clock may be moved; it is looked at this often while timers stand. */
  recheck_ms: 30_000,
  /** Timers that stand at a time over all entities; those set beyond it are dead letters at once. */
  standing_max: 1_000_000,
  /** What is set by a clock so far ahead of ours was set by a wrong one; small steps back are waited out. */
  ahead_ms: 86_400_000,
  /** Events read in one go while catching up. */
  turn_events: 2_000,
} as const;

/** As noted, by the position of its `kernel.timer.set`. */
export interface Standing {
  readonly position: number;
  readonly stream: StreamId;
  readonly name: string;
  /** Revision of the same event. */
  readonly set: number;
  readonly at: Millis;
  readonly command: Command;
  readonly id: string;
  readonly correlationid: string;
}

export interface TimersOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: EventLog;
  readonly views: Views;
  readonly entities: Pick<Entities, "ask" | "fire" | "isDated" | "takes">;
  readonly deadLetters: DeadLetters;
  /** Who lets go of events asks there. */
  readonly places?: Places;
  /** Default `TIMERS.standing_max`. */
  readonly standing_max?: number;
}

const TYPES = ["kernel.timer.set", "kernel.timer.cancelled", "kernel.timer.fired"];
const CURSOR = "timers/cursor";
const noteOf = ({ position }: Standing) => `timers/standing/${String(position).padStart(16, "0")}`;
const keyOf = (stream: StreamId, name: string) => `${stream}\n${name}`;

export class Timers implements Child, Place {
  readonly id = "timers";
  readonly restart = "permanent";
  readonly grace = 5_000;
  readonly readyWithin = 600_000;
  private standing = new Map<string, Standing>();
  private schedule: Schedule<Standing>;
  /** Of timers that came due and have not fired: how often they were tried, and how often their decider failed. */
  private tried = new WeakMap<Standing, { times: number; faults: number }>();
  /** Of timers that a clock far ahead of ours has set: when that was, and until when they wait by the clock that nobody sets. */
  private readonly waiting = new WeakMap<Standing, { readonly set: Millis; readonly until: Millis }>();
  /** How far the wall clock was ahead of the other one when it was looked at last. */
  private offset = Infinity;
  size = 0;
  /** Notes that stand behind: while the disk is full the cursor stays before what they are of, so nothing of it is missed. */
  private readonly unwritten = new Map<string, unknown>();
  private readonly most: number;

  constructor(private readonly options: TimersOptions) {
    this.schedule = this.fresh();
    this.most = options.standing_max ?? TIMERS.standing_max;
    options.deadLetters.route("timer", (letter) => this.redeliver(letter));
    options.places?.enter("timers", this);
  }

  /** Timers that stand. */
  get count(): number {
    return this.standing.size;
  }

  async run(signal: AbortSignal, self?: Self): Promise<void> {
    this.schedule.close();
    this.schedule = this.fresh();
    this.restore();
    await this.catchUp(signal);
    await this.weigh(signal);
    self?.ready();
    this.schedule.open(signal, (timer) => this.fire(timer, signal));
    try {
      for await (const { events, size } of this.options.log.hear(TYPES, this.size, signal)) this.take(events, size);
    } finally {
      this.schedule.close();
    }
  }

  private fresh(): Schedule<Standing> {
    return new Schedule(this.options.clock, TIMERS.at_once, TIMERS.recheck_ms, (signal) => this.woken(signal));
  }

  private woken(signal: AbortSignal): void {
    const { clock } = this.options;
    const offset = clock.now() - clock.monotonic();
    const back = this.offset - offset > TIMERS.ahead_ms;
    this.offset = offset;
    // What cannot be read now is looked at when it wakes next.
    if (back) this.weigh(signal).catch(() => this.offset = Infinity);
  }

  /**
   * A clock that was far ahead and is set back since has set timers that would be due when this one has come as far: they wait as
   * long as they were to, from the first start with the clock as it is on, or from now on where there is none. A date stays one.
   */
  private async weigh(signal: AbortSignal): Promise<void> {
    const { clock, log, entities } = this.options;
    this.offset = clock.now() - clock.monotonic();
    const sane = clock.now() + TIMERS.ahead_ms;
    // Recorded times never decrease, so the last one tells whether the clock ever was ahead.
    const newest = this.eventAt(log.size - 1);
    if (!newest || millis(newest.recordedat) <= sane) return;
    const starts = startsSetBack(this.options, TIMERS.ahead_ms);
    let [read, next] = [0, 0];
    for (const timer of [...this.standing.values()].sort((a, b) => a.position - b.position)) {
      if (timer.at <= sane || this.waiting.has(timer) || entities.isDated(timer.command)) continue;
      if (++read % TIMERS.turn_events === 0) await pause(clock, 0);
      if (signal.aborted) return;
      const event = this.eventAt(timer.position);
      const set = event ? millis(event.time) : -Infinity;
      if (set <= sane || this.standing.get(keyOf(timer.stream, timer.name)) !== timer) continue;
      while (next < starts.length && starts[next]!.position < timer.position) next++;
      const waited = clock.now() - (starts[next]?.at ?? clock.now());
      const wait = Math.max(0, timer.at - set - waited);
      this.waiting.set(timer, { set, until: clock.monotonic() + wait });
      this.schedule.remove(timer);
      this.schedule.add(timer, clock.now() + wait);
    }
  }

  private eventAt(position: number): Event | undefined {
    if (position < 0) return undefined;
    try {
      for (const [event] of this.options.log.read({ from: position, limit: 1 })) return event;
    } catch (error) {
      if (!isArchived(error)) throw error;
    }
    return undefined;
  }

  private restore(): void {
    const { views, log } = this.options;
    const cursor = views.note(CURSOR) as { size: number } | undefined;
    const notes = views.notes("timers/standing/", TIMERS.standing_max);
    // A cursor beyond the log is of another log.
    const ours = cursor !== undefined && cursor.size <= log.size;
    this.size = ours ? cursor.size : 0;
    this.standing.clear();
    this.unwritten.clear();
    if (ours) { for (const [, note] of notes) this.add(note as Standing); }
    else views.setNotes([...notes.map(([key]) => [key, undefined] as const), [CURSOR, { size: 0 }]]);
  }

  /** By the index of types, so that a long log costs what its timers cost. */
  private async catchUp(signal: AbortSignal): Promise<void> {
    const { log, clock } = this.options;
    const until = log.size;
    let events = 0;
    for (const page of log.read({ types: TYPES, from: this.size, until })) {
      if (signal.aborted) return;
      this.take(page, page.at(-1)!.position + 1);
      if ((events += page.length) < TIMERS.turn_events) continue;
      events = 0;
      await pause(clock, 0);
    }
    this.take([], until);
  }

  /** Takes in timer facts; what stands and the cursor are noted together. */
  private take(events: readonly Event[], size: number): void {
    const notes = this.unwritten;
    for (const event of events) {
      const fact = event as unknown as KernelFact & Event;
      const key = "name" in fact.data ? keyOf(event.stream, fact.data.name) : "";
      const before = this.standing.get(key);
      if (fact.type === "kernel.timer.fired" && before?.set !== fact.data.set) continue;
      if (before) {
        this.drop(key, before);
        notes.set(noteOf(before), undefined);
      }
      if (fact.type !== "kernel.timer.set") continue;
      const { name, at, command } = fact.data;
      const timer: Standing = {
        position: event.position,
        stream: event.stream,
        name,
        set: event.revision,
        at: millis(at),
        command: command as Command,
        id: event.id,
        correlationid: correlationOf(event),
      };
      if (this.standing.size >= this.most) {
        this.undeliverable(timer, `more than ${this.most} timers stand`);
        continue;
      }
      this.add(timer);
      notes.set(noteOf(timer), timer);
    }
    this.size = size;
    if (events.length === 0) return;
    try {
      this.note();
    } catch (error) {
      const passes = error instanceof ViewsFault && error.kind === "unwritable";
      if (!passes || notes.size > this.most) throw error;
    }
  }

  note(): void {
    this.options.views.setNotes([...this.unwritten, [CURSOR, { size: this.size }]]);
    this.unwritten.clear();
  }

  private add(timer: Standing): void {
    this.standing.set(keyOf(timer.stream, timer.name), timer);
    this.schedule.add(timer, timer.at);
  }

  private drop(key: string, timer: Standing): void {
    this.standing.delete(key);
    this.schedule.remove(timer);
  }

  /** Resolves with when to try again; `undefined` when the fact that it fired is in the log, or will never be needed. */
  private async fire(timer: Standing, signal: AbortSignal): Promise<Millis | undefined> {
    const { entities, clock, random } = this.options;
    const key = keyOf(timer.stream, timer.name);
    if (this.standing.get(key) !== timer || signal.aborted) return undefined;
    const waiting = this.waiting.get(timer);
    if (waiting && clock.now() < timer.at) {
      // Where ours was behind and is set right since, theirs was right.
      if (waiting.set <= clock.now() + TIMERS.ahead_ms) return timer.at;
      const left = waiting.until - clock.monotonic();
      if (left > 0) return clock.now() + left;
    }
    const tried = this.tried.get(timer) ?? { times: 0, faults: 0 };
    this.tried.set(timer, tried);
    const { stream, name, set, position, command, id: causationid, correlationid } = timer;
    const due: DueTimer = { stream, name, set, position, command, causationid, correlationid, undeliverable: false };
    const later = () =>
      clock.now() + Math.min(TIMERS.retry_last_ms, TIMERS.retry_first_ms * 2 ** tried.times++) * (0.5 + random.next());
    try {
      if (!entities.takes(stream, command)) return await this.settle(timer, due, "no actor takes its command", later);
      const outcome = await entities.fire(due);
      return outcome.is === "accepted" ? undefined : later();
    } catch (error) {
      if (++tried.faults >= TIMERS.attempts) return await this.settle(timer, due, error, later);
      return later();
    }
  }

  /** It will never be delivered: that is recorded as its firing, and the command becomes a dead letter. */
  private async settle(
    timer: Standing,
    due: DueTimer,
    cause: unknown,
    later: () => Millis,
  ): Promise<Millis | undefined> {
    const outcome = await this.options.entities.fire({ ...due, undeliverable: true });
    // Of a domain without an actor: nobody else writes there for it, so nobody else can be asked to.
    if (outcome.is === "unknown_command") await this.recordFired(timer);
    else if (outcome.is !== "accepted") return later();
    else if (outcome.duplicate) return undefined;
    this.undeliverable(timer, cause);
    await this.options.deadLetters.recorded();
    return undefined;
  }

  private async recordFired({ stream, name, set, position, id, correlationid }: Standing): Promise<void> {
    const { clock, log } = this.options;
    const fact: KernelFact = { type: "kernel.timer.fired", data: { name, set, outcome: "undeliverable" } };
    const header = {
      id: `kernel:timer:${position}/0`,
      source: stream,
      stream,
      version: 1,
      authtype: "system",
      authid: "kernel",
    };
    const time = { time: instant(clock.now()), timeGiven: false };
    await log.append({ events: [{ ...fact, ...header, ...time, causationid: id, correlationid }] });
  }

  private undeliverable({ stream, command, id, correlationid }: Standing, cause: unknown): void {
    const target = `timer:${stream}`;
    this.options.deadLetters.add({ target, cause, message: command, lasting: true, causationid: id, correlationid });
  }

  private async redeliver({ id, target, message }: DeadLetter): Promise<void> {
    const [stream, command] = [target.slice(target.indexOf(":") + 1), message as Command];
    const outcome = await this.options.entities.ask({
      ...command,
      id: stream.slice(stream.indexOf("/") + 1),
      by: { authtype: "system", authid: "kernel" },
      command: `redrive:${id}`,
    });
    if (outcome.is !== "accepted" && outcome.is !== "rejected") throw new Error(`the entity answered "${outcome.is}"`);
  }
}
