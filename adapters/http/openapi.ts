/**
 * The OpenAPI 3.1 document, made from what the server runs on: the route table, the zod schemas that validate queries,
 * facts and commands, and the rows of projections. Nothing in it is written twice.
 */
import type { Daybook } from "../../actors/kernel/daybook.ts";
import { actionOf } from "./commands.ts";
import { type Action, ACTIONS } from "./actions.ts";
import { components } from "./openapi_components.ts";
import { OPERATIONS } from "./openapi_operations.ts";
import {
  answers,
  base64,
  content,
  header,
  html,
  inPath,
  object,
  type Operation,
  problems,
  queryOf,
  ref,
  type Schema,
  schemaOf,
  text,
  whole,
} from "./openapi_parts.ts";
import { type Exchange, jsonText, type Route, signsIn } from "./route.ts";
import { listQuery, rowQuery } from "./views.ts";

/** One path for each command, so that each shows its own data. */
const commandPaths = ({ actors }: Daybook, route: Route): Record<string, unknown> =>
  Object.fromEntries(
    actors.flatMap((actor) =>
      Object.entries(actor.commands).map(([type, schema]) => [`/commands/${type}/{id}`, {
        post: {
          ...standing({ ...route, action: actionOf(type) }, `ask ${type}`),
          tags: [actor.domain],
          summary: schema.description ?? `Ask ${actor.domain}/{id} for ${type}.`,
          parameters: [
            inPath("id", "The entity; its stream is the domain, a slash and this."),
            header(
              "Idempotency-Key",
              "The same key with the same data, If-Match and If-None-Match returns the first accepted outcome. Beyond visible ASCII: a Display String (RFC 9651).",
            ),
            header("If-Match", 'The revision the entity must be at, in quotes: `"17"`.'),
            header("If-None-Match", "`*`: the entity must have no events yet."),
            header("ce-causationid", "Id of the event that made the caller ask; kept with the facts."),
            header("ce-correlationid", "What piece of work they belong to; kept with the facts."),
          ],
          requestBody: { required: false, content: content("application/json", schemaOf(schema, "input")) },
          responses: withDoor({
            "200": answers("Accepted and durable", content("application/json", ref("Accepted")), {
              ETag: { schema: text },
              "Idempotent-Replayed": { description: "`true` where the same key was accepted before.", schema: text },
            }),
            ...problems(
              ACTIONS[actionOf(type)],
              "malformed_json",
              "invalid_data",
              "unknown_command",
              "rejected",
              "control_failed",
              "command_conflict",
              "revision_mismatch",
              "too_large",
              "unsupported_media_type",
              "overloaded",
              "unwritable",
            ),
          } as Responses, route),
        },
      }])
    ),
  );

/** Two paths for each view, so that each shows its own fields and rows. */
const viewPaths = ({ projections, computed }: Daybook, list: Route, one: Route): Record<string, unknown> =>
  Object.fromEntries(
    [...projections.map((each) => ({ ...each, asks: [], action: undefined })), ...computed].flatMap((view) => {
      const { name, about, indexes = [] } = view;
      const asks: readonly string[] = view.asks;
      // What a computed view tells is wanted beside what views want.
      const action = (view.action ?? list.action) as Action;
      const fields = (indexes as readonly string[]).map((field) => ({
        name: field in listQuery.shape ? `where.${field}` : field,
        in: "query",
        required: asks.includes(field),
        description: "Rows whose field is this.",
        schema: text,
      }));
      const head = {
        name: text,
        version: whole,
        size: { ...whole, description: "The answer reflects exactly the first so many events." },
        checkpoint: {
          description:
            "The newest checkpoint, where it covers the answer: its events can be proven to be in that tree.",
          oneOf: [object({ size: whole, root: base64, note: text }), { type: "null" }],
        },
      };
      const prefer = header(
        "Prefer",
        "`checkpoint` waits for a signed checkpoint that covers the answer, and the answer then says that it did.",
      );
      const applied = { "Preference-Applied": { schema: text } };
      return [
        [`/views/${name}`, {
          get: {
            ...standing({ ...list, action }, `list ${name}`),
            tags: [name.split(".")[0]],
            summary: about,
            parameters: [...queryOf(listQuery), ...fields, prefer],
            responses: withDoor({
              "200": answers(
                "A page of rows",
                {
                  ...content(
                    "application/json",
                    object({
                      ...head,
                      rows: { type: "array", items: object({ key: text, row: ref(`row.${name}`), position: whole }) },
                      next: text,
                    }, ["name", "version", "size", "rows", "checkpoint"]),
                  ),
                  ...html,
                },
                applied,
              ),
              ...problems(ACTIONS[action], "invalid_query", "no_history", "view_behind", "views_unavailable"),
            } as Responses, list),
          },
        }],
        [`/views/${name}/{key}`, {
          get: {
            ...standing({ ...one, action }, `get ${name}`),
            tags: [name.split(".")[0]],
            summary: about,
            parameters: [inPath("key", "Key of the row."), ...queryOf(rowQuery), prefer],
            responses: withDoor({
              "200": answers(
                "The row",
                {
                  ...content(
                    "application/json",
                    object({ ...head, key: text, row: ref(`row.${name}`), position: whole }),
                  ),
                  ...html,
                },
                applied,
              ),
              ...problems(
                ACTIONS[action],
                "invalid_query",
                "no_row",
                "no_history",
                "view_behind",
                "views_unavailable",
              ),
            } as Responses, one),
          },
        }],
      ] as const;
    }),
  );

/** Where an operation is listed in `/docs`. */
const tagOf = (path: string): string => {
  if (/^\/(events|follow)/.test(path)) return "history";
  if (/^\/(checkpoint|tile|proofs)/.test(path)) return "proof";
  if (/^\/(views|commands)/.test(path)) return "views";
  if (/^\/(auth|accounts|signing-keys|\.well-known)/.test(path)) return "accounts";
  return /^\/(login|logout|live|favicon.ico|docs.*|sign-in.*|welcome|account.*|device.*|)$/.test(path)
    ? "pages"
    : "operations";
};

const operationId = (said: string): string =>
  said.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^_|_$/g, "");
const standing = (route: Route, said: string): Operation => ({
  operationId: operationId(said),
  summary: route.about,
  tags: [tagOf(route.path)],
  security: ACTIONS[route.action] === "nothing" ? [] : [{ bearer: [] }, { session: [] }],
  "x-action": route.action,
  ...(ACTIONS[route.action] !== "nothing" && { "x-scope": ACTIONS[route.action] }),
});

/** Of pages for people: what is wrong is told on them, or is a problem for who wants none. */
const pageOf = (route: Route, path: string): Operation => {
  const wrong = answers("What is wrong", { ...html, ...content(PROBLEM, ref("Problem")) });
  return {
    parameters: [...path.matchAll(/\{([a-z0-9]+)\}/g)].map(([, name]) => inPath(name!, name!)),
    responses: {
      "200": answers("A page", html),
      ...(route.method === "POST" && { "201": answers("A page with what was made", html) }),
      "303": { description: "It goes on elsewhere" },
      "4XX": wrong,
      "5XX": wrong,
    },
  };
};

/** Ids are unique among all operations (OpenAPI 3.1.0 section 4.8.10.1): what is said like something before it takes a number. */
const numbered = (paths: Readonly<Record<string, Record<string, unknown>>>): void => {
  const taken = new Set<string>();
  for (
    const operation of Object.values(paths).flatMap((methods) => Object.values(methods)) as { operationId: string }[]
  ) {
    const said = operation.operationId;
    let id = said;
    for (let n = 2; taken.has(id); n++) id = `${said}_${n}`;
    taken.add(id);
    operation.operationId = id;
  }
};

type Responses = Readonly<Record<string, { readonly description: string; readonly content?: object }>>;

/** What the door answers whatever the route is. */
const withDoor = (responses: Responses, route: Route): Responses => withPages(withRefusals(responses, route), route);

/** A browser that asks for a page is told what is wrong as one, or led to where somebody signs in or shows a second factor. */
const withPages = (responses: Responses, route: Route): Responses => {
  if (!route.page && !signsIn(route)) return responses;
  const told = Object.entries(responses).map(([status, response]) => {
    const { content } = response;
    return [status, content && PROBLEM in content ? { ...response, content: { ...content, ...html } } : response];
  });
  const led = route.page && ACTIONS[route.action] !== "nothing" &&
    { "303": { description: "A browser is to sign in" } };
  return { ...led, ...Object.fromEntries(told) };
};

/** What is refused where somebody has been let in. */
const withRefusals = (responses: Responses, { method, action, proves }: Route): Responses => {
  const refused = responses["403"];
  if (ACTIONS[action] === "nothing" || !refused) return responses;
  const codes = [...(method === "GET" ? [] : ["csrf"]), ...(proves ? [] : ["factor_wanted"])]
    .filter((code) => !refused.description.split(/: |, /).includes(code));
  return { ...responses, "403": { ...refused, description: [refused.description, ...codes].join(", ") } };
};

const PROBLEM = "application/problem+json";
const PER_COMMAND = "/commands/:type/:id{.+}";
const PER_VIEW = "/views/:name";
const PER_ROW = "/views/:name/:key{.+}";

/** The whole document, as plain data. */
export const openapi = (daybook: Daybook, routes: readonly Route[], version: string): Schema => {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    if (route.path === PER_COMMAND || route.path === PER_VIEW || route.path === PER_ROW) continue;
    const path = route.path.replaceAll(/:([a-z0-9]+)(?:\{[^}]*\})?/g, "{$1}");
    const said = `${route.method} ${path}`;
    const operation = OPERATIONS[said]?.(ACTIONS[route.action]) ?? route.openapi?.() ?? pageOf(route, path);
    (paths[path] ??= {})[route.method.toLowerCase()] = {
      ...standing(route, said),
      ...operation,
      responses: withDoor(operation.responses as Responses, route),
    };
  }
  const perCommand = routes.find(({ path }) => path === PER_COMMAND);
  const perView = routes.find(({ path }) => path === PER_VIEW);
  const perRow = routes.find(({ path }) => path === PER_ROW);
  if (perCommand) Object.assign(paths, commandPaths(daybook, perCommand));
  if (perView && perRow) Object.assign(paths, viewPaths(daybook, perView, perRow));
  numbered(paths);
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
        session: { type: "apiKey", in: "cookie", name: "__Host-daybook_session" },
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
const VERSION = "1.0.0";
