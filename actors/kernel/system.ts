/**
 * Daybook, put together from its parts: the front door for what happened elsewhere, the way to the actors, and what can be
 * read. `adapters/program/daybook.ts` hands it the parts.
 */
import type { BlobRef } from "../../events/blobs.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { Event, Millis } from "../../events/event.ts";
import { frozen } from "../../events/frozen.ts";
import {
  type Append,
  type Appended,
  type Checkpoint,
  type EventLog,
  LogFault,
  type NewEvent,
  type Range,
} from "../../events/log.ts";
import type { Computed, ComputedView } from "../../projections/computed.ts";
import type { AnyProjection, Projection } from "../../projections/projection.ts";
import { type Row, type ViewPage, type ViewQuery, ViewQuestion, type Views } from "../../projections/views.ts";
import type { Actor } from "../types.ts";
import { type AdmissionOptions, admit } from "./admission.ts";
import type {
  Ask,
  Daybook,
  HealthNode,
  Incoming,
  IngestContext,
  Ingested,
  Issue,
  Outcome,
  Principal,
  Status,
} from "./daybook.ts";
import type { DeadLetters, Redriven } from "./dead_letters.ts";
import type { DeadLetter } from "./held_letters.ts";
import type { Gate } from "./gate.ts";
import { type Growth, GROWTH_HOURS, growthOf } from "./growth.ts";
import { NamedBlobs } from "./named_blobs.ts";
import type { Projections } from "./project.ts";
import { appending, appendTold, during, type Telemetry } from "./telemetry.ts";
import { type Clock, type Hash, pause } from "./world.ts";

/** Seals on the way in, restores at the edge. */
export interface Seals {
  seal<T extends NewEvent>(events: readonly T[], options?: { readonly inside?: boolean }):
    | { readonly ok: true; readonly events: readonly T[] }
    | { readonly ok: false; readonly index: number; readonly issues: readonly Issue[] };
  unseal<T>(value: T): T;
  redact<T>(value: T): T;
  /** As `Daybook.putBlob` with a subject, without putting it. */
  sealBlob(bytes: Uint8Array, subject: string): Promise<Uint8Array>;
  unsealBlob(bytes: Uint8Array): Promise<Uint8Array | undefined>;
}

/** The log with what status tells of it. */
export interface ObservedLog extends EventLog {
  readonly indexed: number;
  readonly bytes: number;
  readonly checkpointed: Checkpoint | undefined;
  /** Why appends are refused: after a commit that the disk refused, until one goes through. */
  readonly unwritable: Error | undefined;
}

export interface Parts {
  readonly clock: Clock;
  readonly hash: Hash;
  readonly catalogue: Catalogue;
  readonly actors: readonly Actor[];
  readonly projections: readonly AnyProjection[];
  /** Absent: there are none. */
  readonly computed?: readonly ComputedView[];
  readonly log: ObservedLog;
  readonly seals: Seals;
  readonly views: Pick<Views, "row" | "list" | "bytes">;
  readonly projector: Pick<Projections, "states" | "wait" | "known">;
  readonly ask: (ask: Ask) => Promise<Outcome>;
  readonly health: () => HealthNode;
  readonly deadLetters: Pick<DeadLetters, "size" | "evicted" | "list" | "redrive">;
  readonly durable: boolean;
  readonly unknown?: "inbox" | "reject";
  /** Absent where no control is enforced. */
  readonly gate?: Gate;
  /** Absent where nobody traces. */
  readonly telemetry?: Telemetry;
  /** Drains and closes all parts; never throws. */
  readonly stop: () => Promise<void>;
}

/** How long a view may keep a caller waiting who asked for a position, unless the caller says. */
const WAIT_MS = 5_000;
/** Growth is looked for at most this often. */
const GROWTH_MS = 5_000;
/** A long read yields to others this often. */
const READ_TURN_MS = 8;
const NONE: readonly NewEvent[] = [];

/** A view of ours that the store does not know has not been begun yet. */
const built = <T>(name: string, read: () => T): T => {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ViewQuestion) || error.code !== "unknown_view") throw error;
    throw new ViewQuestion("rebuilding", `the view "${name}" has not been begun yet`);
  }
};

export class System implements Daybook {
  readonly catalogue: Catalogue;
  readonly actors: readonly Actor[];
  readonly projections: readonly Projection[];
  readonly computed: readonly Computed[];
  readonly log: EventLog;
  private readonly blobs: NamedBlobs;
  private readonly admission: AdmissionOptions;
  private closing: Promise<void> | undefined;
  /** Who waits for a view waits no longer. */
  private readonly over = new AbortController();
  private isClosed = false;
  private grown: { readonly at: Millis; readonly growth: Growth } | undefined;

  constructor(private readonly parts: Parts) {
    this.catalogue = parts.catalogue;
    this.actors = parts.actors.filter(({ inside }) => !inside);
    this.projections = parts.projections as readonly Projection[];
    this.computed = (parts.computed ?? []).map(({ view }) => view);
    this.log = parts.log;
    this.blobs = new NamedBlobs(parts.catalogue, parts.log);
    const { catalogue, hash, unknown } = parts;
    this.admission = { catalogue, hash, unknown, deciding: new Set(parts.actors.map(({ domain }) => domain)) };
  }

  ingest(
    events: readonly Incoming[],
    by: Principal,
    context: IngestContext = {},
  ): Promise<Ingested> {
    const { telemetry } = this.parts;
    return telemetry === undefined ? this.take(events, by, context) : this.traced(events, by, context, telemetry);
  }

  /** The whole way in is a span, and what it brings belongs under it. */
  private traced(
    events: readonly Incoming[],
    by: Principal,
    context: IngestContext,
    telemetry: Telemetry,
  ): Promise<Ingested> {
    const { clock } = this.parts;
    const span = telemetry.span("append", context.traceparent, { "daybook.events": events.length });
    const began = clock.monotonic();
    return during(span, () => this.take(events, by, { ...context, traceparent: span.traceparent }), (result) => {
      if (!result.ok && result.conflict === "invalid") return { attributes: {}, error: result.code };
      telemetry.appended(clock.monotonic() - began);
      return appendTold(result);
    });
  }

  private async take(
    events: readonly Incoming[],
    by: Principal,
    context: IngestContext,
  ): Promise<Ingested> {
    const { parts } = this;
    const admitted = admit(events, this.admission, { ...context, at: parts.clock.now(), by });
    if (!admitted.ok) return admitted;
    for (let index = 0; index < admitted.events.length; index++) {
      const { type, data } = admitted.events[index]!;
      const issues = this.blobs.missing(type, data);
      if (issues.length > 0) return { ok: false, conflict: "invalid", index, code: "invalid_data", issues };
    }
    const sealed = parts.seals.seal(admitted.events);
    if (!sealed.ok) {
      return { ok: false, conflict: "invalid", index: sealed.index, code: "invalid_data", issues: sealed.issues };
    }
    const passing = this.passing(sealed.events);
    if (passing) await passing;
    // Not awaited: while the disk is waited for, nothing here holds what was sent.
    return this.log.append({ events: sealed.events });
  }

  async append(batch: Append): Promise<Appended> {
    for (const event of batch.events) {
      const spec = this.catalogue.spec(event.type);
      if (spec?.kind === "decided") {
        throw new LogFault("invalid", `"${event.type}" is decided by its own actor; ask it`);
      }
      const { version = 1 } = spec ?? {};
      // Nobody could read it, or it would be taken for what it is not.
      if (spec && event.version !== version) {
        throw new LogFault("invalid", `"${event.type}" has version ${version} here, not ${event.version}`);
      }
      const parsed = spec?.schema.safeParse(event.data);
      if (parsed && !parsed.success) {
        throw new LogFault(
          "invalid",
          `"${event.type}": ${parsed.error.issues[0]!.message} at /${parsed.error.issues[0]!.path.join("/")}`,
        );
      }
    }
    for (const { type, data } of batch.events) {
      const [issue] = this.blobs.missing(type, data);
      if (issue) throw new LogFault("invalid", `"${type}": ${issue.message} at ${issue.path}`);
    }
    const sealed = this.parts.seals.seal(batch.events);
    if (!sealed.ok) {
      throw new LogFault(
        "invalid",
        sealed.issues.map(({ path, message }) => `${path}: ${message}`).join("; "),
      );
    }
    const passing = this.passing(sealed.events);
    if (passing) await passing;
    const { clock, telemetry } = this.parts;
    const append = () => this.log.append({ ...batch, events: sealed.events });
    return await (telemetry === undefined
      ? append()
      : appending({ telemetry, monotonic: () => clock.monotonic() }, sealed.events, append));
  }

  /** Past what guards events, of which most are not guarded; what is recorded already is only told again. */
  private passing(events: readonly NewEvent[]): Promise<void> | undefined {
    const { gate } = this.parts;
    const guarded = gate ? events.filter(({ type }) => gate.guards(type)) : NONE;
    return guarded.length === 0 ? undefined : this.pass(gate!, guarded);
  }

  private async pass(gate: Gate, events: readonly NewEvent[]): Promise<void> {
    for (const event of events) {
      if (this.log.find(event.source, event.id)) continue;
      await gate.check({ type: event.type, target: event.stream, event });
    }
  }

  async *read(range: Range): AsyncIterable<Event> {
    const { clock } = this.parts;
    let turn = clock.monotonic();
    for (const batch of this.log.read(range)) {
      // Others read the same: what one changed, and be it unsealed, they would take for recorded.
      for (const event of batch) yield frozen(event);
      if (clock.monotonic() - turn < READ_TURN_MS) continue;
      await pause(clock, 0);
      turn = clock.monotonic();
    }
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<readonly Event[]> {
    for await (const batch of this.log.follow(from, signal)) {
      for (const event of batch) frozen(event);
      yield batch;
    }
  }

  ask(ask: Ask): Promise<Outcome> {
    if (this.closing) return Promise.resolve({ is: "unavailable", reason: "stopping", retryAfterMs: 1_000 });
    if (!this.actors.some(({ commands }) => Object.hasOwn(commands, ask.type))) {
      return Promise.resolve({ is: "unknown_command" });
    }
    return this.parts.ask(ask);
  }

  async row(
    name: string,
    key: string,
    options: { readonly at?: number; readonly time?: number; readonly wait?: number; readonly deadline?: number } = {},
  ): Promise<{ readonly size: number; readonly row: Row | undefined }> {
    this.expectOpen();
    const computed = this.computedAs(name, options);
    if (computed) return await computed.row(key, options);
    await this.reached(name, options);
    return built(name, () => this.parts.views.row(name, key, options.at));
  }

  async view(
    name: string,
    query: ViewQuery & { readonly wait?: number; readonly deadline?: number } = {},
  ): Promise<ViewPage> {
    this.expectOpen();
    const computed = this.computedAs(name, query);
    if (computed) return await computed.list(query);
    await this.reached(name, query);
    return built(name, () => this.parts.views.list(name, query));
  }

  private expectOpen(): void {
    if (this.isClosed) throw new LogFault("closed", "the daybook is closed");
  }

  /** It is never behind the log. */
  private computedAs(name: string, { wait = -1 }: { readonly wait?: number }): ComputedView | undefined {
    const computed = this.parts.computed?.find(({ view }) => view.name === name);
    if (computed && wait >= this.log.size) {
      throw new ViewQuestion("not_yet", `the view "${name}" has not reached position ${wait}`);
    }
    return computed;
  }

  /** Until the view shows what was asked for: `wait`, or the position an as-of read is about. */
  private async reached(
    name: string,
    { wait, at, deadline = WAIT_MS }: { readonly wait?: number; readonly at?: number; readonly deadline?: number },
  ): Promise<void> {
    if (!this.projections.some((projection) => projection.name === name)) {
      throw new ViewQuestion("unknown_view", `there is no view "${name}"`);
    }
    const position = Math.max(wait ?? -1, at !== undefined && at < this.log.size ? at : -1);
    const { projector } = this.parts;
    if (position >= 0) await this.shows(name, { position, wait, deadline });
    const known = projector.known(name);
    if (known === undefined) return;
    throw new ViewQuestion(
      "rebuilding",
      `the view "${name}" is being built again, and not yet where it was, at ${known}`,
    );
  }

  private async shows(
    name: string,
    { position, wait, deadline }: {
      readonly position: number;
      readonly wait: number | undefined;
      readonly deadline: number;
    },
  ): Promise<void> {
    const waited = await this.parts.projector.wait(name, position, deadline, this.over.signal);
    if (waited !== "reached" && wait !== undefined) {
      throw new ViewQuestion("not_yet", `the view "${name}" has not reached position ${position}`);
    }
  }

  unseal<T>(value: T): T {
    return this.parts.seals.unseal(value);
  }

  redact<T>(value: T): T {
    return this.parts.seals.redact(value);
  }

  async putBlob(bytes: Uint8Array, { subject }: { readonly subject?: string } = {}): Promise<BlobRef> {
    return await this.log.putBlob(subject === undefined ? bytes : await this.parts.seals.sealBlob(bytes, subject));
  }

  unsealBlob(bytes: Uint8Array): Promise<Uint8Array | undefined> {
    return this.parts.seals.unsealBlob(bytes);
  }

  checkpoint(atLeast?: number): Promise<Checkpoint | undefined> {
    return this.log.checkpoint(atLeast);
  }

  deadLetters(): readonly DeadLetter[] {
    return this.parts.deadLetters.list();
  }

  redrive(id: string): Promise<Redriven> {
    return this.parts.deadLetters.redrive(id);
  }

  status(): Status {
    const { log, views, projector, durable } = this.parts;
    const { checkpointed } = log;
    const health = this.parts.health();
    const { unwritable } = log;
    const state = this.closing ? "stopping" : health.state === "down" ? "down" : unwritable ? "unwritable" : "ready";
    return {
      state,
      ...(unwritable && state === "unwritable" ? { cause: unwritable.message } : {}),
      durable,
      size: log.size,
      indexed: log.indexed,
      ...(checkpointed ? { checkpoint: { size: checkpointed.size, root: checkpointed.root } } : {}),
      bytes: { log: log.bytes, views: views.bytes() },
      growth: this.growth(),
      health,
      projections: projector.states(),
      deadLetters: this.parts.deadLetters.size,
      deadLettersEvicted: this.parts.deadLetters.evicted,
    };
  }

  private growth(): Growth {
    const { clock } = this.parts;
    const at = clock.monotonic();
    if (!this.grown || at - this.grown.at > GROWTH_MS) {
      this.grown = {
        at,
        growth: this.growthNow() ?? this.grown?.growth ?? { hours: GROWTH_HOURS, events: 0, bytes: 0 },
      };
    }
    return this.grown.growth;
  }

  /** Undefined where the log cannot be read now: then the rest of the status is wanted all the more. */
  private growthNow(): Growth | undefined {
    const { clock, log } = this.parts;
    try {
      return growthOf(log, { bytes: log.bytes, now: clock.now() });
    } catch (error) {
      if (error instanceof LogFault) return undefined;
      throw error;
    }
  }

  close(): Promise<void> {
    this.over.abort();
    return this.closing ??= this.parts.stop().finally(() => this.isClosed = true);
  }
}
