/**
 * The OpenAPI 3.1 document, made from what the server runs on: the route table, the zod schemas that validate queries,
 * facts and commands, and the rows of projections. Nothing in it is written twice.
 */
import { z } from "zod";
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { LIMITS } from "../../events/log.ts";
import type { Needs } from "./access.ts";
import { BATCH, STRUCTURED } from "./cloudevents.ts";
import { eventsQuery, followQuery } from "./events.ts";
import { PROBLEMS } from "./problem.ts";
import { type Exchange, jsonText, type Route } from "./route.ts";
import { listQuery, rowQuery } from "./views.ts";

type Schema = Readonly<Record<string, unknown>>;
type Operation = Readonly<Record<string, unknown>>;

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** A zod schema as JSON Schema 2020-12, which is OpenAPI 3.1's; our marks become extensions. */
const schemaOf = (schema: z.ZodType, io: "input" | "output"): Schema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      for (const mark of ["personal", "pseudonym"] as const) {
        if (!(mark in jsonSchema)) continue;
        const marked = jsonSchema as Record<string, unknown>;
        marked[`x-${mark}`] = marked[mark];
        delete marked[mark];
      }
    },
  });
  return rest;
};

/** Parameters of a query as its strict object schema has them. */
const queryOf = (schema: z.ZodObject): Operation[] =>
  Object.entries(schema.shape).map(([name, field]) => {
    const { description, ...rest } = schemaOf(field as z.ZodType, "input");
    return { name, in: "query", required: false, ...(description !== undefined && { description }), schema: rest };
  });

const content = (type: string, schema: Schema) => ({ [type]: { schema } });
const answers = (description: string, body: Record<string, unknown>, headers?: Record<string, unknown>) => ({
  description,
  content: body,
  ...(headers && { headers }),
});
const text = { type: "string" };
const whole = { type: "integer", minimum: 0 };
const base64 = { type: "string", contentEncoding: "base64" };

const object = (properties: Record<string, Schema>, required = Object.keys(properties)): Schema => ({
  type: "object",
  properties,
  required,
});

const header = (name: string, description: string, schema: Schema = text): Operation => ({
  name,
  in: "header",
  required: false,
  description,
  schema,
});
const inPath = (name: string, description: string, schema: Schema = text): Operation => ({
  name,
  in: "path",
  required: true,
  description,
  schema,
});

/** The problems of a route by status: those it names, and those that every route may answer. */
const problems = (needs: Needs, ...codes: readonly (keyof typeof PROBLEMS)[]): Record<string, unknown> => {
  const always = ["misdirected", "cross_origin", "too_many_requests", "deadline", "fault"] as const;
  const guarded = needs === "nothing" ? [] : (["unauthenticated", "forbidden"] as const);
  const byStatus = new Map<number, string[]>();
  for (const code of [...codes, ...guarded, ...always]) {
    const [status] = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].sort(([a], [b]) => a - b).map(([status, found]) => [
      String(status),
      answers(`Problem: ${[...new Set(found)].join(", ")}`, content("application/problem+json", ref("Problem"))),
    ]),
  );
};

const streamed = answers("Server-Sent Events; `id` is the position", content("text/event-stream", text));
const positionAndNext = {
  events: { type: "array", items: ref("Event") },
  size: whole,
  next: { type: "string", description: "The next page; absent on the last." },
};

/** What the table does not say of the standing routes: parameters, bodies, answers. */
const OPERATIONS: Readonly<Record<string, (needs: Needs, daybook: Daybook) => Operation>> = {
  "POST /events": (needs) => ({
    parameters: [
      header(
        "Prefer",
        "`return=minimal` leaves the receipts out; `checkpoint` waits for the signed checkpoint that covers the events.",
      ),
    ],
    requestBody: {
      required: true,
      description:
        "CloudEvents 1.0.2 in structured or batched mode; any other media type with `ce-` headers is binary mode.",
      content: {
        ...content(STRUCTURED, ref("IncomingEvent")),
        ...content(BATCH, { type: "array", maxItems: LIMITS.append_events_max, items: ref("IncomingEvent") }),
        "*/*": {},
      },
    },
    responses: {
      "200": answers("All were there already", content("application/json", ref("Ingested"))),
      "201": answers("Durable, ordered and linked into the chain", content("application/json", ref("Ingested")), {
        "Preference-Applied": { schema: text },
      }),
      ...problems(
        needs,
        "invalid_event",
        "server_attribute",
        "invalid_data",
        "number_not_representable",
        "decided_type",
        "id_conflict",
        "too_large",
        "unsupported_media_type",
        "slow_request",
        "overloaded",
        "unwritable",
      ),
    },
  }),
  "GET /events": (needs) => ({
    parameters: queryOf(eventsQuery),
    responses: {
      "200": answers("A page, or all as NDJSON", {
        ...content("application/json", object(positionAndNext, ["events", "size"])),
        ...content("application/x-ndjson", text),
      }),
      ...problems(needs, "invalid_query", "not_acceptable"),
    },
  }),
  "GET /events/{position}": (needs) => ({
    parameters: [inPath("position", "Place in the log, from 0.", whole)],
    responses: {
      "200": answers("The event, or the exact bytes of its entry", {
        ...content("application/json", ref("Event")),
        "application/octet-stream": {},
      }),
      ...problems(needs, "no_event", "not_acceptable"),
    },
  }),
  "GET /follow": (needs) => ({
    parameters: [
      ...queryOf(followQuery),
      header("Last-Event-ID", "Position of the last event taken; goes on after it.", whole),
    ],
    responses: { "200": streamed, ...problems(needs, "invalid_query", "invalid_header", "not_acceptable") },
  }),
  "GET /views": (needs) => ({
    responses: {
      "200": answers(
        "The views",
        content("application/json", object({ size: whole, views: { type: "array", items: { type: "object" } } })),
      ),
      ...problems(needs),
    },
  }),
  "GET /checkpoint": (needs) => ({
    responses: { "200": answers("A signed note", content("text/plain", text)), ...problems(needs, "no_checkpoint") },
  }),
  "GET /metrics": (needs) => ({
    responses: { "200": answers("Prometheus text format 0.0.4", content("text/plain", text)), ...problems(needs) },
  }),
  "GET /readyz": (needs) => ({
    responses: {
      "200": answers("Ready", content("application/json", object({ status: text }))),
      "503": answers("Not now", content("application/json", object({ status: text }))),
      ...omit(problems(needs), "503"),
    },
  }),
  "GET /": (needs) => ({
    responses: {
      "200": answers("The state of it all", {
        ...content("application/json", { type: "object" }),
        ...content("text/html", text),
      }),
      ...problems(needs, "not_acceptable"),
    },
  }),
  "GET /live": (needs) => ({ responses: { "200": streamed, ...problems(needs) } }),
  "POST /login": (needs) => ({
    requestBody: {
      required: true,
      content: content("application/x-www-form-urlencoded", object({ token: text, next: text }, ["token"])),
    },
    responses: {
      "303": { description: "Signed in" },
      "401": answers("A wrong token", content("text/html", text)),
      ...omit(problems(needs, "too_large", "unsupported_media_type"), "401"),
    },
  }),
  "POST /logout": (needs) => ({ responses: { "303": { description: "Signed out" }, ...problems(needs) } }),
};

const omit = <T extends object>(from: T, key: string): T =>
  Object.fromEntries(Object.entries(from).filter(([name]) => name !== key)) as T;

/** One path for each command, so that each shows its own data. */
const commandPaths = ({ actors }: Daybook, route: Route): Record<string, unknown> =>
  Object.fromEntries(
    actors.flatMap((actor) =>
      Object.entries(actor.commands).map(([type, schema]) => [`/commands/${type}/{id}`, {
        post: {
          ...standing(route, `ask ${type}`),
          tags: [actor.domain],
          summary: schema.description ?? `Ask ${actor.domain}/{id} for ${type}.`,
          parameters: [
            inPath("id", "The entity; its stream is the domain, a slash and this."),
            header("Idempotency-Key", "The same key with the same data returns the first accepted outcome."),
            header("If-Match", 'The revision the entity must be at, in quotes: `"17"`.'),
            header("If-None-Match", "`*`: the entity must have no events yet."),
          ],
          requestBody: { required: false, content: content("application/json", schemaOf(schema, "input")) },
          responses: {
            "200": answers("Accepted and durable", content("application/json", ref("Accepted")), {
              ETag: { schema: text },
            }),
            ...problems(
              route.needs,
              "invalid_data",
              "unknown_command",
              "rejected",
              "command_conflict",
              "revision_mismatch",
              "too_large",
              "unsupported_media_type",
              "overloaded",
              "unwritable",
            ),
          },
        },
      }])
    ),
  );

/** Two paths for each view, so that each shows its own fields and rows. */
const viewPaths = ({ projections }: Daybook, list: Route, one: Route): Record<string, unknown> =>
  Object.fromEntries(projections.flatMap(({ name, about, indexes = [] }) => {
    const fields = (indexes as readonly string[]).map((field) => ({
      name: field in listQuery.shape ? `where.${field}` : field,
      in: "query",
      required: false,
      description: "Rows whose field is this.",
      schema: text,
    }));
    const head = {
      name: text,
      version: whole,
      size: { ...whole, description: "The answer reflects exactly the first so many events." },
    };
    return [
      [`/views/${name}`, {
        get: {
          ...standing(list, `list ${name}`),
          tags: [name.split(".")[0]],
          summary: about,
          parameters: [...queryOf(listQuery), ...fields],
          responses: {
            "200": answers(
              "A page of rows",
              content(
                "application/json",
                object({
                  ...head,
                  rows: { type: "array", items: object({ key: text, row: ref(`row.${name}`), position: whole }) },
                  next: text,
                }, ["name", "version", "size", "rows"]),
              ),
            ),
            ...problems(list.needs, "invalid_query", "no_history", "view_behind"),
          },
        },
      }],
      [`/views/${name}/{key}`, {
        get: {
          ...standing(one, `get ${name}`),
          tags: [name.split(".")[0]],
          summary: about,
          parameters: [inPath("key", "Key of the row."), ...queryOf(rowQuery)],
          responses: {
            "200": answers(
              "The row",
              content("application/json", object({ ...head, key: text, row: ref(`row.${name}`), position: whole })),
            ),
            ...problems(one.needs, "invalid_query", "no_row", "no_history", "view_behind"),
          },
        },
      }],
    ] as const;
  }));

/** Where an operation is listed in `/docs`. */
const tagOf = (path: string): string => {
  if (/^\/(events|follow)/.test(path)) return "history";
  if (/^\/(checkpoint|tile|proofs)/.test(path)) return "proof";
  if (/^\/(views|commands)/.test(path)) return "views";
  return /^\/(login|logout|live|favicon.ico|docs.*|)$/.test(path) ? "pages" : "operations";
};

const operationId = (said: string): string =>
  said.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_|_$/g, "");
const standing = (route: Route, said: string): Operation => ({
  operationId: operationId(said),
  summary: route.about,
  tags: [tagOf(route.path)],
  security: route.needs === "nothing" ? [] : [{ bearer: [] }, { session: [] }],
  ...(route.needs !== "nothing" && { "x-scope": route.needs }),
});

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

const components = (daybook: Daybook): Record<string, Schema> => {
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
    ...Object.fromEntries(daybook.projections.map(({ name, row }) => [`row.${name}`, schemaOf(row, "output")])),
  };
};

const PER_COMMAND = "/commands/:type/:id{.+}";
const PER_VIEW = "/views/:name";
const PER_ROW = "/views/:name/:key{.+}";

/** The whole document, as plain data. */
export const openapi = (daybook: Daybook, routes: readonly Route[], version: string): Schema => {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.path === PER_COMMAND || route.path === PER_VIEW || route.path === PER_ROW) continue;
    const path = route.path.replaceAll(/:([a-z]+)(?:\{[^}]*\})?/g, "{$1}");
    const said = `${route.method} ${path}`;
    const operation = OPERATIONS[said]?.(route.needs, daybook) ?? route.openapi?.() ?? {
      parameters: [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => inPath(name!, name!)),
      responses: { "200": { description: "Done" }, ...problems(route.needs) },
    };
    (paths[path] ??= {})[route.method.toLowerCase()] = { ...standing(route, said), ...operation };
  }
  const perCommand = routes.find(({ path }) => path === PER_COMMAND);
  const perView = routes.find(({ path }) => path === PER_VIEW);
  const perRow = routes.find(({ path }) => path === PER_ROW);
  if (perCommand) Object.assign(paths, commandPaths(daybook, perCommand));
  if (perView && perRow) Object.assign(paths, viewPaths(daybook, perView, perRow));
  return {
    openapi: "3.1.0",
    info: {
      title: "Daybook",
      version,
      description: "One tamper-evident log, supervised actors, projections.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: components(daybook),
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: "daybook_session" },
      },
    },
  };
};

const made = new WeakMap<Daybook, string>();

export const openapiDocument = (exchange: Exchange): Response => {
  const { daybook, routes } = exchange.site;
  let document = made.get(daybook);
  if (document === undefined) made.set(daybook, document = JSON.stringify(openapi(daybook, routes, VERSION)));
  return jsonText(exchange, 200, document);
};

/** Of the interface, as semantic versioning has it: what is only added raises the second number. */
export const VERSION = "1.0.0";
