/** The events that the log tells of itself. */
import type { Millis } from "../../events/event.ts";
import type { NewEvent } from "../../events/log.ts";
import { instant } from "./instant.ts";

/** The id by which it is known again when it is appended another time, and when it was. */
export interface KernelEvent
  extends
    Pick<NewEvent, "id" | "stream">,
    Partial<Pick<NewEvent, "timeGiven" | "authtype" | "authid" | "causationid" | "correlationid">> {
  readonly at: Millis;
}

/** A fact of the source `kernel`, on nobody's behalf but the kernel's unless `event` says so. */
export const kernelEvent = (
  { type, data }: { readonly type: string; readonly data: unknown },
  { at, ...event }: KernelEvent,
): NewEvent => ({
  source: "kernel",
  type,
  time: instant(at),
  version: 1,
  authtype: "system",
  authid: "kernel",
  ...event,
  data,
});
