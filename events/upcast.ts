/** Recorded shapes are never edited: whoever reads raises old ones to those that the catalogue has now. */
import type { Catalogue } from "./catalogue.ts";
import type { Event, FactType, Json } from "./event.ts";
import { LogFault } from "./log.ts";

/**
 * Old shapes to the present ones; one event may become several of the same position. Throws `LogFault` `newer` for a shape newer than the
 * catalogue knows, which stops the reader.
 */
export const raised = (catalogue: Pick<Catalogue, "spec">, events: readonly Event[]): readonly Event[] => {
  let changed: Event[] | undefined;
  for (let i = 0; i < events.length; i++) {
    const event = events[i]!;
    const spec = catalogue.spec(event.type);
    const version = spec?.version ?? 1;
    if (spec !== undefined && event.version > version) {
      throw new LogFault(
        "newer",
        `position ${event.position}: "${event.type}" has version ${event.version}, this program knows ${version}`,
      );
    }
    if (spec !== undefined && event.version < version) {
      changed ??= events.slice(0, i);
      changed.push(...raise(event, spec.upcasts ?? [], version));
    } else changed?.push(event);
  }
  return changed ?? events;
};

const raise = (
  event: Event,
  upcasts: readonly ((data: Json) => readonly { readonly type: FactType; readonly data: Json }[])[],
  version: number,
): Event[] => {
  let shapes: readonly { readonly type: FactType; readonly data: Json }[] = [{
    type: event.type,
    data: event.data as Json,
  }];
  for (let v = event.version; v < version; v++) {
    const upcast = upcasts[v - 1];
    if (!upcast) {
      throw new LogFault("newer", `position ${event.position}: no upcast leads from version ${v} of "${event.type}"`);
    }
    shapes = shapes.flatMap(({ data }) => upcast(data));
    const other = shapes.find(({ type }) => type !== event.type);
    // Who asks by type would never see it: the index knows what was recorded.
    if (other) throw new LogFault("invalid", `the upcast of "${event.type}" from version ${v} gives "${other.type}"`);
  }
  return shapes.map((shape) => ({ ...event, ...shape, version }));
};
