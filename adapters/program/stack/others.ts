/** Stacks of other names whose services may still run from a folder: nobody watches them, for a server runs one stack. */
import type { Entities } from "../../../actors/kernel/entities.ts";
import { readableFrom } from "../../../actors/kernel/kept.ts";
import { isLive, type Stack } from "../../../actors/services/state.ts";
import type { Event } from "../../../events/event.ts";
import type { EventLog } from "../../../events/log.ts";

export interface Unwatched {
  readonly stack: string;
  /** Those that may have a process. */
  readonly services: readonly string[];
}

/** `name`: of the stack that is run; undefined where none is. One that was applied in what was archived last is not known of. */
export const unwatchedIn = (
  { log, entities }: { readonly log: Pick<EventLog, "read">; readonly entities: Pick<Entities, "look"> },
  name: string | undefined,
): readonly Unwatched[] => {
  const streams = new Set<Event["stream"]>();
  for (const page of log.read({ types: ["services.stack.applied"], from: readableFrom(log) })) {
    for (const { stream } of page) streams.add(stream);
  }
  if (name !== undefined) streams.delete(`services/${name}`);
  return [...streams].flatMap((stream) => {
    const stack = entities.look(stream).state as Stack;
    const live = Object.entries(stack.services).filter(([, { lives }]) => lives.some(isLive)).map(([service]) =>
      service
    );
    return live.length > 0 ? [{ stack: stream.slice(stream.indexOf("/") + 1), services: live }] : [];
  });
};

export const unwatchedText = ({ stack, services }: Unwatched): string =>
  `services of the stack "${stack}" may still run from this folder (${services.join(", ")})`;
