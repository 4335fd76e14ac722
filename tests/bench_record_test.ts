/** `deno task bench` on its way into a log: samples of the suites become a document that `import bench` takes. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { translateRun } from "../adapters/deno_bench/report.ts";
import { documentOf } from "../bench/record.ts";
import { median, readSamples, seriesOf } from "../bench/samples.ts";
import type { RunMeasured } from "../events/benchmarks.ts";

const TIME = "2026-11-20T09:00:00.000Z";

Deno.test("samples become the figures of their series, and stay beside them", async () => {
  const { ours, baseline } = seriesOf("append", "a table");
  const path = await Deno.makeTempFile();
  try {
    const lines = [
      ...[30, 10, 20, 40].map((ns) => ({ file: "append_bench.ts", ...ours, ns })),
      { file: "append_bench.ts", ...baseline, ns: 7 },
      { file: "append_bench.ts", ...baseline, failed: true },
    ];
    await Deno.writeTextFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    const document = await documentOf(await readSamples(path), TIME);
    const translated = translateRun(document, { project: "daybook", time: "1970-01-01T00:00:00Z" });
    assert.ok(translated.ok, JSON.stringify(translated));
    const { data, time } = translated.run.events[0]!;
    const { series, environment } = data as RunMeasured;
    assert.equal(time, TIME);
    assert.equal(environment.cores, navigator.hardwareConcurrency);
    assert.match(environment.runtime, /^Deno\/\d+\.\d+\.\d+ \S+$/);
    assert.ok(environment.kernel!.startsWith(Deno.build.os));
    const percentiles = { p50_ns: 20, p75_ns: 30, p99_ns: 40, p995_ns: 40, p999_ns: 40 };
    assert.deepEqual(series, [
      {
        file: "append_bench.ts",
        group: "append",
        name: "append",
        figures: { n: 4, min_ns: 10, max_ns: 40, avg_ns: 25, ...percentiles },
        samples_ns: [30, 10, 20, 40],
      },
      { file: "append_bench.ts", group: "append", name: "append: a table", baseline: true, failed: true },
    ]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a row that fails is told with what it said, and the comparison goes on to its end", async () => {
  const path = (to: string) => fileURLToPath(new URL(to, import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-P=bench", "--config", path("../deno.json"), path("../bench/mod.ts")].concat(
      ["--compare", "--json", "--rounds", "1", "--only", "import git", "--no-record"],
    ),
    env: { DAYBOOK_BENCH_REPOSITORY: "/no such repository", NO_COLOR: "1" },
  }).output();
  const err = new TextDecoder().decode(stderr);
  assert.match(err, /^failed: import git: .*\/no such repository/m);
  assert.doesNotMatch(err, /^ +at /m);
  assert.deepEqual([code, JSON.parse(new TextDecoder().decode(stdout))], [1, []]);
});

Deno.test("a run that no log takes is kept as what import bench takes, and is said where", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = (to: string) => fileURLToPath(new URL(to, import.meta.url));
    await Deno.writeTextFile(`${folder}/data`, "no folder");
    const [document, module] = ['{"some":"run"}', new URL("../bench/record.ts", import.meta.url).href];
    const code = `import { record } from ${JSON.stringify(module)};
      Deno.exit(await record(${JSON.stringify(document)}, ${JSON.stringify(`${folder}/data`)}));`;
    const { code: exit, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "-q", "--config", path("../deno.json"), code],
      env: { NO_COLOR: "1", TMPDIR: folder },
    }).output();
    const err = new TextDecoder().decode(stderr);
    assert.notEqual(exit, 0, err);
    const [, at] = /^the run was not recorded; later: deno task import bench (\S+) --project daybook$/m.exec(err) ??
      assert.fail(err);
    assert.equal(await Deno.readTextFile(at!), document);
    assert.ok(at!.startsWith(folder), at);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the median of rounds lies in their middle, of two between them", () => {
  for (const [values, middle] of [[[7], 7], [[9, 1], 5], [[10, 1, 3], 3], [[4, 1, 20, 2], 3]] as const) {
    assert.equal(median(values), middle, values.join(" "));
  }
});

for (
  const [args, said] of [
    [["--compare", "--only", "no such row"], /--only: no row has "no such row"/],
    [["--compare", "--rounds", "0"], /--rounds: expected 1 to 1000, found "0"/],
    [["--compare", "--nonsense"], /Unknown option '--nonsense'/],
    [["--data"], /--data takes the path of a folder/],
  ] as const
) {
  Deno.test(`deno task bench ${args.join(" ")} measures nothing, records nothing and says why`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const mod = fileURLToPath(new URL("../bench/mod.ts", import.meta.url));
      const config = fileURLToPath(new URL("../deno.json", import.meta.url));
      const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-q", "-P=bench", "--config", config, mod, ...args],
        env: { DAYBOOK_DATA: `${folder}/data`, NO_COLOR: "1" },
      }).output();
      assert.equal(code, 2);
      assert.match(new TextDecoder().decode(stderr), said);
      assert.equal(stdout.length, 0);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
