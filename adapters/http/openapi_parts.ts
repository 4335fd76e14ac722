/** The pieces that an OpenAPI 3.1 document is made of: schemas, parameters, answers, problems. */
import { z } from "zod";
import type { Needs } from "./access.ts";
import { type ProblemCode, PROBLEMS } from "./problem.ts";

export type Schema = Readonly<Record<string, unknown>>;
export type Operation = Readonly<Record<string, unknown>>;

export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** A zod schema as JSON Schema 2020-12, which is OpenAPI 3.1's; our marks become extensions. */
export const schemaOf = (schema: z.ZodType, io: "input" | "output"): Schema => {
  const { $schema: _, $defs, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      for (const mark of ["personal", "pseudonym", "blob"] as const) {
        if (!(mark in jsonSchema)) continue;
        const marked = jsonSchema as Record<string, unknown>;
        marked[`x-${mark}`] = marked[mark];
        delete marked[mark];
      }
    },
  });
  // A definition of its own would be looked for at the top of the whole document; what refers to itself, such as JSON in JSON, is any value.
  return $defs ? withoutDefinitions(rest) as Schema : rest;
};

const withoutDefinitions = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(withoutDefinitions);
  if (typeof node !== "object" || node === null) return node;
  if (String((node as { $ref?: unknown }).$ref).startsWith("#/$defs/")) return {};
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, withoutDefinitions(value)]));
};

/** Parameters of a query as its strict object schema has them. */
export const queryOf = (schema: z.ZodObject): Operation[] =>
  Object.entries(schema.shape).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field as z.ZodType, "input");
    return { name, in: "query", required: false, ...(description !== undefined && { description }), schema: rest };
  });

export const content = (type: string, schema: Schema) => ({ [type]: { schema } });
export const answers = (description: string, body: Record<string, unknown>, headers?: Record<string, unknown>) => ({
  description,
  content: body,
  ...(headers && { headers }),
});
export const text = { type: "string" };
/** A page for people. */
export const html = content("text/html", text);
export const whole = { type: "integer", minimum: 0 };
export const base64 = { type: "string", contentEncoding: "base64" };

export const object = (properties: Record<string, Schema>, required = Object.keys(properties)): Schema => ({
  type: "object",
  properties,
  required,
});

export const header = (name: string, description: string, schema: Schema = text): Operation => ({
  name,
  in: "header",
  required: false,
  description,
  schema,
});
export const inPath = (name: string, description: string, schema: Schema = text): Operation => ({
  name,
  in: "path",
  required: true,
  description,
  schema,
});

const ALWAYS = [
  "invalid_header",
  "misdirected",
  "cross_origin",
  "address_refused",
  "too_many_requests",
  "deadline",
  "fault",
] as const;
/** What is wrong with a body, or with what it says, comes in many ways. */
const KINDS: Readonly<Partial<Record<ProblemCode, readonly ProblemCode[]>>> = {
  malformed_json: ["invalid_utf8", "number_not_representable", "duplicate_key", "lone_surrogate", "too_deep"],
};

/** draft-ietf-httpapi-ratelimit-headers-10. */
const TOO_MANY_HEADERS = {
  "Retry-After": { description: "Seconds until there is more.", schema: whole },
  "RateLimit-Policy": { description: "The limit that was met: its name, how many, in how many seconds.", schema: text },
  RateLimit: { description: "What is left of it, and seconds until there is more.", schema: text },
};

/** The problems of a route by status: those it names, and those that every route may answer. */
export const problems = (needs: Needs, ...named: readonly ProblemCode[]): Record<string, unknown> => {
  // Whoever has a session is known by the log's end, which is not known where a disk has failed.
  const guarded = needs === "nothing" ? [] : (["unauthenticated", "forbidden", "unwritable"] as const);
  const codes = named.flatMap((code) => [code, ...KINDS[code] ?? []]);
  const byStatus = new Map<number, string[]>();
  for (const code of [...codes, ...guarded, ...ALWAYS]) {
    const [status] = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].sort(([a], [b]) => a - b).map(([status, found]) => [
      String(status),
      answers(
        `Problem: ${[...new Set(found)].join(", ")}`,
        content("application/problem+json", ref("Problem")),
        status === 429 ? TOO_MANY_HEADERS : undefined,
      ),
    ]),
  );
};

export const omit = <T extends object>(from: T, key: string): T =>
  Object.fromEntries(Object.entries(from).filter(([name]) => name !== key)) as T;
