/** `POST /events`: observed events come in, all of a request or none. */
import type { Ingested, Issue } from "../../actors/kernel/daybook.ts";
import { LogFault, type Receipt } from "../../events/log.ts";
import type { StreamId } from "../../events/event.ts";
import { HOUSE } from "../../events/tenants.ts";
import { streamOf, tenantOf } from "./authority.ts";
import { readBody } from "./body.ts";
import { receive, type Received } from "./cloudevents.ts";
import { refuseCoding } from "./media.ts";
import { preferences } from "./prefer.ts";
import { Problem, type ProblemCode } from "./problem.ts";
import { retryAfter } from "./rate.ts";
import type { Exchange } from "./route.ts";

export const ingest = async (exchange: Exchange): Promise<Response> => {
  const { request, site } = exchange;
  const { headers } = request;
  refuseCoding(headers);
  const bytes = await readBody(exchange, exchange.bodyBytesMax);
  const prefer = preferences(headers.get("prefer"));
  const { daybook } = site;
  const began = site.clock.monotonic();
  let done: Ingested;
  try {
    done = await recorded(exchange, bytes);
  } catch (fault) {
    throw faultProblem(fault);
  }
  // What was sent is not held while the disk is waited for; who is refused has it read once more.
  if (!done.ok) throw refusal(done, receive(headers, bytes), exchange);
  if (done.receipts.length > 0) site.metrics.append.observe((site.clock.monotonic() - began) / 1000);
  site.metrics.ingested(done.accepted, done.duplicates);
  const applied: string[] = [];
  let body = `{"accepted":${done.accepted},"duplicates":${done.duplicates},"size":${done.size}`;
  if (prefer.minimal) applied.push("return=minimal");
  else {
    body += `,"receipts":[${done.receipts.map((receipt) => receiptText(exchange, receipt)).join(",")}]`;
    if (prefer.representation) applied.push("return=representation");
  }
  if (prefer.checkpoint) {
    const checkpoint = await daybook.checkpoint(done.size);
    if (checkpoint && checkpoint.size >= done.size) {
      applied.push("checkpoint");
      body += `,"checkpoint":${JSON.stringify(checkpoint.note)}`;
    }
  }
  const status = done.accepted > 0 ? 201 : 200;
  return answer(status, body + "}", applied);
};

const recorded = (exchange: Exchange, bytes: Uint8Array<ArrayBuffer>): Promise<Ingested> => {
  const { request, site, traceparent } = exchange;
  const { daybook, quotas, authority } = site;
  const { events } = receive(request.headers, bytes);
  if (events.length === 0) {
    return Promise.resolve({ ok: true, accepted: 0, duplicates: 0, size: daybook.log.size, receipts: [] });
  }
  const { tenant } = exchange.grant!;
  quotas?.spend(tenant, { events: events.length, bytes: bytes.length });
  return daybook.ingest(events, exchange.grant!.principal, {
    ...(traceparent === undefined ? {} : { traceparent }),
    // What nobody was given is the installation's, and of a tenant that has nothing nothing is.
    ...((authority.byStream || tenant !== HOUSE) && { may: mayIngest(exchange) }),
  });
};

/** Who sends an event must be permitted both what it comes from and where it goes. */
const mayIngest = ({ may, site: { authority: { owners } } }: Exchange) => (source: string, stream: StreamId): boolean =>
  may("events.ingest", tenantOf(owners.ofSource(source))) && may("events.ingest", streamOf(stream, owners));

/** The busiest answer there is: an answer to POST is kept by no cache (RFC 9110 section 9.3.3), so it need not say so. */
const answer = (status: number, body: string, applied: readonly string[]): Response =>
  new Response(body, {
    status,
    headers: applied.length === 0 ? READY_HEADERS : { ...PLAIN_HEADERS, "preference-applied": applied.join(", ") },
  });
const PLAIN_HEADERS = { "content-type": "application/json", "x-content-type-options": "nosniff" };
// Checked once, copied a request: a quarter cheaper than an object.
const READY_HEADERS = new Headers(PLAIN_HEADERS);

const receiptText = (exchange: Exchange, receipt: Receipt): string => {
  const { id, source, stream, revision, position } = receipt;
  const leaf = exchange.site.daybook.log.leaf(position);
  const hash = leaf ? `,"leaf":"${leaf.toBase64()}"` : "";
  return `{"id":${JSON.stringify(id)},"source":${JSON.stringify(source)},"stream":${JSON.stringify(stream)},` +
    `"revision":${revision},"position":${position}${hash}}`;
};

const refusal = (
  done: Ingested & { readonly ok: false },
  { batch, events }: Received,
  { site }: Pick<Exchange, "site">,
): Problem => {
  switch (done.conflict) {
    case "id": {
      const { source, id, position } = done;
      const [index, repeated] = events.flatMap((event, i) => event.source === source && event.id === id ? [i] : []);
      if (repeated !== undefined && !site.daybook.log.find(source, id)) {
        return new Problem(
          "id_conflict",
          "Two events of the request have this source and id, and say different things.",
          {
            members: { source, id },
            errors: [{ path: `/${repeated}`, message: `differs from the event at /${index}` }],
          },
        );
      }
      return new Problem(
        "id_conflict",
        "An event with this source and id is in the log already, and says something else.",
        {
          members: { source, id, position },
          errors: [{ path: batch ? `/${index}` : "", message: `differs from the event at position ${position}` }],
        },
      );
    }
    case "revision":
      return new Problem("revision_conflict", "The stream has moved on.", {
        members: { stream: done.stream, revision: done.revision },
      });
    case "invalid": {
      const prefix = (batch ? `/${done.index}` : "") + (done.code === "invalid_data" ? "/data" : "");
      const errors = done.issues.map((issue): Issue => ({ path: prefix + issue.path, message: issue.message }));
      return new Problem(INVALID[done.code][0], INVALID[done.code][1], {
        errors: errors.length > 0 ? errors : [{ path: `${prefix}/type`, message: done.code }],
        members: batch ? { index: done.index } : {},
      });
    }
  }
};

type Invalid = Extract<Ingested, { readonly conflict: "invalid" }>;
const INVALID: Readonly<Record<Invalid["code"], readonly [ProblemCode, string]>> = {
  decided_type: ["decided_type", "Events of this type come from their own actor: send it a command."],
  unknown_type: ["unknown_type", "Here unknown types are refused."],
  invalid_data: ["invalid_data", "The data does not fit the schema of its type."],
  not_permitted: ["forbidden", "No policy permits sending an event from this source, or to this stream."],
  invalid_attribute: ["invalid_event", "An attribute is not as it should be."],
};

/** What the caller is told of a log that could not do it; the operator finds the fault itself in logs and health. */
export const faultProblem = (fault: unknown): unknown => {
  // What would have to be looked at is gone for good: repeating it is of no use.
  if (!(fault instanceof LogFault) || fault.kind === "archived") return fault;
  switch (fault.kind) {
    case "too_large":
      return new Problem("too_large", fault.message);
    case "invalid":
      return new Problem("invalid_event", fault.message);
    case "overloaded":
      return new Problem("overloaded", "Too many appends are waiting. Repeat it as it is.", {
        headers: retryAfter(1000),
      });
    case "closed":
      return new Problem("stopping", "The server is stopping. Repeat it as it is.", { headers: retryAfter(1000) });
    default:
      return new Problem("unwritable", "The log cannot be written now; reading goes on. Repeat it as it is.", {
        members: { fault: fault.kind },
        headers: retryAfter(fault.kind === "locked" || fault.kind === "io" ? 1000 : 10_000),
      });
  }
};
