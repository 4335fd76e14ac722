/** `POST /commands/{type}/{id}`: a wish for one entity; the body is the command's data. */
import type { CommandType } from "../../actors/types.ts";
import type { Outcome } from "../../actors/kernel/daybook.ts";
import { LIMITS } from "../../events/log.ts";
import { forbidden } from "./access.ts";
import { type Action, ACTIONS } from "./actions.ts";
import { readBody, textOf } from "./body.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { parseJson } from "./cloudevents.ts";
import { parseMedia, refuseCoding } from "./media.ts";
import { Problem } from "./problem.ts";
import { parameters, parseQuery, segment } from "./query.ts";
import { retryAfter } from "./rate.ts";
import { type Exchange, json, shown } from "./route.ts";
import { z } from "zod";

const nothing = z.strictObject({});

export const command = async (exchange: Exchange): Promise<Response> => {
  const { request, site } = exchange;
  const { headers } = request;
  parseQuery(nothing, parameters(exchange.query));
  const rest = exchange.path.slice("/commands/".length);
  const slash = rest.indexOf("/");
  const type = segment(rest.slice(0, slash)) as CommandType;
  const id = segment(rest.slice(slash + 1));
  if (!site.daybook.actors.some((actor) => Object.hasOwn(actor.commands, type))) {
    throw new Problem("unknown_command", "There is no command of this type; /openapi.json lists them.");
  }
  const action = actionOf(type);
  if (action !== "commands.send" && !exchange.may(action)) throw forbidden(ACTIONS[action], action);
  refuseCoding(headers);
  const bytes = await readBody(exchange, exchange.bodyBytesMax);
  const expected = expectedRevision(headers);
  site.quotas?.spend(exchange.grant!.tenant, { events: 1, bytes: bytes.length });
  const outcome = await site.daybook.ask({
    type,
    id,
    data: dataOf(headers.get("content-type"), bytes),
    by: exchange.grant!.principal,
    command: idempotencyKey(headers.get("idempotency-key")),
    expected,
    deadline: HTTP_LIMITS.wait_ms_max,
    traceparent: exchange.traceparent,
    ...why(headers),
  });
  return answer(exchange, outcome, expected);
};

/** What protects an account or an address is taken back by whoever may unlock, not by whom it is about. */
export const actionOf = (command: string): Action =>
  command === "threats.response.lift" ? "accounts.unlock" : "commands.send";

/** A command without members may be sent without a body. */
const dataOf = (content: string | null, bytes: Uint8Array<ArrayBuffer>): unknown => {
  if (bytes.length === 0) return {};
  const media = content === null ? undefined : parseMedia(content);
  if (!media?.json || (media.charset !== undefined && media.charset !== "utf-8")) {
    throw new Problem("unsupported_media_type", "Send the command's data as application/json.", {
      headers: { "accept-post": "application/json" },
    });
  }
  // The facts that carry this data nest it one deeper.
  return parseJson(textOf(bytes), HTTP_LIMITS.body_depth_max - 1);
};

const KEY_LENGTH_MAX = 255;

/** RFC 9651 section 3.3.8. */
const DISPLAY_STRING = /^%"((?:[ !#$&-~]|%[0-9a-f]{2})*)"$/;

/**
 * A structured-field string or a bare token (draft-ietf-httpapi-idempotency-key-header): visible ASCII, 1 to 255 long. A Display String
 * holds any id that a command can have; what cannot be one is for the entities to say.
 */
const idempotencyKey = (header: string | null): string | undefined => {
  if (header === null) return undefined;
  const displayed = DISPLAY_STRING.exec(header)?.[1];
  if (displayed !== undefined) return decoded(displayed);
  const key = /^".*"$/.test(header) ? header.slice(1, -1).replace(/\\(["\\])/g, "$1") : header;
  if (/^[\x21-\x7e]+$/.test(key) && key.length <= KEY_LENGTH_MAX) return key;
  throw new Problem("invalid_header", `Idempotency-Key is 1 to ${KEY_LENGTH_MAX} visible ASCII characters.`);
};

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Problem("invalid_header", "Idempotency-Key is a Display String of something else than UTF-8.");
  }
};

/** What made the caller ask: `ce-causationid` and `ce-correlationid`, as an event in CloudEvents' binary mode has them. */
const why = (headers: Headers): { readonly causationid?: string; readonly correlationid?: string } => {
  const [causationid, correlationid] = WHY.map((name) => {
    const value = headers.get(name);
    if (value === null || (/^[\x21-\x7e]+$/.test(value) && value.length <= LIMITS.attribute_bytes_max)) return value;
    throw new Problem("invalid_header", `${name} is 1 to ${LIMITS.attribute_bytes_max} visible ASCII characters.`);
  });
  return { ...(causationid && { causationid }), ...(correlationid && { correlationid }) };
};
const WHY = ["ce-causationid", "ce-correlationid"] as const;

/** `If-Match: "<revision>"`: the entity is at that revision. `If-None-Match: *`: it has no events yet. */
const expectedRevision = (headers: Headers): number | undefined => {
  const match = headers.get("if-match");
  const none = headers.get("if-none-match");
  if (match !== null && none !== null) {
    throw new Problem("invalid_header", "If-Match and If-None-Match cannot both hold.");
  }
  if (none !== null) {
    if (none.trim() === "*") return -1;
    throw new Problem("invalid_header", "If-None-Match is * here: the entity has no events yet.");
  }
  if (match === null) return undefined;
  const revision = /^"(0|[1-9]\d{0,15})"$/.exec(match.trim())?.[1];
  if (revision !== undefined && Number.isSafeInteger(Number(revision))) return Number(revision);
  throw new Problem("invalid_header", 'If-Match is one revision in quotes, such as "17".');
};

const REPLAYED = "idempotent-replayed";
const etag = (revision: number): Record<string, string> => (revision < 0 ? {} : { etag: `"${revision}"` });

const answer = (exchange: Exchange, outcome: Outcome, expected: number | undefined): Response => {
  const { stream, revision, position, facts, duplicate } = acceptedOf(outcome, expected);
  // The answer is that of the first time; that it is not the first is beside it.
  const headers = { ...etag(revision), ...(duplicate && { [REPLAYED]: "true" }) };
  return json(exchange, 200, { stream, revision, position, facts: shown(exchange, facts) }, headers);
};

/** What was accepted; everything else is thrown as its problem. */
export const acceptedOf = (
  outcome: Outcome,
  expected: number | undefined,
): Extract<Outcome, { is: "accepted" }> => {
  switch (outcome.is) {
    case "accepted":
      return outcome;
    case "rejected":
      throw new Problem("rejected", outcome.because, {
        members: { code: outcome.code, revision: outcome.revision },
        headers: etag(outcome.revision),
      });
    case "invalid":
      throw new Problem("invalid_data", "The data does not fit the schema of the command.", { errors: outcome.issues });
    case "unknown_command":
      throw new Problem("unknown_command", "There is no command of this type; /openapi.json lists them.");
    case "conflict":
      if (outcome.reason === "command_id") {
        throw new Problem(
          "command_conflict",
          "This Idempotency-Key was used before with other data or another If-Match or If-None-Match.",
          {
            members: { revision: outcome.revision },
          },
        );
      }
      throw new Problem("revision_mismatch", `Expected ${at(expected)}, found ${at(outcome.revision)}.`, {
        members: { revision: outcome.revision },
        headers: etag(outcome.revision),
      });
    case "unavailable": {
      const [code, detail] = UNAVAILABLE[outcome.reason];
      throw new Problem(code, detail, {
        members: { reason: outcome.reason },
        headers: retryAfter(outcome.retryAfterMs),
      });
    }
  }
};

const at = (revision: number | undefined): string =>
  revision === undefined || revision < 0 ? "no events yet" : `revision ${revision}`;

const NOT_DONE = "It was not done; repeat it with the same Idempotency-Key.";
// Its facts may be on their way to the disk, or there.
const UNKNOWN = "It may be done, now or later; repeat it with the same Idempotency-Key, which counts once.";
const UNAVAILABLE = {
  mailbox_full: ["overloaded", NOT_DONE],
  deadline: ["deadline", UNKNOWN],
  contention: ["overloaded", NOT_DONE],
  log: ["unwritable", UNKNOWN],
  archived: ["archived", "What came of this Idempotency-Key, or of the entity, can be read where the archive lies."],
  stopping: ["stopping", NOT_DONE],
} as const;
