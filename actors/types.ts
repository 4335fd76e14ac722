/**
 * What a domain decides: commands in, facts or a rejection out. Everything here is pure and synchronous; the kernel
 * (`kernel/`) runs it.
 */
import type { z } from "zod";
import type { Event, Fact, FactType, Json, Millis, StreamId } from "../events/event.ts";

/** Dotted `domain.noun.verb`, verb in the imperative: `commits.branch.move`. */
export type CommandType = `${string}.${string}.${string}`;

/** What somebody wants done, in data of the schema that the actor has for the type. */
export interface Command<T extends CommandType = CommandType, D = unknown> {
  readonly type: T;
  readonly data: D;
}
export type CommandSchemas = Readonly<Record<CommandType, z.ZodType>>;
/** The union of a domain's commands, from its schemas. */
export type Commands<S extends CommandSchemas> = {
  [T in keyof S & CommandType]: Command<T, z.output<S[T]>>;
}[keyof S & CommandType];

/** Plain data, captured once at the door, so that deciding is a function. */
export interface Context {
  readonly at: Millis;
  /** Opaque id of who asks. */
  readonly by: string;
  /** The account that a key which asks belongs to. */
  readonly account?: string;
  /** A fresh random id, should the decision need one. */
  readonly fresh: string;
  /** The entity's id: the stream without its domain. */
  readonly id: string;
}

/** The domain says no: `code` in snake_case tells what is wrong with the world, `because` is a sentence for people. */
export interface Rejection {
  readonly code: string;
  readonly because: string;
}

/**
 * A wish for later, durable with the facts of the decision that sets it; after an outage it comes true once. Its command is recorded
 * as it is: nothing personal belongs in it, but what is sealed in the state or an id to find it by.
 */
export type Timer =
  | { readonly set: string; readonly at: Millis; readonly command: Command }
  | { readonly cancel: string };

/** What a command comes to: facts, none of which is recorded without the others, or a rejection, which is not recorded. */
export type Decision<F extends Fact = Fact> =
  | { readonly ok: true; readonly facts: readonly F[]; readonly timers?: readonly Timer[] }
  | { readonly ok: false; readonly rejection: Rejection };

/** The decision for these facts; for none where it is so already. */
export const accept = <F extends Fact>(...facts: readonly F[]): Decision<F> => ({ ok: true, facts });
/** The decision against it: `code` in snake_case for programs, `because` for people. */
export const reject = (code: string, because: string): Decision<never> => ({ ok: false, rejection: { code, because } });

/** A pure decider plus its state; one per stream `domain/id`, one message at a time. */
export interface Actor<S = unknown, C extends Command = Command, F extends Fact = Fact> {
  readonly domain: string;
  /** Of state and `evolve` together; a snapshot of another version is not used. */
  readonly version: number;
  readonly commands: CommandSchemas;
  /** Types `evolve` is given; other types in the stream are passed over. */
  readonly facts: readonly F["type"][];
  readonly initial: S;
  /** Its commands tell of work that the program itself does, so nobody outside can give them. Default: whoever may give commands. */
  readonly inside?: true;
  /**
   * Whoever archives sees to it that what goes leaves nothing to this state: from what is kept it is the same. Default: without the archive
   * it takes a snapshot.
   */
  readonly settled?: true;
  /** Commands whose timers come at a date that somebody stated, and not after a while: they wait for it, whatever clock set them. */
  readonly dated?: readonly string[];
  decide(state: S, command: C, context: Context): Decision<F>;
  /** Total: history is not up for debate, so it neither rejects nor throws. */
  evolve(state: S, fact: F): S;
}

/** What a process manager wants done in the world, as plain data. `command` effects are performed by the kernel itself. */
export type Effect =
  | { readonly type: "command"; readonly stream: StreamId; readonly command: Command }
  | { readonly type: FactType; readonly data: Json };

/** Pure: events in, effects out. Each effect is performed at least once, keyed by position; its result comes back as a command. */
export interface ProcessManager<S = unknown, F extends Fact = Fact> {
  readonly name: string;
  readonly version: number;
  readonly hears: readonly F["type"][];
  readonly initial: S;
  /** Which instance the event belongs to. */
  key(event: Event<F>): string;
  react(state: S, event: Event<F>): { readonly state: S; readonly effects: readonly Effect[] };
}
