/**
 * The child of a server that looks at controls: puts on record which are enforced, evaluates all of them as events come and as time
 * goes by, and records what turned, and what of sources is missing.
 *
 * A catalogue that cannot be read leaves it down, visibly; the server goes on, and what was enforced before stays so.
 */
import { Buffer } from "node:buffer";
import type { Child } from "../../../actors/kernel/child.ts";
import { instant } from "../../../actors/kernel/instant.ts";
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Recorder } from "../../../actors/kernel/recorder.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import type { Stated } from "../../../config/controls.ts";
import { canonical } from "../../../events/canonical.ts";
import { type Event, type Millis, millis } from "../../../events/event.ts";
import { CONTROL_FACT_LIMITS, type ControlKernelFact } from "../../../events/kernel_controls.ts";
import type { EventLog } from "../../../events/log.ts";
import { type ControlResult, ControlsFold } from "../../../projections/controls/mod.ts";
import { BESIDE, CaughtUp } from "./caught_up.ts";
import { Findings } from "./findings.ts";
import { type ControlGate, CONTROLS, enforcedIn } from "./gate.ts";

const GRACE_MS = 10_000;
/** Facts about sources lie there. */
const SOURCES = { child: "sources", stream: "kernel/sources" } as const;
/** Changes of one fact come to at most so much, so that it fits an entry whatever controls are called. */
const CHANGES_BYTES_MAX = 40_000;
/** What was counted meanwhile is told this long after the last word on a control, if its status stays. */
const COUNTS_MS = 3_600_000;

export interface WatchParts {
  readonly log: Pick<EventLog, "read" | "size">;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly gate: Pick<ControlGate, "expect" | "renew">;
  /** Reads the catalogue; throws where it cannot be read. */
  readonly catalogue: () => Promise<readonly Stated[]>;
  /** What was recorded is evaluated this often; the first time this long after the start. */
  readonly everyMs: Millis;
  readonly report: (line: string) => void;
}

export const watchControls = (parts: WatchParts): Child => ({
  id: "controls",
  restart: "temporary",
  grace: GRACE_MS,
  async run(signal) {
    const { clock, everyMs, report } = parts;
    await pause(clock, everyMs, signal);
    if (signal.aborted) return;
    const stated = await parts.catalogue().catch((error: Error) => {
      report(`controls are not evaluated: ${error.message}`);
      throw error;
    });
    await adopt(stated, parts);
    const watch = new Watch(stated, parts);
    for (let troubled = false; !signal.aborted; await pause(clock, everyMs, signal)) {
      try {
        await watch.look(signal);
        troubled = false;
      } catch (error) {
        // The log cannot be read now; told once, and tried again.
        if (!troubled) report(`controls cannot be evaluated now: ${(error as Error).message}`);
        troubled = true;
      }
    }
  },
});

type Recorded = ControlKernelFact;

const record = ({ recorder }: Pick<WatchParts, "recorder">, facts: readonly Recorded[]): Promise<void> => {
  // There are never more than there are controls.
  for (const fact of facts) recorder.record(fact, { ...CONTROLS, essential: true });
  return recorder.flush();
};

/** Puts on record what is enforced from here on, and what is no more. */
export const adopt = async (
  stated: readonly Stated[],
  { log, recorder, gate }: Pick<WatchParts, "log" | "recorder" | "gate">,
): Promise<void> => {
  const before = enforcedIn(log);
  const facts: Recorded[] = [];
  const coming = new Map<string, { readonly guards: readonly string[]; readonly stated: unknown }>();
  for (const { control: { id, mode, guards }, stated: said } of stated) {
    const known = before.get(id);
    before.delete(id);
    if (mode === "watch") {
      if (known) facts.push({ type: "kernel.control.relaxed", data: { control: id } });
    } else if (!known || canonical(known.stated) !== canonical(said)) {
      const data = { control: id, guards: [...guards], stated: said as never };
      facts.push({ type: "kernel.control.enforced", data });
      coming.set(id, data);
    }
  }
  for (const id of before.keys()) facts.push({ type: "kernel.control.relaxed", data: { control: id } });
  if (facts.length === 0) return;
  gate.expect(coming);
  await record({ recorder }, facts);
  gate.renew();
};

type Change = Extract<Recorded, { type: "kernel.control.turned" }>["data"]["changes"][number];

/** What of a result is news when it is another. */
const newsIn = ({ title, mode, frameworks, status, until, by }: Omit<Change, "control">): string =>
  canonical({ title, mode, frameworks, status, ...(until === undefined ? {} : { until, by }) });

const countsIn = ({ considered, violations }: Change): string => `${considered} ${violations}`;

/** What was told of a control last, and when. */
interface Known {
  readonly change: Change;
  readonly at: Millis;
}

class Watch {
  private readonly fold: CaughtUp<ControlsFold>;
  private readonly findings: Findings;
  private readonly known = new Map<string, Known>();
  /** When something changes though nothing comes. */
  private due: Millis = -Infinity;
  private seen = -1;

  constructor(stated: readonly Stated[], private readonly parts: WatchParts) {
    this.fold = new CaughtUp(new ControlsFold(stated.map(({ control }) => control)), parts, BESIDE);
    this.findings = new Findings(parts.log);
    const types = ["kernel.control.turned", "kernel.control.dropped"];
    for (const batch of parts.log.read({ types, from: readableFrom(parts.log) })) {
      for (const { type, data } of batch as readonly (Event & Recorded)[]) {
        if (type === "kernel.control.turned") {
          for (const change of data.changes) this.known.set(change.control, { change, at: millis(data.at) });
        } else if (type === "kernel.control.dropped") this.known.delete(data.control);
      }
    }
  }

  /** Records what turned since the last time. */
  async look(signal: AbortSignal): Promise<void> {
    const { log, clock } = this.parts;
    if (log.size === this.seen && clock.now() < this.due) return;
    await this.fold.catchUp(signal);
    if (signal.aborted) return;
    const { size } = this.fold;
    const now = clock.now();
    const results = this.fold.fold.results(now);
    this.due = Math.min(...results.map(({ due }) => due === undefined ? Infinity : millis(due)));
    // Sets `due` as well, where counts wait to be told.
    const facts = [...this.turned(results, now, size), ...this.dropped(results)];
    // Within the recorder's budget: a source may lose every second event.
    for (const fact of this.findings.since(this.fold.fold.sources, now)) this.parts.recorder.record(fact, SOURCES);
    this.due = Math.min(this.due, this.findings.due);
    await record(this.parts, facts);
    this.seen = size;
  }

  private turned(results: readonly ControlResult[], now: Millis, size: number): readonly Recorded[] {
    const changes = results.flatMap((result): readonly Change[] => {
      const before = this.known.get(result.id);
      const change = changeOf(result, before?.change);
      if (before && newsIn(before.change) === newsIn(change)) {
        if (countsIn(before.change) === countsIn(change)) return [];
        if (now - before.at < COUNTS_MS) {
          this.due = Math.min(this.due, before.at + COUNTS_MS);
          return [];
        }
      }
      this.known.set(result.id, { change, at: now });
      return [change];
    });
    return inPieces(changes).map((piece) => ({
      type: "kernel.control.turned",
      data: { at: instant(now), size, changes: piece },
    }));
  }

  private dropped(results: readonly ControlResult[]): readonly Recorded[] {
    const ids = new Set(results.map(({ id }) => id));
    const gone = [...this.known.keys()].filter((id) => !ids.has(id));
    for (const id of gone) this.known.delete(id);
    return gone.map((control) => ({ type: "kernel.control.dropped", data: { control } }));
  }
}

const changeOf = (result: ControlResult, before: Change | undefined): Change => {
  const { id, title, frameworks, mode, status, because, until, by, considered, violations, newest } = result;
  return {
    control: id,
    title,
    mode,
    frameworks: [...frameworks],
    ...(before ? { from: before.status } : {}),
    status,
    because: because.slice(0, CONTROL_FACT_LIMITS.because_chars_max),
    ...(until === undefined ? {} : { until, by }),
    considered,
    violations,
    ...(newest === undefined ? {} : { newest }),
  };
};

const inPieces = (changes: readonly Change[]): readonly Change[][] => {
  const pieces: Change[][] = [];
  let bytes = Infinity;
  for (const change of changes) {
    const more = Buffer.byteLength(JSON.stringify(change));
    if (bytes + more > CHANGES_BYTES_MAX || pieces.at(-1)!.length === CONTROL_FACT_LIMITS.changes_max) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)!.push(change);
    bytes += more;
  }
  return pieces;
};
