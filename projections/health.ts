/**
 * Health as history tells it: what the supervision tree looks like, and how each child has fared over all runs. What a
 * run that ended without a word left open is closed when the next one starts.
 */
import { z } from "zod";
import type { Event } from "../events/event.ts";
import type { KernelFact } from "../events/kernel.ts";
import type { Projection, Read } from "./projection.ts";

type KernelEvent = Event<KernelFact>;
type ChildEvent = Extract<KernelEvent, { readonly data: { readonly child: string } }>;

const count = z.int().nonnegative();

/**
 * `lost`: it ran when the process ended without stopping. `down`: its supervisor gave up on it, or it crashed and does not
 * come back.
 */
const state = z.enum(["running", "crashed", "stopped", "down", "abandoned", "lost"]);

const hears = [
  "kernel.process.started",
  "kernel.process.stopped",
  "kernel.child.started",
  "kernel.child.crashed",
  "kernel.child.restarted",
  "kernel.child.gave_up",
  "kernel.child.stopped",
  "kernel.child.abandoned",
] as const satisfies readonly KernelFact["type"][];

/** Working row with the paths of what the present run has open, so that the next can close them. */
const OPEN = "~open";

/** `undefined`: the fact does not change the state. */
const stateAfter = (event: ChildEvent, before?: z.output<typeof state>): z.output<typeof state> | undefined => {
  switch (event.type) {
    case "kernel.child.started":
    case "kernel.child.restarted":
      return "running";
    case "kernel.child.crashed":
      // A supervisor that gave up crashes, as its own supervisor records; unless that one starts it again, it stays down.
      return before === "down" ? "down" : "crashed";
    case "kernel.child.gave_up":
      return "down";
    case "kernel.child.stopped":
      return "stopped";
    case "kernel.child.abandoned":
      return "abandoned";
    case "kernel.facts.suppressed":
      return undefined;
  }
};

const childrenRow = z.strictObject({
  state,
  since: z.string(),
  kind: z.enum(["supervisor", "worker"]),
  starts: count,
  restarts: count,
  crashes: count,
  gave_up: count,
  abandoned: count,
  /** Kernel facts about it that were held back because there were too many. */
  suppressed: count,
  /** Of the last crash, one line. */
  cause: z.string().optional(),
  crashed_at: z.string().optional(),
  open: z.array(z.string()).optional(),
});
type ChildrenRow = z.output<typeof childrenRow>;

const isOpen = (row: { readonly state: z.output<typeof state> }) => row.state === "running" || row.state === "crashed";

/** The child of a fact, all open ones when a process starts, and the working row beside them. */
const keysOf = (event: KernelEvent, read: Read<{ readonly open?: readonly string[] }>): readonly string[] => {
  if (event.type === "kernel.process.started") return [...read(OPEN)?.open ?? [], event.data.root, OPEN];
  if (event.type === "kernel.process.stopped" || !("child" in event.data)) return [];
  if (event.type === "kernel.facts.suppressed") return [event.data.child];
  return [...new Set([...concerned(event as ChildEvent), OPEN])];
};

/** The paths a fact tells of: what a supervisor gives up because of is down with it. */
const concerned = ({ type, data }: ChildEvent): readonly string[] =>
  type === "kernel.child.gave_up" ? [data.child, data.because] : [data.child];

export const healthChildren: Projection<ChildrenRow, KernelFact> = {
  name: "health.children",
  version: 2,
  about: "Every supervised child over all runs: state, starts, crashes, restarts, last cause. Key: its path.",
  hears: [...hears, "kernel.facts.suppressed"],
  row: childrenRow,
  initial: {
    state: "running",
    since: "",
    kind: "worker",
    starts: 0,
    restarts: 0,
    crashes: 0,
    gave_up: 0,
    abandoned: 0,
    suppressed: 0,
  },
  indexes: ["state", "kind", "crashes", "restarts"],
  keys: keysOf,
  apply(row, event, key, read) {
    if (key === OPEN) {
      const open = openAfter(row.open ?? NONE, event, read);
      return open === row.open ? row : { ...row, open: [...open] };
    }
    if (event.type === "kernel.process.started") return begun(row, event, key);
    if (event.type === "kernel.process.stopped" || !("child" in event.data)) return row;
    const fact = event as ChildEvent;
    const next = stateAfter(fact, row.state);
    const now = next === undefined || row.state === next && row.since !== ""
      ? row
      : { ...row, state: next, since: event.time };
    switch (fact.type) {
      case "kernel.child.started":
        return { ...now, starts: row.starts + 1, kind: fact.data.kind };
      case "kernel.child.restarted":
        return { ...now, starts: row.starts + 1, restarts: row.restarts + 1, kind: fact.data.kind };
      case "kernel.child.crashed":
        return { ...now, crashes: row.crashes + 1, cause: fact.data.cause, crashed_at: event.time };
      case "kernel.child.gave_up":
        return { ...now, gave_up: row.gave_up + (key === fact.data.child ? 1 : 0), cause: fact.data.cause };
      case "kernel.child.abandoned":
        return { ...now, abandoned: row.abandoned + 1 };
      case "kernel.facts.suppressed":
        return { ...now, suppressed: row.suppressed + fact.data.count };
      case "kernel.child.stopped":
        return fact.data.cause === undefined ? now : { ...now, cause: fact.data.cause };
    }
  },
};

/** A process starts: its root runs, everything that is still open is from a run that ended without a word. */
const begun = (
  row: ChildrenRow,
  event: Extract<KernelEvent, { type: "kernel.process.started" }>,
  key: string,
): ChildrenRow =>
  key === event.data.root
    ? { ...row, state: "running", since: event.time, kind: "supervisor", starts: row.starts + 1 }
    : { ...row, state: "lost", since: event.time };

const NONE: readonly string[] = [];

const openAfter = (open: readonly string[], event: KernelEvent, read: Read<ChildrenRow>): readonly string[] => {
  if (event.type === "kernel.process.started") return [event.data.root];
  if (!("child" in event.data)) return open;
  return concerned(event as ChildEvent).reduce((open, child) => {
    const row = read(child);
    const after = stateAfter(event as ChildEvent, row?.state) ?? row?.state;
    const isNow = after !== undefined && isOpen({ state: after });
    if (open.includes(child) === isNow) return open;
    return isNow ? [...open, child] : open.filter((path) => path !== child);
  }, open);
};

const treeRow = z.strictObject({
  id: z.string(),
  /** Path of its supervisor; absent for the root. */
  parent: z.string().optional(),
  /** 0 for the root. */
  depth: count,
  kind: z.enum(["supervisor", "worker"]),
  /** Place among its siblings. */
  order: count,
  state,
  since: z.string(),
  restarts: count,
  cause: z.string().optional(),
  open: z.array(z.string()).optional(),
});
type TreeRow = z.output<typeof treeRow>;

export const healthTree: Projection<TreeRow, KernelFact> = {
  name: "health.tree",
  version: 2,
  about: "The supervision tree of the present run, or of the last: parents before children. Key: path.",
  hears,
  row: treeRow,
  initial: { id: "", depth: 0, kind: "worker", order: 0, state: "running", since: "", restarts: 0 },
  indexes: ["parent", "state", "depth"],
  keys(event, read) {
    // The root has no supervisor that would record its end.
    return event.type === "kernel.process.stopped" ? read(OPEN)?.open?.slice(0, 1) ?? [] : keysOf(event, read);
  },
  apply(row, event, key, read) {
    switch (event.type) {
      case "kernel.process.started":
        if (key === OPEN) return { ...row, open: [event.data.root] };
        return key === event.data.root
          ? { id: key, depth: 0, kind: "supervisor", order: 0, state: "running", since: event.time, restarts: 0 }
          : undefined;
      case "kernel.process.stopped":
        return { ...row, state: "stopped", since: event.time };
      case "kernel.child.started":
      case "kernel.child.restarted":
        if (key === OPEN) return read(event.data.child) ? row : { ...row, open: [...row.open ?? [], event.data.child] };
        return {
          ...row,
          ...place(key),
          kind: event.data.kind,
          order: event.data.order,
          state: "running",
          since: event.time,
          restarts: row.restarts + (event.type === "kernel.child.restarted" ? 1 : 0),
        };
      case "kernel.child.crashed":
      case "kernel.child.gave_up":
      case "kernel.child.stopped":
      case "kernel.child.abandoned": {
        // What was never started here is no part of the tree: an entity, or a child whose start was held back.
        if (key === OPEN || !read(key)) return key === OPEN ? row : undefined;
        const cause = "cause" in event.data ? event.data.cause : undefined;
        const next = { ...row, state: stateAfter(event, row.state)!, since: event.time };
        return cause === undefined ? next : { ...next, cause };
      }
      default:
        return row;
    }
  },
};

const place = (path: string): Pick<TreeRow, "id" | "parent" | "depth"> => {
  const at = path.lastIndexOf(":");
  const depth = path.split(":").length - 1;
  return at < 0 ? { id: path, depth } : { id: path.slice(at + 1), parent: path.slice(0, at), depth };
};

export const healthViews = [healthTree, healthChildren];
