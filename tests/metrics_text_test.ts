/** Metrics in Prometheus' text format: what real libraries write is read, and what breaks the format is none of it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { get } from "../adapters/process/loopback.ts";
import { scrape } from "../adapters/prometheus/scrape.ts";
import { parseMetrics, type Sample, TEXT_LIMITS } from "../adapters/prometheus/text.ts";

const good = (text: string): readonly Sample[] => {
  const parsed = parseMetrics(text, 1_000);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.samples;
};
const bad = (text: string, max = 1_000): string => {
  const parsed = parseMetrics(text, max);
  assert.ok(!parsed.ok, JSON.stringify(parsed));
  return parsed.because;
};

Deno.test("the example of the format's own page is read", () => {
  const text = `# HELP http_requests_total The total number of HTTP requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3 1395066363000

# Escaping in label values:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9

# Minimalistic line:
metric_without_timestamp_and_labels 12.47

# A weird metric from before the epoch:
something_weird{problem="division by zero"} +Inf -3982045

# A histogram, which has a pretty complex representation in the text format:
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
`;
  const samples = good(text);
  assert.equal(samples.length, 8);
  assert.deepEqual(samples[0], { name: "http_requests_total", labels: { method: "post", code: "200" }, value: 1027 });
  assert.deepEqual(samples[2]!.labels, { path: "C:\\DIR\\FILE.TXT", error: 'Cannot find file:\n"FILE.TXT"' });
  assert.deepEqual(samples.slice(3, 5).map(({ value }) => value), [12.47, Infinity]);
});

Deno.test("what prom-client writes is read as it was meant, whatever labels hold", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.string({ unit: "grapheme", maxLength: 20 }), fc.double({ noNaN: true })), { maxLength: 20 }),
      async (given) => {
        const registry = new Registry();
        const gauge = new Gauge({ name: "given", help: "a\nb", labelNames: ["what"], registers: [registry] });
        const counter = new Counter({ name: "seen_total", help: "c", registers: [registry] });
        const histogram = new Histogram({ name: "took_seconds", help: "d", buckets: [1], registers: [registry] });
        const last = new Map(given);
        for (const [what, value] of given) gauge.set({ what }, value);
        counter.inc(given.length);
        histogram.observe(0.5);
        const samples = good(await registry.metrics());
        const read = new Map(
          samples.filter(({ name }) => name === "given").map(({ labels, value }) => [labels.what, value]),
        );
        for (const [what, value] of last) assert.equal(read.get(what)! + 0, value + 0);
        assert.equal(read.size, last.size);
        assert.equal(samples.find(({ name }) => name === "seen_total")!.value, given.length);
        assert.equal(samples.find(({ labels }) => labels.le === "+Inf")!.value, 1);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("a text that breaks the format is none, and says where without repeating it", () => {
  for (
    const [text, because] of [
      ["hidden", "line 1: no value"],
      ["a 1\nb hidden", "line 2: no value"],
      ["a 1 2 3", "line 1: no value and time"],
      ["a 1 now", "line 1: no value and time"],
      ["1a 1", "line 1: a metric's name is not there"],
      ["<html>", "line 1: a metric's name is not there"],
      ['a{b="c" 1', 'line 1: no ","'],
      ['a{b="c} 1', "line 1: a label's value is not there"],
      ["a{b=c} 1", "line 1: a label's value is not there"],
      ["a{b} 1", 'line 1: no "="'],
      ['a{b="c",b="d"} 1', "line 1: a label twice"],
      ['a{b="c"', 'line 1: no ","'],
      ["a{", "line 1: a label's name is not there"],
      ["a 0x10", "line 1: no value"],
      ["a 1e", "line 1: no value"],
      [`${"a".repeat(201)} 1`, "line 1: a metric's name of more than 200 characters"],
      [`a{b="${"c".repeat(1_001)}"} 1`, "line 1: a label's value of more than 1000 characters"],
      [
        `a{${Array.from({ length: TEXT_LIMITS.labels_max + 1 }, (_, n) => `l${n}="x"`).join()}} 1`,
        "line 1: more than 30 labels",
      ],
    ] as const
  ) assert.equal(bad(text), because, text);
  assert.equal(bad("a 1\nb 2\nc 3", 2), "more than 2 series");
  assert.deepEqual(good('a 1\r\n\t b{ c = "d" , } 2 \n#x\n\na 3').map(({ name, value }) => [name, value]), [["a", 3], [
    "b",
    2,
  ]]);
  assert.ok(Number.isNaN(good("a NaN")[0]!.value));
  // Names that are dangerous elsewhere are names.
  assert.deepEqual(good(`constructor{__proto__="x"} 1`).map(({ name, labels }) => [name, Object.keys(labels)]), [
    ["constructor", ["__proto__"]],
  ]);
});

Deno.test("whatever the text, it is read or refused, in a time that goes with its length", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => void parseMetrics(text, 10)),
    { numRuns: 500 },
  );
  // Where a pattern went back over what it has read, each of these would take minutes.
  const long = 500_000;
  assert.match(bad(`a{b="${"\\".repeat(long)}`), /a label's value is not there/);
  assert.match(bad(`a${" ".repeat(long)}{`), /a label's name is not there/);
  assert.match(bad(`${" ".repeat(long)}!`), /a metric's name is not there/);
  assert.match(bad(`a 1${" \t".repeat(long)}x`), /no value and time/);
  assert.match(bad("{".repeat(long)), /a metric's name is not there/);
  assert.match(bad(`a ${"1".repeat(long)}e`), /no value/);
});

Deno.test("an endpoint is read up to its bounds; what it is that was wrong is said", async () => {
  let answer: (request: Request) => Response | Promise<Response> = () => new Response("a 1\n");
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => answer(request));
  const endpoint = { url: `http://127.0.0.1:${server.addr.port}/metrics`, bytes_max: 1_000, series_max: 10 };
  const look = (signal = new AbortController().signal) => scrape(endpoint, { get, signal });
  try {
    assert.deepEqual(await look(), [{ name: "a", labels: {}, value: 1 }]);
    for (
      const [given, because] of [
        [() => new Response("no", { status: 503 }), /^Error: status 503$/],
        [() => new Response(null, { status: 302, headers: { location: "/other" } }), /^Error: status 302$/],
        [() => new Response("#".repeat(1_001)), /more than 1000 bytes/],
        [() => new Response(new Uint8Array([0x61, 0xff])), /not UTF-8/],
        [() => new Response(new Uint8Array([0x61, 0xe2])), /not UTF-8/],
        [() => new Response(Array.from({ length: 11 }, (_, n) => `a${n} 1`).join("\n")), /more than 10 series/],
        [() => new Response("<html>"), /^Error: line 1: /],
      ] as const
    ) {
      answer = given;
      await assert.rejects(look(), because);
    }
    // What would never end is cut off at the bound.
    answer = () => new Response(new ReadableStream({ pull: (out) => out.enqueue(new Uint8Array(500).fill(35)) }));
    await assert.rejects(look(), /more than 1000 bytes/);
    const late = new AbortController();
    answer = () => {
      late.abort(new Error("too late"));
      return new Promise<Response>((resolve) => setTimeout(() => resolve(new Response("")), 10));
    };
    await assert.rejects(look(late.signal), /too late/);
  } finally {
    await server.shutdown();
  }
  await assert.rejects(look());
});
