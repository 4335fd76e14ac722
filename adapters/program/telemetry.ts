/** Whether there is telemetry, and what it is told of an opened daybook beside spans: numbers that are there to be read. */
import type { Daybook, HealthNode } from "../../actors/kernel/daybook.ts";
import type { Entities } from "../../actors/kernel/entities.ts";
import { exporting } from "../process/end.ts";
import type { Observed, PlatformTelemetry } from "../system/telemetry.ts";
import { VERSION } from "./version.ts";

/** The platform's telemetry, or nothing where it is off, and then nothing of it is loaded: asked once, when a thread starts. */
export const telemetryOf = async (): Promise<PlatformTelemetry | undefined> =>
  exporting() ? (await import("../system/telemetry.ts")).platformTelemetry(VERSION) : undefined;

export const observedOf = (
  { daybook, entities }: { readonly daybook: Daybook; readonly entities: Pick<Entities, "depth"> },
): readonly Observed[] => [
  {
    name: "daybook.mailbox.depth",
    unit: "{message}",
    description: "Messages that wait, over all entities.",
    kind: "gauge",
    read: () => [{ attributes: {}, value: entities.depth }],
  },
  {
    name: "daybook.projection.lag",
    unit: "{event}",
    description: "Events that the log has and the view has not.",
    kind: "gauge",
    read: () =>
      daybook.status().projections.map(({ name, lag }) => ({ attributes: { "daybook.projection": name }, value: lag })),
  },
  {
    name: "daybook.restarts",
    unit: "{restart}",
    description: "Restarts of supervised children since the start.",
    kind: "counter",
    read: () => [{ attributes: {}, value: restartsOf(daybook.status().health) }],
  },
];

const restartsOf = ({ restarts, children = [] }: HealthNode): number =>
  children.reduce((sum, child) => sum + restartsOf(child), restarts);
