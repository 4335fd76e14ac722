/** What is traced arrives at who collects it: one ingest and one command under one trace each, the metrics, and nothing personal. */
import assert from "node:assert/strict";
import { COMMIT_LIMITS } from "../../events/commits.ts";
import { HERE } from "../../adapters/kv/writer.ts";
import { Collector, type ReceivedSpan, Served } from "./telemetry_given.ts";

const SENDER = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
const OTHER = { trace: "0af7651916cd43dd8448eb211c80319c", span: "b7ad6b7169203331" };
const traceparent = ({ trace, span }: typeof SENDER) => `00-${trace}-${span}-01`;

/** What a person or a secret could be recognized by, in all places that a sender fills. */
const MARKS = {
  name: "Ada-Lovelace-Mark",
  email: "ada-mark@example.org",
  path: "path-mark@example.org",
  query: "query-mark@example.org",
  nowhere: "nowhere-mark",
  header: "header-mark",
  wrong: "dbk_wrongtoken-mark",
  key: "idempotency-mark",
} as const;

const commit = (sha: string) => ({
  specversion: "1.0",
  type: "commits.commit.recorded",
  source: "https://example.org/shop",
  id: sha,
  time: "2026-03-01T12:00:00Z",
  data: {
    sha,
    parts: 0,
    parents: [],
    author: { name: MARKS.name, email: MARKS.email },
    times: { committed: "2026-03-01T12:00:00Z" },
    subject: "Count again",
    files: 0,
    added: 0,
    deleted: 0,
  },
});

interface Site {
  readonly collector: Collector;
  readonly url: string;
  readonly token: string;
  ask(
    path: string,
    init?: RequestInit & { readonly as?: string },
  ): Promise<{ readonly status: number; readonly body: string }>;
  stop(): Promise<void>;
}

const withProgram = async (test: (site: Site) => Promise<void>) => {
  const data = await Deno.makeTempDir();
  const collector = new Collector();
  const client = Deno.createHttpClient({});
  const served = await Served.start(data, collector.environment);
  let ended: Promise<void> | undefined;
  const stop = () => ended ??= served.end().then(({ code, err }) => assert.equal(code, 0, err));
  try {
    await test({
      collector,
      url: served.url,
      token: served.token,
      stop,
      async ask(path, { as = served.token, headers, ...init } = {}) {
        const given = { authorization: `Bearer ${as}`, ...headers as Record<string, string> };
        const response = await fetch(`${served.url}${path}`, { ...init, headers: given, client });
        return { status: response.status, body: await response.text() };
      },
    });
  } finally {
    await stop();
    client.close();
    await collector.close();
    await Deno.remove(data, { recursive: true });
  }
};

const post = (body: unknown, type: string, headers: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": type, ...headers },
  body: JSON.stringify(body),
});

const below = (child: ReceivedSpan, parent: ReceivedSpan) =>
  assert.equal(child.parentSpanId, parent.spanId, `"${child.name}" is under "${parent.name}"`);

Deno.test("one ingest is one trace, from the sender's span over HTTP and the append to the views that fold it in their thread", () =>
  withProgram(async ({ ask, collector, stop }) => {
    const headers = { traceparent: traceparent(SENDER) };
    const posted = await ask("/events", post(commit("1".repeat(40)), "application/cloudevents+json", headers));
    assert.equal(posted.status, 201, posted.body);
    const { position } = JSON.parse(posted.body).receipts[0];
    for (const view of ["audit.trail", "commits.history"]) {
      const seen = await ask(`/views/${view}?wait=${position}`);
      assert.equal(seen.status, 200, seen.body);
    }
    const read = await ask(`/events/${position}`);
    await stop();
    await collector.has(SENDER.trace, "POST /events", "append", "project audit.trail", "project commits.history");
    const http = collector.one("POST /events", SENDER.trace);
    const append = collector.one("append", SENDER.trace);
    assert.equal(http.parentSpanId, SENDER.span);
    below(append, http);
    for (const view of ["audit.trail", "commits.history"]) {
      below(collector.one(`project ${view}`, SENDER.trace), append);
    }
    assert.equal(JSON.parse(read.body).traceparent, `00-${SENDER.trace}-${append.spanId}-01`);
    assert.deepEqual([http.kind, append.kind, http.attributes["http.route"]], [2, 1, "/events"]);
    assert.deepEqual(append.attributes, { "daybook.events": 1, "daybook.accepted": 1, "daybook.duplicates": 0 });
  }));

Deno.test("one command is one trace: HTTP, the command, the append of its facts, and the views", () =>
  withProgram(async ({ ask, collector, stop }) => {
    const headers = { traceparent: traceparent(OTHER) };
    const move = { branch: "main", to: "1".repeat(40) };
    const moved = await ask("/commands/commits.branch.move/shop", post(move, "application/json", headers));
    assert.equal(moved.status, 200, moved.body);
    const { position, facts } = JSON.parse(moved.body);
    assert.equal((await ask(`/views/audit.trail?wait=${position}`)).status, 200);
    const refused = await ask(
      "/commands/commits.branch.move/shop",
      post({ ...move, to: "3".repeat(40), from: "2".repeat(40) }, "application/json", {
        traceparent: traceparent(SENDER),
      }),
    );
    assert.equal(refused.status, 409, refused.body);
    await stop();
    await collector.has(OTHER.trace, "POST /commands/:type/:id{.+}", "append", "project audit.trail");
    await collector.has(SENDER.trace, "POST /commands/:type/:id{.+}", "command commits.branch.move");
    const http = collector.one("POST /commands/:type/:id{.+}", OTHER.trace);
    const command = collector.one("command commits.branch.move", OTHER.trace);
    const append = collector.one("append", OTHER.trace);
    below(command, http);
    below(append, command);
    below(collector.one("project audit.trail", OTHER.trace), command);
    assert.equal(facts[0].traceparent, `00-${OTHER.trace}-${command.spanId}-01`);
    assert.equal(command.attributes["daybook.outcome"], "accepted");
    // What the domain refuses is an answer, and nothing is appended.
    const refusal = collector.one("command commits.branch.move", SENDER.trace);
    assert.deepEqual([refusal.attributes["daybook.outcome"], refusal.failed], ["rejected", false]);
    assert.equal(collector.names(SENDER.trace), "POST /commands/:type/:id{.+}, command commits.branch.move");
  }));

Deno.test("an invalid traceparent begins a new trace, and so does none", () =>
  withProgram(async ({ ask, collector, stop }) => {
    const seen = new Set<string>();
    for (const [index, header] of ["nonsense", `00-${"0".repeat(32)}-${SENDER.span}-01`, undefined].entries()) {
      const headers: Record<string, string> = header === undefined ? {} : { traceparent: header };
      const sent = post(commit(String(index + 1).repeat(40)), "application/cloudevents+json", headers);
      const { receipts: [{ position }] } = JSON.parse((await ask("/events", sent)).body);
      const event = JSON.parse((await ask(`/events/${position}`)).body);
      assert.match(event.traceparent, /^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      assert.equal((await ask(`/views/audit.trail?wait=${position}`)).status, 200);
      seen.add(event.traceparent.split("-")[1]);
    }
    await stop();
    assert.equal(seen.size, 3);
    for (const trace of seen) await collector.has(trace, "POST /events", "append", "project audit.trail");
    for (const trace of seen) assert.match(collector.names(trace), /^POST \/events, append, project /);
  }));

Deno.test("the metrics that are promised arrive while it runs", () =>
  withProgram(async ({ ask, collector }) => {
    const events = Array.from({ length: 3 }, (_, i) => commit(String(i + 1).repeat(40)));
    assert.equal((await ask("/events", post(events, "application/cloudevents-batch+json"))).status, 201);
    const promised = {
      "daybook.append.duration": "s",
      "daybook.commit.duration": "s",
      "daybook.commit.size": "{event}",
      "daybook.mailbox.depth": "{message}",
      "daybook.projection.lag": "{event}",
      "daybook.restarts": "{restart}",
    };
    const points = (name: string) => collector.metrics.get(name)?.points ?? [];
    await collector.until(() => Object.keys(promised).every((name) => points(name).length > 0));
    for (const [name, unit] of Object.entries(promised)) assert.equal(collector.metrics.get(name)!.unit, unit, name);
    // The server may have had something to say of its own meanwhile.
    assert.ok(Number(points("daybook.append.duration")[0]!.count) >= 1);
    assert.ok(Number(points("daybook.commit.size")[0]!.sum) >= 3);
    const views = points("daybook.projection.lag").map(({ attributes }) =>
      (attributes as { value: { stringValue: string } }[])[0]!.value.stringValue
    );
    assert.ok(views.includes("audit.trail") && views.includes("commits.history"), views.join());
    assert.deepEqual(points("daybook.restarts").map(({ asDouble, asInt }) => Number(asDouble ?? asInt)), [0]);
  }));

Deno.test("metrics go on arriving once the thread that writes large commits is there, and waits for more", () =>
  withProgram(async ({ ask, collector }) => {
    const large = Array.from({ length: 500 }, (_, i) => {
      const one = commit(String(100 + i).padEnd(40, "0"));
      return { ...one, data: { ...one.data, subject: "x".repeat(COMMIT_LIMITS.subject_chars_max) } };
    });
    assert.ok(JSON.stringify(large).length > HERE.bytes_max);
    const { status, body } = await ask("/events", post(large, "application/cloudevents-batch+json"));
    assert.equal(status, 201, body);
    const appends = () => Number(collector.metrics.get("daybook.append.duration")?.points[0]?.count ?? 0);
    // The thread may be asked for its metrics before it waits; then again, while it waits.
    for (let round = 1; round <= 3; round++) {
      const before = appends();
      const one = post(commit(String(round).repeat(40)), "application/cloudevents+json");
      assert.equal((await ask("/events", one)).status, 201);
      await collector.until(() => appends() > before);
    }
  }));

Deno.test("nothing of a person and no secret is exported, wherever in a request it stood", () =>
  withProgram(async ({ ask, collector, token, stop }) => {
    const posted = await ask("/events", post(commit("1".repeat(40)), "application/cloudevents+json"));
    const { position } = JSON.parse(posted.body).receipts[0];
    await ask(`/views/commits.history/${encodeURIComponent(MARKS.path)}?wait=${position}`);
    await ask(`/views/commits.history?q=${encodeURIComponent(MARKS.query)}`);
    await ask(`/${MARKS.nowhere}?${MARKS.nowhere}`);
    await ask(`/events?stream=${MARKS.query}`, { method: "DELETE" });
    await ask("/events", { method: "ADA" });
    await ask("/events", { as: MARKS.wrong });
    await ask("/login", post({ token: MARKS.wrong }, "application/json"));
    await ask("/events", {
      headers: { cookie: `daybook=${MARKS.wrong}`, "user-agent": MARKS.header, forwarded: MARKS.header },
    });
    await ask(
      `/commands/commits.branch.move/${encodeURIComponent(MARKS.path)}`,
      post({ branch: MARKS.nowhere, to: "1".repeat(40) }, "application/json", { "idempotency-key": MARKS.key }),
    );
    await ask(`/commands/${MARKS.nowhere}.a.b/x`, post({}, "application/json"));
    await stop();
    await collector.until(() => collector.spans.some(({ attributes }) => attributes["http.route"] === "/login"));
    await collector.until(() => collector.spans.filter(({ scope }) => scope === "deno").length === 11);
    assert.ok(collector.spans.length > 12 && collector.metrics.size > 6);
    for (
      const mark of [...Object.values(MARKS), token, encodeURIComponent(MARKS.path), encodeURIComponent(MARKS.query)]
    ) {
      assert.ok(
        !collector.text.includes(mark),
        `"${mark}" was exported: ${
          collector.text.slice(collector.text.indexOf(mark) - 400, collector.text.indexOf(mark) + 80)
        }`,
      );
    }
    // The platform's own metrics tell of methods as they were sent; its spans do not.
    const odd = collector.spans.filter(({ name }) => name === "HTTP");
    assert.ok(odd.length >= 1 && odd.every(({ attributes }) => attributes["http.request.method"] === "_OTHER"));
  }));
