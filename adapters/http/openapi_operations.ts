/** What the route table does not say of the standing routes: parameters, bodies, answers. */
import { LIMITS } from "../../events/log.ts";
import type { Needs } from "./access.ts";
import { BATCH, STRUCTURED } from "./cloudevents.ts";
import { eventsQuery, followQuery } from "./events.ts";
import {
  answers,
  base64,
  content,
  header,
  html,
  inPath,
  object,
  omit,
  type Operation,
  problems,
  queryOf,
  ref,
  text,
  whole,
} from "./openapi_parts.ts";
import { consistencyQuery, inclusionQuery } from "./tree.ts";

const streamed = answers("Server-Sent Events; `id` is the position", content("text/event-stream", text));
const readiness = object({
  status: text,
  down: { type: "array", items: text, description: "Paths in the supervision tree of what has been given up." },
  stopped: {
    type: "array",
    items: object({ name: text, position: whole, cause: text }, ["name", "position"]),
    description: "Projections that stand still, and before which position.",
  },
});
const positionAndNext = {
  events: { type: "array", items: ref("Event") },
  size: whole,
  next: { type: "string", description: "The next page; absent on the last." },
};

const TILE_INDEX =
  "Index within its level in groups of three digits, all but the last behind an `x`: 1234067 is `x001/x234/067`. A tile that is not full is asked for by its width: `067.p/12`.";
const proof = { type: "array", items: base64 };

/** By method and path. */
export const OPERATIONS: Readonly<Record<string, (needs: Needs) => Operation>> = {
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
        "malformed_json",
        "invalid_event",
        "server_attribute",
        "invalid_data",
        "number_not_representable",
        "decided_type",
        "id_conflict",
        "control_failed",
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
        ...html,
      }),
      ...problems(needs, "invalid_query", "not_acceptable", "newer"),
    },
  }),
  "GET /events/{position}": (needs) => ({
    parameters: [inPath("position", "Place in the log, from 0.", whole)],
    responses: {
      "200": answers("The event, or the exact bytes of its entry", {
        ...content("application/json", ref("Event")),
        "application/octet-stream": {},
        ...html,
      }),
      ...problems(needs, "no_event", "not_acceptable", "newer"),
    },
  }),
  "GET /follow": (needs) => ({
    parameters: [
      ...queryOf(followQuery),
      header("Last-Event-ID", "Position of the last event taken; goes on after it.", whole),
    ],
    responses: { "200": streamed, ...problems(needs, "invalid_query", "invalid_header", "not_acceptable", "newer") },
  }),
  "POST /blobs": (needs) => ({
    requestBody: { required: true, content: { "application/octet-stream": {} } },
    responses: {
      "200": answers("It was there already", content("application/json", ref("Blob"))),
      "201": answers("Durable, and ready to be named by an event", content("application/json", ref("Blob")), {
        Location: { schema: text },
      }),
      ...problems(
        needs,
        "too_large",
        "unsupported_media_type",
        "slow_request",
        "overloaded",
        "unwritable",
      ),
    },
  }),
  "GET /blobs/{sha256}": (needs) => ({
    parameters: [inPath("sha256", "SHA-256 of the bytes: base64 as in events, or hexadecimal.")],
    responses: {
      "200": answers("The bytes that the hash is over; of a sealed blob the sealed ones", {
        "application/octet-stream": {},
      }, { ETag: { schema: text } }),
      "304": { description: "The caller has them already" },
      ...problems(needs, "no_blob", "not_acceptable"),
    },
  }),
  "GET /views": (needs) => ({
    responses: {
      "200": answers("The views", {
        ...content("application/json", object({ size: whole, views: { type: "array", items: { type: "object" } } })),
        ...html,
      }),
      ...problems(needs),
    },
  }),
  "GET /checkpoint": (needs) => ({
    responses: { "200": answers("A signed note", content("text/plain", text)), ...problems(needs, "no_checkpoint") },
  }),
  "GET /tile/entries/{index}": (needs) => ({
    parameters: [inPath("index", TILE_INDEX)],
    responses: {
      "200": answers("Entries, the length of each before it in two bytes, big-endian", {
        "application/octet-stream": {},
      }),
      ...problems(needs, "not_found"),
    },
  }),
  "GET /tile/{level}/{index}": (needs) => ({
    parameters: [inPath("level", "Level of the tile, 0 for leaf hashes.", whole), inPath("index", TILE_INDEX)],
    responses: {
      "200": answers("Hashes of 32 bytes, one behind the other", { "application/octet-stream": {} }),
      ...problems(needs, "not_found"),
    },
  }),
  "GET /proofs/inclusion": (needs) => ({
    parameters: queryOf(inclusionQuery).map((one) => ({ ...one, required: one.name === "position" })),
    responses: {
      "200": answers(
        "The proof, from the leaf's sibling up to the root's child, and the newest checkpoint",
        content(
          "application/json",
          object({ position: whole, size: whole, leaf: base64, proof, root: base64, checkpoint: text }),
        ),
      ),
      ...problems(needs, "invalid_query", "no_checkpoint", "no_proof", "tree_behind"),
    },
  }),
  "GET /proofs/consistency": (needs) => ({
    parameters: queryOf(consistencyQuery).map((one) => ({ ...one, required: one.name === "from" })),
    responses: {
      "200": answers(
        "The proof, the roots of both trees, and the newest checkpoint",
        content(
          "application/json",
          object({ from: whole, to: whole, proof, root1: base64, root2: base64, checkpoint: text }),
        ),
      ),
      ...problems(needs, "invalid_query", "no_checkpoint", "no_proof", "tree_behind"),
    },
  }),
  "GET /metrics": (needs) => ({
    responses: { "200": answers("Prometheus text format 0.0.4", content("text/plain", text)), ...problems(needs) },
  }),
  "GET /livez": (needs) => ({
    responses: {
      "200": answers("It lives", content("application/json", object({ status: text }))),
      ...problems(needs),
    },
  }),
  "GET /openapi.json": (needs) => ({
    responses: { "200": answers("OpenAPI 3.1", content("application/json", { type: "object" })), ...problems(needs) },
  }),
  "GET /docs": (needs) => ({
    responses: { "200": answers("A page", html), ...problems(needs) },
  }),
  "GET /docs/{file}": (needs) => ({
    parameters: [inPath("file", "Its name, as the page has it.")],
    responses: {
      "200": answers("The file", { ...content("text/css", text), ...content("text/javascript", text) }),
      ...problems(needs, "not_found"),
    },
  }),
  "GET /favicon.ico": (needs) => ({
    responses: { "200": answers("The icon", content("image/svg+xml", text)), ...problems(needs) },
  }),
  "GET /login": (needs) => ({
    parameters: [{ name: "next", in: "query", required: false, description: "Where to go then.", schema: text }],
    responses: { "200": answers("A form", html), ...problems(needs) },
  }),
  "GET /readyz": (needs) => ({
    responses: {
      "200": answers("Ready", content("application/json", readiness)),
      "503": answers("Not now", content("application/json", readiness)),
      ...omit(problems(needs), "503"),
    },
  }),
  "GET /": (needs) => ({
    responses: {
      "200": answers("The state of it all", {
        ...content("application/json", { type: "object" }),
        ...html,
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
      "401": answers("A wrong token", html),
      ...omit(problems(needs, "too_large", "unsupported_media_type"), "401"),
    },
  }),
  "POST /logout": (needs) => ({ responses: { "303": { description: "Signed out" }, ...problems(needs) } }),
};
