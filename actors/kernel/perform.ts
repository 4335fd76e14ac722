/** Performs the effects of a process manager: each until it is done, or is a dead letter that is on record. */
import type { Event } from "../../events/event.ts";
import { correlationOf } from "../../events/event.ts";
import type { Effect } from "../types.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { Entities } from "./entities.ts";
import type { Clock, Random } from "./world.ts";
import { pause } from "./world.ts";

export const PERFORM = {
  /** Attempts at one effect; then it is a dead letter. A log that cannot be written does not count. */
  attempts: 8,
  retry_first_ms: 100,
  retry_last_ms: 30_000,
  /** How long one attempt at a command may take. */
  deadline_ms: 10_000,
  /** Effects of one shape of an event; those of the next shape of the same event are numbered from here. */
  shape_effects_max: 10_000,
} as const;

/** An effect that is not worth another attempt. */
export class Undeliverable extends Error {
  override readonly name = "Undeliverable";
}

export type WorldEffect = Exclude<Effect, { readonly type: "command" }>;
type CommandEffect = Extract<Effect, { readonly type: "command" }>;
const isCommand = (effect: Effect): effect is CommandEffect => effect.type === "command";

export interface Performance {
  /** With `index` it names the effect for ever: the same again is the same effect. */
  readonly position: number;
  readonly index: number;
  /** From 1. */
  readonly attempt: number;
  readonly event: Event;
  /** Aborts when the manager is to stop; the effect will be asked for again. */
  readonly signal: AbortSignal;
}

/** Does something in the world; throws when it could not, `Undeliverable` when it never will. What comes of it is a command. */
export type Perform = (effect: WorldEffect, performance: Performance) => Promise<void>;

/** Of one effect; or of a whole event, when the manager could not take it. */
export interface EffectLetter {
  readonly position: number;
  /** Which of the shapes of the event it could not take; absent: the first. */
  readonly part?: number;
  readonly index?: number;
  readonly effect?: Effect;
}

export type Verdict =
  | { readonly is: "done" }
  /** `counts`: as one of the attempts. */
  | { readonly is: "again"; readonly counts: boolean; readonly cause: unknown }
  | { readonly is: "dead"; readonly cause: unknown };

export interface PerformerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly entities: Pick<Entities, "ask" | "takes">;
  readonly deadLetters: DeadLetters;
  /** Who performs effects that are not commands. Default: they are undeliverable. */
  readonly perform?: Perform;
}

export class Performer {
  /** `name` of the manager. */
  constructor(private readonly name: string, private readonly options: PerformerOptions) {}

  /** True when all are done, one after the other; false when the signal came first. `part`: which shape of its event it is, from 0. */
  async all(effects: readonly Effect[], event: Event, part: number, signal: AbortSignal): Promise<boolean> {
    const first = part * PERFORM.shape_effects_max;
    for (const [i, effect] of effects.entries()) if (!await this.one(effect, event, first + i, signal)) return false;
    return true;
  }

  async attempt(effect: Effect, performance: Performance): Promise<Verdict> {
    try {
      if (isCommand(effect)) return await this.command(effect, performance);
      if (!this.options.perform) throw new Undeliverable(`nothing performs "${effect.type}"`);
      await this.options.perform(effect, performance);
      return { is: "done" };
    } catch (cause) {
      return cause instanceof Undeliverable ? { is: "dead", cause } : { is: "again", counts: true, cause };
    }
  }

  /** Resolves to true when the dead letter is on record. */
  async bury(cause: unknown, message: EffectLetter, event: Event): Promise<boolean> {
    const { deadLetters } = this.options;
    const target = `manager:${this.name}`;
    const correlationid = correlationOf(event);
    deadLetters.add({ target, cause, message, lasting: true, causationid: event.id, correlationid });
    await deadLetters.recorded();
    return true;
  }

  private async one(effect: Effect, event: Event, index: number, signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.options;
    const { position } = event;
    let wait: number = PERFORM.retry_first_ms;
    for (let attempt = 1; !signal.aborted;) {
      const verdict = await this.attempt(effect, { position, index, attempt, event, signal });
      if (verdict.is === "done") return true;
      if (signal.aborted) return false;
      if (verdict.is === "dead" || (verdict.counts && attempt >= PERFORM.attempts)) {
        return await this.bury(verdict.cause, { position, index, effect }, event);
      }
      if (verdict.counts) attempt++;
      await pause(clock, wait * (0.5 + random.next()), signal);
      wait = Math.min(2 * wait, PERFORM.retry_last_ms);
    }
    return false;
  }

  private async command({ stream, command }: CommandEffect, { position, index, event }: Performance): Promise<Verdict> {
    const { entities } = this.options;
    if (!entities.takes(stream, command)) {
      return { is: "dead", cause: `"${stream}" does not take "${command.type}" with this data` };
    }
    const outcome = await entities.ask({
      type: command.type,
      id: stream.slice(stream.indexOf("/") + 1),
      data: command.data,
      by: { authtype: "system", authid: `manager.${this.name}` },
      command: `${position}.${index}`,
      deadline: PERFORM.deadline_ms,
      causationid: event.id,
      correlationid: correlationOf(event),
      traceparent: event.traceparent,
    });
    switch (outcome.is) {
      case "accepted":
      case "rejected": // the domain's answer is an answer
        return { is: "done" };
      case "unavailable": {
        const { reason } = outcome;
        return { is: "again", counts: reason !== "log" && reason !== "stopping", cause: reason };
      }
      default:
        return { is: "dead", cause: `the entity answered "${outcome.is}"` };
    }
  }
}
