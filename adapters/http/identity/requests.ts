/** What the routes of signing in read from a request, and how they say no. */
import { z } from "zod";
import type { Issue, Outcome } from "../../../actors/kernel/daybook.ts";
import { accountId } from "../../../events/identity/shape.ts";
import { looksSealed } from "../../../events/personal.ts";
import { readBody, textOf } from "../body.ts";
import { parseJson } from "../cloudevents.ts";
import { acceptedOf } from "../commands.ts";
import { parseMedia, refuseCoding } from "../media.ts";
import { Problem } from "../problem.ts";
import { parameters, segment } from "../query.ts";
import { retryAfter } from "../rate.ts";
import type { Exchange } from "../route.ts";
import { tooMany } from "../too_many.ts";
import type { From, Identity, OwnSession, Wait } from "./port.ts";

/** Names, passwords, codes; and a form doubles what it escapes. */
export const IDENTITY_BODY_BYTES_MAX = 16_384;
const DEPTH_MAX = 4;
/** Of a form. */
const FIELD_CHARS_MAX = 4_096;
const ADDRESS_CHARS_MAX = 100;
const AGENT_CHARS_MAX = 512;

/**
 * The body as this schema has it. A member that it has not is refused: nobody gives themselves what was not asked for. None is `{}`,
 * unless it is required.
 */
export const bodyOf = async <S extends z.ZodType>(
  exchange: Exchange,
  schema: S,
  { required = false }: { readonly required?: boolean } = {},
): Promise<z.output<S>> => {
  const { request: { headers } } = exchange;
  const bytes = await received(exchange);
  const media = parseMedia(headers.get("content-type") ?? "");
  if (
    (bytes.length > 0 || required) && (media?.essence !== "application/json" || (media.charset ?? "utf-8") !== "utf-8")
  ) {
    throw new Problem("unsupported_media_type", "Send the body as application/json.", {
      headers: { "accept-post": "application/json" },
    });
  }
  const parsed = schema.safeParse(bytes.length === 0 && !required ? {} : parseJson(textOf(bytes), DEPTH_MAX));
  if (parsed.success) return parsed.data;
  throw new Problem("invalid_data", "The body does not fit what this route takes.", { errors: issuesOf(parsed.error) });
};

export const field = z.string().max(FIELD_CHARS_MAX);

/** The fields of a form; one twice, or one that is not asked for, is refused. */
export const formOf = async <S extends z.ZodType>(
  exchange: Exchange,
  schema: S,
  most = IDENTITY_BODY_BYTES_MAX,
): Promise<z.output<S>> => {
  const { request: { headers } } = exchange;
  if (parseMedia(headers.get("content-type") ?? "")?.essence !== "application/x-www-form-urlencoded") {
    throw new Problem("unsupported_media_type", "Send the form as application/x-www-form-urlencoded.", {
      headers: { "accept-post": "application/x-www-form-urlencoded" },
    });
  }
  const parsed = schema.safeParse({ ...parameters(textOf(await received(exchange, most))) });
  if (parsed.success) return parsed.data;
  throw new Problem("invalid_data", "The form does not fit what this page sends.", { errors: issuesOf(parsed.error) });
};

const received = async (exchange: Exchange, most = IDENTITY_BODY_BYTES_MAX): Promise<Uint8Array<ArrayBuffer>> => {
  refuseCoding(exchange.request.headers);
  return await readBody(exchange, Math.min(exchange.bodyBytesMax, most));
};

const issuesOf = (error: z.ZodError): Issue[] =>
  error.issues.flatMap((issue) => {
    const path = issue.path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
    if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({ path: `${path}/${key}`, message: "is not a member of this body" }));
  });

/** Whence it came, as it is recorded. Text that only looks sealed tells nothing and is left out. */
export const fromOf = ({ request: { headers }, way }: Pick<Exchange, "request" | "way">): From => {
  const address = told(way.client(), ADDRESS_CHARS_MAX);
  const agent = told(headers.get("user-agent") ?? "", AGENT_CHARS_MAX);
  return { ...(address && { address }), ...(agent && { agent }) };
};

const told = (text: string, most: number): string | undefined => {
  const cut = text.slice(0, most).toWellFormed();
  return cut === "" || looksSealed(text) ? undefined : cut;
};

/** Whom `/accounts/{account}/…` is about. */
export const accountOf = ({ path }: Pick<Exchange, "path">): string => {
  const parsed = accountId.safeParse(segment(path.split("/")[2]!));
  if (parsed.success) return parsed.data;
  throw new Problem("no_account", "An account is called u_ and a random part.");
};

/** The same, where what is asked for is not the account's own stream, which would say that there is none. */
export const knownAccountOf = (identity: Identity, exchange: Pick<Exchange, "path">): string => {
  const account = accountOf(exchange);
  if (identity.tenantOf(account) === undefined) throw noAccount();
  return account;
};

const noAccount = (): Problem => new Problem("no_account", "There is no account of this id.");

/** The session the caller is in; a token of a program has none. */
export const ownOf = ({ grant }: Exchange): OwnSession => {
  if (grant?.own) return grant.own;
  throw new Problem("forbidden", "This is for who has signed in to an account; a token of a program is in no session.");
};

export const waited = (wait: Wait): Problem => {
  const { because, ms } = wait;
  if (because === "busy") {
    return new Problem("overloaded", "Too many passwords wait to be checked.", { headers: retryAfter(ms) });
  }
  const { limit } = wait;
  return because === "rate" ? tooMany({ limit, ms, detail: "Tried too often." }) : tooMany({
    code: "quota_exceeded",
    limit,
    ms,
    detail: "The tenant has as many sessions as it may; one must end first.",
  });
};

/** The same for people: a page that says so, with the headers that a program gets. */
export const waitedPage = async (
  wait: Wait,
  show: (status: number, says: string) => Response | Promise<Response>,
): Promise<Response> => {
  const { status, detail, extras } = waited(wait);
  const response = await show(status, `${detail} Try again in a while.`);
  for (const [name, value] of Object.entries(extras.headers ?? {})) response.headers.set(name, value);
  return response;
};

/** The same words for a name that nobody has, a wrong password, a locked account. */
export const signinRefused = (): Problem =>
  new Problem("signin_refused", "Name and password do not go together, or the account takes none now.");

/** Throws the problem of an outcome that is not acceptance; `unknown_account` is 404. */
export const done = (outcome: Outcome): Extract<Outcome, { is: "accepted" }> => {
  if (outcome.is === "rejected" && (outcome.code === "unknown_account" || outcome.code === "not_an_account")) {
    throw noAccount();
  }
  return acceptedOf(outcome, undefined);
};

/** The form is of this session's own page, or nothing is done. */
export const checkCsrf = (identity: Identity, own: OwnSession, csrf: string): void => {
  if (!identity.isCsrf(own, csrf)) {
    throw new Problem("csrf", "The form was not made for this session; open the page again.");
  }
};
