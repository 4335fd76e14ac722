/** Receivers of webhooks: what comes over HTTP, handed to whoever translates it. The signature is what lets its sender in. */
import type { Principal } from "../../actors/kernel/daybook.ts";
import { LIMITS } from "../../events/log.ts";
import { PUSH_BODY_BYTES_MAX, translatePush, verifySignature } from "../github/push.ts";
import { type PushTarget, recordPush } from "../github/record.ts";
import { callerOf } from "../http/addresses.ts";
import { isSmall, readBody, textOf } from "../http/body.ts";
import { parseJson } from "../http/cloudevents.ts";
import { faultProblem } from "../http/ingest.ts";
import { parseMedia, refuseCoding } from "../http/media.ts";
import { answers, content, header, problems } from "../http/openapi_parts.ts";
import { Problem } from "../http/problem.ts";
import { retryAfter } from "../http/rate.ts";
import { deniedTooOften } from "../http/too_many.ts";
import { type Exchange, json, type Route } from "../http/route.ts";

export interface GithubWebhookOptions {
  readonly target: PushTarget;
  /** The webhook's secret, as typed in at GitHub. */
  readonly secret: string;
  /** In whose name. */
  readonly by: Principal;
  /** Default `PUSH_BODY_BYTES_MAX`. */
  readonly bodyBytesMax?: number;
}

/** Bodies over 64 KiB that are received at the same time: nobody knows who sends one before all of it is there. One more is 503. */
export const LARGE_RECEIVING_MAX = 8;

const SIGNATURE = "X-Hub-Signature-256";

/**
 * `POST /webhooks/github`: 200 with what came of it, also for pings and what is not a push; 401 unless the signature fits the
 * exact bytes; 503 with `Retry-After` when it may be sent again, which at GitHub is *Redeliver*.
 */
export const githubWebhook = (options: GithubWebhookOptions): Route => routeOf(options, { receiving: 0 });

const routeOf = (options: GithubWebhookOptions, large: { receiving: number }): Route => ({
  method: "POST",
  path: "/webhooks/github",
  action: "webhooks.send",
  about: "Pushes as GitHub posts them, signed with the secret of the configuration.",
  openapi: () => ({
    parameters: [
      { ...header(SIGNATURE, "`sha256=` and the HMAC of the body under the secret, in hexadecimal."), required: true },
      header("X-GitHub-Event", "Only `push` is recorded; others are 200 and ignored."),
      header("X-GitHub-Delivery", "The same delivery again is the same command."),
    ],
    requestBody: { required: true, content: content("application/json", { type: "object" }) },
    responses: {
      "200": answers("What came of it", content("application/json", { type: "object" })),
      ...problems(
        "nothing",
        "unauthenticated",
        "malformed_json",
        "invalid_data",
        "too_large",
        "unsupported_media_type",
        "slow_request",
        "overloaded",
        "unwritable",
      ),
    },
  }),
  handle: (exchange) => received(exchange, options, large),
});

/** A body of anybody's, with room for few that are large. */
const bodyOf = async (exchange: Exchange, bytesMax: number, large: { receiving: number }) => {
  if (isSmall(exchange.request)) return await readBody(exchange, bytesMax);
  if (large.receiving >= LARGE_RECEIVING_MAX) {
    throw new Problem("overloaded", "Too much is being received. Send it again as it is.", {
      headers: retryAfter(1000),
    });
  }
  large.receiving++;
  try {
    return await readBody(exchange, bytesMax);
  } finally {
    large.receiving--;
  }
};

const received = async (
  exchange: Exchange,
  { target, secret, by, bodyBytesMax = PUSH_BODY_BYTES_MAX }: GithubWebhookOptions,
  large: { receiving: number },
): Promise<Response> => {
  const { request: { headers }, site, way, began } = exchange;
  refuseCoding(headers);
  const bytes = await bodyOf(exchange, bodyBytesMax, large);
  // Before anything is made of the body: who cannot sign learns nothing about what is understood.
  if (!verifySignature(secret, bytes, headers.get(SIGNATURE))) {
    const wait = site.refusals.take(callerOf(way.client()), began);
    if (wait > 0) throw deniedTooOften(site.refusals, wait, "wrong signatures");
    throw new Problem("unauthenticated", `${SIGNATURE} does not fit the body and the secret.`, {
      headers: { "www-authenticate": SIGNATURE },
    });
  }
  if (parseMedia(headers.get("content-type") ?? "")?.essence !== "application/json") {
    throw new Problem("unsupported_media_type", "Set the webhook's content type to application/json.", {
      headers: { "accept-post": "application/json" },
    });
  }
  const event = headers.get("x-github-event");
  if (event !== "push") return json(exchange, 200, { ignored: event ?? "no X-GitHub-Event" });
  const delivery = headers.get("x-github-delivery") ?? undefined;
  const push = translatePush(parseJson(textOf(bytes), LIMITS.data_depth_max), { by, delivery });
  if (push.is === "ignored") return json(exchange, 200, { ignored: push.because });
  if (push.is === "invalid") {
    throw new Problem("invalid_data", "The push is not as GitHub sends them.", { errors: push.issues });
  }
  const done = await recordPush(target, push, by).catch((fault) => {
    throw faultProblem(fault);
  });
  switch (done.is) {
    case "recorded": {
      const { is: _, ...told } = done;
      return json(exchange, 200, told);
    }
    case "refused":
      throw new Problem("invalid_data", done.because);
    case "unavailable":
      throw new Problem("overloaded", "It could not be recorded now; send it again.", {
        headers: retryAfter(done.retryAfterMs),
      });
  }
};
