/** Answers held against the OpenAPI document: told at all, of a media type that is told, with a problem that is told, in the shape that is told. */
import { z } from "zod";

export type Node = Record<string, unknown>;

export interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        parameters?: { name: string; in: string; schema: Node }[];
        responses: Record<string, { description: string; content?: Record<string, { schema?: Node }> }>;
      }
    >
  >;
  components: { schemas: Record<string, Node> };
}

/** A schema with its references filled in. */
export const whole = (document: Document, schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map((item) => whole(document, item));
  if (typeof schema !== "object" || schema === null) return schema;
  const reference = (schema as Node).$ref;
  if (typeof reference === "string") return whole(document, document.components.schemas[reference.split("/").at(-1)!]);
  // zod takes a URI reference for a URL, which a relative one is not.
  const members = Object.entries(schema).filter(([name, member]) => !(name === "format" && member === "uri-reference"));
  return Object.fromEntries(members.map(([name, member]) => [name, whole(document, member)]));
};

export interface Told {
  readonly method: string;
  /** Without a query. */
  readonly path: string;
  readonly status: number;
  readonly type: string | null;
  /** Parsed where it is JSON. */
  readonly body: unknown;
}

/** What comes before there is a route. */
const OF_NO_ROUTE = ["method_not_allowed", "target_too_long", "not_found", "invalid_path"];

/** Tells what of an answer the document does not; `undefined` where it is as told, or no route of the document answered. */
export const untoldBy = (document: Document): (told: Told) => string | undefined => {
  const templates = Object.keys(document.paths)
    .map((path) => ({ path, is: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{[a-z0-9]+\}/g, "[^/]+")}$`) }))
    // Names in their places go before what stands for any.
    .sort((a, b) => a.path.split("{").length - b.path.split("{").length);
  const schemas = new Map<string, z.ZodType>();
  const schemaOf = (key: string, schema: Node): z.ZodType => {
    const known = schemas.get(key) ?? z.fromJSONSchema(whole(document, schema) as z.core.JSONSchema.JSONSchema);
    schemas.set(key, known);
    return known;
  };
  return ({ method, path, status, type, body }) => {
    const template = templates.find(({ is }) => is.test(path))?.path ?? "";
    const operation = document.paths[template]?.[method.toLowerCase()];
    const code = String((body as { type?: unknown } | null)?.type ?? "").replace("urn:daybook:problem:", "");
    const isProblem = type === "application/problem+json";
    if (!operation || isProblem && OF_NO_ROUTE.includes(code)) return undefined;
    const said = `${method} ${template} answered ${status}`;
    const told = operation.responses[status] ?? operation.responses[`${String(status)[0]}XX`];
    if (!told) return `${said} ${isProblem ? code : ""}, which is not told`;
    if (type === null || !told.content) return type === null && !told.content ? undefined : `${said} with ${type}`;
    const media = type.split(";", 1)[0]!;
    const schema = told.content[media]?.schema;
    if (!schema) return `${said} with ${media}, which is not told`;
    const codes = /^Problem: (.*)$/.exec(told.description)?.[1]?.split(", ");
    if (isProblem && codes && !codes.includes(code)) return `${said} ${code}, which is not among ${codes}`;
    if (!media.endsWith("json")) return undefined;
    const parsed = schemaOf(`${template} ${method} ${status} ${media}`, schema).safeParse(body);
    return parsed.success ? undefined : `${said}: ${parsed.error.message}`;
  };
};
