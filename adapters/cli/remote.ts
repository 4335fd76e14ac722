/** A client of the process that owns a folder: its routes over `DIR/control.sock`, where whoever can open the file is `admin`. */
import type { Ask, Incoming, Ingested, Issue, Outcome, Status } from "../../actors/kernel/daybook.ts";
import type { StreamId } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import type { FaultKind, Receipt } from "../../events/log.ts";
import type { ViewPage, ViewQuery } from "../../projections/views.ts";
import { ViewQuestion } from "../../projections/views.ts";
import { Refused, type Remote } from "./runtime.ts";
import type { OnProgress, Progress } from "./io.ts";
import { SOCKET_HOST, socketOf } from "./grants.ts";

const BASE = `http://${SOCKET_HOST}`;
// An append has at most 720,000 bytes of entries (`events/log.ts`), which have headers of ours too; what is more goes as
// several requests, each all or none.
const BODY_BYTES_MAX = 600_000;
const HEADER_BYTES = 500;
const EVENTS_MAX = 1_000;

/** Steps in a path (RFC 3986 section 5.2.4), however they are written: no URL names anything so called. */
const STEPS: ReadonlySet<string> = new Set([".", ".."]);

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

/** A process answers `/livez` from memory; one that does not within this time is stopped, or does nothing else any more. */
const ANSWER_MS_MAX = 10_000;

/** Undefined when there is no socket, nobody listens on it, or whoever does answers nothing. */
export const connect = async (data: string, answerMs = ANSWER_MS_MAX): Promise<Remote | undefined> => {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socketOf(data) } });
  const ask: Fetch = (path, init) => fetch(`${BASE}${path}`, { ...init, client });
  try {
    const answer = await ask("/livez", { signal: AbortSignal.timeout(answerMs) });
    await answer.body?.cancel();
    return remoteOver(answered(ask), () => client.close());
  } catch (error) {
    client.close();
    if (error instanceof TypeError || (error as Error).name === "TimeoutError") return undefined;
    throw error;
  }
};

/** Whoever was asked may end before the answer has come, or with half of it. */
const answered = (ask: Fetch): Fetch => async (path, init) => {
  const answer = await ask(path, init).catch(ended);
  const { status, headers, body } = answer;
  return new Response(body && ReadableStream.from(whole(body)), { status, headers });
};

async function* whole(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  try {
    yield* body;
  } catch {
    ended();
  }
}

const ended = (): never => {
  throw new LogFault(
    "closed",
    "the process that has the folder ended before it answered; it may be done or not, and the same may be asked again",
  );
};

/** The part of a problem (RFC 9457) that we look at. */
interface Problem {
  readonly type: string;
  readonly detail?: string;
  readonly errors?: readonly Issue[];
  readonly code?: string;
  readonly revision?: number;
  readonly reason?: string;
  readonly index?: number;
  readonly source?: string;
  readonly id?: string;
  readonly position?: number;
  readonly size?: number;
  readonly control?: string;
}

/** What a structured-field string can hold of the route's keys; all else goes as a Display String (RFC 9651 section 3.3.8). */
const VISIBLE = /^[\x21-\x7e]{1,255}$/;

const keyOf = (command: string): string =>
  VISIBLE.test(command)
    ? JSON.stringify(command)
    : `%"${encodeURIComponent(command).replace(/%../g, (octet) => octet.toLowerCase())}"`;

export const remoteOver = (ask: Fetch, close: () => void): Remote => ({
  async status() {
    return await read<Status>(await ask("/status"));
  },
  async ingest(events) {
    let sum: Ingested = { ok: true, accepted: 0, duplicates: 0, size: 0, receipts: [] };
    let sent = 0;
    for (const { body, count } of bodiesOf(events)) {
      const answer = await ask("/events", {
        method: "POST",
        body,
        headers: { "content-type": "application/cloudevents-batch+json" },
      });
      const taken = await ingestedOf(answer, events.slice(sent, sent + count));
      if (!taken.ok) return taken.conflict === "invalid" ? { ...taken, index: taken.index + sent } : taken;
      sum = {
        ok: true,
        accepted: sum.accepted + taken.accepted,
        duplicates: sum.duplicates + taken.duplicates,
        size: taken.size,
        receipts: [...sum.receipts, ...taken.receipts],
      };
      sent += count;
    }
    return sum;
  },
  async ask(wish) {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (wish.command !== undefined) headers["idempotency-key"] = keyOf(wish.command);
    if (wish.expected !== undefined) headers["if-match"] = `"${wish.expected}"`;
    if (wish.traceparent !== undefined) headers["traceparent"] = wish.traceparent;
    if (wish.causationid !== undefined) headers["ce-causationid"] = wish.causationid;
    if (wish.correlationid !== undefined) headers["ce-correlationid"] = wish.correlationid;
    // Slashes, too: else what looks like steps up within the id would lead elsewhere (RFC 3986 section 5.2.4).
    const path = `/commands/${encodeURIComponent(wish.type)}/${encodeURIComponent(wish.id)}`;
    return await outcomeOf(await ask(path, { method: "POST", body: JSON.stringify(wish.data), headers }), wish);
  },
  async row(name, key, { at, wait } = {}) {
    if (key === "" || STEPS.has(key)) {
      const { size, rows } = await page(ask, name, { prefix: key || undefined, limit: 1, at }, wait);
      return { size, row: rows.find((row) => row.key === key) };
    }
    const parameters = new URLSearchParams(at === undefined ? {} : { at: String(at) });
    const answer = await patiently(
      ask,
      `/views/${encodeURIComponent(name)}/${encodeURIComponent(key)}`,
      parameters,
      wait,
    );
    if (answer.status === 404) {
      const problem = await problemOf(answer);
      if (codeOf(problem) === "no_row") return { size: problem.size ?? 0, row: undefined };
      throw faultOf(problem);
    }
    const { size, key: found, row, position } = await read<
      { size: number; key: string; row: unknown; position: number }
    >(answer);
    return { size, row: { key: found, row, position } };
  },
  view: (name, query, wait) => page(ask, name, query, wait),
  async operate(operation, input, progress) {
    const answer = await ask(`/operations/${operation}`, {
      method: "POST",
      body: JSON.stringify(input),
      headers: { "content-type": "application/json" },
    });
    if (!answer.ok) throw faultOf(await problemOf(answer));
    return await lastOf(answer.body!, progress);
  },
  close,
});

/** Asks for what was applied by then; of a view that does not come so far in time, for what there is. */
const patiently = async (ask: Fetch, path: string, parameters: URLSearchParams, wait?: number): Promise<Response> => {
  if (wait === undefined) return await ask(`${path}?${parameters}`);
  const answer = await ask(`${path}?${new URLSearchParams([...parameters, ["wait", String(wait)]])}`);
  if (answer.status !== 503) return answer;
  await answer.body?.cancel();
  return await ask(`${path}?${parameters}`);
};

const page = async (ask: Fetch, name: string, query: ViewQuery = {}, wait?: number): Promise<ViewPage> => {
  const { size, rows, next } = await read<ViewPage>(
    await patiently(ask, `/views/${encodeURIComponent(name)}`, parametersOf(query), wait),
  );
  return { size, rows, ...(next === undefined ? {} : { next }) };
};

/** Lines of progress, and the last one. */
const lastOf = async (body: ReadableStream<Uint8Array>, progress: OnProgress): Promise<unknown> => {
  let rest = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop()!;
    for (const line of lines.filter((one) => one !== "")) {
      const told = JSON.parse(line) as {
        readonly progress?: Progress;
        readonly error?: { readonly code: string; readonly message: string; readonly refused: boolean };
        readonly result?: unknown;
      };
      if (told.progress) progress(told.progress);
      else if (told.error?.refused) throw new Refused(told.error.code, told.error.message);
      else if (told.error) throw new LogFault(told.error.code as FaultKind, told.error.message);
      else return told.result;
    }
  }
  return ended();
};

const parametersOf = ({ where = {}, text, prefix, sort, descending, limit, after, at }: ViewQuery): URLSearchParams => {
  const given = { q: text, prefix, sort, order: descending ? "desc" : undefined, limit, after, at };
  const parameters = new URLSearchParams(
    Object.entries(given).flatMap(([name, value]) => value === undefined ? [] : [[name, String(value)]]),
  );
  for (const [field, value] of Object.entries(where)) parameters.append(`where.${field}`, value);
  return parameters;
};

function* bodiesOf(events: readonly Incoming[]): Iterable<{ readonly body: string; readonly count: number }> {
  let [texts, length]: [string[], number] = [[], 0];
  const utf8 = new TextEncoder();
  for (const event of events) {
    const { extensions, ...attributes } = event;
    const text = JSON.stringify({ specversion: "1.0", ...attributes, ...extensions });
    const bytes = utf8.encode(text).length + HEADER_BYTES;
    if (texts.length > 0 && (length + bytes > BODY_BYTES_MAX || texts.length === EVENTS_MAX)) {
      yield { body: `[${texts.join(",")}]`, count: texts.length };
      [texts, length] = [[], 0];
    }
    texts.push(text);
    length += bytes;
  }
  if (texts.length > 0) yield { body: `[${texts.join(",")}]`, count: texts.length };
}

const read = async <T>(answer: Response): Promise<T> => {
  if (answer.ok) return await answer.json();
  throw faultOf(await problemOf(answer));
};

const problemOf = async (answer: Response): Promise<Problem> => {
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return { type: "", detail: `the server answered ${answer.status}` };
  }
};

const codeOf = (problem: Problem): string => problem.type.replace(/^urn:daybook:problem:/, "");

const faultOf = (problem: Problem): Error => {
  const code = codeOf(problem);
  const said = [problem.detail ?? code, ...(problem.errors ?? []).map((issue) => issue.message)];
  const message = [...new Set(said)].join(" ");
  if (code === "unknown_view" || code === "no_history") return new ViewQuestion(code, message);
  if (code === "invalid_query") return new ViewQuestion("unknown_field", message);
  if (code === "control_failed") return new Refused(code, `The control "${problem.control}" declines it: ${message}`);
  if (code === "overloaded") return new LogFault("overloaded", message);
  if (code === "stopping") return new LogFault("closed", message);
  return new LogFault("io", message);
};

const ingestedOf = async (answer: Response, events: readonly Incoming[]): Promise<Ingested> => {
  if (answer.ok) {
    const { accepted, duplicates, size, receipts } = await answer.json() as {
      accepted: number;
      duplicates: number;
      size: number;
      receipts: readonly Omit<Receipt, "duplicate">[];
    };
    return { ok: true, accepted, duplicates, size, receipts: marked(receipts, accepted) };
  }
  const problem = await problemOf(answer);
  const code = codeOf(problem);
  const { index = 0, errors: issues = [], source = "", id = "", position = 0 } = problem;
  if (code === "decided_type" || code === "unknown_type" || code === "invalid_data") {
    return { ok: false, conflict: "invalid", index, code, issues };
  }
  if (code === "invalid_event") return { ok: false, conflict: "invalid", index, code: "invalid_attribute", issues };
  if (code === "id_conflict") return { ok: false, conflict: "id", source, id, position };
  throw faultOf({
    ...problem,
    detail: `${problem.detail ?? code} (${events.length} events from ${events[0]?.source})`,
  });
};

/**
 * The route tells how many were known, not which. What a request adds comes behind everything it can repeat, so the new ones
 * are the first at each of its highest positions. `size` says nothing of it: others append meanwhile.
 */
const marked = (receipts: readonly Omit<Receipt, "duplicate">[], accepted: number): readonly Receipt[] => {
  const positions = [...new Set(receipts.map(({ position }) => position))].sort((a, b) => b - a);
  const fresh = new Set(positions.slice(0, accepted));
  return receipts.map((receipt) => ({ ...receipt, duplicate: !fresh.delete(receipt.position) }));
};

const UNAVAILABLE: Readonly<Record<string, Extract<Outcome, { is: "unavailable" }>["reason"]>> = {
  overloaded: "contention",
  deadline: "deadline",
  unwritable: "log",
  stopping: "stopping",
};

const outcomeOf = async (answer: Response, wish: Ask): Promise<Outcome> => {
  if (answer.ok) {
    const { stream, revision, position, facts } = await answer.json() as Omit<
      Extract<Outcome, { is: "accepted" }>,
      "is"
    >;
    const duplicate = answer.headers.get("idempotent-replayed") === "true";
    return { is: "accepted", stream: stream as StreamId, revision, position, facts, duplicate };
  }
  const problem = await problemOf(answer);
  const { revision = -1, detail = "", errors = [] } = problem;
  const code = codeOf(problem);
  switch (code) {
    case "rejected":
      return { is: "rejected", code: problem.code ?? "rejected", because: detail, revision };
    case "invalid_data":
      return { is: "invalid", issues: errors };
    // Without a server its schema would have refused as much.
    case "too_large":
      return { is: "invalid", issues: [{ path: "", message: detail }] };
    case "unknown_command":
      return { is: "unknown_command" };
    case "command_conflict":
      return { is: "conflict", reason: "command_id", revision };
    case "revision_mismatch":
      return { is: "conflict", reason: "revision", revision };
  }
  const reason = UNAVAILABLE[code];
  if (reason === undefined) throw faultOf({ ...problem, detail: `${wish.type} ${wish.id}: ${detail || code}` });
  return {
    is: "unavailable",
    reason: problem.reason as typeof reason ?? reason,
    retryAfterMs: Number(answer.headers.get("retry-after") ?? 1) * 1_000,
  };
};
