/** `benchmarks.history`: what a run adds to it. */
import assert from "node:assert/strict";
import type { BenchmarkFact, BenchmarkSeries, RunMeasured } from "../events/benchmarks.ts";
import type { Event } from "../events/event.ts";
import { events } from "../events/mod.ts";
import { benchmarksHistory } from "../projections/benchmarks.ts";
import { folder } from "../projections/fold.ts";
import type { AnyProjection } from "../projections/projection.ts";

type Environment = RunMeasured["environment"];
const MACHINE: Environment = { runtime: "Deno/2.9.6", cpu: "AMD EPYC", cores: 2, kernel: "Linux 6.1" };
const dig = { file: "dig_bench.ts", group: "dig", name: "spade" };

const figures = (p50_ns: number | undefined, avg_ns = p50_ns ?? 0): BenchmarkSeries["figures"] => ({
  n: 5,
  min_ns: 1,
  max_ns: 9_000,
  avg_ns,
  ...(p50_ns === undefined ? {} : { p50_ns }),
});

const given = () => {
  const rows = new Map<string, unknown>();
  const fold = folder(benchmarksHistory as AnyProjection, {
    get: (key) => rows.get(key),
    set: ({ key, row }) => rows.set(key, row),
  });
  let position = 0;
  return {
    /** One fact. */
    ran(run: string, series: readonly BenchmarkSeries[], environment: Environment = MACHINE, source = "garden") {
      const type = "benchmarks.run.measured";
      const spec = events.spec(type)!;
      const data = spec.schema.parse({ run, part: 0, parts: 1, environment, series });
      const stream = spec.stream!({ source, data });
      fold({ type, data, source, stream, time: "2026-01-01T09:00:00+02:00", position: position++ } as Event<
        BenchmarkFact
      >);
    },
    row: (key: string) => rows.get(key) as Record<string, unknown> | undefined,
    keys: () => [...rows.keys()].filter((key) => !key.startsWith("~")).sort(),
  };
};

Deno.test("every run of a series is a row, with the change to the one before", () => {
  const { ran, row, keys } = given();
  ran("r1", [{ ...dig, figures: figures(2_000) }], { ...MACHINE, commit: "a".repeat(40), dirty: false });
  ran("r2", [{ ...dig, figures: figures(2_500) }], { ...MACHINE, commit: "b".repeat(40), dirty: true });
  ran("r3", [{ ...dig, figures: figures(2_400) }]);
  const series = "garden/dig_bench.ts/dig/spade";
  assert.deepEqual(keys(), [1, 2, 3].map((n) => `${series}/00000${n}`));
  const of = (n: number, ...fields: string[]) => fields.map((field) => row(`${series}/00000${n}`)![field]);
  const shown = ["number", "time_ns", "change", "commit", "dirty", "newest", "at", "run"];
  const at = "2026-01-01T07:00:00.000Z";
  assert.deepEqual(of(1, ...shown), [1, 2_000, undefined, "a".repeat(40), false, false, at, "r1"]);
  assert.deepEqual(of(2, ...shown), [2, 2_500, 25, "b".repeat(40), true, false, at, "r2"]);
  assert.deepEqual(of(3, ...shown), [3, 2_400, -4, undefined, undefined, true, at, "r3"]);
  assert.deepEqual(of(1, "project", "series"), ["garden", "dig_bench.ts/dig/spade"]);
});

Deno.test("figures are compared by medians where both are known, else by means", () => {
  const { ran, row } = given();
  ran("r1", [{ ...dig, figures: figures(100, 400) }]);
  ran("r2", [{ ...dig, figures: figures(undefined, 200) }]);
  ran("r3", [{ ...dig, figures: figures(150, 300) }]);
  ran("r4", [{ ...dig, figures: figures(165, 900) }]);
  const change = (n: number) => row(`garden/dig_bench.ts/dig/spade/00000${n}`)!.change;
  assert.deepEqual([2, 3, 4].map(change), [-50, 50, 10]);
  assert.equal(row("garden/dig_bench.ts/dig/spade/000002")!.time_ns, 200);
});

Deno.test("another machine is named, for then the change tells of that too", () => {
  const { ran, row } = given();
  ran("r1", [{ ...dig, figures: figures(100) }], { ...MACHINE, commit: "a".repeat(40) });
  ran("r2", [{ ...dig, figures: figures(100) }], { ...MACHINE, commit: "b".repeat(40) });
  ran("r3", [{ ...dig, figures: figures(50) }], { runtime: "Deno/2.9.7", cpu: "AMD EPYC", cores: 8 });
  const differs = (n: number) => row(`garden/dig_bench.ts/dig/spade/00000${n}`)!.differs;
  assert.deepEqual([2, 3].map(differs), [undefined, ["runtime", "cores", "kernel"]]);
});

Deno.test("a run that failed has no figures, and the next is compared to the last that had", () => {
  const { ran, row } = given();
  ran("r1", [{ ...dig, figures: figures(100) }]);
  ran("r2", [{ ...dig, failed: true }]);
  ran("r3", [{ ...dig, figures: figures(110) }]);
  const series = "garden/dig_bench.ts/dig/spade";
  const failed = row(`${series}/000002`)!;
  assert.deepEqual([failed.failed, failed.time_ns, failed.change, failed.n], [true, undefined, undefined, 0]);
  assert.equal(row(`${series}/000003`)!.change, 10);
});

Deno.test("a series counts once in a run, whatever its parts; samples alone make no row", () => {
  const { ran, keys } = given();
  ran("r1", [{ ...dig, figures: figures(100), samples_ns: [1, 2] }]);
  ran("r1", [{ ...dig, samples_ns: [3], samples_before: 2 }]);
  ran("r1", [{ ...dig, figures: figures(100) }, { ...dig, figures: figures(300) }]);
  assert.deepEqual(keys(), ["garden/dig_bench.ts/dig/spade/000001"]);
});

Deno.test("a group whose benchmark begins with its name is not said twice, projects do not mix, and none hides", () => {
  const { ran, keys } = given();
  const alone = { file: "a.ts", group: "sow", name: "sow: by hand", figures: figures(1) };
  ran("r1", [alone]);
  ran("r1", [{ ...alone, group: undefined }], MACHINE, "https://example.org/garden");
  ran("r1", [alone], MACHINE, "~hidden");
  assert.deepEqual(keys(), [
    "%7Ehidden/a.ts/sow: by hand/000001",
    "example.org:garden/a.ts/sow: by hand/000001",
    "garden/a.ts/sow: by hand/000001",
  ]);
});

Deno.test("figures that cannot be divided leave no change", () => {
  const { ran, row } = given();
  ran("r1", [{ ...dig, figures: figures(0) }]);
  ran("r2", [{ ...dig, figures: figures(10) }]);
  ran("r3", [{ ...dig, figures: figures(9.9999) }]);
  const change = (n: number) => row(`garden/dig_bench.ts/dig/spade/00000${n}`)!.change;
  assert.equal(change(2), undefined);
  assert.ok(Object.is(change(3), 0), "and never -0");
});
