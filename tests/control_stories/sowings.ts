/** For each shipped control an ordinary life with near misses, and the ways in which it is broken. */
import type { Event } from "../../events/event.ts";
import { DAY, ENDS, HOUR, type Sowing } from "../controls_given.ts";
import { ACCOUNTS } from "./accounts.ts";
import { KEYS_AND_PRIVACY } from "./keys_and_privacy.ts";
import { OPERATIONS } from "./operations.ts";
import { RELEASES } from "./releases.ts";

export const SOWINGS: Readonly<Record<string, Sowing>> = {
  ...ACCOUNTS,
  ...KEYS_AND_PRIVACY,
  ...RELEASES,
  ...OPERATIONS,
};

/** Rules about what does not come are broken by leaving it out. */
export const LEFT_OUT: Readonly<Record<string, (event: Event) => boolean>> = {
  "log-verified-daily": ({ type, recordedat }) =>
    type === "kernel.log.verified" && Math.abs(Date.parse(recordedat) - (ENDS - 15 * DAY)) < 13 * HOUR,
  "views-attested": ({ type, recordedat }) =>
    type === "kernel.projection.attested" && Math.abs(Date.parse(recordedat) - (ENDS - 15 * DAY)) < 4.5 * DAY,
};

/** What breaks another rule as well, for who breaks the one cannot but break the other. */
export const ALSO: Readonly<Record<string, readonly string[]>> = {
  "erasure-within-45-days": ["erasure-within-30-days"],
};
