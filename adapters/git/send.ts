/** The way from an importer to the log: events cut into ingests, several of them on their way, in order. */
import type { Ask, Daybook, Incoming, Ingested, Outcome, Principal } from "../../actors/kernel/daybook.ts";
import { type Clock, pause } from "../../actors/kernel/world.ts";
import { type EventLog, LogFault } from "../../events/log.ts";

export const SEND_LIMITS = {
  /** One ingest: below the log's bounds of an append, with room for what sealing adds. */
  batch_events_max: 500,
  batch_bytes_max: 600_000,
  /** Ingests on their way at a time. */
  in_flight_max: 4,
  /** Times an overloaded log or entity is tried again, after 40 ms, 80 ms … */
  tries_max: 8,
} as const;

/** Whom events are handed to, and log and views to look up what is known already. */
export interface ImportTarget extends Pick<Daybook, "ingest" | "ask" | "view"> {
  readonly log: Pick<EventLog, "find" | "read" | "head">;
}

export type StopCode = "stopped" | "conflict" | "refused" | "unavailable" | "corrupt";

/** Why an import ends before its end. */
export class Stop extends Error {
  override readonly name = "Stop";
  /** `clash`: id of the event that the log has with other content. */
  constructor(readonly code: StopCode, message: string, readonly clash?: string) {
    super(message);
  }
}

export class Sender {
  /** What is in the log, and was not before. */
  readonly counts = { events: 0, recorded: 0, completed: 0 };
  private batch: Incoming[] = [];
  private bytes = 0;
  private readonly flying = new Set<Promise<void>>();
  private failure: unknown;

  constructor(
    private readonly daybook: ImportTarget,
    private readonly options: { readonly by: Principal; readonly clock: Clock; readonly signal?: AbortSignal },
  ) {}

  /**
   * Events of one commit, the one that counts it last; resolves as soon as there is room for the next. Once the signal aborts
   * it may end within the commit: the next import goes on there.
   */
  async send({ events, bytes }: { readonly events: readonly Incoming[]; readonly bytes: number }): Promise<void> {
    const each = bytes / events.length;
    let cut = false;
    for (let i = 0; i < events.length; i++) {
      const full = this.batch.length >= SEND_LIMITS.batch_events_max || this.bytes + each > SEND_LIMITS.batch_bytes_max;
      if (full) {
        if (this.options.signal?.aborted) return;
        await this.flush();
        cut ||= i > 0;
      }
      if (cut && i === events.length - 1) {
        // The parts that left before it must be there before the commit that counts them.
        await this.flush();
        await this.settled();
      }
      this.batch.push(events[i]!);
      this.bytes += each;
    }
  }

  async flush(): Promise<void> {
    while (this.flying.size >= SEND_LIMITS.in_flight_max) await Promise.race(this.flying);
    this.fail();
    const { batch } = this;
    if (batch.length === 0) return;
    this.batch = [];
    this.bytes = 0;
    const flight: Promise<void> = this.ingest(batch)
      .catch((error) => void (this.failure ??= error))
      .finally(() => this.flying.delete(flight));
    this.flying.add(flight);
  }

  /** Everything that was flushed is in the log. */
  async settled(): Promise<void> {
    await Promise.all(this.flying);
    this.fail();
  }

  async ask(ask: Ask): Promise<Outcome> {
    for (let tries = 1;; tries++) {
      const outcome = await this.daybook.ask(ask);
      if (outcome.is !== "unavailable") return outcome;
      if (tries >= SEND_LIMITS.tries_max || this.options.signal?.aborted) {
        throw new Stop("unavailable", `Cannot record where a branch stands: ${outcome.reason}`);
      }
      await pause(this.options.clock, outcome.retryAfterMs, this.options.signal);
    }
  }

  private fail(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  private async ingest(batch: readonly Incoming[]): Promise<void> {
    for (let tries = 1;; tries++) {
      try {
        return this.count(await this.daybook.ingest(batch, this.options.by), batch);
      } catch (error) {
        const passing = error instanceof LogFault && (error.kind === "overloaded" || error.kind === "locked");
        if (!passing || tries >= SEND_LIMITS.tries_max || this.options.signal?.aborted) throw error;
        await pause(this.options.clock, 20 * 2 ** tries, this.options.signal);
      }
    }
  }

  private count(ingested: Ingested, batch: readonly Incoming[]): void {
    if (!ingested.ok) throw stopOf(ingested, batch);
    ingested.receipts.forEach(({ duplicate }, i) => {
      if (duplicate) return;
      this.counts.events++;
      const { type } = batch[i]!;
      if (type === "commits.commit.recorded") this.counts.recorded++;
      if (type === "commits.commit.completed") this.counts.completed++;
    });
  }
}

const stopOf = (refused: Exclude<Ingested, { ok: true }>, batch: readonly Incoming[]): Stop => {
  switch (refused.conflict) {
    case "id": {
      const { id, source, position } = refused;
      return new Stop(
        "conflict",
        `Cannot record ${id} of ${source}: position ${position} has it with other content`,
        id,
      );
    }
    case "revision":
      return new Stop("unavailable", `Cannot record commits: ${refused.stream} is at revision ${refused.revision}`);
    case "invalid": {
      const issues = refused.issues.map(({ path, message }) => `${path}: ${message}`).join("; ");
      return new Stop("refused", `Cannot record ${batch[refused.index]?.id}: ${refused.code} ${issues}`);
    }
  }
};
