/** Stacks of other names whose services may still run from a folder: nobody watches them, for a server runs one stack. */
import { isLive, NOTHING } from "../../../actors/services/state.ts";
import { services } from "../../../actors/services/stack.ts";
import type { Event } from "../../../events/event.ts";
import type { EventLog } from "../../../events/log.ts";
import type { ServiceFact } from "../../../events/services.ts";

export interface Unwatched {
  readonly stack: string;
  /** Those that may have a process. */
  readonly services: readonly string[];
}

/** `name`: of the stack that is run; undefined where none is. */
export const unwatchedIn = (log: Pick<EventLog, "read">, name: string | undefined): readonly Unwatched[] => {
  const streams = new Set<Event["stream"]>();
  for (const page of log.read({ types: ["services.stack.applied"] })) {
    for (const { stream } of page) streams.add(stream);
  }
  if (name !== undefined) streams.delete(`services/${name}`);
  return [...streams].flatMap((stream) => {
    let stack = NOTHING;
    for (const page of log.read({ stream })) {
      for (const event of page) {
        if (services.facts.includes(event.type as ServiceFact["type"])) {
          stack = services.evolve(stack, event as Event<ServiceFact>);
        }
      }
    }
    const live = Object.entries(stack.services).filter(([, { lives }]) => lives.some(isLive)).map(([service]) =>
      service
    );
    return live.length > 0 ? [{ stack: stream.slice(stream.indexOf("/") + 1), services: live }] : [];
  });
};

export const unwatchedText = ({ stack, services }: Unwatched): string =>
  `services of the stack "${stack}" may still run from this folder (${services.join(", ")})`;
