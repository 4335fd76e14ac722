/** A small Daybook in memory for tests of the server: a real log, real views and one actor, without supervision. */
import { checkTooMany } from "./too_many_given.ts";
import { CedarAuthority } from "../adapters/program/access/authority.ts";
import { shippedModel } from "../adapters/program/access/model.ts";
import { type Catalogue, catalogue } from "../events/catalogue.ts";
import type { Event, StreamId } from "../events/event.ts";
import type { NewEvent, Range } from "../events/log.ts";
import { personal } from "../events/personal.ts";
import { accept, type Actor, type Command, reject } from "../actors/types.ts";
import type { Ask, Daybook, Incoming, Ingested, Outcome, Principal, Status } from "../actors/kernel/daybook.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import type { Access, Grant } from "../adapters/http/access.ts";
import { type Scope, SCOPES } from "../events/scopes.ts";
import { createServer, type Server, type ServerOptions } from "../adapters/http/server.ts";
import { RateLimiter } from "../adapters/http/rate.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { folder } from "../projections/fold.ts";
import type { Projection } from "../projections/projection.ts";
import { z } from "zod";

const facts = {
  "things.thing.seen": {
    schema: z.strictObject({
      name: z.string().min(1),
      size: z.int().optional(),
      who: personal({ subject: "owner" }).optional(),
      owner: z.string().optional(),
    }),
    kind: "observed",
    about: "A thing was seen.",
    stream: ({ data }) => `things/${(data as { name: string }).name}` as StreamId,
  },
  "things.counter.raised": { schema: z.strictObject({ by: z.int() }), kind: "decided", about: "A counter went up." },
} as const satisfies Catalogue["domains"][number]["facts"];

type Raise = Command<"things.counter.raise", { by: number }>;

const counter: Actor<number, Raise, { type: "things.counter.raised"; data: { by: number } }> = {
  domain: "things",
  version: 1,
  commands: { "things.counter.raise": z.strictObject({ by: z.int().min(1) }) },
  facts: ["things.counter.raised"],
  initial: 0,
  decide: (sum, { data }) =>
    sum + data.by > 100
      ? reject("counter_full", "A counter ends at 100")
      : accept({ type: "things.counter.raised", data }),
  evolve: (sum, { data }) => sum + data.by,
};

interface Seen {
  name: string;
  times: number;
  who?: string;
}
const seen: Projection<Seen> = {
  name: "things.seen",
  version: 3,
  hears: ["things.thing.seen"],
  row: z.strictObject({ name: z.string(), times: z.int(), who: z.string().optional() }),
  initial: { name: "", times: 0 },
  indexes: ["name", "times"],
  text: (row) => row.name,
  about: "What was seen, and how often.",
  keys: (event) => [(event.data as { name: string }).name],
  apply: (row, event) => {
    const { name, who } = event.data as { name: string; who?: string };
    return { name, times: row.times + 1, ...(who && { who }) };
  },
};

/** `sealed:…` texts as ours stand in for: the sealed form here is the plain text turned around. */
const seal = (text: string): string => `sealed:1:someone:${[...text].reverse().join("")}`;
const swap = <T>(value: T, to: (sealed: string) => string): T =>
  JSON.parse(
    JSON.stringify(value),
    (_, member) => typeof member === "string" && member.startsWith("sealed:1:") ? to(member) : member,
  );

export interface Given {
  readonly daybook: Daybook;
  readonly log: MemoryLog;
  /** Replace to make ingest or ask do something else. */
  readonly faults: {
    ingest?: () => Promise<Ingested>;
    ask?: (ask: Ask) => Promise<Outcome>;
    status?: Partial<Status>;
    note?: string;
  };
}

export const givenDaybook = (): Given => {
  const log = new MemoryLog(systemClock);
  const views = new MemoryViews();
  const store = views.open(seen as unknown as Projection);
  const apply = folder(seen as unknown as Projection, {
    get: (key) => store.get(key),
    set: (change) => store.commit([change], store.size),
  });
  const faults: Given["faults"] = {};
  const catchUp = () => {
    for (const batch of log.read({ from: store.size })) {
      for (const event of batch) {
        apply(event);
        store.commit([], event.position + 1);
      }
    }
  };
  const specs = catalogue({ name: "things", facts });
  const append = async (events: readonly NewEvent[]) => {
    const done = await log.append({ events });
    catchUp();
    return done;
  };
  const ingest = (incoming: readonly Incoming[], by: Principal): Promise<Ingested> => {
    if (faults.ingest) return faults.ingest();
    const events: NewEvent[] = [];
    for (const [index, event] of incoming.entries()) {
      const spec = specs.spec(event.type);
      if (spec?.kind === "decided") {
        return Promise.resolve({ ok: false, conflict: "invalid", index, code: "decided_type", issues: [] });
      }
      const parsed = spec?.schema.safeParse(event.data);
      if (parsed && !parsed.success) {
        const issues = parsed.error.issues.map(({ path, message }) => ({
          path: path.map((step) => `/${String(step)}`).join(""),
          message,
        }));
        return Promise.resolve({ ok: false, conflict: "invalid", index, code: "invalid_data", issues });
      }
      const { who } = (event.data ?? {}) as { who?: string };
      const data = spec && who ? { ...(event.data as object), who: seal(who) } : event.data;
      events.push({
        ...event,
        data,
        ...by,
        version: 1,
        stream: spec?.stream?.({ source: event.source, data }) ?? `inbox/${event.source}`,
        time: event.time ?? new Date().toISOString(),
        timeGiven: event.time !== undefined,
      });
    }
    return append(events);
  };
  const ask = async (asked: Ask): Promise<Outcome> => {
    if (faults.ask) return await faults.ask(asked);
    const schema = counter.commands[asked.type];
    if (!schema) return { is: "unknown_command" };
    const parsed = schema.safeParse(asked.data);
    if (!parsed.success) {
      return {
        is: "invalid",
        issues: parsed.error.issues.map(({ path, message }) => ({
          path: path.map((step) => `/${String(step)}`).join(""),
          message,
        })),
      };
    }
    const stream = `things/${asked.id}` as StreamId;
    let sum = counter.initial;
    for (const batch of log.read({ stream })) {
      for (const event of batch) {
        if (event.type === "things.counter.raised") sum = counter.evolve(sum, event as never);
      }
    }
    const head = log.head(stream);
    const before = asked.command === undefined ? undefined : log.find(stream, `${asked.by.authid}:${asked.command}/0`);
    if (before) {
      if (JSON.stringify(before.data) !== JSON.stringify(parsed.data)) {
        return { is: "conflict", reason: "command_id", revision: head };
      }
      return {
        is: "accepted",
        stream,
        revision: before.revision,
        position: before.position,
        facts: [before],
        duplicate: true,
      };
    }
    if (asked.expected !== undefined && asked.expected !== head) {
      return { is: "conflict", reason: "revision", revision: head };
    }
    const decision = counter.decide(sum, { type: "things.counter.raise", data: parsed.data as { by: number } }, {
      at: 0,
      by: asked.by.authid,
      fresh: "",
      id: asked.id,
    });
    if (!decision.ok) return { is: "rejected", ...decision.rejection, revision: head };
    const done = await append(decision.facts.map((fact, index) => ({
      ...fact,
      ...asked.by,
      id: `${asked.by.authid}:${asked.command ?? systemRandom.id()}/${index}`,
      source: stream,
      stream,
      version: 1,
      time: new Date().toISOString(),
      ...(asked.traceparent && { traceparent: asked.traceparent }),
      ...(asked.causationid && { causationid: asked.causationid }),
      ...(asked.correlationid && { correlationid: asked.correlationid }),
    })));
    if (!done.ok) throw new Error("the fake lost a race");
    const { position, revision } = done.receipts[0]!;
    return {
      is: "accepted",
      stream,
      revision,
      position,
      facts: [...log.read({ from: position, until: position + 1 })].flat(),
      duplicate: false,
    };
  };
  const daybook: Daybook = {
    catalogue: specs,
    actors: [counter as unknown as Actor],
    projections: [seen as unknown as Projection],
    computed: [],
    log,
    ingest,
    append: (batch) => log.append(batch).finally(catchUp),
    async *read(range: Range): AsyncGenerator<Event> {
      for (const batch of log.read(range)) {
        await Promise.resolve();
        yield* batch;
      }
    },
    follow: (from, signal) => log.follow(from, signal),
    ask,
    row: (name, key, options) => answer(() => views.row(name, key, options?.at)),
    view: (name, query) => answer(() => views.list(name, query ?? {})),
    unseal: (value) => swap(value, (text) => [...text.split(":").at(-1)!].reverse().join("")),
    redact: (value) => swap(value, () => "[sealed]"),
    putBlob: (bytes) => log.putBlob(bytes),
    unsealBlob: (bytes) => Promise.resolve(bytes),
    checkpoint: () =>
      Promise.resolve(
        faults.note === undefined ? undefined : { origin: "test", size: log.size, root: "AAAA", note: faults.note },
      ),
    deadLetters: () => [],
    redrive: () => Promise.resolve({ is: "unknown" }),
    status: () => ({
      state: "ready",
      durable: false,
      size: log.size,
      indexed: log.size,
      bytes: { log: 0, views: 0 },
      growth: { hours: 24, events: 0, bytes: 0 },
      health: {
        id: "daybook",
        state: "running",
        restarts: 0,
        since: "2026-01-01T00:00:00.000Z",
        children: [
          { id: "projections", state: "running", restarts: 2, since: "2026-01-01T00:00:00.000Z" },
          {
            id: "managers",
            state: "backoff",
            restarts: 7,
            since: "2026-01-01T00:00:05.000Z",
            cause: "connection refused",
          },
        ],
      },
      projections: [{ name: "things.seen", version: 3, state: "live", size: store.size, lag: log.size - store.size }],
      deadLetters: 0,
      deadLettersEvicted: 0,
      ...faults.status,
    }),
    close: () => log.close(),
  };
  return { daybook, log, faults };
};

// deno-lint-ignore require-await
const answer = async <T>(make: () => T): Promise<T> => make();

/** Lets nobody in; who comes by the folder's socket is let in without it. */
export const nobodyIn: Access = {
  check: () => undefined,
  login: () => undefined,
  session: () => undefined,
  logout() {},
  end: () => Promise.resolve(),
};

/** Tokens by their own scope: `read`, `ingest+read`; `none` has none. Sessions are the token after `s-`. */
export const givenAccess = (): Access & { readonly revoked: Set<string> } => {
  const revoked = new Set<string>();
  const check = (bearer: string): Grant | undefined => {
    const scopes = bearer === "none" ? [] : bearer.split("+");
    if (revoked.has(bearer) || !scopes.every((scope) => SCOPES.includes(scope as Scope))) return undefined;
    return { id: `t_${bearer}`, scopes, tenant: "default", principal: { authtype: "api_key", authid: `t_${bearer}` } };
  };
  return {
    revoked,
    check,
    login: (token) => check(token) && `s-${token}`,
    session: (cookie) => cookie.startsWith("s-") ? check(cookie.slice(2)) : undefined,
    logout: (cookie) => void revoked.add(cookie.slice(2)),
    end: (cookie) => Promise.resolve(void revoked.add(cookie.slice(2))),
  };
};

export interface Site extends Given {
  readonly server: Server;
  readonly access: ReturnType<typeof givenAccess>;
  readonly faultsSeen: unknown[];
  /** A request in process, with a token of these scopes (default: `ingest+command+read`); `null` for none. */
  send(
    path: string,
    init?: RequestInit & { readonly as?: string | null; readonly host?: string | null; readonly secure?: boolean },
  ): Promise<Response>;
}

/** A server over a fresh Daybook, stopped when the test is over. */
export const withSite = async (
  test: (site: Site) => Promise<void>,
  options: Partial<ServerOptions> = {},
): Promise<void> => {
  const given = givenDaybook();
  const access = givenAccess();
  const faultsSeen: unknown[] = [];
  const server = createServer({
    authority: new CedarAuthority(shippedModel()),
    daybook: given.daybook,
    access,
    clock: systemClock,
    random: systemRandom,
    report: ({ error }) => faultsSeen.push(error),
    ...options,
  });
  const send: Site["send"] = async (
    path,
    { as = "ingest+command+read", host = "localhost:7373", secure = false, ...init } = {},
  ) => {
    const headers = new Headers(init.headers);
    if (host !== null && !headers.has("host")) headers.set("host", host);
    if (as !== null && !headers.has("authorization")) headers.set("authorization", `Bearer ${as}`);
    const response = await server.fetch(new Request(`http://localhost:7373${path}`, { ...init, headers }), {
      remoteAddr: { transport: "tcp", hostname: "127.0.0.1" },
      secure,
    });
    if (response.status === 429) checkTooMany(response);
    return response;
  };
  try {
    await test({ ...given, server, access, faultsSeen, send });
  } finally {
    await server.stop();
    await given.daybook.close();
  }
};

/** A structured event as JSON text. */
export const cloudEvent = (id: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    specversion: "1.0",
    id,
    source: "urn:test",
    type: "things.thing.seen",
    data: { name: "lamp" },
    ...more,
  });

export const structured = { "content-type": "application/cloudevents+json" };

/** One new event with this data. */
export const sendData = async (site: Site, id: string, data: Record<string, unknown>): Promise<void> => {
  const response = await site.send("/events", { method: "POST", headers: structured, body: cloudEvent(id, { data }) });
  if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
  await response.body?.cancel();
};

/** Limits of a server, as its configuration says them. */
export const ratesOf = (
  { window_ms, requests_max, denied_max }: {
    readonly window_ms: number;
    readonly requests_max: number;
    readonly denied_max: number;
  },
): Required<ServerOptions>["rates"] => ({
  user: new RateLimiter({ max: requests_max, window_ms }),
  token: new RateLimiter({ max: requests_max, window_ms }),
  denied: new RateLimiter({ max: denied_max, window_ms }),
});
