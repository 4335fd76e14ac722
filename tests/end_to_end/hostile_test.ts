/**
 * The running program under hostile requests, at every route it says it has: clear refusals, never a fault, nothing appended,
 * memory bounded. Routes are those of its own OpenAPI document, which is made from the route table; so a new one is in here.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { sampling } from "../sampled.ts";
import { until } from "../until.ts";
import { Program, type Ran } from "./program.ts";

const SECRET = "a secret of this test";
/** What a page of GET /events may show of the log's own work; who asks for signing keys first has one made. */
const OWN = /^(?:kernel\.|identity\.key\.issued$|access\.)/;
/** How much more memory the program may hold after all of it than before, garbage collected; and its heap of that. */
const GROWTH_KIB_MAX = 128 * 1024;
const HEAP_KIB_MAX = 16 * 1024;

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
}
interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
}

const NASTY = [
  "",
  "%",
  "%zz",
  "%00",
  "%ff",
  "%C0%AF",
  "%E0%80%AF",
  "%ED%A0%80",
  "..%2f..%2f..%2fetc%2fpasswd",
  "..%5c..%5cwindows",
  "%2e%2e",
  "-1",
  "-0",
  "+1",
  "0x10",
  "1.5",
  "1e999",
  "NaN",
  "Infinity",
  "9007199254740993",
  "9".repeat(400),
  "__proto__",
  "constructor",
  "toString",
  "'%20OR%201=1;--",
  "<script>alert(1)</script>",
  "%E2%80%AE",
  "[]",
  "{}",
  "null",
  "*",
  "%22",
  "\\",
  "a".repeat(4_000),
];

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  "last-event-id": ["-1", "NaN", "1e9", "9".repeat(400), "a b", "9007199254740993", "0x1"],
  "if-match": ["17", '"-1"', '"1", "2"', '"9007199254740993"', 'W/"1"', "*", '"', '"01"'],
  "if-none-match": ["1", '"1"', "**"],
  "idempotency-key": ["", " ", "a".repeat(300), "\xff\xfe", '"', "a b", '""'],
  traceparent: [
    "nonsense",
    `00-${"0".repeat(32)}-${"0".repeat(16)}-00`,
    `ff-${"1".repeat(32)}-${"1".repeat(16)}-01`,
    "0".repeat(4_000),
  ],
  tracestate: ["=", "a".repeat(4_000)],
  prefer: ["return", "return=minimal;;;=", "wait=-1, respond-async=" + "x".repeat(2_000)],
  accept: ["*/*;q=x", "application/xml", ";", "a/b;".repeat(500), "text/event-stream;q=0"],
  "content-type": [
    "",
    "json",
    "application/json; charset=utf-16",
    "multipart/form-data",
    "application/cloudevents+avro",
    "a/".repeat(500),
  ],
  "content-encoding": ["gzip", "br, gzip", "identity, gzip"],
  authorization: ["", "Bearer", "Bearer  ", "Bearer a b", "Basic YTpi", `Bearer ${"x".repeat(6_000)}`, "bearer \xff"],
  cookie: ["=", "daybook", "daybook=%ff; daybook=x", "a=b;".repeat(1_000), "__proto__=x"],
  origin: ["null", "http://evil.example", "file://", "http://localhost:1"],
  forwarded: ["for=evil", 'for="', "by=;;;"],
  range: ["bytes=0-99999999999", "bytes=-1"],
  "x-hub-signature-256": ["", "sha256=", `sha256=${"0".repeat(64)}`, "sha1=x"],
  "ce-specversion": ["1.0", "0.3", "\xff"],
  "ce-id": ["%", "%ff", '"', "a".repeat(2_000)],
  expect: ["200-maybe"],
};

const utf8 = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string, big: boolean): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(2 + 2 * text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xfeff, !big);
  for (let i = 0; i < text.length; i++) view.setUint16(2 + 2 * i, text.charCodeAt(i), !big);
  return bytes;
};
const event = (data: string) => `{"specversion":"1.0","id":"h","source":"urn:hostile","type":"a.b.c","data":${data}}`;

/** Bodies that nobody may take. */
const BODIES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  "nothing but an opened brace": utf8("{"),
  "an opened nest of 100,000": utf8("[".repeat(100_000)),
  "a closed nest of 100,000": utf8(event("[".repeat(100_000) + "]".repeat(100_000))),
  "a nest of objects": utf8(event('{"a":'.repeat(10_000) + "1" + "}".repeat(10_000))),
  "a number of 300,000 digits": utf8(event("9".repeat(300_000))),
  "1e400": utf8(event("1e400")),
  "a key twice": utf8(event('{"a":1,"a":2}')),
  "__proto__ twice": utf8(event('{"__proto__":1,"__proto__":2}')),
  "a lone surrogate": utf8(event('"\\ud800"')),
  "a lone surrogate as a key": utf8(event('{"\\udfff":1}')),
  "bytes that are not UTF-8": new Uint8Array([...utf8(event('"')).slice(0, -1), 0xff, 0x22, 0x7d]),
  "an overlong slash": new Uint8Array([...utf8(event('"')).slice(0, -1), 0xc0, 0xaf, 0x22, 0x7d]),
  "an encoded surrogate": new Uint8Array([...utf8(event('"')).slice(0, -1), 0xed, 0xa0, 0x80, 0x22, 0x7d]),
  "a byte order mark": new Uint8Array([0xef, 0xbb, 0xbf, ...utf8(event("1"))]),
  "UTF-16, little end first": utf16(event("1"), false),
  "UTF-16, big end first": utf16(event("1"), true),
  "NUL": new Uint8Array(1_000),
  "an attribute of 100,000 letters": utf8(event("1").replace("urn:hostile", "u".repeat(100_000))),
  "100,000 attributes": utf8(`{${Array.from({ length: 100_000 }, (_, i) => `"a${i}":1`).join(",")}}`),
  "what only the server sets": utf8(event("1").replace("{", '{"stream":"a/b","position":0,"authid":"x",')),
  "more than a mebibyte": utf8(event(`"${"x".repeat(1 << 20)}"`)),
  "a form": utf8("token=%ff&token=x&next=//evil.example"),
};
const TYPES = ["application/cloudevents+json", "application/cloudevents-batch+json", "application/json"] as const;

interface Site {
  readonly program: Program;
  readonly operations: readonly Operation[];
  readonly client: Deno.HttpClient;
  /** Answers that were not refusals. */
  readonly taken: string[];
  /** Sends and judges; `told` names the request. */
  send(told: string, path: string, init: RequestInit): Promise<number>;
}

const judge = async (told: string, method: string, response: Response): Promise<void> => {
  const { status, headers } = response;
  assert.ok(
    status < 500 || status === 503,
    `${told} answered ${status}: ${status >= 500 ? await response.text() : ""}`,
  );
  if (status === 503) assert.ok(headers.has("retry-after"), told);
  if (status >= 400 && method !== "HEAD" && headers.get("content-type") === "application/problem+json") {
    const problem = await response.json();
    assert.equal(problem.status, status, told);
    assert.match(problem.type, /^urn:daybook:problem:[a-z0-9_]+$/, told);
    assert.doesNotMatch(JSON.stringify(problem), /\.tsx?:\d|at Object|node_modules|SQLITE/, told);
  } else {
    assert.ok(status < 400 || method === "HEAD" || /^text\/html/.test(headers.get("content-type") ?? ""), told);
    await response.body?.cancel(); // a stream would not end
  }
};

const withProgram = async (test: (site: Site) => Promise<void>): Promise<void> => {
  const data = await Deno.makeTempDir();
  const heap = `${data}.heap`;
  const program = await Program.start(data, {
    DAYBOOK_TEST_HEAP: heap,
    DENO_V8_FLAGS: "--expose-gc",
    DAYBOOK_HOOK: SECRET,
    DAYBOOK__START__WEBHOOKS: "true",
    DAYBOOK__GITHUB__WEBHOOK_SECRET: "{ env: DAYBOOK_HOOK }",
    DAYBOOK__SERVER__RATE__DENIED_MAX: "1000000",
    DAYBOOK__SERVER__DEADLINE_MS: "2000",
  }, { preload: new URL("./collecting.ts", import.meta.url) });
  const client = Deno.createHttpClient({});
  const headers = { authorization: `Bearer ${program.token}` };
  const read = async (path: string) => await (await fetch(`${program.url}${path}`, { headers, client })).json();
  const taken: string[] = [];
  let ended: Ran;
  try {
    const document: { paths: Record<string, Record<string, { parameters?: Parameter[] }>> } = await read(
      "/openapi.json",
    );
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { parameters = [] }]) => ({
        method: method.toUpperCase(),
        path,
        parameters,
      }))
    );
    const { size } = await read("/events?limit=1");
    const before = await memoryOf(program, heap);
    const site: Site = {
      program,
      operations,
      client,
      taken,
      async send(told, path, init) {
        const given = new Headers(init.headers);
        if (!given.has("authorization")) given.set("authorization", headers.authorization);
        const response = await fetch(`${program.url}${path}`, { redirect: "manual", ...init, headers: given, client });
        if (response.status < 400) taken.push(told);
        await judge(told, init.method ?? "GET", response);
        return response.status;
      },
    };
    await test(site);
    const appended = (await read(`/events?from=${size}&limit=1000`)).events as { readonly type: string }[];
    assert.deepEqual(appended.map(({ type }) => type).filter((type) => !OWN.test(type)), []);
    const after = await memoryOf(program, heap);
    const grown = { all: after.all - before.all, heap: after.heap - before.heap };
    assert.ok(grown.all < GROWTH_KIB_MAX, `${grown.all} KiB more than before`);
    assert.ok(grown.heap < HEAP_KIB_MAX, `${grown.heap} KiB more in the heap than before`);
    const alive = await fetch(`${program.url}/livez`, { client });
    assert.equal((await alive.json()).status, "alive");
  } finally {
    client.close();
    ended = await program.end("SIGTERM");
    await Deno.remove(data, { recursive: true });
  }
  assert.equal(ended.code, 0, ended.err);
  assert.doesNotMatch(ended.err, /^daybook: request/m, `a fault was reported: ${ended.err}`);
};

/** KiB in memory, all of them and those of its heap, once it has collected its garbage. */
const memoryOf = async ({ pid }: Program, file: string): Promise<{ readonly all: number; readonly heap: number }> => {
  Deno.kill(pid, "SIGUSR2");
  const text = await until("it has collected its garbage", () => Deno.readTextFile(file).catch(() => ""));
  await Deno.remove(file);
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", String(pid)] }).output();
  return { all: Number(new TextDecoder().decode(stdout)), heap: Number(text) / 1024 };
};

const nasty = sampling(4);
const header = sampling(3);

const filled = (path: string, value: string) => path.replaceAll(/\{[^}]+\}/g, value);

Deno.test("hostile paths, queries and headers at every route of the running program are refused or do nothing", () =>
  withProgram(async ({ operations, send }) => {
    assert.ok(operations.length > 25, "every route is told of");
    assert.ok(operations.some(({ path }) => path === "/webhooks/github"));
    for (const { method, path, parameters } of operations) {
      const init = { method };
      const at = filled(path, "x");
      if (path.includes("{")) {
        for (const value of nasty(NASTY)) await send(`${method} ${path} with ${value}`, filled(path, value), init);
      }
      const names = [
        ...parameters.filter((one) => one.in === "query").map(({ name }) => name),
        "__proto__",
        "%ff",
        "x[]",
      ];
      for (const name of names) {
        for (const value of nasty(NASTY)) {
          await send(`${method} ${path}?${name}=${value}`, `${at}?${name}=${value}`, init);
        }
      }
      await send(`${method} ${path} with a thousand parameters`, `${at}?${"a=1&".repeat(1_000)}`, init);
      for (const [name, values] of Object.entries(HEADERS)) {
        for (const value of header(values)) {
          await send(`${method} ${path} with ${name}: ${value}`, at, { method, headers: { [name]: value } });
        }
      }
    }
  }));

Deno.test("hostile bodies at every route that takes one are refused, and nothing of them is appended", () =>
  withProgram(async ({ operations, send, taken }) => {
    const posts = operations.filter(({ method, path }) => method === "POST" && path !== "/blobs");
    assert.ok(posts.length >= 6, posts.map(({ path }) => path).join());
    for (const { method, path } of posts) {
      for (const [what, body] of Object.entries(BODIES)) {
        for (const type of TYPES) {
          const signature = `sha256=${createHmac("sha256", SECRET).update(body).digest("hex")}`;
          const headers = { "content-type": type, "x-hub-signature-256": signature, "x-github-event": "push" };
          await send(`POST ${path} with ${what} as ${type}`, filled(path, "x"), { method, headers, body });
        }
      }
    }
    // Signing out is done whatever is sent along; of what GitHub has signed only a push says anything.
    assert.deepEqual(
      taken.filter((told) => !/^POST \/(?:logout|webhooks\/github) .* as application\/.*json$/.test(told)),
      [],
    );
  }));

/** Raw bytes to the socket in pieces; all that comes back until the other side closes, or says nothing for a while. */
const raw = async (url: string, pieces: readonly string[]): Promise<string> => {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(url).port) });
  let text = "";
  const giveUp = () => setTimeout(() => connection.close(), 700);
  let timer = giveUp();
  const read = async () => {
    const buffer = new Uint8Array(65_536);
    try {
      for (let count; (count = await connection.read(buffer)) !== null;) {
        text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
        clearTimeout(timer);
        timer = giveUp();
      }
    } catch { /* closed */ }
  };
  const reading = read();
  try {
    for (const piece of pieces) {
      const bytes = Uint8Array.from(piece, (character) => character.charCodeAt(0));
      for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    }
  } catch { /* the other side has heard enough */ }
  await reading;
  clearTimeout(timer);
  try {
    connection.close();
  } catch { /* it is */ }
  return text;
};

Deno.test("requests that two readers would cut differently, and chunks that lie, bring no second request and no event", () =>
  withProgram(async ({ program }) => {
    const ours =
      `Host: 127.0.0.1\r\nAuthorization: Bearer ${program.token}\r\nContent-Type: application/cloudevents+json\r\n`;
    const post = `POST /events HTTP/1.1\r\n${ours}`;
    const hidden = `${post}Content-Length: ${event("1").length}\r\n\r\n${event("1")}`;
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
    const cases: Readonly<Record<string, readonly string[]>> = {
      "a length and chunks": [`${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`],
      "chunks and a length": [`${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${hidden}`],
      "chunked, then identity": [`${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`],
      "chunked under another name": [`${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`],
      "chunked behind a tab": [`${post}Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${hidden}`],
      "a space before the colon": [`${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${hidden}`],
      "a folded header": [`${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${hidden}`],
      "a length with a sign": [`${post}Content-Length: +4\r\n\r\n0\r\n\r\n${hidden}`],
      "a length in hexadecimal": [`${post}Content-Length: 0x4\r\n\r\n0\r\n\r\n${hidden}`],
      "two lengths in one": [`${post}Content-Length: 4, 5\r\n\r\n0\r\n\r\n${hidden}`],
      "a chunk larger than there are numbers": [
        `${post}Transfer-Encoding: chunked\r\n\r\n${"F".repeat(17)}\r\n${event("1")}\r\n0\r\n\r\n`,
      ],
      "a negative chunk": [`${post}Transfer-Encoding: chunked\r\n\r\n-1\r\n${event("1")}\r\n0\r\n\r\n`],
      "a chunk longer than it says": [`${post}Transfer-Encoding: chunked\r\n\r\n5\r\n${event("1")}\r\n0\r\n\r\n`],
      "a chunk shorter than it says, then the end": [
        `${post}Transfer-Encoding: chunked\r\n\r\nfff\r\n${event("1")}\r\n0\r\n\r\n`,
      ],
      "no last chunk": [`${post}Transfer-Encoding: chunked\r\n\r\n${chunk(event("1"))}`],
      "a chunk's extension of a megabyte": [`${post}Transfer-Encoding: chunked\r\n\r\n5;${"x".repeat(1_000_000)}\r\n`],
      "a header's name with a NUL": [`${post}A\0: 1\r\nContent-Length: ${event("1").length}\r\n\r\n${event("1")}`],
      "a header's value with a bare carriage return": [
        `${post}A: 1\rContent-Length: 0\r\nContent-Length: 4\r\n\r\n${hidden}`,
      ],
      "HTTP/2 in the clear, as known before": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\0\0\x04\0\0\0\0\0"],
      "HTTP/0.9": ["GET /events\r\n"],
      "an upgrade": [
        `GET /events HTTP/1.1\r\n${ours}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`,
      ],
      "headers of 200 KB in 2,000 lines": [`${post}${`X: ${"a".repeat(95)}\r\n`.repeat(2_000)}\r\n`],
    };
    for (const [what, pieces] of Object.entries(cases)) {
      const answer = await raw(program.url, pieces);
      assert.doesNotMatch(answer, /HTTP\/1\.[01] (5\d\d|201)/, `${what}: ${answer.slice(0, 300)}`);
      if (what !== "an upgrade") {
        assert.match(answer, /^$|^HTTP\/1\.[01] 4\d\d |^\0/, `${what}: ${answer.slice(0, 300)}`);
      }
    }
  }));
