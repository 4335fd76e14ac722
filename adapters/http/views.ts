/** `GET /views`, `/views/{name}`, `/views/{name}/{key}`: what projections hold, now or as of then. */
import { z } from "zod";
import type { ViewSpec } from "../../projections/computed.ts";
import { type Row, type ViewPage, type ViewQuery, ViewQuestion, ViewsFault } from "../../projections/views.ts";
import { forbidden } from "./access.ts";
import { type Action, ACTIONS } from "./actions.ts";
import { LOG } from "./authority.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { prefersPage } from "./media.ts";
import { covered } from "./prefer.ts";
import { Problem } from "./problem.ts";
import { count, givenIn, moment, order, parameters, parseQuery, position, segment } from "./query.ts";
import { retryAfter } from "./rate.ts";
import { type Exchange, json, shown } from "./route.ts";

const text = z.string().min(1).max(1_024);
const asOf = {
  at: moment.optional(),
  wait: position.optional().meta({
    description: "Answer after this position was applied, waiting for it at most 10 s.",
  }),
};

/** Query of `GET /views/{name}/{key}`. */
export const rowQuery = z.strictObject(asOf);

/** Query of `GET /views/{name}`; beside these, each indexed field of the view is a parameter. */
export const listQuery = z.strictObject({
  q: text.optional().meta({ description: "Full text: all words are required." }),
  prefix: text.optional().meta({ description: "Rows whose key begins so." }),
  sort: text.optional().meta({
    description:
      "An indexed field, or `key`, which is the default where neither `q` nor a field is given; `-` before it sorts downwards.",
  }),
  order: order.optional(),
  from: moment.optional().meta({ description: "Only rows made by events from this position or recorded time on." }),
  until: moment.optional().meta({ description: "Only rows made by events before this position or recorded time." }),
  limit: count(HTTP_LIMITS.page_rows_max, "At most so many rows; default 100.").optional(),
  after: text.optional().meta({ description: "`next` of the page before." }),
  ...asOf,
});

const viewOf = (exchange: Exchange, name: string): ViewSpec => {
  const { projections, computed } = exchange.site.daybook;
  const asked = computed.find((view) => view.name === name);
  // What is computed tells more than rows that are kept.
  if (asked && !exchange.may(asked.action as Action, LOG)) {
    throw forbidden(ACTIONS[asked.action as Action], asked.action);
  }
  const found = asked ?? projections.find((projection) => projection.name === name);
  if (!found) throw new Problem("unknown_view", "No view of this name is folded here; /views lists those that are.");
  return found;
};

/** Pages are loaded when a browser asks for one. */
const pages = () => import("./pages/views.tsx");

export const listViews = async (exchange: Exchange): Promise<Response> => {
  parseQuery(z.strictObject({}), parameters(exchange.query));
  const { daybook } = exchange.site;
  const states = new Map(daybook.status().projections.map((state) => [state.name, state]));
  const views = daybook.projections.map((projection) => {
    const state = states.get(projection.name);
    return {
      name: projection.name,
      version: projection.version,
      about: projection.about,
      indexes: projection.indexes ?? [],
      search: projection.text !== undefined,
      history: projection.history ?? "all",
      state: state?.state ?? "catching_up",
      size: state?.size ?? 0,
      lag: state?.lag ?? daybook.log.size,
      ...(state?.stoppedAt && { stopped_at: state.stoppedAt }),
    };
  });
  const { size } = daybook.log;
  const computed = daybook.computed.map(({ name, version, about, indexes = [], asks }) => ({
    name,
    version,
    about,
    indexes,
    asks,
    search: false,
    history: "all",
    state: "live",
    size,
    lag: 0,
  }));
  const all = [...views, ...computed];
  return prefersPage(exchange.request)
    ? (await pages()).viewsPage(exchange, all)
    : json(exchange, 200, { size, views: all });
};

/** The last position that counts: none yet is -1. A time means all that was recorded up to and at that time. */
export const resolveAt = (exchange: Exchange, at: string | undefined): number | undefined => {
  if (at === undefined) return undefined;
  if (/^\d+$/.test(at)) return Number(at);
  // Recorded times have whole milliseconds, so what is at or before t is what is before the next one.
  const after = new Date(Math.floor(Date.parse(at)) + 1);
  return Number.isNaN(after.getTime()) ? undefined : exchange.site.daybook.log.positionAt(after.toISOString()) - 1;
};

/** The time that was asked about, where it was none of positions. */
export const timeOf = (at: string | undefined): { readonly time?: number } =>
  at === undefined || /^\d+$/.test(at) ? {} : { time: Math.floor(Date.parse(at)) };

/** A bound between events: a time is the position of the first event recorded at or after it. */
const resolveBound = (exchange: Exchange, bound: string): number =>
  /^\d+$/.test(bound)
    ? Number(bound)
    : exchange.site.daybook.log.positionAt(new Date(Math.ceil(Date.parse(bound))).toISOString());

/** Before the log began there is nothing, but who could do something then is told of any time. */
const isBefore = (at: number | undefined, view: ViewSpec): boolean => at !== undefined && at < 0 && !("asks" in view);

export const oneView = async (exchange: Exchange): Promise<Response> => {
  const projection = viewOf(exchange, segment(exchange.path.slice("/views/".length)));
  const forPeople = prefersPage(exchange.request);
  const given = givenIn(exchange.query, forPeople);
  const { where, rest } = split(given, projection);
  const query = parseQuery(listQuery, rest);
  const { wait } = query;
  const at = resolveAt(exchange, query.at);
  const head = { name: projection.name, version: projection.version };
  const drawn = async (found?: { size: number; rows: readonly Row[]; next?: string }) =>
    (await pages()).viewPage(exchange, { view: projection, given, where, ...(found && { found }) });
  if (isBefore(at, projection)) {
    if (forPeople) return await drawn({ size: 0, rows: [] });
    const { checkpoint, headers } = await covered(exchange, 0);
    return json(exchange, 200, { ...head, size: 0, rows: [], checkpoint }, headers);
  }
  // Who only opened a view that is made when it is asked is shown what can be asked.
  if (forPeople && Object.keys(given).length === 0 && "asks" in projection) return await drawn();
  const descending = query.sort?.startsWith("-") ? query.order !== "asc" : query.order === "desc";
  const sort = query.sort?.replace(/^-/, "");
  const asked: ViewQuery = {
    ...(Object.keys(where).length > 0 && { where }),
    ...(query.q !== undefined && { text: query.q }),
    ...(query.prefix !== undefined && { prefix: query.prefix }),
    ...(sort !== undefined && { sort }),
    ...(descending && { descending }),
    ...(query.from !== undefined && { from: resolveBound(exchange, query.from) }),
    ...(query.until !== undefined && { until: resolveBound(exchange, query.until) }),
    ...(query.limit !== undefined && { limit: query.limit }),
    ...(query.after !== undefined && { after: query.after }),
    ...(at !== undefined && { at, ...timeOf(query.at) }),
  };
  const page = await answered<ViewPage>(
    exchange,
    { at, wait },
    () => exchange.site.daybook.view(projection.name, { ...asked, wait, deadline: HTTP_LIMITS.wait_ms_max }),
  );
  const { size, next } = page;
  const answer = { ...head, size, rows: shown(exchange, page.rows), ...(next !== undefined && { next }) };
  if (forPeople) return await drawn(answer);
  const { checkpoint, headers } = await covered(exchange, size);
  return json(exchange, 200, { ...answer, checkpoint }, headers);
};

const WHERE = "where.";

/** Fields apart from what every list knows. `where.field` also names a field, for those called like a parameter. */
const split = (given: Record<string, string>, projection: ViewSpec) => {
  const fields = (projection.indexes ?? []) as readonly string[];
  const where: Record<string, string> = {};
  const rest: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const isNamed = name.startsWith(WHERE);
    const field = isNamed ? name.slice(WHERE.length) : name;
    if (name in listQuery.shape) rest[name] = value;
    else if (fields.includes(field)) where[field] = value;
    else if (isNamed) {
      const message = `${projection.name} has no indexed field "${field}"; it has: ${fields.join(", ") || "none"}`;
      throw new Problem("invalid_query", message, { errors: [{ path: `?${name}`, message }] });
    } else {
      throw new Problem(
        "invalid_query",
        "A parameter is neither an indexed field of this view nor known to all views.",
        {
          errors: [{
            path: `?${name}`,
            message: `expected one of ${[...Object.keys(listQuery.shape), ...fields].join(", ")}`,
          }],
        },
      );
    }
  }
  return { where, rest };
};

export const oneRow = async (exchange: Exchange): Promise<Response> => {
  const path = exchange.path.slice("/views/".length);
  const slash = path.indexOf("/");
  const projection = viewOf(exchange, segment(path.slice(0, slash)));
  const key = segment(path.slice(slash + 1));
  const forPeople = prefersPage(exchange.request);
  const query = parseQuery(rowQuery, givenIn(exchange.query, forPeople));
  const at = resolveAt(exchange, query.at);
  const { wait } = query;
  const found = isBefore(at, projection) ? { size: 0, row: undefined } : await answered(
    exchange,
    { at, wait },
    () =>
      exchange.site.daybook.row(projection.name, key, {
        ...(at !== undefined && { at, ...timeOf(query.at) }),
        ...(wait !== undefined && { wait }),
        deadline: HTTP_LIMITS.wait_ms_max,
      }),
  );
  const { checkpoint, headers } = await covered(exchange, found.size);
  if (!found.row) {
    throw new Problem("no_row", "The view has no row with this key.", {
      members: { size: found.size, checkpoint },
      headers,
    });
  }
  const { row, position } = found.row;
  const { name, version } = projection;
  const answer = { name, version, key, row: shown(exchange, row), position, size: found.size, checkpoint };
  return forPeople
    ? (await pages()).rowPage(exchange, { ...answer, at: query.at })
    : json(exchange, 200, answer, headers);
};

const PARAMETER: Readonly<Partial<Record<ViewQuestion["code"], string>>> = {
  bad_cursor: "?after",
  bad_limit: "?limit",
  bad_text: "?q",
  no_text: "?q",
  unknown_field: "?sort",
};

/** A question that the view cannot answer as put, as a problem. */
const answered = async <T>(
  exchange: Exchange,
  asked: { at?: number; wait?: number },
  ask: () => Promise<T>,
): Promise<T> => {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ViewsFault) {
      // What the file system said is for the operator, in /status and the log.
      throw new Problem("views_unavailable", "The log goes on, and the views are built again from it.", {
        headers: retryAfter(1000),
      });
    }
    if (!(error instanceof ViewQuestion)) throw error;
    const { size } = exchange.site.daybook.log;
    switch (error.code) {
      case "not_yet": {
        const wanted = Math.max(asked.at ?? 0, asked.wait ?? 0);
        throw wanted >= size && asked.wait === undefined
          ? new Problem("invalid_query", `The log has ${size} events; position ${wanted} is not among them yet.`, {
            errors: [{ path: "?at", message: `expected at most ${size - 1}` }],
            members: { size },
          })
          : new Problem("view_behind", `The view has not applied position ${wanted} yet.`, {
            members: { size },
            headers: retryAfter(1000),
          });
      }
      case "rebuilding":
        throw new Problem("view_behind", "The view is being built again, and has not come as far as it was.", {
          members: { size },
          headers: retryAfter(1000),
        });
      case "no_history":
        throw new Problem("no_history", error.message);
      case "unknown_view":
        throw new Problem("unknown_view", error.message);
      default:
        throw new Problem("invalid_query", error.message, {
          errors: [{
            path: error.about === undefined ? PARAMETER[error.code] ?? "?" : `?${error.about}`,
            message: error.message,
          }],
        });
    }
  }
};
