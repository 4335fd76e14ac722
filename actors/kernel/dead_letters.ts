/**
 * What could not be delivered, kept until somebody looks, as far as there is room (`held_letters.ts`). That there was one
 * is recorded for good; its content only where whoever hands it over says so, and as handed over: sealed is sealed.
 */
import type { Event, Json } from "../../events/event.ts";
import { type EventLog, LogFault } from "../../events/log.ts";
import { canonical, CanonicalError } from "../../events/canonical.ts";
import { causeOf } from "./cause.ts";
import { type DeadLetter, HeldLetters } from "./held_letters.ts";
import type { Recorder } from "./recorder.ts";
import { instant } from "./instant.ts";
import type { Clock, Random } from "./world.ts";

export const DEAD_LETTERS = {
  letters_max: 1_000,
  bytes_max: 8 * 1024 * 1024,
  /** Facts about letters that a start reads, the newest: so far behind many of one target those of others are found. */
  read_max: 20_000,
  /** A longer content is kept in memory and not recorded. */
  recorded_bytes_max: 16_384,
  /** What a message counts that is not JSON. */
  opaque_bytes: 1_024,
} as const;

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

/** Whoever takes letters again, and `names`: of several letters that are about one thing, and so are delivered as one, the same name. */
interface Route {
  readonly redeliver: Redeliver;
  readonly names?: (message: unknown) => string | undefined;
}

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
  private readonly letters = new HeldLetters(DEAD_LETTERS);
  private readonly routes = new Map<string, Route>();
  /** By letter. */
  private readonly redriving = new Map<string, Promise<Redriven>>();

  constructor(private readonly world: DeadLettersWorld) {}

  get size(): number {
    return this.letters.size;
  }

  get bytes(): number {
    return this.letters.bytes;
  }

  /** Letters whose content is gone because others needed the room. */
  get evicted(): number {
    return this.letters.evicted;
  }

  /** Oldest first. */
  list(): readonly DeadLetter[] {
    return this.letters.list();
  }

  /** Takes up what the runs before left: recorded letters that were not redriven, the newest that fit. What was archived is left there. */
  restore(log: EventLog): void {
    try {
      this.restoreFrom(log);
    } catch (error) {
      if (!(error instanceof LogFault) || error.kind !== "archived") throw error;
    }
  }

  private restoreFrom(log: EventLog): void {
    const redriven = new Set<string>();
    const types = ["kernel.message.dead_lettered", "kernel.message.redriven"];
    for (const page of log.read({ types, backward: true, limit: DEAD_LETTERS.read_max })) {
      for (const { type, data, time } of page as readonly Event[]) {
        const { letter: id, ...letter } = data as { letter: string; target: string; cause: string; bytes: number };
        if (type === types[1]) redriven.add(id);
        else if (!redriven.has(id)) this.letters.keep({ id, at: time, ...letter }, { older: true });
      }
    }
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
    this.letters.keep(letter);
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
  route(target: string, redeliver: Redeliver, names?: Route["names"]): void {
    this.routes.set(target, { redeliver, names });
  }

  /**
   * Delivers one letter again, and with it those that are about the same. It is gone from the list when that succeeds, and stays when it
   * fails. Who asks meanwhile gets the same answer.
   */
  redrive(id: string): Promise<Redriven> {
    const under = this.redriving.get(id);
    if (under) return under;
    const letter = this.letters.get(id);
    if (!letter) return Promise.resolve({ is: "unknown" });
    const alike = this.alike(letter);
    const redriving = this.deliver(letter, alike).finally(() => {
      for (const { id } of alike) this.redriving.delete(id);
    });
    for (const { id } of alike) this.redriving.set(id, redriving);
    return redriving;
  }

  private routeOf({ target }: DeadLetter): Route | undefined {
    return this.routes.get(target) ?? this.routes.get(target.slice(0, target.indexOf(":")));
  }

  /** A letter and those that are about the same: a process that was killed, or another version, met once more what it could not take. */
  private alike(letter: DeadLetter): readonly DeadLetter[] {
    const { names } = this.routeOf(letter) ?? {};
    const name = names?.(letter.message);
    if (name === undefined) return [letter];
    return this.list().filter(({ target, message }) => target === letter.target && names!(message) === name);
  }

  private async deliver(letter: DeadLetter, alike: readonly DeadLetter[]): Promise<Redriven> {
    const route = this.routeOf(letter);
    if (!route || !("message" in letter)) {
      return { is: "failed", cause: route ? "its content is gone" : "nobody takes it" };
    }
    try {
      await route.redeliver(letter);
    } catch (error) {
      return { is: "failed", cause: causeOf(error) };
    }
    for (const one of alike) {
      this.letters.drop(one);
      // What is not on record is a letter again after a start, and would be delivered twice.
      const fact = { type: "kernel.message.redriven", data: { letter: one.id, target: one.target } } as const;
      this.world.recorder.record(fact, { child: one.target, stream: STREAM, essential: true });
    }
    await this.recorded();
    return { is: "delivered" };
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
