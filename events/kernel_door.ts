/**
 * What the way in tells of itself: whose limit was crossed, which address was refused, how many connections there were. Each is bounded:
 * of a row of refusals the first alone, of connections one fact for many. Stream: `kernel/door`.
 */
import { z } from "zod";
import type { Facts, FactSchemas } from "./event.ts";
import { personal, pseudonym } from "./personal.ts";

const count = z.int().nonnegative();
const time = z.iso.datetime({ offset: true });
const slug = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, "lower-case letters, digits and _");

export const doorFacts = {
  /** More than `max` within `window_ms`; the first refusal after a window without one. */
  "kernel.limit.crossed": z.strictObject({
    limit: slug,
    max: count,
    window_ms: count,
    /** Of a limit on accounts or tokens: which. */
    principal: z.string().min(1).max(100).optional(),
    address: personal({ subject: "address" }).optional(),
    address_pseudonym: pseudonym({ of: "address" }),
    name: personal({ subject: "name" }).optional(),
    name_pseudonym: pseudonym({ of: "name" }),
    /** Crossings since the fact before that were too many to be told one by one. */
    untold: count.optional(),
  }),
  /** Nothing was answered but the refusal. `rule`: the list that lacks it, or the threat it is blocked for. */
  "kernel.address.refused": z.strictObject({
    rule: z.string().min(1).max(100),
    address: personal({ subject: "address" }),
    address_pseudonym: pseudonym({ of: "address" }),
  }),
  /** New connections since the fact before. */
  "kernel.connection.counted": z.strictObject({
    from: time,
    until: time,
    connections: count,
    /** Of so many addresses. */
    addresses: count,
    /** Requests that were refused for their address. */
    refused: count,
  }),
  /** A tenant has used up what it may; the first refusal after a window without one. */
  "kernel.quota.reached": z.strictObject({ tenant: z.string().min(1).max(64), quota: slug, max: count }),
} satisfies FactSchemas;

export type DoorFact = Facts<typeof doorFacts>;

export const doorAbout: Readonly<Record<keyof typeof doorFacts, string>> = {
  "kernel.limit.crossed": "Somebody asked more often than they may.",
  "kernel.address.refused": "A request was refused for where it came from.",
  "kernel.connection.counted": "Connections were made; how many, of how many addresses.",
  "kernel.quota.reached": "A tenant asked for more than its quota.",
};
