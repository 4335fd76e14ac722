/**
 * What could not be delivered, kept until somebody looks: bounded in number and bytes, oldest gone first. That there was one
 * is recorded for good; its content only where whoever hands it over says so, and as handed over: sealed is sealed.
 */
import type { Event, Json } from "../../events/event.ts";
import type { EventLog } from "../../events/log.ts";
import { canonical, CanonicalError } from "../../events/canonical.ts";
import { causeOf } from "./cause.ts";
import type { Recorder } from "./recorder.ts";
import { instant } from "./instant.ts";
import type { Clock, Random } from "./world.ts";

export const DEAD_LETTERS = {
  letters_max: 1_000,
  bytes_max: 8 * 1024 * 1024,
  /** A longer content is kept in memory and not recorded. */
  recorded_bytes_max: 16_384,
  /** What a message counts that is not JSON. */
  opaque_bytes: 1_024,
} as const;

export interface DeadLetter {
  readonly id: string;
  /** Whom it was for: kind, `:`, name. */
  readonly target: string;
  readonly cause: string;
  /** RFC 3339. */
  readonly at: string;
  readonly bytes: number;
  /** Absent when it was too long to be recorded and the process that had it is gone. */
  readonly message?: unknown;
}

export interface Undelivered {
  readonly target: string;
  readonly cause: unknown;
  readonly message: unknown;
  /**
   * Recorded with its content, so that it can be redriven after a restart; `recorded` should be awaited. Only for what holds
   * no plain personal data.
   */
  readonly lasting: boolean;
  readonly causationid?: string;
  readonly correlationid?: string;
}

/** Delivers a letter again; throws when it still cannot be delivered. */
export type Redeliver = (letter: DeadLetter) => Promise<void>;

export type Redriven =
  | { readonly is: "delivered" }
  | { readonly is: "unknown" }
  | { readonly is: "failed"; readonly cause: string };

export interface DeadLettersWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly recorder: Recorder;
}

export class DeadLetters {
  private readonly letters = new Map<string, DeadLetter>();
  private readonly routes = new Map<string, Redeliver>();
  private held = 0;
  /** Letters whose content is gone because newer ones needed the room. */
  evicted = 0;

  constructor(private readonly world: DeadLettersWorld) {}

  get size(): number {
    return this.letters.size;
  }

  get bytes(): number {
    return this.held;
  }

  /** Oldest first. */
  list(): readonly DeadLetter[] {
    return [...this.letters.values()];
  }

  /** Takes up what the runs before left: recorded letters that were not redriven, the newest that fit. */
  restore(log: EventLog): void {
    const redriven = new Set<string>();
    const found: DeadLetter[] = [];
    const types = ["kernel.message.dead_lettered", "kernel.message.redriven"];
    for (const page of log.read({ types, backward: true, limit: 2 * DEAD_LETTERS.letters_max })) {
      for (const { type, data, time } of page as readonly Event[]) {
        const { letter: id, ...letter } = data as { letter: string; target: string; cause: string; bytes: number };
        if (type === types[1]) redriven.add(id);
        else if (!redriven.has(id)) found.push({ id, at: time, ...letter });
      }
    }
    for (const letter of found.reverse()) this.keep(letter);
  }

  /** Resolves when what was added is on record. */
  recorded(): Promise<void> {
    return this.world.recorder.flush();
  }

  /** Never throws. Answers the letter's id. */
  add({ target, cause, message, lasting, causationid, correlationid }: Undelivered): string {
    const { clock, random, recorder } = this.world;
    const text = textOf(message);
    const bytes = text === undefined ? DEAD_LETTERS.opaque_bytes : new TextEncoder().encode(text).length;
    const letter: DeadLetter = {
      id: random.id(),
      target,
      cause: causeOf(cause),
      at: instant(clock.now()),
      bytes,
      message,
    };
    this.keep(letter);
    const recorded = lasting && text !== undefined && bytes <= DEAD_LETTERS.recorded_bytes_max;
    const content = recorded ? { message: message as Json as never } : {};
    recorder.record(
      {
        type: "kernel.message.dead_lettered",
        data: { letter: letter.id, target, cause: letter.cause, bytes, ...content },
      },
      { child: target, cause: letter.cause, stream: STREAM, causationid, correlationid, essential: lasting },
    );
    return letter.id;
  }

  /** Who takes letters again: those for this very target, or for all targets of this kind that nobody else takes. */
  route(target: string, redeliver: Redeliver): void {
    this.routes.set(target, redeliver);
  }

  /** Delivers one letter again. It is gone from the list when that succeeds, and stays when it fails. */
  async redrive(id: string): Promise<Redriven> {
    const letter = this.letters.get(id);
    if (!letter) return { is: "unknown" };
    const { target } = letter;
    const redeliver = this.routes.get(target) ?? this.routes.get(target.slice(0, target.indexOf(":")));
    if (!redeliver || !("message" in letter)) {
      return { is: "failed", cause: redeliver ? "its content is gone" : "nobody takes it" };
    }
    try {
      await redeliver(letter);
    } catch (error) {
      return { is: "failed", cause: causeOf(error) };
    }
    this.drop(letter);
    this.world.recorder.record({ type: "kernel.message.redriven", data: { letter: id, target } }, {
      child: target,
      stream: STREAM,
    });
    return { is: "delivered" };
  }

  private keep(letter: DeadLetter): void {
    this.letters.set(letter.id, letter);
    this.held += letter.bytes;
    for (const oldest of this.letters.values()) {
      if (this.letters.size <= DEAD_LETTERS.letters_max && this.held <= DEAD_LETTERS.bytes_max) break;
      this.drop(oldest);
      this.evicted++;
    }
  }

  private drop(letter: DeadLetter): void {
    if (this.letters.delete(letter.id)) this.held -= letter.bytes;
  }
}

const STREAM = "kernel/dead_letters";

const textOf = (message: unknown): string | undefined => {
  try {
    return canonical(message);
  } catch (error) {
    if (error instanceof CanonicalError) return undefined;
    throw error;
  }
};
