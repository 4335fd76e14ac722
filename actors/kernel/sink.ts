/**
 * A sink: follows the log and hands what it hears to a receiver outside, at least once and in order. A child of the tree with a place
 * in the log of its own, so one that is stuck holds up nobody else.
 *
 * What was handed over is not yet delivered: it is when the receiver, by whatever its protocol has for that, is known to have it. Only
 * then the place is noted. After any failure, and after a crash, all behind that place is handed over again.
 */
import type { Event } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import type { Views } from "../../projections/views.ts";
import { causeOf } from "./cause.ts";
import type { Child, Self } from "./child.ts";
import type { DeadLetter, DeadLetters } from "./dead_letters.ts";
import type { Recorder } from "./recorder.ts";
import { type Connection, Later, type Parcel, type Transport } from "./transport.ts";
import type { Clock, Random } from "./world.ts";
import { pause } from "./world.ts";

export const SINK = {
  /** Characters handed over in one go; an event that is longer goes alone. */
  batch_chars_max: 1_000_000,
  /** Events handed over on one connection before what it has is made sure of. */
  unsettled_max: 10_000,
  /** Events passed over after which the place is noted although nothing was sent. */
  quiet_events: 10_000,
  /** Stopping, what was handed over has so long to be made sure of; else it is handed over again. */
  last_ms: 2_000,
  grace_ms: 6_000,
} as const;

export interface SinkOptions {
  readonly name: string;
  readonly log: Pick<EventLog, "size" | "follow" | "read">;
  readonly views: Pick<Views, "note" | "setNote">;
  readonly clock: Clock;
  readonly random: Random;
  readonly recorder: Recorder;
  readonly deadLetters: DeadLetters;
  readonly transport: Transport;
  /** Types that it hears, by how they begin; none: all. */
  readonly types: readonly string[];
  /** Where it begins when it is new. */
  readonly from: "beginning" | "end";
  /** The event as it goes out. What it throws at becomes a dead letter. */
  readonly line: (event: Event) => string;
  readonly batchEventsMax: number;
  /** How long one hand-over may take. */
  readonly deliverMs: number;
  readonly retry: {
    readonly first_ms: number;
    readonly max_ms: number;
    /** Attempts after which what waits in line becomes dead letters; `null`: never. */
    readonly attempts_max: number | null;
  };
}

/** Counted since the process started. */
export interface SinkCounts {
  /** Events that the receiver has. */
  delivered: number;
  /** Attempts that failed. */
  failed: number;
  /** Events that became dead letters. */
  refused: number;
}

interface Trouble {
  readonly since: number;
  attempts: number;
}

export class Sink implements Child {
  readonly id: string;
  readonly restart = "permanent";
  readonly grace = SINK.grace_ms;
  readonly counts: SinkCounts = { delivered: 0, failed: 0, refused: 0 };
  /** All before it is delivered, or passed over. */
  private settled = 0;
  private noted = 0;
  /** All before it is handed over. */
  private sent = 0;
  /** Events between the two. */
  private unsettled = 0;
  private connection: Connection | undefined;
  private trouble: Trouble | undefined;
  /** Of the present run. */
  private stopping = AbortSignal.abort();

  constructor(private readonly options: SinkOptions) {
    this.id = options.name;
    options.deadLetters.route(`sink:${options.name}`, (letter) => this.redeliver(letter));
  }

  /** Events of the log that it has not delivered or passed over. */
  get lag(): number {
    return Math.max(0, this.options.log.size - this.settled);
  }

  /** Deliveries fail at present. */
  get failing(): boolean {
    return this.trouble !== undefined;
  }

  async run(signal: AbortSignal, self?: Self): Promise<void> {
    this.stopping = signal;
    this.settled = this.noted = this.place();
    self?.ready();
    while (!signal.aborted) {
      const wait = await this.go(signal).then(() => 0, (cause) => signal.aborted ? 0 : this.failed(cause));
      if (wait > 0) await pause(this.options.clock, wait, signal);
    }
    if (this.settled > this.noted) this.note();
  }

  /** Where to go on; a new sink says where it began, so that its place can be lost without losing events. */
  private place(): number {
    const { name, log, views, from, recorder } = this.options;
    const cursor = views.note(this.cursorNote) as { readonly size: number } | undefined;
    if (cursor) return Math.min(cursor.size, log.size);
    for (const page of log.read({ types: ["kernel.sink.added"], backward: true })) {
      for (const { data } of page) {
        const added = data as { readonly sink: string; readonly from: number };
        if (added.sink === name) return Math.min(added.from, log.size);
      }
    }
    const begins = from === "end" ? log.size : 0;
    recorder.record({ type: "kernel.sink.added", data: { sink: name, from: begins } }, this.about);
    return begins;
  }

  /** From the place it has come to, until the signal, or a failure, which it throws. */
  private async go(signal: AbortSignal): Promise<void> {
    const { log, clock } = this.options;
    this.sent = this.settled;
    this.unsettled = 0;
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener("abort", abort, { once: true });
    const events = log.follow(this.settled, stop.signal)[Symbol.asyncIterator]();
    try {
      let next = this.following(events);
      while (!signal.aborted) {
        const { connection } = this;
        const quiet = new AbortController();
        const idle = connection && this.unsettled > 0
          ? [pause(clock, connection.settleMs, quiet.signal).then(() => "idle" as const)]
          : [];
        const lost = connection?.lost ? [connection.lost] : [];
        const batch = await Promise.race([next, ...idle, ...lost]).finally(() => quiet.abort());
        if (batch === "idle") {
          await this.settle();
          continue;
        }
        if (batch.done) break;
        await this.take(batch.value, signal);
        next = this.following(events);
      }
      if (this.unsettled > 0) await this.settle();
    } finally {
      signal.removeEventListener("abort", abort);
      stop.abort();
      this.drop();
      await events.return?.();
    }
  }

  /** What comes next; nobody may be waiting for it any more. */
  private following(events: AsyncIterator<readonly Event[]>): Promise<IteratorResult<readonly Event[]>> {
    const next = events.next();
    next.catch(() => {});
    return next;
  }

  private async take(events: readonly Event[], signal: AbortSignal): Promise<void> {
    let [parcels, chars]: [Parcel[], number] = [[], 0];
    const { refused } = this.counts;
    const flush = async () => {
      const batch = parcels;
      [parcels, chars] = [[], 0];
      await this.hand(batch);
      this.sent = batch.at(-1)!.position + 1;
      if (this.unsettled >= SINK.unsettled_max || this.connection?.settleMs === 0) await this.settle();
    };
    for (const event of events) {
      if (signal.aborted) return;
      const text = this.hears(event) ? this.text(event) : undefined;
      if (text === undefined) continue;
      if (
        parcels.length > 0 &&
        (parcels.length >= this.options.batchEventsMax || chars + text.length > SINK.batch_chars_max)
      ) await flush();
      parcels.push({ position: event.position, event, text });
      chars += text.length;
    }
    if (parcels.length > 0) await flush();
    if (this.counts.refused > refused) await this.options.deadLetters.recorded();
    this.sent = events.at(-1)!.position + 1;
    if (this.unsettled > 0) return;
    this.settled = this.sent;
    if (this.settled - this.noted >= SINK.quiet_events) this.note();
  }

  private hears({ type }: Event): boolean {
    const { types } = this.options;
    return types.length === 0 || types.some((start) => type.startsWith(start));
  }

  private text(event: Event): string | undefined {
    try {
      return this.options.line(event);
    } catch (cause) {
      this.bury(event, cause);
      return undefined;
    }
  }

  /** Hands parcels over; those that will never be taken become dead letters. */
  private async hand(parcels: readonly Parcel[]): Promise<void> {
    const refused = await this.within(this.options.deliverMs, async (signal) => {
      this.connection ??= await this.options.transport.connect(signal);
      return await this.connection.send(parcels, signal);
    });
    this.unsettled += parcels.length - refused.length;
    const byPosition = new Map(parcels.map(({ position, event }) => [position, event]));
    for (const { position, because } of refused) this.bury(byPosition.get(position)!, because);
    if (refused.length > 0) await this.options.deadLetters.recorded();
  }

  /** Makes sure that the receiver has all that was handed over. */
  private async settle(): Promise<void> {
    const { connection } = this;
    if (connection) {
      await this.within(this.options.deliverMs + connection.settleMs, (signal) => connection.settle(signal));
      if (!connection.stays) this.drop();
    }
    this.counts.delivered += this.unsettled;
    this.unsettled = 0;
    this.settled = this.sent;
    this.note();
    this.recovered();
  }

  private async within<T>(ms: number, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const late = new Error(`the receiver has not answered within ${ms} ms`);
    const { clock } = this.options;
    const cancels = [clock.schedule(ms, () => stop.abort(late))];
    const last = () => cancels.push(clock.schedule(SINK.last_ms, () => stop.abort(late)));
    this.stopping.addEventListener("abort", last, { once: true });
    if (this.stopping.aborted) last();
    const aborted = new Promise<never>((_, reject) => stop.signal.addEventListener("abort", () => reject(late)));
    aborted.catch(() => {}); // nobody may be waiting any more
    try {
      return await Promise.race([act(stop.signal), aborted]);
    } finally {
      this.stopping.removeEventListener("abort", last);
      for (const cancel of cancels) cancel();
    }
  }

  private drop(): void {
    this.connection?.close();
    this.connection = undefined;
  }

  /** Says that it fails, once; answers how long to wait. */
  private async failed(cause: unknown): Promise<number> {
    const { name, clock, random, retry, recorder } = this.options;
    this.drop();
    this.counts.failed++;
    if (!this.trouble) {
      this.trouble = { since: clock.monotonic(), attempts: 0 };
      recorder.record(
        { type: "kernel.sink.failed", data: { sink: name, cause: causeOf(cause), size: this.settled } },
        this.about,
      );
    }
    const attempts = ++this.trouble.attempts;
    if (retry.attempts_max !== null && attempts % retry.attempts_max === 0) {
      await this.giveUp(cause);
      return 0;
    }
    const wait = Math.min(retry.first_ms * 2 ** Math.min(attempts - 1, 30), retry.max_ms) * (0.75 + random.next() / 2);
    return cause instanceof Later ? Math.min(Math.max(wait, cause.ms), retry.max_ms) : wait;
  }

  private recovered(): void {
    if (!this.trouble) return;
    const { since, attempts } = this.trouble;
    const failed_ms = Math.round(this.options.clock.monotonic() - since);
    this.trouble = undefined;
    this.options.recorder.record({
      type: "kernel.sink.recovered",
      data: { sink: this.options.name, failed_ms, attempts, size: this.settled },
    }, this.about);
  }

  /** What is first in line becomes dead letters, one batch of it, so that what comes behind is tried. */
  private async giveUp(cause: unknown): Promise<void> {
    let left = this.options.batchEventsMax;
    for (const page of this.options.log.read({ from: this.settled })) {
      for (const event of page) {
        if (left === 0) break;
        if (this.hears(event)) {
          this.bury(event, cause);
          left--;
        }
        this.settled = event.position + 1;
      }
      if (left === 0) break;
    }
    await this.options.deadLetters.recorded();
    this.note();
  }

  /** The letter names the event and does not hold it: it is in the log. */
  private bury({ position, id, correlationid }: Event, cause: unknown): void {
    this.counts.refused++;
    this.options.deadLetters.add({
      target: `sink:${this.options.name}`,
      cause,
      message: { position },
      lasting: true,
      causationid: id,
      correlationid,
    });
  }

  /** On a connection of its own, so that it waits for nothing else. */
  private async redeliver(letter: DeadLetter): Promise<void> {
    const { position } = letter.message as { readonly position: number };
    const [event] = [...this.options.log.read({ from: position, limit: 1 })].flat();
    const text = this.options.line(event!);
    await this.within(this.options.deliverMs, async (signal) => {
      const connection = await this.options.transport.connect(signal);
      try {
        const [refusal] = await connection.send([{ position, event: event!, text }], signal);
        if (refusal) throw new Error(refusal.because);
        await connection.settle(signal);
      } finally {
        connection.close();
      }
    });
    this.counts.delivered++;
  }

  private note(): void {
    this.noted = this.settled;
    this.options.views.setNote(this.cursorNote, { size: this.settled });
  }

  private get cursorNote(): string {
    return `sink/${this.options.name}/cursor`;
  }

  private get about(): { readonly child: string; readonly stream: `kernel/sink:${string}` } {
    const child = `sink:${this.options.name}` as const;
    return { child, stream: `kernel/${child}` };
  }
}
