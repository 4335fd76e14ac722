/** The schemas that the OpenAPI document names: events, facts, rows and the answers around them. */
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { LIMITS } from "../../events/log.ts";
import { base64, object, ref, type Schema, schemaOf, text, whole } from "./openapi_parts.ts";
import { PROBLEMS } from "./problem.ts";

const attributes = {
  specversion: { const: "1.0" },
  id: { type: "string", minLength: 1, maxLength: LIMITS.attribute_bytes_max },
  source: { type: "string", format: "uri-reference", minLength: 1, maxLength: LIMITS.attribute_bytes_max },
  type: { type: "string", minLength: 1 },
  subject: { type: "string", minLength: 1 },
  time: { type: "string", format: "date-time" },
  datacontenttype: text,
  dataschema: { type: "string", format: "uri" },
  data_base64: base64,
  causationid: text,
  correlationid: text,
  traceparent: text,
};

export const components = (daybook: Daybook): Record<string, Schema> => {
  const facts = daybook.catalogue.domains.flatMap((domain) => Object.entries(domain.facts));
  const observed = facts.filter(([, spec]) => spec.kind === "observed");
  return {
    Problem: object({
      type: { type: "string", enum: Object.keys(PROBLEMS).map((code) => `urn:daybook:problem:${code}`) },
      title: text,
      status: whole,
      detail: text,
      instance: text,
      errors: { type: "array", items: object({ path: text, message: text }) },
    }, ["type", "title", "status", "detail", "instance"]),
    IncomingEvent: {
      ...object({ ...attributes, data: {} }, ["specversion", "id", "source", "type"]),
      description: `Known observed types: ${
        observed.map(([type]) => type).join(", ") || "none"
      }. Unknown types are kept as sent.`,
      ...(observed.length > 0 && {
        allOf: observed.map(([type]) => ({
          if: { properties: { type: { const: type } } },
          then: { properties: { data: ref(`fact.${type}`) }, required: ["data"] },
        })),
      }),
    },
    Event: object({
      ...attributes,
      data: {},
      stream: text,
      revision: whole,
      position: whole,
      version: { type: "integer", minimum: 1 },
      recordedat: { type: "string", format: "date-time" },
      authtype: text,
      authid: text,
    }, [
      "specversion",
      "id",
      "source",
      "type",
      "time",
      "stream",
      "revision",
      "position",
      "version",
      "recordedat",
      "authtype",
      "authid",
    ]),
    Blob: object({ sha256: base64, bytes: whole }),
    Ingested: object({
      accepted: whole,
      duplicates: whole,
      size: whole,
      receipts: {
        type: "array",
        items: object({ id: text, source: text, stream: text, revision: whole, position: whole, leaf: base64 }),
      },
      checkpoint: text,
    }, ["accepted", "duplicates", "size"]),
    Accepted: object({
      stream: text,
      revision: { type: "integer", minimum: -1 },
      position: { type: "integer", minimum: -1 },
      facts: { type: "array", items: ref("Event") },
    }),
    ...Object.fromEntries(
      facts.map((
        [type, spec],
      ) => [`fact.${type}`, {
        ...schemaOf(spec.schema, "input"),
        description: spec.about,
        "x-kind": spec.kind,
        "x-version": spec.version ?? 1,
      }]),
    ),
    ...Object.fromEntries(
      [...daybook.projections, ...daybook.computed].map(({ name, row }) => [`row.${name}`, schemaOf(row, "output")]),
    ),
  };
};
