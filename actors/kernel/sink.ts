/**
 * A sink: follows the log and hands what it hears to a receiver outside, at least once and in order. A child of the tree with a place
 * in the log of its own, so one that is stuck holds up nobody else.
 *
 * What was handed over is not yet delivered: it is when the receiver, by whatever its protocol has for that, is known to have it. Only
 * then the place is noted. After any failure, and after a crash, all behind that place is handed over again.
 */
import type { Event } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import { ViewsFault } from "../../projections/views.ts";
import type { Child, Self } from "./child.ts";
import type { DeadLetter } from "./held_letters.ts";
import { sinkCalled, SinkPlace, type SinkPlaceOptions } from "./sink_place.ts";
import { type Connection, Later, NotNow, type Parcel, type Refusal, type Transport } from "./transport.ts";
import type { Random } from "./world.ts";
import { pause } from "./world.ts";

export const SINK = {
  /** Characters handed over in one go; an event that is longer goes alone. */
  batch_chars_max: 1_000_000,
  /** Events handed over on one connection before what it has is made sure of. */
  unsettled_max: 10_000,
  /** Events passed over after which the place is noted although nothing was sent. */
  quiet_events: 10_000,
  /** Events passed over in one go; then others have a turn. */
  turn_events: 2_000,
  /** Stopping, what is being handed over or made sure of has so long; else it is handed over again. */
  last_ms: 2_000,
  grace_ms: 6_000,
} as const;

export interface SinkOptions extends SinkPlaceOptions {
  readonly log: Pick<EventLog, "size" | "follow" | "read">;
  readonly random: Random;
  readonly transport: Transport;
  /** Types that it hears, by how they begin; none: all. */
  readonly types: readonly string[];
  /** Of those, which are for it. Default: all. */
  readonly wants?: (event: Event) => boolean;
  /** The event as it goes out. What it throws at becomes a dead letter, unless it is `NotNow`. */
  readonly line: (event: Event) => string;
  readonly batchEventsMax: number;
  /** How long a hand-over may go without an answer. */
  readonly deliverMs: number;
  readonly retry: {
    readonly first_ms: number;
    readonly max_ms: number;
    /** Attempts after which what is first in line becomes dead letters; `null`: never. */
    readonly attempts_max: number | null;
  };
}

export class Sink implements Child {
  readonly id: string;
  readonly restart = "permanent";
  readonly grace = SINK.grace_ms;
  /** Since the process started: events that the receiver has, and attempts that failed. */
  readonly counts = { delivered: 0, failed: 0 };
  readonly place: SinkPlace;
  /** All before it is handed over, or passed over. */
  private sent = 0;
  /** Events between the place and there that were handed over; whether they arrived is not known yet. */
  unsettled = 0;
  /** As many go on one connection before what it has is made sure of: fewer where that failed, so that a slow receiver gets on. */
  private most: number = SINK.unsettled_max;
  private passed = 0;
  /** Attempts in a row at an event that cannot be read now. */
  private unread = 0;
  private connection: Connection | undefined;
  /** Of the present run. */
  private stopping = AbortSignal.abort();

  constructor(private readonly options: SinkOptions) {
    this.id = options.name;
    this.place = new SinkPlace(options);
    options.deadLetters.route(`sink:${options.name}`, (letter) => this.redeliver(letter));
    options.places?.enter(sinkCalled(options.name), this.place);
  }

  /** Events of the log that it has not delivered or passed over. */
  get lag(): number {
    return Math.max(0, this.options.log.size - this.place.settled);
  }

  async run(signal: AbortSignal, self?: Self): Promise<void> {
    this.stopping = signal;
    this.place.open();
    self?.ready();
    let ended = false;
    while (!signal.aborted && !ended) {
      try {
        await this.go(signal);
        ended = true; // the log has closed
      } catch (cause) {
        if (!signal.aborted) await pause(this.options.clock, await this.failed(cause), signal);
      }
    }
    this.place.note();
  }

  /** From the place it has come to, until the signal, or a failure, which it throws. */
  private async go(signal: AbortSignal): Promise<void> {
    const { log, clock } = this.options;
    this.sent = this.place.settled;
    this.unsettled = 0;
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener("abort", abort, { once: true });
    const events = log.follow(this.sent, stop.signal)[Symbol.asyncIterator]();
    try {
      let next = following(events);
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
        next = following(events);
      }
      if (this.unsettled > 0) await this.settle();
    } finally {
      signal.removeEventListener("abort", abort);
      stop.abort();
      this.drop();
      await events.return?.();
    }
  }

  private async take(events: readonly Event[], signal: AbortSignal): Promise<void> {
    const { batchEventsMax, deadLetters } = this.options;
    const { refused } = this.place;
    let [parcels, chars]: [Parcel[], number] = [[], 0];
    const flush = async () => {
      const batch = parcels;
      [parcels, chars] = [[], 0];
      await this.hand(batch);
      this.sent = batch.at(-1)!.position + 1;
      if (this.unsettled >= this.most || this.connection?.settleMs === 0) await this.settle();
    };
    for (const event of events) {
      if (signal.aborted) return;
      const { position } = event;
      const text = this.hears(event) ? this.text(event) : undefined;
      if (text instanceof NotNow) {
        // What lies in front of it arrives first: else it would be sent again with each attempt.
        parcels = parcels.filter((parcel) => parcel.position < position);
        if (parcels.length > 0) await flush();
        if (this.unsettled > 0) await this.settle();
        throw text;
      }
      if (text === undefined) continue;
      const last = parcels.at(-1);
      // An old shape may be read as several events; their position is passed as one.
      const part = last?.position === position ? last.part + 1 : 0;
      const full = parcels.length >= Math.min(batchEventsMax, this.most - this.unsettled) ||
        chars + text.length > SINK.batch_chars_max;
      if (last && part === 0 && full) await flush();
      parcels.push({ position, part, event, text });
      chars += text.length;
    }
    if (parcels.length > 0) await flush();
    if (this.place.refused > refused) await deadLetters.recorded();
    this.sent = events.at(-1)!.position + 1;
    if (this.unsettled === 0) this.place.settle(this.sent, SINK.quiet_events);
    this.passed += events.length;
    if (this.passed < SINK.turn_events) return;
    this.passed = 0;
    await pause(this.options.clock, 0);
  }

  private hears(event: Event): boolean {
    const { types, wants } = this.options;
    const { type, position } = event;
    const heard = types.length === 0 || types.some((start) => type.startsWith(start));
    return heard && (wants?.(event) ?? true) && !this.place.isBuried(position);
  }

  private text(event: Event): string | NotNow | undefined {
    try {
      const text = this.options.line(event);
      this.unread = 0;
      return text;
    } catch (cause) {
      if (cause instanceof NotNow) return cause;
      this.place.bury(event, cause);
      return undefined;
    }
  }

  /** Hands parcels over; those that will never be taken become dead letters. */
  private async hand(parcels: readonly Parcel[]): Promise<void> {
    const answers = new Map<Parcel, Refusal | undefined>();
    const refused = await this.within(this.options.deliverMs, async (signal, renew) => {
      this.connection ??= await this.options.transport.connect(signal);
      return await this.connection.send(parcels, signal, (parcel, refusal) => {
        answers.set(parcel, refusal);
        renew();
      });
    }).catch(async (cause) => {
      this.fewer(cause, this.unsettled + parcels.length);
      await this.keep(parcels, answers);
      throw cause;
    });
    this.unsettled += parcels.length - refused.length;
    const byPosition = new Map(parcels.map(({ position, event }) => [position, event]));
    for (const { position, because } of refused) this.place.bury(byPosition.get(position)!, because);
  }

  /** What was answered in front of the first that was not does not come again: a receiver that takes so many a minute would get no more. */
  private async keep(parcels: readonly Parcel[], answers: ReadonlyMap<Parcel, Refusal | undefined>): Promise<void> {
    if (answers.size === 0) return; // what went before on this connection may be lost with it
    const open = parcels.find((parcel) => !answers.has(parcel));
    const size = open?.position ?? parcels.at(-1)!.position + 1;
    let delivered = 0;
    for (const [{ position, event }, refusal] of answers) {
      if (position >= size) continue;
      if (refusal) this.place.bury(event, refusal.because);
      else delivered++;
    }
    if (size <= this.place.settled) return;
    await this.options.deadLetters.recorded();
    this.counts.delivered += delivered;
    this.place.advance(size);
  }

  /** Makes sure that the receiver has all that was handed over. */
  private async settle(): Promise<void> {
    const { connection } = this;
    if (connection) {
      await this.within(this.options.deliverMs + connection.settleMs, (signal) => connection.settle(signal))
        .catch((cause) => {
          this.fewer(cause, this.unsettled);
          throw cause;
        });
      if (this.unsettled >= this.most) this.most = Math.min(Math.ceil(this.most * 1.1), SINK.unsettled_max);
      if (!connection.stays) this.drop();
    }
    await this.options.deadLetters.recorded();
    this.counts.delivered += this.unsettled;
    this.unsettled = 0;
    this.place.settle(this.sent);
    this.place.recovered();
  }

  /** Throws when it takes longer, from the last `renew` on, or much longer than the sink is to stop. */
  private async within<T>(ms: number, act: (signal: AbortSignal, renew: () => void) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const late = new Late(`the receiver has not answered within ${ms} ms`);
    const { clock } = this.options;
    const time = () => clock.schedule(ms, () => stop.abort(late));
    const cancels = [time()];
    let over = false;
    const renew = () => {
      if (over) return;
      cancels[0]!();
      cancels[0] = time();
    };
    const last = () => cancels.push(clock.schedule(SINK.last_ms, () => stop.abort(late)));
    this.stopping.addEventListener("abort", last, { once: true });
    if (this.stopping.aborted) last();
    const aborted = new Promise<never>((_, reject) => stop.signal.addEventListener("abort", () => reject(late)));
    aborted.catch(() => {}); // nobody may be waiting any more
    try {
      return await Promise.race([act(stop.signal, renew), aborted]);
    } finally {
      over = true;
      this.stopping.removeEventListener("abort", last);
      for (const cancel of cancels) cancel();
    }
  }

  /** Of one that answers each by itself what was answered counts already. */
  private fewer(cause: unknown, handed: number): void {
    if (cause instanceof Late && this.connection?.stays === false) this.most = Math.max(1, Math.floor(handed / 2));
  }

  private drop(): void {
    this.connection?.close();
    this.connection = undefined;
  }

  /** How long to wait after a failure. */
  private async failed(cause: unknown): Promise<number> {
    const { random, retry } = this.options;
    const attempts = this.place.failed(cause);
    // The place could not be noted; what the receiver has, it has, and nothing is wrong with what comes next.
    if (cause instanceof ViewsFault) return retry.first_ms;
    this.counts.failed++;
    const wait = (attempts: number) =>
      Math.min(retry.first_ms * 2 ** Math.min(attempts - 1, 30), retry.max_ms) * (0.75 + random.next() / 2);
    // The receiver has refused nothing.
    if (cause instanceof NotNow) return wait(++this.unread);
    if (retry.attempts_max !== null && attempts % retry.attempts_max === 0) {
      await this.giveUp(cause);
      return 0;
    }
    return cause instanceof Later ? Math.min(Math.max(wait(attempts), cause.ms), retry.max_ms) : wait(attempts);
  }

  /** What is first in line becomes dead letters, one batch of it, so that what comes behind is tried. */
  private async giveUp(cause: unknown): Promise<void> {
    const { log, batchEventsMax, deadLetters } = this.options;
    let { settled } = this.place;
    for (const page of log.read({ from: settled, limit: batchEventsMax })) {
      for (const event of page) {
        if (this.hears(event)) this.place.bury(event, cause);
        settled = event.position + 1;
      }
    }
    await deadLetters.recorded();
    this.place.settle(settled);
  }

  /** On a connection of its own, so that it waits for nothing else. */
  private async redeliver(letter: DeadLetter): Promise<void> {
    const { log, line, deliverMs, transport } = this.options;
    const { position } = letter.message as { readonly position: number };
    const events = [...log.read({ from: position, until: position + 1 })].flat();
    const parcels = events.map((event, part) => ({ position, part, event, text: line(event) }));
    await this.within(deliverMs, async (signal) => {
      const connection = await transport.connect(signal);
      try {
        const [refusal] = await connection.send(parcels, signal);
        if (refusal) throw new Error(refusal.because);
        await connection.settle(signal);
      } finally {
        connection.close();
      }
    });
    this.counts.delivered++;
  }
}

class Late extends Error {}

/** What comes next; nobody may be waiting for it any more. */
const following = (events: AsyncIterator<readonly Event[]>): Promise<IteratorResult<readonly Event[]>> => {
  const next = events.next();
  next.catch(() => {});
  return next;
};
