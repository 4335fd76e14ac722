/**
 * Decisions that are not in the log yet: commands decided one after another on a state that evolves as they are, so that
 * their facts can be appended together. When the append fails the draft is forgotten and nothing has happened.
 */
import { atOnce } from "../../events/at_once.ts";
import type { FactSpec } from "../../events/catalogue.ts";
import { type FactType, millis, type StreamId } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import type { NewEvent } from "../../events/log.ts";
import { LIMITS } from "../../events/log.ts";
import { looksSealed } from "../../events/personal.ts";
import { sameJson } from "../../events/same.ts";
import type { Actor, Decision, Timer } from "../types.ts";
import type { Issue, Outcome } from "./daybook.ts";
import type { Held, Timers } from "./held.ts";
import { timed } from "./held.ts";
import { instant } from "./instant.ts";
import type { Due, Message } from "./message.ts";

/** Timers of one entity that stand at a time; a decision that sets more is a fault of its decider. */
const TIMERS_MAX = 1_000;

/** Replaces personal fields by their sealed form, synchronously; the same fact again gives the same bytes. */
export type Seal = (type: string, stream: StreamId, id: string, time: string, data: unknown) => unknown;

/** What the draft must know of the actor's facts: version of the shape, whether `evolve` hears of it, and what data must be like. */
export type FactKinds = (
  type: string,
) => { readonly version: number; readonly evolves: boolean; readonly schema: FactSpec["schema"] };

export type Answer =
  /** `first` and `count`: which of the draft's events are its own. */
  | { readonly message: Message; readonly is: "accepted"; readonly first: number; readonly count: number }
  /** The same command id again, within the draft. */
  | { readonly message: Message; readonly is: "same"; readonly as: Answer }
  | { readonly message: Message; readonly is: "settled"; readonly outcome: Outcome };

export interface DraftOf {
  readonly stream: StreamId;
  readonly actor: Actor;
  readonly kinds: FactKinds;
  readonly seal: Seal | undefined;
  /** What a fact names and the log has not. */
  readonly missing: (type: string, data: unknown) => readonly Issue[];
}

export class Draft {
  readonly events: NewEvent[] = [];
  readonly answers: Answer[] = [];
  private byKey: Map<string, Answer> | undefined;

  constructor(private readonly of: DraftOf, public held: Held) {}

  /** The answer that the same command id has in this draft already. */
  earlier(key: string): Answer | undefined {
    return this.byKey?.get(key);
  }

  /**
   * Decides one command on the state so far. False when its facts do not fit any more, and nothing has changed. Throws
   * what the decider throws, and `RangeError` for a decision that is over the log's limits by itself.
   */
  decide(message: Message): boolean {
    const decision = message.due?.undeliverable
      ? UNDELIVERABLE
      : atOnce(this.of.actor.decide(this.held.state, message.command, message.context), "decide");
    if (!decision.ok && !message.due) {
      const { code, because } = decision.rejection;
      this.settle(message, { is: "rejected", code, because, revision: this.held.revision });
      return true;
    }
    const issues = decision.ok ? this.missing(decision.facts) : undefined;
    if (issues) {
      // Nobody waits for a timer's answer: there it is a bug of the decider.
      if (message.due) throw new TypeError(`${issues[0]!.path} ${issues[0]!.message}`);
      this.settle(message, { is: "invalid", issues });
      return true;
    }
    const page = new Page(this.of, this.held, message);
    if (message.due) page.fired(message.due, decision);
    if (decision.ok) {
      for (const fact of decision.facts) page.fact(fact.type, fact.data);
      if (decision.timers) { for (const timer of decision.timers) page.timer(timer); }
    }
    const count = page.events.length;
    if (count > LIMITS.append_events_max) {
      throw new RangeError(`a decision has at most ${LIMITS.append_events_max} facts, this one ${count}`);
    }
    if (this.events.length + count > LIMITS.append_events_max) return false;
    const answer: Answer = { message, is: "accepted", first: this.events.length, count };
    this.answers.push(answer);
    this.held = page.held;
    for (const event of page.events) this.events.push(event);
    if (message.digest !== undefined) (this.byKey ??= new Map()).set(message.key, answer);
    return true;
  }

  /** What the first of the facts that names something that is not there names so. */
  private missing(facts: readonly { readonly type: string; readonly data: unknown }[]): readonly Issue[] | undefined {
    for (const { type, data } of facts) {
      const issues = this.of.missing(type, data);
      if (issues.length > 0) return issues;
    }
    return undefined;
  }

  settle(message: Message, outcome: Outcome): void {
    this.answers.push({ message, is: "settled", outcome });
  }

  same(message: Message, as: Answer): void {
    this.answers.push({ message, is: "same", as });
  }
}

const UNDELIVERABLE: Decision<never> = { ok: false, rejection: { code: "undeliverable", because: "" } };

/** History cannot be put right, so what no reader expects does not become part of it. A sealed text need not be as the plain one has to. */
const expectFits = (type: string, data: unknown, schema: FactSpec["schema"]): void => {
  const parsed = schema.safeParse(data);
  if (parsed.success) return;
  const issue = parsed.error.issues.find(({ path }) => {
    const value = path.reduce<unknown>(
      (inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step],
      data,
    );
    return typeof value !== "string" || !looksSealed(value);
  });
  if (issue) {
    throw new TypeError(`"${type}" was decided with other data than it has: /${issue.path.join("/")} ${issue.message}`);
  }
};

/** One decision's events, and the state after them. */
class Page {
  readonly events: NewEvent[] = [];
  private readonly time: string;
  private state: unknown;
  private revision: number;
  private last: string;
  private timers: Timers;

  constructor(private readonly of: DraftOf, held: Held, private readonly message: Message) {
    this.time = instant(message.context.at);
    ({ state: this.state, revision: this.revision, last: this.last, timers: this.timers } = held);
  }

  get held(): Held {
    const { state, revision, last, timers } = this;
    return { state, revision, last, timers };
  }

  fact(type: string, data: unknown): void {
    const { version, evolves, schema } = this.of.kinds(type);
    expectFits(type, data, schema);
    const sealed = this.add(type, version, data);
    if (evolves) {
      this.state = atOnce(this.of.actor.evolve(this.state, { type: type as FactType, data: sealed }), "evolve");
    }
  }

  timer(timer: Timer): void {
    if ("cancel" in timer) {
      if (this.timers.has(timer.cancel)) {
        this.kernel({ type: "kernel.timer.cancelled", data: { name: timer.cancel } });
      }
      return;
    }
    const { set: name, at, command } = timer;
    if (this.timers.size >= TIMERS_MAX && !this.timers.has(name)) {
      throw new RangeError(`an entity has at most ${TIMERS_MAX} timers`);
    }
    const { type, data } = command;
    const of = { name, at: instant(at), command: { type, data: data as never } };
    const standing = this.timers.get(name);
    // Some are set at every look: one that stands already goes on standing.
    if (standing?.at === millis(of.at) && sameJson(standing.command, of.command)) return;
    this.kernel({ type: "kernel.timer.set", data: of });
  }

  fired({ name, set, undeliverable }: Due, decision: Decision): void {
    if (undeliverable) this.kernel({ type: "kernel.timer.fired", data: { name, set, outcome: "undeliverable" } });
    else if (decision.ok) this.kernel({ type: "kernel.timer.fired", data: { name, set, outcome: "accepted" } });
    else {
      const { code } = decision.rejection;
      this.kernel({ type: "kernel.timer.fired", data: { name, set, outcome: "rejected", code } });
    }
  }

  private kernel(fact: KernelFact): void {
    this.add(fact.type, 1, fact.data);
    this.timers = timed(this.timers, fact, this.revision);
  }

  /** The event of a fact, and the data as it will be read back. */
  private add(type: string, version: number, plain: unknown): unknown {
    const { of: { stream, seal }, message: { ask, key, digest }, time } = this;
    const index = this.events.length;
    const id = `${key}/${index}`;
    const data = seal ? seal(type, stream, id, time, plain) : plain;
    const { by: { authtype, authid, policies }, causationid, correlationid, traceparent } = ask;
    const event: { -readonly [K in keyof NewEvent]: NewEvent[K] } = {
      id,
      source: stream,
      type,
      time,
      timeGiven: false,
      stream,
      version,
      authtype,
      authid,
      data,
    };
    if (causationid !== undefined) event.causationid = causationid;
    if (correlationid !== undefined) event.correlationid = correlationid;
    // Facts of one command belong together even when the caller says nothing.
    else if (index > 0) event.correlationid = `${key}/0`;
    if (traceparent !== undefined) event.traceparent = traceparent;
    if (policies) event.extensions = { authpolicies: policies };
    if (digest !== undefined && index === 0) event.extensions = { ...event.extensions, commanddigest: digest };
    this.events.push(event);
    this.revision++;
    this.last = id;
    return data;
  }
}
