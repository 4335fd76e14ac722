/**
 * What is missing of sources, put on record: a gap when it has been open for a while, a silence when something was due, and the end of
 * each. What stands is known from the log, so that the next run goes on.
 */
import { instant } from "../../../actors/kernel/instant.ts";
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Event, Millis } from "../../../events/event.ts";
import { millis } from "../../../events/event.ts";
import type { ControlKernelFact } from "../../../events/kernel_controls.ts";
import type { EventLog } from "../../../events/log.ts";
import { gapsOf, signDue, type SourceState } from "../../../projections/controls/mod.ts";

/** What comes out of order within this is no gap worth a word. */
const GAP_MS = 60_000;

type Finding = Extract<ControlKernelFact, { type: `kernel.${"gap" | "silence"}.${string}` }>;
type Opened = Extract<Finding, { type: `${string}.opened` }>;

const OPENED = ["kernel.gap.opened", "kernel.silence.opened"] as const;
const CLOSED = ["kernel.gap.closed", "kernel.silence.closed"] as const;

const keyOf = ({ type, data }: Finding): string =>
  type === "kernel.gap.opened" || type === "kernel.gap.closed"
    ? `gap ${data.first} ${data.last} ${data.source}`
    : `silence ${data.since} ${data.source}`;

export class Findings {
  private readonly open = new Map<string, Opened>();
  /** When a finding is due that is none yet. */
  due: Millis = Infinity;

  constructor(log: Pick<EventLog, "read">) {
    for (const batch of log.read({ types: [...OPENED, ...CLOSED], from: readableFrom(log) })) {
      for (const fact of batch as readonly (Event & Finding)[]) {
        if ((OPENED as readonly string[]).includes(fact.type)) this.open.set(keyOf(fact), fact as Opened);
        else this.open.delete(keyOf(fact));
      }
    }
  }

  /** What opened and closed since the last time. */
  since(sources: ReadonlyMap<string, SourceState>, now: Millis): readonly Finding[] {
    const standing = new Map(this.standing(sources, now).map((fact) => [keyOf(fact), fact]));
    const facts: Finding[] = [];
    for (const [key, fact] of this.open) {
      if (standing.has(key)) continue;
      this.open.delete(key);
      facts.push(closing(fact));
    }
    for (const [key, fact] of standing) {
      if (this.open.has(key)) continue;
      this.open.set(key, fact);
      facts.push(fact);
    }
    return facts;
  }

  private standing(sources: ReadonlyMap<string, SourceState>, now: Millis): readonly Opened[] {
    const found: Opened[] = [];
    this.due = Infinity;
    for (const [source, state] of sources) {
      for (const { first, last, missing, after, before, noticed } of gapsOf(state)) {
        const from = millis(noticed) + GAP_MS;
        if (now < from) {
          this.due = Math.min(this.due, from);
          continue;
        }
        const beside = ({ position, time }: typeof before) => ({ position, time });
        const data = {
          source,
          first,
          last,
          missing,
          ...(after ? { after: beside(after) } : {}),
          before: beside(before),
        };
        found.push({ type: "kernel.gap.opened", data });
      }
      const due = signDue(state);
      if (due === undefined) continue;
      if (now > due) {
        const data = { source, since: state.seen!.recordedat, due: instant(due) };
        found.push({ type: "kernel.silence.opened", data });
      } else this.due = Math.min(this.due, due + 1);
    }
    return found;
  }
}

const closing = (opened: Opened): Finding =>
  opened.type === "kernel.gap.opened"
    ? {
      type: "kernel.gap.closed",
      data: { source: opened.data.source, first: opened.data.first, last: opened.data.last },
    }
    : { type: "kernel.silence.closed", data: { source: opened.data.source, since: opened.data.since } };
