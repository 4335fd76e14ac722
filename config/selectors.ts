/** How events are chosen in YAML, for controls and for alerts: fields, what must be true of them, and spans of time. */
import { z } from "zod";

export const LIST_MAX = 50;

export const list = <T extends z.ZodType>(one: T) => z.array(one).min(1).max(LIST_MAX);
export const said = (pattern: RegExp, expected: string) => z.string().regex(pattern).meta({ expected });

export const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `30s`, `15m`, `24h`, `90d`: milliseconds. */
export const span = said(/^[1-9]\d{0,5}[smhd]$/, "a span of time: 30s, 15m, 24h or 90d")
  .transform((text) => Number(text.slice(0, -1)) * UNITS[text.at(-1) as keyof typeof UNITS]);

const HEADER = "id|source|type|time|subject|stream|recordedat|authtype|authid|causationid|correlationid|sequence";
export const field = said(
  new RegExp(`^(?:data(?:\\.[A-Za-z_][A-Za-z0-9_]*)+|${HEADER})$`),
  "a field as it stands in the event's JSON, such as data.account or authid",
).max(200);
const type = said(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2,}$/, "a type of events, such as identity.role.granted").max(
  200,
);
export const types = z.union([type.transform((one) => [one]), list(type)]);
const scalar = z.union([z.string().max(500), z.number(), z.boolean(), z.null()]);
export const many = z.int().min(0).max(10_000);

const test = z.strictObject({
  is: scalar.optional(),
  is_not: scalar.optional(),
  any_of: list(scalar).optional(),
  none_of: list(scalar).optional(),
  present: z.boolean().optional(),
  at_least: z.number().optional(),
  at_most: z.number().optional(),
  starts_with: z.string().min(1).max(500).optional(),
  includes: scalar.optional(),
  includes_any_of: list(scalar).optional(),
  different_at_least: many.optional(),
  other_than: list(field).optional(),
  same_as: field.optional(),
  before_by_at_least: span.optional(),
  after_by_at_most: span.optional(),
}).refine((test) => Object.keys(test).length > 0, "what the field must be, such as { present: true }");

/** A plain value means that it is that one. */
export const where = z.record(field, z.union([scalar.transform((is) => ({ is })), test]));

export const selector = z.strictObject({ type: types, where: where.optional() });
