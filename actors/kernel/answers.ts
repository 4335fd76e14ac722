/** What a command came to, told from the log. */
import type { Event, StreamId } from "../../events/event.ts";
import type { EventLog, NewEvent, Receipt } from "../../events/log.ts";
import { LIMITS } from "../../events/log.ts";
import type { Outcome } from "./daybook.ts";
import type { Message } from "./message.ts";
import { accepted } from "./message.ts";

/** The facts a caller hears of are the domain's; what the kernel recorded beside them is its own. */
const isDomain = ({ type }: Event): boolean => !type.startsWith("kernel.");

/** The first outcome of a command that comes again; `first` is the event that has its id. */
export const answeredBefore = (
  log: EventLog,
  stream: StreamId,
  first: Event,
  { key, digest }: Message,
  revision: number,
): Outcome => {
  if ((first as { commanddigest?: unknown }).commanddigest !== digest || first.stream !== stream) {
    return { is: "conflict", reason: "command_id", revision };
  }
  const own: Event[] = [];
  reading: for (const page of log.read({ stream, revision: first.revision, limit: LIMITS.append_events_max })) {
    for (const event of page) {
      // Ids of commands may hold slashes: only the last one stands before the index.
      if (event.id.slice(0, event.id.lastIndexOf("/")) !== key) break reading;
      own.push(event);
    }
  }
  return accepted(stream, own.at(-1) ?? first, () => own.filter(isDomain), true);
};

/** The recorded events of one command, put together without a read where the log said when it recorded them. */
export const recordedFacts = (
  log: EventLog,
  appended: readonly (readonly [NewEvent, Receipt])[],
  recordedat: string | undefined,
): readonly Event[] => {
  if (recordedat === undefined) {
    return appended.flatMap(([{ source, id }]) => log.find(source, id) ?? []).filter(isDomain);
  }
  return appended.map(([{ extensions, timeGiven: _, ...event }, { revision, position }]) =>
    ({ ...extensions, ...event, specversion: "1.0", revision, position, recordedat }) as Event
  ).filter(isDomain);
};
