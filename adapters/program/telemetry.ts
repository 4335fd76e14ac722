/** What the platform's exporter is told of an opened daybook beside spans: numbers that are there to be read. */
import type { Daybook, HealthNode } from "../../actors/kernel/daybook.ts";
import type { Entities } from "../../actors/kernel/entities.ts";
import type { Observed } from "../system/telemetry.ts";

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
