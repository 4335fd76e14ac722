/** How each control stands, as it was found when it last turned; what it declined, and which exception was granted. */
import { z } from "zod";
import type { ControlFact } from "../events/controls.ts";
import type { Event } from "../events/event.ts";
import type { ControlKernelFact } from "../events/kernel_controls.ts";
import type { Projection } from "./projection.ts";

const count = z.int().nonnegative();

const row = z.strictObject({
  title: z.string(),
  status: z.enum(["pass", "fail", "not_applicable", "no_evidence", "stale", "excepted"]),
  mode: z.enum(["watch", "enforce"]),
  because: z.string(),
  /** When it became so. */
  since: z.string(),
  until: z.string().optional(),
  by: z.string().optional(),
  considered: count,
  violations: count,
  newest: count.optional(),
  /** As `SOC 2 CC6.1`. */
  frameworks: z.array(z.string()),
  /** Whether it declines what it guards. */
  enforced: z.boolean(),
  /** What it declined so far. */
  declined: count,
  exception: z.strictObject({ until: z.string(), by: z.string(), why: z.string(), approvedby: z.string().optional() })
    .optional(),
});
type StatusRow = z.output<typeof row>;

type Told = Event<Extract<ControlKernelFact, { type: `kernel.${"control" | "action"}.${string}` }> | ControlFact>;

/** The control that an event is about; those of a turn are several. */
const keysOf = (event: Told): readonly string[] => {
  switch (event.type) {
    case "kernel.control.turned":
      return event.data.changes.map(({ control }) => control);
    case "controls.exception.granted":
    case "controls.exception.ended":
      return [event.stream.slice("controls/".length)];
    default:
      return [event.data.control];
  }
};

export const controlsStatus: Projection<StatusRow, Told> = {
  name: "controls.status",
  version: 2,
  about: "How each control stands, since when and why; what it declined. Key: the control.",
  hears: [
    "kernel.control.turned",
    "kernel.control.enforced",
    "kernel.control.relaxed",
    "kernel.control.dropped",
    "kernel.action.declined",
    "controls.exception.granted",
    "controls.exception.ended",
  ],
  row,
  initial: {
    title: "",
    status: "no_evidence",
    mode: "watch",
    because: "It was not evaluated yet",
    since: "",
    considered: 0,
    violations: 0,
    frameworks: [],
    enforced: false,
    declined: 0,
  },
  indexes: ["status", "mode", "declined"],
  columns: ["status", "mode", "since", "because"],
  keys: keysOf,
  apply(row, event, key) {
    switch (event.type) {
      case "kernel.control.turned": {
        // One name twice is nothing we write; the last counts.
        const { control: _, from, frameworks, until, by, newest, ...rest } = event.data.changes.findLast((
          { control },
        ) => control === key)!;
        const { until: ___, by: ____, newest: _____, ...kept } = row;
        return {
          ...kept,
          ...rest,
          // Told again with the same status, it is so since then, and was only counted further.
          since: from === rest.status && row.status === rest.status ? row.since : event.data.at,
          frameworks: frameworks.map(({ name, ref }) => `${name} ${ref}`),
          ...(until === undefined ? {} : { until }),
          ...(by === undefined ? {} : { by }),
          ...(newest === undefined ? {} : { newest }),
        };
      }
      case "kernel.control.enforced":
        return { ...row, enforced: true };
      case "kernel.control.relaxed":
        return { ...row, enforced: false };
      case "kernel.control.dropped":
        return undefined;
      case "kernel.action.declined":
        return { ...row, declined: row.declined + 1 };
      case "controls.exception.granted": {
        const { until, why, approvedby } = event.data;
        const exception = { until, why, by: event.authid, ...(approvedby === undefined ? {} : { approvedby }) };
        return { ...row, exception };
      }
      case "controls.exception.ended": {
        const { exception: _, ...rest } = row;
        return rest;
      }
    }
  },
};
