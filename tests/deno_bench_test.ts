/** What `deno bench --json` prints becomes facts of a run, and nothing else does. */
import assert from "node:assert/strict";
import { PART_BYTES_MAX } from "../adapters/deno_bench/parts.ts";
import { BENCHES_MAX, SAMPLES_MAX, translateRun } from "../adapters/deno_bench/report.ts";
import { BENCHMARK_LIMITS, type RunMeasured, seriesName } from "../events/benchmarks.ts";
import { LIMITS } from "../events/log.ts";
import { events } from "../events/mod.ts";

const OPTIONS = { project: "garden", time: "2026-11-20T09:00:00Z" };
const ok = {
  n: 969,
  min: 43.3892,
  max: 478.7739,
  avg: 52.2485918472653,
  p75: 48.4,
  p99: 186.5,
  p995: 405.8,
  p999: 478.7,
};
const flags = { highPrecision: false, usedExplicitTimers: false };

/** As Deno 2.9.6 writes one. */
const bench = (change: Record<string, unknown> = {}) => ({
  origin: "file:///src/garden/bench/dig_bench.ts",
  group: null,
  name: "spade",
  baseline: false,
  results: [{ ok: { ...ok, ...flags } }],
  ...change,
});
const report = (benches: readonly unknown[], change: Record<string, unknown> = {}) =>
  JSON.stringify({ version: 1, runtime: "Deno/2.9.6 x86_64-unknown-linux-gnu", cpu: "AMD EPYC", benches, ...change });

const measured = (text: string, options = OPTIONS): readonly RunMeasured[] => {
  const translated = translateRun(text, options);
  assert.ok(translated.ok, JSON.stringify(translated));
  return translated.run.events.map(({ data, source, type, time, id }) => {
    assert.deepEqual([source, type, time], [options.project, "benchmarks.run.measured", time]);
    const fact = events.spec(type)!.schema.parse(data) as RunMeasured;
    assert.equal(id, `${fact.run}/${fact.part}`);
    return fact;
  });
};

const issues = (text: string): readonly string[] => {
  const translated = translateRun(text, OPTIONS);
  assert.ok(!translated.ok, "it is refused");
  return translated.issues.map(({ path, message }) => `${path} ${message}`);
};

Deno.test("a real document: figures, a group with its baseline, and one that failed", () => {
  const failed = {
    failed: { name: "Error", message: "Jane's /home/jane/secret", stack: "…", cause: null, frames: [] },
  };
  const [fact, ...more] = measured(report([
    bench(),
    bench({ name: "fork", group: "dig", baseline: true }),
    bench({ name: "bad", results: [failed] }),
  ]));
  assert.deepEqual(more, []);
  const figures = {
    n: 969,
    min_ns: 43.3892,
    max_ns: 478.7739,
    avg_ns: 52.2485918472653,
    p75_ns: 48.4,
    p99_ns: 186.5,
    p995_ns: 405.8,
    p999_ns: 478.7,
  };
  assert.deepEqual({ ...fact, run: "" }, {
    run: "",
    part: 0,
    parts: 1,
    environment: { runtime: "Deno/2.9.6 x86_64-unknown-linux-gnu", cpu: "AMD EPYC" },
    series: [
      { file: "dig_bench.ts", name: "spade", figures },
      { file: "dig_bench.ts", group: "dig", name: "fork", baseline: true, figures },
      { file: "dig_bench.ts", name: "bad", failed: true },
    ],
  });
  assert.doesNotMatch(JSON.stringify(fact), /jane|src/i, "nothing of the machine, nothing that was thrown");
});

Deno.test("the same document is the same run, however it is spaced; another is another", () => {
  const one = measured(report([bench()]));
  const spaced = JSON.stringify(JSON.parse(report([bench()])), undefined, 2);
  assert.deepEqual(measured(spaced), one);
  assert.notEqual(measured(report([bench({ name: "fork" })]))[0]!.run, one[0]!.run);
});

Deno.test("files are named by as much of their path as tells them apart", () => {
  const origins = ["file:///src/fs/bench.ts", "file:///src/http/bench.ts", "file:///src/a%20b/x_bench.ts", "C:\\y.ts"];
  const [fact] = measured(report(origins.map((origin) => bench({ origin }))));
  assert.deepEqual(fact!.series.map(({ file }) => file), ["fs/bench.ts", "http/bench.ts", "x_bench.ts", "y.ts"]);
  const hosts = ["https://a.example/x.ts", "https://b.example/x.ts"];
  const [same] = measured(report(hosts.map((origin) => bench({ origin }))));
  assert.deepEqual(same!.series.map(({ file, name }) => [file, name]), [["x.ts", "spade"], ["x.ts", "spade (2)"]]);
});

Deno.test("no two series of a run come to one name, so that each has its history", () => {
  const names = ["dig (2)", "dig", "dig"].map((name) => bench({ name, group: undefined }));
  const groups = ["dig", "di", undefined].map((group) => bench({ name: "dig fast", group }));
  const [fact] = measured(report([...names, ...groups]));
  assert.deepEqual(fact!.series.map(({ name }) => name), [
    "dig (2)",
    "dig",
    "dig (3)",
    "dig fast",
    "dig fast (2)",
    "dig fast (3)",
  ]);
  assert.equal(new Set(fact!.series.map(seriesName)).size, names.length + groups.length);
});

Deno.test("a group may be empty, and is none", () => {
  const [fact] = measured(report([bench({ group: "" })]));
  assert.deepEqual(fact!.series.map(({ group, name }) => [group, name]), [[undefined, "spade"]]);
});

Deno.test("names that are cut within a character stay texts", () => {
  const most = BENCHMARK_LIMITS.name_chars_max;
  const name = `${"d".repeat(most - 9)}😀${"d".repeat(7)}`;
  const origin = `file:///${"d".repeat(3)}😀${"d".repeat(most - 1)}`;
  const [fact] = measured(report([bench({ name, origin }), bench({ name, origin })]));
  for (const text of fact!.series.flatMap(({ file, name }) => [file, name])) {
    assert.ok(text.isWellFormed() && text.length <= most, text);
  }
});

Deno.test("what a document says of itself goes before what the command says", () => {
  const environment = { cores: 2, kernel: "Linux 6.1", commit: "a".repeat(40), dirty: true };
  const time = "2026-01-01T00:00:00Z";
  const translated = translateRun(report([bench()], { environment, time }), { ...OPTIONS, commit: "b".repeat(40) });
  assert.ok(translated.ok);
  assert.equal(translated.run.events[0]!.time, time);
  assert.deepEqual((translated.run.events[0]!.data as RunMeasured).environment, {
    runtime: "Deno/2.9.6 x86_64-unknown-linux-gnu",
    cpu: "AMD EPYC",
    ...environment,
  });
  assert.equal(
    measured(report([bench()]), { ...OPTIONS, commit: "b".repeat(40) } as typeof OPTIONS)[0]!.environment
      .commit,
    "b".repeat(40),
  );
});

Deno.test("samples beyond an entry are cut into parts that each fit one, and come together again", () => {
  const samples = Array.from({ length: 3 * BENCHMARK_LIMITS.part_samples_max + 7 }, (_, i) => 1e6 + i / 7);
  const benches = Array.from({ length: 600 }, (_, i) => bench({ name: `${i} ${"é".repeat(100)}` }));
  const facts = measured(report([bench({ results: [{ ok: { ...ok, samples } }] }), ...benches]));
  assert.ok(facts.length > 3);
  for (const [i, fact] of facts.entries()) {
    assert.deepEqual([fact.part, fact.parts, fact.run], [i, facts.length, facts[0]!.run]);
    const bytes = new TextEncoder().encode(JSON.stringify(fact)).length;
    assert.ok(bytes < PART_BYTES_MAX + 2_000 && bytes < LIMITS.entry_bytes_max, `${bytes} bytes`);
  }
  const pieces = facts.flatMap(({ series }) => series).filter(({ name }) => name === "spade");
  assert.deepEqual(pieces.flatMap(({ samples_ns = [] }) => samples_ns), samples);
  assert.deepEqual(pieces.map(({ samples_before = 0 }) => samples_before), [0, 2_000, 4_000, 6_000]);
  assert.equal(pieces.filter(({ figures }) => figures).length, 1);
  assert.equal(new Set(facts.flatMap(({ series }) => series.map(({ name }) => name))).size, 601);
});

Deno.test("a run in which nothing was measured has no events", () => {
  assert.deepEqual(measured(report([])), []);
});

Deno.test("what is no such document is refused with the path of what is wrong", () => {
  const alone = " not JSON: expected what deno bench --json prints, nothing before it and nothing behind";
  for (const text of ["secret: nope", "", `loaded\n${report([])}`, `${report([])}\ndone`]) {
    assert.deepEqual(issues(text), [alone], text);
  }
  assert.match(issues("[]")[0]!, /^ .*expected object/);
  assert.match(issues(report([], { version: 2 }))[0]!, /^\/version /);
  assert.match(issues(report([], { runtime: undefined }))[0]!, /^\/runtime /);
  assert.match(issues(report([bench(), bench({ name: 7 })]))[0]!, /^\/benches\/1\/name .*expected string/);
  assert.match(issues(report([bench({ name: "x".repeat(301) })]))[0]!, /^\/benches\/0\/name /);
  assert.match(issues(report([bench({ results: [] })]))[0]!, /^\/benches\/0\/results /);
  assert.match(issues(report([bench({ results: [{}] })]))[0]!, /^\/benches\/0\/results\/0\/ok /);
  assert.match(
    issues(report([bench({ results: [{ ok: { ...ok, avg: null } }] })]))[0]!,
    /\/results\/0\/ok\/avg .*null/,
  );
  assert.match(issues(report([bench({ results: [{ ok: { ...ok, min: -1 } }] })]))[0]!, /\/results\/0\/ok\/min /);
  assert.match(issues(report([bench()]).replace("969", "1e999"))[0]!, /^\/benches\/0\/results\/0\/ok\/n /);
  assert.match(issues('{"version":1,"version":1}')[0]!, /^\/version /);
  assert.match(issues(report(Array(BENCHES_MAX + 1).fill(bench())))[0]!, /^\/benches /);
  for (const time of ["yesterday", "2026-02-30T00:00:00Z", `2026-01-01T00:00:00.${"0".repeat(10)}Z`]) {
    assert.match(issues(report([bench()], { time }))[0]!, /^\/time /);
  }
  assert.match(issues(report([], { environment: { commit: "main" } }))[0]!, /^\/environment\/commit /);
  const half = bench({ results: [{ ok: { ...ok, samples: Array(SAMPLES_MAX / 2).fill(0) } }] });
  assert.equal(measured(report([half, half])).at(-1)!.part, 45);
  assert.deepEqual(issues(report([half, half, bench({ results: [{ ok: { ...ok, samples: [0] } }] })])), [
    "/benches expected at most 1000000 samples, found 1000001",
  ]);
});
