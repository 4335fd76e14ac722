/**
 * One entity: takes messages one at a time, decides them on a state that is rebuilt from its stream, and answers when
 * their facts are in the log.
 *
 * What waits is decided together on the evolving state and appended in one go with the exact revision. Others may write into
 * the stream too (ingest): when the race is lost it reads what came in between and decides anew.
 */
import type { Event, StreamId } from "../../events/event.ts";
import type { Appended, EventLog } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import type { Actor } from "../types.ts";
import { answeredBefore, recordedFacts } from "./answers.ts";
import type { Answer, DraftOf } from "./draft.ts";
import { Draft } from "./draft.ts";
import type { Held } from "./held.ts";
import { begun, taken } from "./held.ts";
import { isArchived } from "./kept.ts";
import { Mailbox, TAKEN } from "./mailbox.ts";
import type { Message } from "./message.ts";
import { accepted, unavailable } from "./message.ts";
import type { Snapshots } from "./snapshots.ts";
import { appending, type Telemetry } from "./telemetry.ts";
import type { Clock } from "./world.ts";

export const ENTITY = {
  /** Messages that wait for one entity. */
  mailbox_max: 1_000,
  /** Messages decided together. */
  batch_messages_max: 256,
  /** Facts after which no further message is taken into the batch. */
  batch_facts_max: 500,
  /** Lost races in a row before the callers are told. */
  retries: 5,
  /** Events read in one go when an entity is loaded; then others have a turn. */
  load_events_max: 2_000,
  /** Events after which a snapshot is taken while the entity is busy. */
  snapshot_every: 500,
  /** A shorter tail than this is not worth a snapshot when the entity is passivated. */
  snapshot_least: 50,
  /** After so many failed loads in a row the entity is down for a while. */
  loads_max: 3,
  down_ms: 30_000,
} as const;

/** A bug, in a decider or in a fold: the caller's answer is a fault, and the entity is read anew from the log. */
export class EntityFault extends Error {
  override readonly name = "EntityFault";
}

/** What an entity needs of the registry it belongs to. */
export interface Household {
  readonly log: EventLog;
  readonly clock: Clock;
  readonly snapshots: Snapshots;
  readonly telemetry: Telemetry | undefined;
  /** The entity has nothing to do, or has something again. */
  turned(entity: Entity, busy: boolean): void;
  /** A message was taken out of a mailbox, by whatever end. */
  left(message: Message): void;
  lost(): void;
  crashed(entity: Entity, cause: unknown): void;
  gaveUp(entity: Entity, cause: unknown): void;
  restarted(entity: Entity): void;
  /** One that had crashed is let go. */
  ended(entity: Entity): void;
}

export class Entity {
  /** Neighbours in the registry's order of use. */
  older: Entity | undefined;
  newer: Entity | undefined;
  /** Number of the registry's sweep in which it was last used. */
  used = 0;
  readonly stream: StreamId;
  private readonly mailbox: Mailbox<Message>;
  /** Taken from the mailbox and to be decided again, before anything else. */
  private carried: Message[] = [];
  private held: Held | undefined;
  /** The log may hold more than `held`. */
  private stale = false;
  private reading: { held: Held; readonly pages: Iterator<readonly Event[]> } | undefined;
  private draft: Draft | undefined;
  private busy = false;
  private attempts = 0;
  /** So many messages are decided alone, for together their facts were too much for one append. */
  private alone = 0;
  private loads = 0;
  private downUntil = -Infinity;
  private crashed = false;
  /** Its crash is on record, so its end belongs there too. */
  private marred = false;
  private snapshotAt = -1;

  constructor(private readonly of: DraftOf, private readonly house: Household) {
    this.stream = of.stream;
    this.mailbox = new Mailbox(ENTITY.mailbox_max);
  }

  get actor(): Actor {
    return this.of.actor;
  }

  get idle(): boolean {
    return !this.busy && this.mailbox.size === 0;
  }

  /** As far as it is in the log. */
  get state(): Held | undefined {
    return this.held;
  }

  /** False when the mailbox is full. */
  offer(message: Message): boolean {
    if (this.mailbox.offer(message) !== TAKEN) return false;
    if (!this.busy) {
      this.busy = true;
      this.house.turned(this, true);
      queueMicrotask(this.turn);
    }
    return true;
  }

  /** Leaves a snapshot behind, if it is worth it. */
  passivate(): void {
    const { held } = this;
    if (this.marred) this.house.ended(this);
    if (held && !this.stale && held.revision - this.snapshotAt >= ENTITY.snapshot_least) this.keep(held);
  }

  /** Works until it must wait for the log or has nothing to do. */
  private readonly turn = (): void => {
    try {
      while (this.carried.length > 0 || this.mailbox.size > 0) {
        if ((!this.held || this.stale) && !this.load()) return;
        const draft = this.draft = this.decide();
        if (draft.events.length > 0) return this.append(draft);
        this.settleUnwritten(draft);
      }
    } catch (error) {
      this.fail(error);
    }
    this.busy = false;
    this.house.turned(this, false);
  };

  private next(): Message | undefined {
    const carried = this.carried.shift();
    if (carried) return carried;
    const message = this.mailbox.take();
    if (message) this.house.left(message);
    return message;
  }

  private decide(): Draft {
    const draft = new Draft(this.of, this.held!);
    const most = this.alone > 0 ? 1 : ENTITY.batch_messages_max;
    while (draft.answers.length < most && draft.events.length < ENTITY.batch_facts_max) {
      const message = this.next();
      if (!message) break;
      // Its caller has gone; what was never decided need not be.
      if (message.answered) continue;
      try {
        if (this.settled(draft, message) || draft.decide(message)) continue;
        this.carried.unshift(message);
        break;
      } catch (error) {
        if (isArchived(error)) {
          // What became of a command of this id is not here to be told; the others need nothing of it.
          draft.settle(message, unavailable("archived"));
          continue;
        }
        if (error instanceof LogFault) {
          // All of them are told, and not those alone that still wait.
          this.carried.unshift(...draft.answers.map(({ message }) => message), message);
          throw error;
        }
        this.crash(error);
        message.fail(fault(this.stream, message, error));
      }
    }
    if (this.alone > 0) this.alone--;
    return draft;
  }

  /** Whether the message needs no decision: done before, not expected so, or a timer that does not stand any more. */
  private settled(draft: Draft, message: Message): boolean {
    const { digest, key, due, ask: { expected } } = message;
    if (due && draft.held.timers.get(due.name)?.set !== due.set) {
      draft.settle(message, accepted(this.stream, { revision: draft.held.revision, position: -1 }, () => [], true));
      return true;
    }
    if (digest !== undefined) {
      const now = draft.earlier(key);
      if (now) {
        if (now.message.digest === digest) draft.same(message, now);
        else draft.settle(message, { is: "conflict", reason: "command_id", revision: draft.held.revision });
        return true;
      }
      const first = this.house.log.find(this.stream, `${key}/0`);
      if (first) {
        const answer = answeredBefore(this.house.log, this.stream, first, message, draft.held.revision);
        draft.settle(message, answer);
        return true;
      }
    }
    if (expected === undefined || expected === draft.held.revision) return false;
    draft.settle(message, { is: "conflict", reason: "revision", revision: draft.held.revision });
    return true;
  }

  /** Nothing to append; but what was decided on an old state is decided anew. */
  private settleUnwritten(draft: Draft): void {
    if (this.house.log.head(this.stream) === this.held!.revision) {
      this.attempts = 0;
      const at = { revision: this.held!.revision, position: this.house.log.size - 1 };
      for (const answer of draft.answers) {
        answer.message.answer(this.outcome(answer, () => accepted(this.stream, at, () => [], false)));
      }
    } else this.again(draft);
    this.draft = undefined;
    if (this.crashed) this.held = undefined;
  }

  private append(draft: Draft): void {
    const { revision } = this.held!;
    const expected = revision < 0 ? "none" : revision;
    const { log, telemetry } = this.house;
    const append = () => log.append({ events: draft.events, expected: [[this.stream, expected]] });
    (telemetry === undefined ? append() : this.traced(telemetry, draft, append)).then(this.appended, this.refused);
  }

  private traced(telemetry: Telemetry, draft: Draft, append: () => Promise<Appended>): Promise<Appended> {
    return appending({ telemetry, monotonic: () => this.house.clock.monotonic() }, draft.events, append);
  }

  private readonly appended = (result: Appended): void => {
    const draft = this.draft!;
    this.draft = undefined;
    if (result.ok) {
      this.attempts = 0;
      const { receipts, recordedat, duplicates } = result;
      const { revision } = this.held!;
      // Facts that were there already are not where this draft thinks they are.
      this.held = this.crashed || duplicates > 0 ? undefined : draft.held;
      const made = (first: number, count: number) => {
        // What recorded nothing was decided on what lies before it, not on what others recorded behind it.
        const at = receipts[first + count - 1] ?? { revision, position: receipts[0]!.position - 1 };
        const facts = () => {
          const own = receipts.slice(first, first + count).map((receipt, i) =>
            [draft.events[first + i]!, receipt] as const
          );
          return recordedFacts(this.house.log, own, recordedat);
        };
        return accepted(this.stream, at, facts, false);
      };
      for (const answer of draft.answers) answer.message.answer(this.outcome(answer, made));
      if (this.held && draft.held.revision - this.snapshotAt >= ENTITY.snapshot_every) this.keep(draft.held);
    } else if (result.conflict === "id") {
      this.dropForeign(draft, result.id);
    } else this.again(draft);
    this.turn();
  };

  private readonly refused = (error: unknown): void => {
    const draft = this.draft!;
    this.draft = undefined;
    // Whether or not anything was written is for the log to say, at the next turn.
    this.stale = true;
    const over = error instanceof LogFault && (error.kind === "too_large" || error.kind === "invalid");
    if (over && draft.answers.length > 1) {
      this.carried.unshift(...draft.answers.map(({ message }) => message));
      this.alone = draft.answers.length;
    } else if (over || !(error instanceof LogFault)) {
      for (const { message } of draft.answers) message.fail(fault(this.stream, message, error));
    } else for (const { message } of draft.answers) message.answer(unavailable("log"));
    this.turn();
  };

  /** Somebody else has written into the stream: read it and decide anew, a stated number of times. */
  private again(draft: Draft): void {
    this.stale = true;
    this.house.lost();
    if (++this.attempts > ENTITY.retries) {
      this.attempts = 0;
      for (const { message } of draft.answers) message.answer(unavailable("contention"));
    } else this.carried.unshift(...draft.answers.map(({ message }) => message));
  }

  /** One command's event id is taken by an event that is not this command's. */
  private dropForeign(draft: Draft, id: string): void {
    this.stale = true;
    const key = id.slice(0, id.lastIndexOf("/"));
    const revision = this.held!.revision;
    const rest = draft.answers.map(({ message }) => message).filter((message) => message.key !== key);
    if (rest.length === draft.answers.length) return this.again(draft);
    for (const { message } of draft.answers) {
      if (message.key === key) message.answer({ is: "conflict", reason: "command_id", revision });
    }
    this.carried.unshift(...rest);
  }

  private outcome(
    answer: Answer,
    made: (first: number, count: number) => ReturnType<typeof accepted>,
  ): ReturnType<typeof accepted> {
    if (answer.is === "settled") return answer.outcome;
    if (answer.is === "accepted") return made(answer.first, answer.count);
    const first = this.outcome(answer.as, made);
    return first.is === "accepted" ? { ...first, duplicate: true } : first;
  }

  /** True when the state is up to date; else it goes on reading after others had a turn. */
  private load(): boolean {
    if (this.house.clock.monotonic() < this.downUntil) {
      throw new EntityFault(`"${this.stream}" is down after it failed to load`);
    }
    const { stream, of: { actor }, house: { log, clock, snapshots } } = this;
    if (!this.reading) {
      const base = this.held ?? begun(actor, stream, { log, snapshots });
      if (!this.held) this.snapshotAt = base.revision;
      this.reading = { held: base, pages: log.read({ stream, revision: base.revision + 1 })[Symbol.iterator]() };
    }
    for (let events = 0; events < ENTITY.load_events_max;) {
      const page = this.reading.pages.next();
      if (page.done) {
        this.held = this.reading.held;
        this.reading = undefined;
        this.stale = false;
        this.loads = 0;
        if (this.crashed) this.house.restarted(this);
        this.crashed = false;
        return true;
      }
      this.reading.held = taken(actor, this.reading.held, page.value);
      events += page.value.length;
    }
    clock.schedule(0, this.turn);
    return false;
  }

  /** Loading failed, or the log could not be asked: everyone who waits is told. */
  private fail(error: unknown): void {
    const loading = this.reading !== undefined;
    this.reading = undefined;
    this.stale = true;
    // An upcast that fails is a bug like one in the fold.
    const isFault = !(error instanceof LogFault) || error.kind === "invalid";
    if (loading && isFault) {
      this.crash(error);
      if (++this.loads >= ENTITY.loads_max) {
        this.loads = 0;
        this.downUntil = this.house.clock.monotonic() + ENTITY.down_ms;
        this.house.gaveUp(this, error);
      }
    }
    const waiting = this.draft?.answers.map(({ message }) => message) ?? [];
    this.draft = undefined;
    for (let message = this.next(); message; message = this.next()) waiting.push(message);
    for (const message of waiting) {
      if (isFault) message.fail(fault(this.stream, message, error));
      else message.answer(unavailable(isArchived(error) ? "archived" : "log"));
    }
  }

  private crash(cause: unknown): void {
    this.crashed = this.marred = true;
    this.house.crashed(this, cause);
  }

  private keep(held: Held): void {
    this.snapshotAt = held.revision;
    this.house.snapshots.keep(this.stream, this.of.actor, held);
  }
}

const fault = (stream: StreamId, { command }: Message, cause: unknown): EntityFault =>
  cause instanceof EntityFault ? cause : new EntityFault(`"${stream}" failed on "${command.type}"`, { cause });
