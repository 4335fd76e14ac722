/** Recorded shapes are never edited: whoever reads raises old ones to those that the catalogue has now. */
import { atOnce } from "./at_once.ts";
import type { Catalogue, Upcast } from "./catalogue.ts";
import type { Event, Json } from "./event.ts";
import { LogFault } from "./log.ts";

/**
 * Old shapes to the present ones; one event may become several of the same position. Throws `LogFault` `newer` for a shape newer than the
 * catalogue knows, and `invalid` where an upcast gives no shape of the type, which stops the reader.
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

/** Whether reading failed at what was recorded: nothing comes of trying again, but of another program. */
export const isOfShape = (error: unknown): error is LogFault =>
  error instanceof LogFault && (error.kind === "newer" || error.kind === "invalid");

const raise = (event: Event, upcasts: readonly Upcast[], version: number): Event[] => {
  // A copy: what is read is kept for those who read it next, and an upcast may well delete what it renames.
  const data = event.data === undefined ? undefined : JSON.parse(JSON.stringify(event.data));
  let shapes: ReturnType<Upcast> = [{ type: event.type, data }];
  for (let v = event.version; v < version; v++) {
    const upcast = upcasts[v - 1];
    if (!upcast) {
      throw new LogFault("newer", `position ${event.position}: no upcast leads from version ${v} of "${event.type}"`);
    }
    const who = `position ${event.position}: the upcast of "${event.type}" from version ${v}`;
    shapes = shapes.flatMap(({ data }) => upcastBy(upcast, data, who));
    const other = shapes.find(({ type }) => type !== event.type);
    // Who asks by type would never see it: the index knows what was recorded.
    if (other) throw new LogFault("invalid", `${who} gives "${other.type}"`);
  }
  return shapes.map((shape) => ({ ...event, ...shape, version }));
};

/** `who` it is, as an error begins. */
const upcastBy = (upcast: Upcast, data: Json, who: string): ReturnType<Upcast> => {
  let shapes: ReturnType<Upcast>;
  try {
    shapes = atOnce(upcast(data), "it");
  } catch (cause) {
    throw new LogFault("invalid", `${who} failed: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  // Without one the stream would have a gap, for which entities and views wait.
  if (Array.isArray(shapes) && shapes.length > 0 && shapes.every((shape) => typeof shape?.type === "string")) {
    return shapes;
  }
  throw new LogFault("invalid", `${who} gives no shape`);
};
