/** The receiver that GitHub posts pushes to: a request in, an answer out; whoever serves HTTP mounts it. */
import type { Principal } from "../../actors/kernel/daybook.ts";
import { CanonicalError, parseIJson } from "../../events/canonical.ts";
import { LIMITS, LogFault } from "../../events/log.ts";
import { translatePush, verifySignature } from "./push.ts";
import { type PushTarget, recordPush } from "./record.ts";

/** GitHub itself stops at 25 MB; a push of 2,048 commits is rarely over one. */
export const BODY_BYTES_MAX = 8 * 1_048_576;

export interface ReceiverOptions {
  readonly target: PushTarget;
  /** The webhook's secret, as typed in at GitHub. */
  readonly secret: string;
  /** In whose name. */
  readonly by: Principal;
  /** Default `BODY_BYTES_MAX`. */
  readonly bodyBytesMax?: number;
}

/**
 * `POST` with `X-Hub-Signature-256`. 200 with what came of it, also for pings and what is not a push; 401 unless the signature
 * fits the exact bytes; 400, 413 and 415 for bodies that are none; 503 with `Retry-After` when it may be sent again, which at
 * GitHub is *Redeliver*. Throws only what is a fault of ours.
 */
export const pushReceiver = (options: ReceiverOptions) => async (request: Request): Promise<Response> => {
  const { secret, target, by, bodyBytesMax = BODY_BYTES_MAX } = options;
  if (request.method !== "POST") return problem(405, "method_not_allowed", "Pushes are posted.", { allow: "POST" });
  const body = await bytesOf(request, bodyBytesMax);
  if (!body) return problem(413, "too_large", `A push has at most ${bodyBytesMax} bytes.`);
  // Before anything is made of the body: who cannot sign learns nothing about what is understood.
  if (!verifySignature(secret, body, request.headers.get("x-hub-signature-256"))) {
    return problem(401, "unauthenticated", "X-Hub-Signature-256 does not fit the body and the secret.");
  }
  if (!/^application\/json\s*(?:;|$)/i.test(request.headers.get("content-type") ?? "")) {
    return problem(415, "unsupported_media_type", "Set the webhook's content type to application/json.");
  }
  const event = request.headers.get("x-github-event");
  if (event !== "push") return answer({ ignored: event === null ? "no X-GitHub-Event" : event });
  const parsed = parse(body);
  if (parsed instanceof Response) return parsed;
  const delivery = request.headers.get("x-github-delivery") ?? undefined;
  const push = translatePush(parsed.value, { by, delivery });
  if (push.is === "ignored") return answer({ ignored: push.because });
  if (push.is === "invalid") {
    return problem(400, "invalid_data", "The push is not as GitHub sends them.", {}, { errors: push.issues });
  }
  try {
    const done = await recordPush(target, push, by);
    switch (done.is) {
      case "recorded": {
        const { is: _, ...told } = done;
        return answer(told);
      }
      case "refused":
        return problem(400, "invalid_data", done.because);
      case "unavailable":
        return later(done.retryAfterMs);
    }
  } catch (error) {
    if (error instanceof LogFault) return later(1_000);
    throw error;
  }
};

const parse = (body: Uint8Array<ArrayBuffer>): { readonly value: unknown } | Response => {
  try {
    return { value: parseIJson(new TextDecoder("utf-8", { fatal: true }).decode(body), LIMITS.data_depth_max) };
  } catch (error) {
    if (error instanceof CanonicalError) {
      return problem(400, "malformed_json", `${error.path || "The body"}: ${error.message}`);
    }
    if (error instanceof TypeError) return problem(400, "invalid_utf8", "The body is not UTF-8.");
    throw error;
  }
};

/** `undefined` when there is more than may be; then the rest is not read. */
const bytesOf = async (request: Request, max: number): Promise<Uint8Array<ArrayBuffer> | undefined> => {
  if (Number(request.headers.get("content-length") ?? 0) > max) return undefined;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > max) return undefined;
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
};

const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" };

const answer = (told: object): Response => Response.json(told, { headers: HEADERS });

const later = (ms: number): Response =>
  problem(503, "overloaded", "It could not be recorded now; send it again.", {
    "retry-after": String(Math.max(1, Math.ceil(ms / 1_000))),
  });

/** RFC 9457, with the types of all problems here. */
const problem = (
  status: number,
  code: string,
  detail: string,
  headers: Record<string, string> = {},
  members: object = {},
): Response =>
  new Response(JSON.stringify({ type: `urn:daybook:problem:${code}`, status, detail, ...members }), {
    status,
    headers: { ...HEADERS, "content-type": "application/problem+json", ...headers },
  });
