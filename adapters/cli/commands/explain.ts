/** `explain`: causes and effects of an event, as a tree. */
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import { correlationOf } from "../../../events/event.ts";
import type { Run } from "../call.ts";
import { archiveOf, flag, Usage, whole, wholeFrom } from "../call.ts";
import { count, counted, palette, safe, short } from "../print.ts";
import type { Palette } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Reader } from "../reader.ts";
import type { Io, OnProgress } from "../io.ts";

const SHOWN_DEFAULT = 1_000;
const SHOWN_MAX = 100_000;

export interface Explained {
  readonly event: Event;
  readonly effects: readonly Explained[];
}
export interface Explanation {
  readonly position: number;
  /** What began it, or what is as many causes above as `--limit` allows; the asked event is in the tree below. */
  readonly root: Explained;
  /** The id that the root names as its cause, when no event in the log has it: a command, a request. */
  readonly cause?: string;
  /** Where what can be read begins, when what led to the root may lie before it, in an archive that is not attached. */
  readonly from?: number;
  readonly events: number;
  /** True when there were more events than `--limit`. */
  readonly truncated: boolean;
}

export const explain: Run = async (call, runtime) => {
  const position = wholeFrom(call.args[0]!, "<position>", { min: 0, max: Number.MAX_SAFE_INTEGER });
  const limit = whole(call, "limit", { min: 1, max: SHOWN_MAX }) ?? SHOWN_DEFAULT;
  const { io, clock } = runtime;
  const reader = await runtime.reader(call.data, archiveOf(call));
  const edge = await runtime.edge(call.data);
  const progress = progressBar("looking for causes and effects", { io, clock, quiet: call.json });
  try {
    const explanation = explained(reader, position, { limit, progress: progress.on });
    progress.end();
    const shown = flag(call, "personal") ? edge.unseal(explanation) : edge.redact(explanation);
    io.out(call.json ? `${JSON.stringify(shown)}\n` : describe(shown, palette(io), io));
    return 0;
  } finally {
    progress.end();
    edge.close();
    await reader.close();
  }
};

/** The id of what an event came of: its cause, or what the piece of work is called after that it belongs to, as listed changes belong to their commit. */
const namedBy = ({ id, causationid, correlationid }: Event): string | undefined =>
  causationid ?? (correlationid === id ? undefined : correlationid);

/** Which of those with the id it named is meant, for ids are unique per source only: the newest in its stream, else the newest. */
const meantBy = (event: Event, namesakes: readonly Event[]): Event | undefined =>
  event.causationid === undefined
    ? namesakes.findLast(({ source }) => source === event.source)
    : namesakes.findLast(({ stream }) => stream === event.stream) ?? namesakes.at(-1);

/** Up by causes to what began it, then down to everything that came of it. Two passes over the log at most. */
export const explained = (
  reader: Reader,
  position: number,
  { limit, progress }: { limit: number; progress: OnProgress },
): Explanation => {
  const size = reader.size;
  if (position >= size) {
    throw new Usage(size === 0 ? "the log is empty" : `there is no event ${position}; the last is ${size - 1}`);
  }
  const asked = eventAt(reader, position)!;
  const from = Math.min(position, readableFrom(reader));
  const { root, way, end } = climbed(reader, asked, { from, most: limit });
  const { effects, events, truncated } = effectsOf(reader, root, { from, way, limit, size, progress });
  const tree = (event: Event): Explained => ({ event, effects: (effects.get(event.position) ?? []).map(tree) });
  return {
    position,
    root: tree(root),
    ...(end !== "unknown" || root.causationid === undefined ? {} : { cause: root.causationid }),
    ...(end === "unknown" && namedBy(root) !== undefined && from > 0 ? { from } : {}),
    events,
    truncated: truncated || end === "limit",
  };
};

const eventAt = (reader: Reader, position: number): Event | undefined => {
  for (const batch of reader.read({ from: position, until: position + 1, limit: 1 })) return batch[0];
};

/** Where the causes of an event lead, `way` being the positions from there to it. `unknown`: no event of the log is the cause of the last. */
interface Climbed {
  readonly root: Event;
  readonly way: ReadonlySet<number>;
  readonly end: "unknown" | "limit" | "loop";
}

/** Causes come before their effects; only what a piece of work is called after may come later within it. */
const climbed = (
  reader: Reader,
  asked: Event,
  { from, most }: { readonly from: number; readonly most: number },
): Climbed => {
  let root = asked;
  const way = new Set([root.position]);
  for (;;) {
    const cause = causeOf(reader, root, from);
    if (!cause) return { root, way, end: "unknown" };
    if (way.has(cause.position)) return { root, way, end: "loop" };
    // A timer that sets itself again makes a chain without end.
    if (way.size > most) return { root, way, end: "limit" };
    root = cause;
    way.add(root.position);
  }
};

/** The nearest in the same piece of work wins, then the nearest at all. */
const causeOf = (reader: Reader, event: Event, from: number): Event | undefined => {
  const { position: until, causationid } = event;
  const id = namedBy(event);
  if (id === undefined) return undefined;
  const correlation = correlationOf(event);
  if (id === correlation) {
    const namesakes: Event[] = [];
    for (const batch of reader.read({ correlation, from, ...(causationid === undefined ? {} : { until }) })) {
      namesakes.push(...batch.filter((one) => one.id === id));
    }
    const meant = meantBy(event, namesakes);
    if (meant || causationid === undefined) return meant;
  }
  return find(reader.read({ correlation, from, until, backward: true }), id) ??
    find(reader.read({ from, until, backward: true }), id);
};

const find = (batches: Iterable<readonly Event[]>, id: string): Event | undefined => {
  for (const batch of batches) {
    const found = batch.find((event) => event.id === id);
    if (found) return found;
  }
};

/** One walk forwards: an event whose cause is in the tree joins it under its cause. */
const effectsOf = (
  reader: Reader,
  root: Event,
  { from, way, limit, size, progress }: {
    readonly from: number;
    readonly way: ReadonlySet<number>;
    readonly limit: number;
    readonly size: number;
    readonly progress: OnProgress;
  },
): { effects: ReadonlyMap<number, readonly Event[]>; events: number; truncated: boolean } => {
  const effects = new Map<number, Event[]>();
  const known = new Map<string, Event[]>([[root.id, [root]]]);
  const tree = new Set([root.position]);
  let truncated = false;
  // What belongs to a piece of work may come before what the work is called after.
  const [[first] = []] = reader.read({ correlation: correlationOf(root), from, limit: 1 });
  for (const batch of reader.read({ from: Math.min(first?.position ?? root.position, root.position), until: size })) {
    for (const event of batch) {
      if (event.position === root.position) continue;
      const id = namedBy(event);
      const cause = id === undefined ? undefined : meantBy(event, known.get(id) ?? []);
      const within = cause !== undefined && tree.has(cause.position);
      // What was asked about is shown even when the tree is cut, and so is what led to it.
      const cut = within && tree.size >= limit && !way.has(event.position);
      truncated ||= cut;
      // One outside may have the same id as one within; what names it is then not ours.
      if (within && !cut) known.set(event.id, [...known.get(event.id) ?? [], event]);
      else known.get(event.id)?.push(event);
      if (!within || cut) continue;
      tree.add(event.position);
      const siblings = effects.get(cause.position);
      siblings ? siblings.push(event) : effects.set(cause.position, [event]);
    }
    progress({ done: batch.at(-1)!.position + 1, total: size, unit: "events" });
  }
  return { effects, events: tree.size, truncated };
};

const describe = (explanation: Explanation, c: Palette, io: Io): string => {
  const lines: string[] = [];
  const { cause, from } = explanation;
  const or = from === undefined ? "" : `, or an event before position ${count(from)}, in an archive`;
  if (cause !== undefined) {
    lines.push(
      c.dim(
        `caused by ${safe(cause)} (${
          from === undefined ? "no event of this log" : "no event that is here"
        }: a command or a request${or})`,
      ),
    );
  } else if (or !== "") lines.push(c.dim(`what led to it may be${or.slice(", or".length)}`));
  // Depth first with a stack of its own: a chain may be thousands of events long.
  const todo: { node: Explained; lead: string; last?: boolean }[] = [{ node: explanation.root, lead: "" }];
  for (let next = todo.pop(); next; next = todo.pop()) {
    const { node: { event, effects }, lead, last } = next;
    const branch = last === undefined ? "" : last ? "└─ " : "├─ ";
    lines.push(line(event, { lead: lead + branch, asked: event.position === explanation.position, c, io }));
    const deeper = last === undefined ? lead : lead + (last ? "   " : "│  ");
    for (let i = effects.length - 1; i >= 0; i--) {
      todo.push({ node: effects[i]!, lead: deeper, last: i === effects.length - 1 });
    }
  }
  if (explanation.truncated) lines.push(c.yellow("… there is more; give a higher --limit"));
  lines.push("", counted(explanation.events, "event"));
  return `${lines.join("\n")}\n`;
};

const line = (event: Event, { lead, asked, c, io }: { lead: string; asked: boolean; c: Palette; io: Io }): string => {
  const head = `${event.position}  ${safe(event.type)}  ${safe(event.stream)}  ${event.recordedat}`;
  const room = io.terminal.out ? io.columns - lead.length - head.length - 4 : 120;
  const data = event.data === undefined || room < 10 ? "" : `  ${short(JSON.stringify(event.data), room)}`;
  return `${c.dim(lead)}${asked ? c.bold(head) + c.yellow(" ◀") : head}${c.dim(data)}`;
};
