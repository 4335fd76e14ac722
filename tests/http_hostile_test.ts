/** Whatever is sent to whatever route: a clear refusal, never a fault, nothing appended, and the server goes on. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { systemRandom } from "../adapters/system/world.ts";
import { cloudEvent, ratesOf, type Site, structured, withSite } from "./http_given.ts";
import { until, within } from "./until.ts";

const paths = (site: Site): string[] =>
  site.server.routes.map(({ path }) =>
    path.replace(":position", "0").replace(":type", "things.counter.raise").replace(":id{.+}", "a").replace(
      ":name",
      "things.seen",
    ).replace(":key{.+}", "lamp").replace(":file", "swagger-ui.css")
  );

const NASTY = [
  "%",
  "%zz",
  "%ff",
  "%00",
  "%C0%AF",
  "..",
  "%2e%2e%2f",
  "\u0000",
  "a".repeat(9_000),
  "-1",
  "1e999",
  "NaN",
  "9".repeat(400),
  "__proto__",
  "constructor",
  "'; drop table x;--",
  "<script>",
  "\u202e",
  "[]",
  "{}",
  "null",
  "true",
  "*",
  '"',
  "\\",
  "a=b",
  "?",
  "#",
  "&",
  "+",
  "%F0%9F%92%A9",
  "%ED%A0%80",
];
const piece = fc.oneof(
  fc.constantFrom(...NASTY),
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const query = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom(
        "from",
        "until",
        "limit",
        "order",
        "stream",
        "type",
        "correlation",
        "at",
        "wait",
        "q",
        "prefix",
        "sort",
        "after",
        "where.name",
        "name",
        "next",
        "token",
      ),
      piece,
    ),
    piece,
  ),
  { maxLength: 4 },
)
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("&"));
const HEADERS = [
  "accept",
  "content-type",
  "content-encoding",
  "content-length",
  "prefer",
  "if-match",
  "if-none-match",
  "idempotency-key",
  "last-event-id",
  "traceparent",
  "tracestate",
  "cookie",
  "origin",
  "forwarded",
  "x-request-id",
  "ce-id",
  "ce-source",
  "ce-specversion",
  "ce-type",
  "ce-time",
  "ce-x",
  "range",
  "expect",
  "te",
  "x-forwarded-for",
  "host",
  "authorization",
];
const header = fc.tuple(
  fc.constantFrom(...HEADERS),
  fc.oneof(
    piece,
    fc.constantFrom(
      "application/json",
      "application/cloudevents+json",
      "application/cloudevents-batch+json",
      "text/event-stream",
      "gzip",
      "*/*;q=x",
      "1.0",
      "chunked",
      "00-" + "0".repeat(32) + "-" + "0".repeat(16) + "-00",
    ),
  ),
)
  .filter(([, value]) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value) && value.trim() === value);
const body = fc.oneof(
  fc.constantFrom<BodyInit | undefined>(
    undefined,
    "",
    "{",
    "null",
    "[]",
    "[[[[",
    '"\\ud800"',
    '{"a":1e999}',
    '{"a":1,"a":2}',
    "\ufeff{}",
    `${"[".repeat(100_000)}`,
    "token=%ff&token=x",
    "token=a&token=b",
    `{"specversion":"1.0"${',"a":1'.repeat(1_000)}}`,
  ),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => new Uint8Array(bytes)),
  fc.json({ maxDepth: 6 }),
  fc.record({
    specversion: fc.constantFrom("1.0", 1, null),
    id: fc.jsonValue(),
    source: fc.jsonValue(),
    type: fc.oneof(fc.constantFrom("things.counter.raised", "things.thing.seen"), fc.jsonValue()),
    data: fc.jsonValue(),
    stream: fc.jsonValue(),
  }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
);

Deno.test("no method, path, query, header or body brings forth a fault", () =>
  withSite(async (site) => {
    const known = paths(site);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"),
        fc.oneof(
          fc.constantFrom(...known),
          fc.tuple(fc.constantFrom(...known), piece).map(([path, more]) => `${path}/${more}`),
          piece.map((text) => `/${text}`),
        ),
        query,
        fc.array(header, { maxLength: 5 }),
        body,
        fc.constantFrom("ingest+command+read+personal", "admin", "none", null),
        async (method, path, query, headers, body, as) => {
          const target = `${path}${query ? `?${query}` : ""}`;
          const given = new Headers();
          for (const [name, value] of headers) given.append(name, value);
          try {
            new Request(`http://localhost:7373${target}`, { method, headers: given });
          } catch {
            return; // it could not be sent
          }
          const response = await site.send(target, {
            method,
            headers: given,
            as,
            ...(method !== "GET" && method !== "HEAD" && body !== undefined && { body }),
          });
          const told = `${method} ${target} ${JSON.stringify([...given])} answered ${response.status}`;
          assert.ok(response.status < 500, told);
          if (
            response.status >= 400 && response.headers.get("content-type") === "application/problem+json" &&
            method !== "HEAD"
          ) {
            const problem = await response.json();
            assert.equal(problem.status, response.status, told);
            assert.doesNotMatch(JSON.stringify(problem), /\.tsx?:\d|at Object|node_modules/, told);
          } else await response.body?.cancel();
        },
      ),
      { numRuns: 1_500 },
    );
    assert.deepEqual(site.faultsSeen, []);
    assert.equal((await site.send("/livez", { as: null })).status, 200);
  }, { rates: ratesOf({ window_ms: 1_000, requests_max: 1_000_000, denied_max: 1_000_000 }) }));

/** Raw bytes to a real socket; what comes back until the other side closes, or a minute passes. */
const raw = async (port: number, bytes: string | Uint8Array): Promise<string> => {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const timer = setTimeout(() => connection.close(), 60_000);
  let text = "";
  try {
    await connection.write(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) break;
      text += new TextDecoder().decode(buffer.subarray(0, count));
      // One answer is enough; a connection that is kept open would say nothing more.
      if (/\r\n\r\n/.test(text)) break;
    }
  } catch { /* closed by the timer or the other side */ }
  clearTimeout(timer);
  try {
    connection.close();
  } catch { /* it is */ }
  return text;
};

Deno.test("raw requests that no client would send are refused on the wire, and the server goes on", () =>
  withSite(async (site) => {
    const { port } = site.server.listen({ hostname: "127.0.0.1", port: 0 });
    const host = "Host: localhost\r\n";
    const auth = "Authorization: Bearer ingest+read+command\r\n";
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ["a host that is none", "GET /livez HTTP/1.1\r\nHost: [bad\r\n\r\n", /^HTTP\/1\.1 421 /],
      ["no host and a made-up target", "GET http://evil.example/livez HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 4\d\d /],
      ["two hosts", "GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", /^HTTP\/1\.1 400 /],
      ["HTTP/1.0 to another host", "GET /livez HTTP/1.0\r\nHost: evil.example\r\n\r\n", /^HTTP\/1\.\d 421 /],
      ["an absolute target elsewhere", `GET http://evil.example/events HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 401 /],
      ["CONNECT", `CONNECT localhost:1 HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 4\d\d /],
      ["OPTIONS *", `OPTIONS * HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 404 /],
      ["NUL in the path", `GET /\0 HTTP/1.1\r\n${host}\r\n`, /^HTTP\/1\.1 400 /],
      ["raw bytes in the path", `GET /events/\u00ff HTTP/1.1\r\n${host}${auth}\r\n`, /^HTTP\/1\.1 4\d\d /],
      ["bad escapes in the path", `GET /views/%zz/%ff HTTP/1.1\r\n${host}${auth}\r\n`, /^HTTP\/1\.1 400 /],
      ["a negative length", `POST /events HTTP/1.1\r\n${host}${auth}Content-Length: -5\r\n\r\n`, /^HTTP\/1\.1 400 /],
      [
        "two lengths",
        `POST /events HTTP/1.1\r\n${host}${auth}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}`,
        /^HTTP\/1\.1 400 /,
      ],
      [
        "a length over the limit",
        `POST /events HTTP/1.1\r\n${host}${auth}Content-Type: application/cloudevents+json\r\nContent-Length: 99999999999\r\n\r\n`,
        /^HTTP\/1\.1 413 /,
      ],
      [
        "a chunk that is none",
        `POST /events HTTP/1.1\r\n${host}${auth}Content-Type: application/cloudevents+json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
        /^(HTTP\/1\.1 4\d\d |$)/,
      ],
      [
        "a header of a megabyte",
        `GET /livez HTTP/1.1\r\n${host}X: ${"a".repeat(1_000_000)}\r\n\r\n`,
        /^(HTTP\/1\.1 4\d\d |$)/,
      ],
      ["a thousand headers", `GET /livez HTTP/1.1\r\n${host}${"X: 1\r\n".repeat(1_000)}\r\n`, /^(HTTP\/1\.1 4\d\d |$)/],
      ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", /^(HTTP\/1\.1 400 |$)/],
      ["a path of 100 KB", `GET /${"a".repeat(100_000)} HTTP/1.1\r\n${host}\r\n`, /^(HTTP\/1\.1 4\d\d |$)/],
    ];
    for (const [what, bytes, expected] of cases) assert.match(await raw(port, bytes), expected, what);
    const after = await fetch(`http://127.0.0.1:${port}/livez`);
    assert.equal(after.status, 200);
    await after.body?.cancel();
    assert.deepEqual(site.faultsSeen, []);
    assert.equal(site.log.size, 0);
  }));

Deno.test("a body that trickles in is given up on, a connection that breaks off appends nothing", () => {
  const clock = new SimulatedClock(systemRandom);
  return withSite(async (site) => {
    const { port } = site.server.listen({ hostname: "127.0.0.1", port: 0 });
    const head =
      `POST /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ingest\r\nContent-Type: application/cloudevents+json\r\n`;
    let answer: string | undefined;
    const trickling = raw(port, `${head}Content-Length: 100\r\n\r\n{"specver`).then((text) => answer = text);
    await until("it is given up on", async () => {
      await clock.advance(HTTP_LIMITS.request_ms_max);
      return answer;
    });
    assert.match(await trickling, /^HTTP\/1\.1 408 /);
    const gone = await Deno.connect({ hostname: "127.0.0.1", port });
    await gone.write(new TextEncoder().encode(`${head}Content-Length: 5000\r\n\r\n${cloudEvent("a")}`));
    gone.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(site.log.size, 0);
    assert.deepEqual(site.faultsSeen, []);
    const response = await fetch(`http://127.0.0.1:${port}/events`, {
      method: "POST",
      headers: { ...structured, authorization: "Bearer ingest" },
      body: cloudEvent("a"),
    });
    assert.equal(response.status, 201);
    await response.body?.cancel();
  }, { clock });
});

Deno.test("a path and query over 8 KiB is 414, a request over its deadline 503, a slow body 408", () => {
  const clock = new SimulatedClock(systemRandom);
  return withSite(async (site) => {
    const target = (bytes: number) => `/events?type=${"a".repeat(bytes - "/events?type=".length)}`;
    assert.equal((await site.send(target(HTTP_LIMITS.target_bytes_max + 1))).status, 414);
    const longest = await site.send(target(HTTP_LIMITS.target_bytes_max));
    assert.equal(longest.status, 400); // no type is so long
    await longest.body?.cancel();
    const posted = (body: BodyInit) =>
      clock.until(site.send("/events", { method: "POST", body, headers: structured }), HTTP_LIMITS.request_ms_max);
    let release = () => {};
    site.faults.ingest = () =>
      new Promise((resolve) =>
        release = () => resolve({ ok: true, accepted: 0, duplicates: 0, size: 0, receipts: [] })
      );
    const late = await posted(cloudEvent("a"));
    assert.deepEqual([late.status, late.headers.get("retry-after")], [503, "1"]);
    assert.equal((await late.json()).type, "urn:daybook:problem:deadline");
    release();
    let givenUp = false;
    const slow = await posted(new ReadableStream({ cancel: () => void (givenUp = true) }));
    assert.deepEqual([slow.status, givenUp], [408, true]);
    await slow.body?.cancel();
  }, { clock });
});

Deno.test("a hundred half-sent requests keep nobody else waiting", () =>
  withSite(async (site) => {
    const { port } = site.server.listen({ hostname: "127.0.0.1", port: 0 });
    const half = await Promise.all(Array.from({ length: 100 }, async () => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await connection.write(new TextEncoder().encode("GET /livez HTTP/1.1\r\nHost: loc"));
      return connection;
    }));
    const response = await within("an answer beside them", fetch(`http://127.0.0.1:${port}/livez`));
    assert.equal(response.status, 200);
    await response.body?.cancel();
    for (const connection of half) connection.close();
  }));

Deno.test("a follower that reads nothing costs a frame, and stopping is not held up by it", () =>
  withSite(async (site) => {
    const { port } = site.server.listen({ hostname: "127.0.0.1", port: 0 });
    const big = Array.from({ length: 10 }, (_, i) => cloudEvent(`b${i}`, { type: "a.b.c", data: "x".repeat(58_000) }));
    for (let batch = 0; batch < 40; batch++) {
      const events = big.map((event, i) => event.replace(`"b${i}"`, `"b${batch}-${i}"`));
      const response = await site.send("/events", {
        method: "POST",
        headers: { "content-type": "application/cloudevents-batch+json" },
        body: `[${events.join(",")}]`,
      });
      assert.equal(response.status, 201);
      await response.body?.cancel();
    }
    let read = 0;
    const follow = site.daybook.follow;
    (site.daybook as { follow: typeof follow }).follow = async function* (from, signal) {
      for await (const batch of follow(from, signal)) {
        for (const event of batch) {
          yield [event];
          read++;
        }
      }
    };
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(
      new TextEncoder().encode("GET /follow HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\n\r\n"),
    );
    let [before, same] = [0, 0];
    await until("nothing more is read", () => {
      same = read > 0 && read === before ? same + 1 : 0;
      before = read;
      return same;
    }, (same) => same >= 20);
    assert.ok(read < 400, `${read} of 400 events were read for somebody who takes none`);
    await within("the end of the server", site.server.stop(300));
    connection.close();
  }));
