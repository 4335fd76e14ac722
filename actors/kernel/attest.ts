/**
 * Says in the log what the views hold: `kernel.projection.attested`, so that whoever folds the events again can tell whether
 * they got what the program served, and when it began to differ. A digest is kept with the rows, so saying it costs one look.
 *
 * A view is attested when enough events have come since its last attestation, or any and enough time; attestations do not
 * count, so a log that nothing else is written to does not grow.
 */
import type { Millis } from "../../events/event.ts";
import { type EventLog, LogFault } from "../../events/log.ts";
import { DIGEST_METHOD } from "../../projections/digest.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type Views, ViewsFault, type ViewState } from "../../projections/views.ts";
import { attestationOf } from "./attestations.ts";
import type { Child, Self } from "./child.ts";
import { feedOf } from "./project_feed.ts";
import { kernelEvent } from "./kernel_event.ts";
import { firstReadable, isArchived } from "./kept.ts";
import { type Clock, pause, type Random } from "./world.ts";

/** Bounds of attesting; each has a test that reaches it. */
export interface AttestBounds {
  /** Events since a view's last attestation, attestations not counted, after which it is attested again. */
  readonly events_min: number;
  /** With fewer, but any, it is attested after so long. */
  readonly ms: Millis;
}

export const ATTEST: AttestBounds = { events_min: 10_000, ms: 3_600_000 };

/** Between two looks, and before the first of a run: a command that opens the log for a moment leaves none. */
export const LOOK_MS = 1_000;
/** After the log could not be written, or the views not be read. */
export const FAILED_LOOK_MS = 30_000;
/** Positions of attestations that are remembered; as many are read when a run begins. */
const REMEMBERED_MAX = 4_096;

export interface AttesterOptions {
  readonly log: Pick<EventLog, "size" | "append" | "read" | "follow">;
  readonly views: Pick<Views, "stores">;
  readonly projections: readonly AnyProjection[];
  readonly clock: Clock;
  readonly random: Random;
  /** Default `ATTEST`. */
  readonly bounds?: AttestBounds;
}

/** A view's last attestation, or the beginning. */
interface Last {
  readonly size: number;
  readonly at: Millis;
}

export class Attester implements Child {
  readonly id = "attester";
  readonly restart = "permanent";
  readonly grace = 5_000;
  /** By name, of the version that the catalogue builds. */
  private readonly last = new Map<string, Last>();
  /** Where attestations are in the log, ascending. */
  private positions: number[] = [];
  /** When the log's first event was recorded. */
  private began: Millis | undefined;

  constructor(private readonly options: AttesterOptions) {}

  async run(signal: AbortSignal, self: Self): Promise<void> {
    self.ready();
    const { clock } = this.options;
    const feed = feedOf(this.options.log);
    await pause(clock, LOOK_MS, signal);
    if (!signal.aborted) this.recall();
    while (!signal.aborted) {
      const { size } = feed;
      const next = await this.look();
      if (next !== "failed") {
        const over = new AbortController();
        const either = AbortSignal.any([signal, over.signal]);
        const grown = feed.grown(size, either);
        await (next === "idle" ? grown : Promise.race([grown, pause(clock, next, either)]));
        over.abort();
      }
      await pause(clock, next === "failed" ? FAILED_LOOK_MS : LOOK_MS, signal);
    }
  }

  /** What was attested before this run. */
  private recall(): void {
    const { log, projections } = this.options;
    const versions = new Map(projections.map(({ name, version }) => [name, version]));
    const types = ["kernel.projection.attested"];
    this.last.clear();
    this.positions = [];
    try {
      for (const batch of log.read({ types, backward: true, limit: REMEMBERED_MAX })) {
        for (const event of batch) {
          const { position, projection, version, size } = attestationOf(event);
          this.positions.unshift(position);
          if (versions.get(projection) !== version || this.last.has(projection)) continue;
          // Not when it was recorded: behind a clock that was ahead and is set back that would be ahead for good.
          this.last.set(projection, { size, at: Date.parse(event.time) });
        }
        const least = Math.min(...[...this.last.values()].map(({ size }) => size));
        if (this.last.size === versions.size && this.positions[0]! < least) break;
      }
    } catch (error) {
      // A view that was attested in what is archived, and not since, is as one that never was.
      if (!isArchived(error)) throw error;
    }
  }

  /** Attests what is due; the answer is how long until something may fall due without the log growing. */
  private async look(): Promise<Millis | "idle" | "failed"> {
    const { log, views, clock } = this.options;
    const now = clock.now();
    try {
      const states = views.stores().filter((state) => this.ours(state));
      const due = states.filter((state) => this.due(state, now));
      if (due.length > 0) await this.attest(due, now);
    } catch (error) {
      if (error instanceof ViewsFault || error instanceof LogFault) return "failed";
      throw error;
    }
    const waits = this.options.projections.flatMap(({ name }) => {
      const came = this.came(name, log.size);
      if (came === 0) return [];
      // The log has enough, and the view is on its way.
      if (came >= this.bounds.events_min) return [LOOK_MS];
      return [Math.max(LOOK_MS, this.since(name).at + this.bounds.ms - now)];
    });
    return waits.length === 0 ? "idle" : Math.min(...waits);
  }

  private async attest(states: readonly ViewState[], now: Millis): Promise<void> {
    const { log, random } = this.options;
    const events = states.map(({ name, version, size, rows, digest }) =>
      kernelEvent({
        type: "kernel.projection.attested",
        data: { projection: name, version, size, rows, digest, method: DIGEST_METHOD },
      }, { id: random.id(), at: now, stream: `kernel/projection:${name}` })
    );
    const appended = await log.append({ events });
    if (!appended.ok) throw new Error(`Cannot attest: ${appended.conflict} conflict`);
    this.positions.push(...appended.receipts.map(({ position }) => position));
    this.positions = this.positions.slice(-REMEMBERED_MAX);
    for (const { name, size } of states) this.last.set(name, { size, at: now });
  }

  private get bounds(): AttestBounds {
    return this.options.bounds ?? ATTEST;
  }

  /** Answers readers, and is what whoever has this program can fold again. */
  private ours({ name, version, served }: ViewState): boolean {
    return served && this.options.projections.some((one) => one.name === name && one.version === version);
  }

  private due({ name, size }: ViewState, now: Millis): boolean {
    const came = this.came(name, size);
    // One that is as far ahead is of a clock that is set back since.
    return came >= this.bounds.events_min || (came > 0 && Math.abs(now - this.since(name).at) >= this.bounds.ms);
  }

  /** Events from the view's last attestation up to `size` that are no attestations. A view that is built again may be behind. */
  private came(name: string, size: number): number {
    const { size: from } = this.since(name);
    const before = (end: number) => firstFrom(this.positions, end);
    return Math.max(0, size - from - (before(size) - before(from)));
  }

  private since(name: string): Last {
    return this.last.get(name) ?? this.beginning();
  }

  /** Of a view that was never attested the first event's time counts. */
  private beginning(): Last {
    if (this.began === undefined) {
      const first = firstReadable(this.options.log);
      if (first) this.began = Date.parse(first.recordedat);
    }
    return { size: 0, at: this.began ?? this.options.clock.now() };
  }
}

/** How many of ascending numbers are below `end`. */
const firstFrom = (ascending: readonly number[], end: number): number => {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    ascending[middle]! < end ? low = middle + 1 : high = middle;
  }
  return low;
};
