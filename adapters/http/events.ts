/** `GET /events`, `GET /events/{position}` and `GET /follow`: history as it is, read from the store. */
import { z } from "zod";
import type { Event, StreamId } from "../../events/event.ts";
import { correlationOf } from "../../events/event.ts";
import { LIMITS, type Range } from "../../events/log.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { negotiate, prefersPage } from "./media.ts";
import { Problem } from "./problem.ts";
import { givenIn, limit, order, parameters, parseQuery, position, segment } from "./query.ts";
import { type Exchange, json, plain, shown } from "./route.ts";

const name = z.string().min(1).max(LIMITS.attribute_bytes_max);
const filters = {
  stream: name.optional().meta({ description: "Events of this stream only." }),
  type: z.string().min(1).max(4_096).optional().meta({
    description: "Events of this type only; several with commas between.",
  }),
  correlation: name.optional().meta({ description: "Events of this correlation only." }),
};

/** Query of `GET /events`. */
export const eventsQuery = z.strictObject({
  from: position.optional().meta({ description: "First position, inclusive; default 0." }),
  until: position.optional().meta({ description: "Last position, exclusive; default: the size." }),
  limit: limit.optional(),
  order: order.optional().meta({ description: "`desc` reads from the end towards the beginning." }),
  ...filters,
});

/** Query of `GET /follow`. */
export const followQuery = z.strictObject({
  from: position.optional().meta({
    description: "First position, inclusive; default 0. `Last-Event-ID` counts before it.",
  }),
  ...filters,
});

const types = (text: string | undefined): readonly string[] | undefined =>
  text?.split(",").map((type) => type.trim()).filter((type) => type !== "");

const rangeOf = (query: z.output<typeof eventsQuery>): Range => ({
  from: query.from,
  until: query.until,
  stream: query.stream as StreamId | undefined,
  types: types(query.type),
  correlation: query.correlation,
  backward: query.order === "desc",
});

const PAGE_DEFAULT = 100;

/** Loaded when a browser asks for one. */
const pages = () => import("./pages/events.tsx");

export const listEvents = async (exchange: Exchange): Promise<Response> => {
  const { request, site } = exchange;
  const forPeople = prefersPage(request);
  const offered = ["application/json", "application/x-ndjson"];
  const type = forPeople ? "text/html" : negotiate(request.headers.get("accept"), offered);
  const given = givenIn(exchange.query, forPeople);
  const query = parseQuery(eventsQuery, given);
  const range = rangeOf(query);
  if (type === "application/x-ndjson") {
    await expectHere(exchange, range);
    const body = request.method === "HEAD"
      ? null
      : site.streams.start(() => lines(exchange, { ...range, limit: query.limit }), {
        granted: () => exchange.granted(),
      });
    return new Response(body, { headers: { ...streamHeaders(exchange), "content-type": type } });
  }
  const { log } = site.daybook;
  const size = log.size;
  const wanted = query.limit ?? PAGE_DEFAULT;
  const texts: string[] = [];
  const events: Event[] = [];
  let bytes = 0;
  let last: Event | undefined;
  let more = false;
  // One more than wanted, to know whether there is a next page.
  for await (
    const event of site.daybook.read({ ...range, until: Math.min(range.until ?? size, size), limit: wanted + 1 })
  ) {
    const told = shown(exchange, event);
    const text = JSON.stringify(told);
    bytes += text.length;
    // What upcasts have made of one event is never torn apart: the next page begins with another.
    const full = texts.length >= wanted || bytes > HTTP_LIMITS.page_bytes_max;
    if (full && last && last.position !== event.position) {
      more = true;
      break;
    }
    texts.push(text);
    if (forPeople) events.push(told);
    last = event;
  }
  const next = more && last ? nextPage(exchange, last.position, range.backward === true) : undefined;
  if (forPeople) return (await pages()).eventsPage(exchange, { events, size, next, given });
  const body = `{"events":[${texts.join(",")}],"size":${size}${next ? `,"next":${JSON.stringify(next)}` : ""}}`;
  return plain(exchange, body, "application/json");
};

/** A stream that cannot begin is refused before it has. */
const expectHere = async ({ site }: Exchange, range: Range): Promise<void> => {
  // What is archived is the log's beginning: where the first event can be read, so can those behind it.
  for await (const _ of site.daybook.read({ ...range, limit: 1 })) return;
};

/** The same question from where this page ended. */
const nextPage = (exchange: Exchange, last: number, backward: boolean): string => {
  const query = new URLSearchParams(exchange.query);
  query.set(backward ? "until" : "from", String(backward ? last : last + 1));
  return `/events?${query}`;
};

const FRAME = 65_536;

async function* lines(exchange: Exchange, range: Range): AsyncGenerator<string> {
  let frame = "";
  for await (const event of exchange.site.daybook.read(range)) {
    frame += JSON.stringify(shown(exchange, event)) + "\n";
    if (frame.length < FRAME) continue;
    yield frame;
    frame = "";
  }
  if (frame !== "") yield frame;
}

const streamHeaders = (exchange: Exchange): Record<string, string> => ({
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "x-request-id": exchange.id,
  // nginx and its kind hold answers back unless told not to.
  "x-accel-buffering": "no",
});

export const oneEvent = async (exchange: Exchange): Promise<Response> => {
  const { request, site } = exchange;
  parseQuery(z.strictObject({}), parameters(exchange.query));
  const given = segment(exchange.path.slice("/events/".length));
  const parsed = position.safeParse(given);
  if (!parsed.success) throw new Problem("no_event", "A position is a whole number from 0.");
  const at = parsed.data;
  const offered = ["application/json", "application/octet-stream"];
  const type = prefersPage(request) ? "text/html" : negotiate(request.headers.get("accept"), offered);
  if (type === "application/octet-stream") {
    const entry = site.daybook.log.entry(at);
    if (entry) return plain(exchange, entry as Uint8Array<ArrayBuffer>, type);
  } else {
    // An upcast may make several of one entry; each has its position.
    const events: Event[] = [];
    for await (const event of site.daybook.read({ from: at, until: at + 1 })) events.push(event);
    if (events.length > 0 && type === "text/html") {
      const { size } = site.daybook.log;
      return (await pages()).eventPage(exchange, { position: at, size, events: shown(exchange, events) });
    }
    if (events.length === 1) return json(exchange, 200, shown(exchange, events[0]));
    if (events.length > 1) return json(exchange, 200, shown(exchange, events));
  }
  throw new Problem("no_event", `The log has ${site.daybook.log.size} events; this position is not among them.`, {
    members: { size: site.daybook.log.size },
  });
};

/** Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html): catch-up, then live. */
export const follow = async (exchange: Exchange): Promise<Response> => {
  const { request, site } = exchange;
  const query = parseQuery(followQuery, parameters(exchange.query));
  negotiate(request.headers.get("accept"), ["text/event-stream"]);
  const resumed = request.headers.get("last-event-id");
  let from = query.from ?? 0;
  if (resumed !== null && resumed !== "") {
    const parsed = position.safeParse(resumed);
    if (!parsed.success) throw new Problem("invalid_header", "Last-Event-ID is the position of the last event taken.");
    from = parsed.data + 1;
  }
  await expectHere(exchange, { ...rangeOf(query), from });
  const body = request.method === "HEAD"
    ? null
    : site.streams.start((signal) => frames(exchange, { ...rangeOf(query), from }, signal), {
      comment: ":\n\n",
      granted: () => exchange.granted(),
    });
  return new Response(body, { headers: { ...streamHeaders(exchange), "content-type": "text/event-stream" } });
};

async function* frames(
  exchange: Exchange,
  range: Range & { from: number },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { daybook } = exchange.site;
  // Sent at once, so that the client knows it is connected before the first event comes.
  yield "retry: 2000\n\n";
  let from = range.from;
  if (range.stream !== undefined || range.types !== undefined || range.correlation !== undefined) {
    // What is there already is found by index; only what comes later is looked at one by one.
    const size = daybook.log.size;
    let frame = "";
    let held: Event | undefined;
    for await (const event of daybook.read({ ...range, until: size })) {
      if (signal.aborted) return;
      if (held) frame += message(exchange, held, event);
      held = event;
      if (frame.length < FRAME) continue;
      yield frame;
      frame = "";
    }
    if (held) yield frame + message(exchange, held, undefined);
    from = Math.max(from, size);
  }
  for await (const batch of daybook.follow(from, signal)) {
    let frame = "";
    for (const [i, event] of batch.entries()) {
      if (!matches(event, range)) continue;
      frame += message(exchange, event, batch[i + 1]);
      if (frame.length < FRAME) continue;
      yield frame;
      frame = "";
    }
    if (frame !== "") yield frame;
  }
}

const matches = (event: Event, range: Range): boolean =>
  (range.stream === undefined || event.stream === range.stream) &&
  (range.types === undefined || range.types.includes(event.type)) &&
  (range.correlation === undefined || correlationOf(event) === range.correlation);

/** Where upcasts have made several of one event, only the last says its position: who has not taken all resumes before it. */
const message = (exchange: Exchange, event: Event, next: Event | undefined): string => {
  const id = event.position === next?.position ? "" : `id: ${event.position}\n`;
  return `${id}data: ${JSON.stringify(shown(exchange, event))}\n\n`;
};
