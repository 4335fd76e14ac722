/**
 * Every operation there is, by its name; the code of each is loaded when it is asked for. `operationRoutes` is how the process that has
 * the folder takes them.
 */
import { z } from "zod";
import { Declined } from "../../actors/kernel/gate.ts";
import { issueOf } from "../../actors/kernel/naming.ts";
import { HOUSE } from "../../events/tenants.ts";
import { LogFault } from "../../events/log.ts";
import { Usage } from "../cli/call.ts";
import { kindOf } from "../cli/run.ts";
import { Refused } from "../cli/runtime.ts";
import type { OnProgress } from "../cli/io.ts";
import { readBody, textOf } from "../http/body.ts";
import { HTTP_LIMITS } from "../http/bounds.ts";
import { parseJson } from "../http/cloudevents.ts";
import { answers, content, problems, schemaOf, text } from "../http/openapi_parts.ts";
import { Problem } from "../http/problem.ts";
import type { Exchange, Route } from "../http/route.ts";
import { GUARDED } from "./controls/guarded.ts";
import type { Opened } from "./opened.ts";
import type { Operation } from "./operation.ts";
import { OPERATOR } from "./operator.ts";
import { InTurn } from "./in_turn.ts";

/** Dashes between words. */
const OPERATIONS: Readonly<Record<string, () => Promise<Operation>>> = {
  "begin-archive": async () => (await import("./archive_log.ts")).beginArchive,
  "apply-retention": async () => (await import("./retention.ts")).applyRetention,
  "lift-hold": async () => (await import("./holds.ts")).liftHold,
  "place-hold": async () => (await import("./holds.ts")).placeHold,
  "end-archive": async () => (await import("./archive_log.ts")).endArchive,
  "record-tokens": async () => (await import("./access/operations.ts")).recordTokensNow,
  "store-secret": async () => (await import("./access/secret_operations.ts")).storeSecret,
  "delete-secret": async () => (await import("./access/secret_operations.ts")).deleteSecret,
  "begin-login": async () => (await import("./identity/operations.ts")).beginLogin,
  "poll-login": async () => (await import("./identity/operations.ts")).pollLogin,
  "end-login": async () => (await import("./identity/operations.ts")).endLogin,
  "show-factor": async () => (await import("./identity/operations.ts")).showFactor,
  "list-factors": async () => (await import("./identity/factor_operations.ts")).listFactors,
  "begin-factor": async () => (await import("./identity/factor_operations.ts")).beginFactor,
  "confirm-factor": async () => (await import("./identity/factor_operations.ts")).confirmFactor,
  "check-action": async () => (await import("./controls/operations.ts")).checkAction,
  "record-verification": async () => (await import("./controls/operations.ts")).recordVerification,
  "certify-erasure": async () => (await import("./privacy/erase_subject.ts")).certifyErasure,
  "erase-subject": async () => (await import("./privacy/erase_subject.ts")).eraseSubject,
  "export-subject": async () => (await import("./privacy/erase_subject.ts")).exportSubject,
  "update-stack": async () => (await import("./stack/update_stack.ts")).updateStack,
  "choose-profile": async () => (await import("./stack/choose_profile.ts")).chooseProfile,
  "stack-metrics": async () => (await import("./stack/metrics_now.ts")).stackMetrics,
  "stack-usage": async () => (await import("./stack/usage_now.ts")).stackUsage,
  "rotate-root-key": async () => (await import("./privacy/rotate_root_key.ts")).rotateRootKey,
  "issue-certificate": async () => (await import("./certificates/operations.ts")).issueCertificate,
  "renew-certificate": async () => (await import("./certificates/operations.ts")).renewCertificate,
  "show-authority": async () => (await import("./certificates/operations.ts")).showAuthority,
  "rotate-log-key": async () => (await import("./rotate_log_key.ts")).rotateLogKey,
};

/**
 * What has programs run that whoever asks has named, changes what the program shows to others, or lets others in by a certificate: only
 * for who works on the machine itself, over the folder's socket.
 */
const LOCAL: ReadonlySet<string> = new Set([
  "update-stack",
  "store-secret",
  "delete-secret",
  "issue-certificate",
  "renew-certificate",
]);

/** What changes several things, each by what was before it: one after another. */
const IN_TURN: ReadonlySet<string> = new Set(["end-archive", "erase-subject", "rotate-log-key", "rotate-root-key"]);
const turns = new WeakMap<Opened, Map<string, InTurn>>();

const turnOf = (opened: Opened, name: string): InTurn => {
  const all = turns.get(opened) ?? new Map<string, InTurn>();
  const turn = all.get(name) ?? new InTurn(`wishes for ${name}`);
  turns.set(opened, all.set(name, turn));
  return turn;
};

/** A line is sent in pieces of so many characters. */
const PIECE_CHARS = 60_000;

/** Done here. Throws `LogFault` `invalid` for what is no operation or not its input, `Declined` where a control that guards it is red. */
export const operate = async (
  opened: Opened,
  name: string,
  { input, progress, signal }: {
    readonly input: unknown;
    readonly progress: OnProgress;
    readonly signal: AbortSignal;
  },
): Promise<unknown> => {
  const load = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  if (!load) throw new LogFault("invalid", `There is no operation "${name}"`);
  const operation = await load();
  const parsed = operation.input.safeParse(input);
  if (!parsed.success) throw new LogFault("invalid", issuesOf(parsed.error));
  const run = async () => {
    if (Object.hasOwn(GUARDED, name)) await opened.gate.check({ type: GUARDED[name]! });
    return await operation.run(opened, { input: parsed.data, progress, signal });
  };
  if (!IN_TURN.has(name)) return await run();
  return await turnOf(opened, name).run(run, signal);
};

const issuesOf = (error: z.ZodError): string =>
  error.issues.map(({ path, message }) => `/${path.join("/")}: ${message}`).join("; ");

/**
 * `POST /operations/{name}`: the answer is NDJSON, `{ "progress" }` as it goes on, last one of `{ "result" }` and
 * `{ "error": { "code", "message", "refused" } }`; lines between may be empty.
 */
export const operationRoutes = (opened: Opened): readonly Route[] =>
  Object.keys(OPERATIONS).map((name): Route => ({
    method: "POST",
    path: `/operations/${name}`,
    action: "operations.run",
    resource: () => ({ type: "Operation", id: name, tenant: HOUSE }),
    fresh: true,
    about: `What \`daybook\` on the command line asks of the running server: ${name}.`,
    openapi: () => ({
      requestBody: { required: true, content: content("application/json", schemaOf(z.json(), "input")) },
      responses: {
        "200": answers("Lines of progress, then of the result or an error", content("application/x-ndjson", text)),
        ...problems("admin", "malformed_json", "invalid_data", "unsupported_media_type", "too_large"),
      },
    }),
    async handle(exchange) {
      if (LOCAL.has(name) && exchange.grant?.id !== OPERATOR.id) {
        throw new Problem("forbidden", "Only who works on the machine itself may ask for this.");
      }
      const input = await inputOf(exchange);
      await refuseUnfit(name, input);
      const stream = exchange.site.streams.start((signal) => linesOf(opened, name, { input, signal }), {
        comment: "\n",
      });
      return new Response(stream, {
        headers: {
          "content-type": "application/x-ndjson",
          "cache-control": "no-store",
          "x-content-type-options": "nosniff",
          "x-request-id": exchange.id,
        },
      });
    },
  }));

/** Before the answer begins, which is a stream and says 200. */
const refuseUnfit = async (name: string, input: unknown): Promise<void> => {
  const operation = await OPERATIONS[name]!();
  const parsed = operation.input.safeParse(input);
  if (parsed.success) return;
  const errors = parsed.error.issues.map(issueOf);
  throw new Problem("invalid_data", "The input does not fit the operation.", { errors });
};

const inputOf = async (exchange: Exchange): Promise<unknown> => {
  const bytes = await readBody(exchange, exchange.bodyBytesMax);
  if (exchange.request.headers.get("content-type") !== "application/json") {
    throw new Problem("unsupported_media_type", "Send the input as application/json.");
  }
  return parseJson(textOf(bytes), HTTP_LIMITS.body_depth_max);
};

async function* linesOf(
  opened: Opened,
  name: string,
  { input, signal }: { readonly input: unknown; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  // The newest progress is enough for who reads slower than it is made.
  let newest: unknown;
  let wake = () => {};
  const ended = operate(opened, name, {
    input,
    signal,
    progress: (progress) => {
      newest = progress;
      wake();
    },
  }).then((result) => ({ result }), (error) => ({ error: errorOf(error) }));
  for (;;) {
    const told = new Promise<undefined>((resolve) => wake = () => resolve(undefined));
    const last = newest === undefined ? await Promise.race([ended, told]) : undefined;
    const line = `${JSON.stringify(last ?? { progress: newest })}\n`;
    newest = undefined;
    for (let at = 0; at < line.length; at += PIECE_CHARS) yield line.slice(at, at + PIECE_CHARS);
    if (last) return;
  }
}

const errorOf = (error: unknown) => {
  if (error instanceof Usage) return { code: "usage", message: error.message, refused: true };
  if (error instanceof Declined || error instanceof Refused) {
    return { code: error.code, message: error.message, refused: true };
  }
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0]!;
  return { code: kindOf(error) ?? "io", message, refused: false };
};
