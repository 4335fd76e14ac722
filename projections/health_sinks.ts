/** How sinks have fared: whether each delivers now, since when, and how often it did not. */
import { z } from "zod";
import type { Event } from "../events/event.ts";
import type { KernelFact } from "../events/kernel.ts";
import type { Projection } from "./projection.ts";

type SinkEvent = Extract<Event<KernelFact>, { readonly data: { readonly sink: string } }>;

const count = z.int().nonnegative();

const sinkRow = z.strictObject({
  state: z.enum(["delivering", "failing"]),
  since: z.string(),
  /** Times that it failed, however many attempts each. */
  failures: count,
  /** All of them together, as far as they are over. */
  failed_ms: count,
  /** Of the last failure, one line. */
  cause: z.string().optional(),
  /** All before it was delivered, at the last of these facts. */
  size: count,
});
type SinkRow = z.output<typeof sinkRow>;

export const healthSinks: Projection<SinkRow, KernelFact> = {
  name: "health.sinks",
  version: 1,
  about: "Every sink: whether it delivers, since when, and how often it did not. Key: its name.",
  hears: ["kernel.sink.added", "kernel.sink.failed", "kernel.sink.recovered"],
  row: sinkRow,
  initial: { state: "delivering", since: "", failures: 0, failed_ms: 0, size: 0 },
  indexes: ["state", "failures"],
  keys: ({ data }) => "sink" in data ? [data.sink] : [],
  apply(row, event) {
    const { type, data, time } = event as SinkEvent;
    switch (type) {
      case "kernel.sink.added":
        return { ...row, since: time, size: data.from };
      case "kernel.sink.failed":
        return {
          ...row,
          state: "failing",
          since: time,
          failures: row.failures + 1,
          cause: data.cause,
          size: data.size,
        };
      case "kernel.sink.recovered": {
        // A clock that was set may make the times of its events as long as it likes.
        const failed_ms = Math.min(row.failed_ms + data.failed_ms, Number.MAX_SAFE_INTEGER);
        return { ...row, state: "delivering", since: time, failed_ms, size: data.size };
      }
    }
  },
};
