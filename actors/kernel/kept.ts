/** What is still here of a log whose beginning lies in an archive that is not attached. */
import type { Event, StreamId } from "../../events/event.ts";
import { type EventLog, LogFault } from "../../events/log.ts";

/** Revision of the first event that can be read; 0 where none was archived, the next one where all were. */
export const keptFrom = (log: Pick<EventLog, "head" | "read">, stream: StreamId): number => {
  let from = log.head(stream) + 1;
  try {
    for (const page of log.read({ stream, backward: true })) from = page.at(-1)!.revision;
  } catch (error) {
    if (!isArchived(error)) throw error;
  }
  return from;
};

/** Where reading can begin: 0, but of a log whose beginning lies in an archive that is not attached. */
export const readableFrom = (log: Pick<EventLog, "read">): number => {
  try {
    for (const _ of log.read({ limit: 1 })) break;
    return 0;
  } catch (error) {
    if (!isArchived(error)) throw error;
  }
  for (const [event] of log.read({ types: ["kernel.log.archived"], backward: true, limit: 1 })) {
    return (event!.data as { readonly until: number }).until;
  }
  return 0;
};

/** The first event that can be read; absent where there is none. */
export const firstReadable = (log: Pick<EventLog, "read">): Event | undefined => {
  for (const [first] of log.read({ from: readableFrom(log), limit: 1 })) return first;
  return undefined;
};

/** Whether the log has an event of this source and id, be it in an archive that is not attached. */
export const isRecorded = (log: Pick<EventLog, "find">, { source, id }: Pick<Event, "source" | "id">): boolean => {
  try {
    return log.find(source, id) !== undefined;
  } catch (error) {
    if (!isArchived(error)) throw error;
    return true;
  }
};

export const isArchived = (error: unknown): error is LogFault => error instanceof LogFault && error.kind === "archived";
