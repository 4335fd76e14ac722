/** `import bench` in the real program, with the permissions of the tasks, alone and beside a running server. */
import assert from "node:assert/strict";
import { document, start, withPlace } from "./cli_given.ts";

const report = (avg: number) =>
  JSON.stringify({
    version: 1,
    runtime: "Deno/2.9.6 x86_64-unknown-linux-gnu",
    cpu: "AMD EPYC",
    benches: [{
      origin: "file:///src/dig_bench.ts",
      group: "dig",
      name: "spade",
      baseline: false,
      results: [{ ok: { n: 3, min: 1, max: 9, avg, p75: 2, p99: 9, p995: 9, p999: 9 } }],
    }],
  });

interface Imported {
  readonly files: number;
  readonly runs: number;
  readonly known: number;
  readonly events: number;
}
interface Page {
  readonly size: number;
  readonly rows: readonly { readonly key: string; readonly row: { readonly change?: number } }[];
}

Deno.test("runs are imported once each, alone and through a running server, and the history shows them", () =>
  withPlace(async ({ dir, data }) => {
    for (const [name, avg] of [["one", 100], ["two", 110], ["three", 99]] as const) {
      await Deno.writeTextFile(`${dir}/${name}.json`, report(avg));
    }
    await Deno.writeTextFile(`${dir}/bad.json`, report(5).replace('"spade"', "7"));
    const importing = async (...args: string[]) => {
      const all = ["import", "bench", ...args, "--project", "garden", "--data", data];
      const { exit, files, runs, known, events } = await document<Imported>(all, { cwd: dir });
      return [exit, files, runs, known, events];
    };
    const history = async () => {
      const { exit, rows, size } = await document<Page>(["view", "benchmarks.history", "--data", data]);
      assert.equal(exit, 0);
      return { size, shown: rows.map(({ key, row }) => [key, row.change]) };
    };
    assert.deepEqual(await importing("one.json", "two.json", "one.json"), [0, 3, 2, 1, 2]);
    const key = "garden/dig_bench.ts/dig/spade/00000";
    const before = await history();
    assert.deepEqual(before.shown, [[`${key}1`, undefined], [`${key}2`, 10]]);

    const all = ["import", "bench", "three.json", "bad.json", "--data", data];
    const refused = await document<{ error: { message: string } }>(all, { cwd: dir });
    assert.equal(refused.exit, 2);
    assert.match(refused.error.message, /^bad\.json: \/benches\/0\/name: .*expected string/);
    assert.equal((await history()).size, before.size, "nothing was appended, not even what could be read");

    const server = await start(data);
    try {
      assert.deepEqual(await importing("two.json", "three.json"), [0, 2, 1, 1, 1]);
      assert.deepEqual(await importing("two.json", "three.json"), [0, 2, 0, 2, 0]);
    } finally {
      await server.stop();
    }
    assert.deepEqual((await history()).shown, [[`${key}1`, undefined], [`${key}2`, 10], [`${key}3`, -10]]);
  }));

Deno.test("without --project a run is of the folder one stands in, whatever that is called", () =>
  withPlace(async ({ dir, data }) => {
    for (const name of ["spades (1)", `it's ${"ü".repeat(120)}`]) {
      const cwd = `${dir}/${name}`;
      await Deno.mkdir(cwd);
      await Deno.writeTextFile(`${cwd}/one.json`, report(100));
      const { exit, runs } = await document<Imported>(["import", "bench", "one.json", "--data", data], { cwd });
      assert.deepEqual([exit, runs], [0, 1], name);
    }
    const { rows } = await document<Page>(["view", "benchmarks.history", "--data", data]);
    assert.equal(rows.length, 2);
    assert.equal(rows.filter(({ key }) => key.startsWith("spades%20(1)/")).length, 1);
  }));

Deno.test("standard input named twice is wrong usage, and makes no folder", () =>
  withPlace(async ({ dir, data }) => {
    const refused = await document<{ error: { message: string } }>(["import", "bench", "-", "-", "--data", data], {
      cwd: dir,
    });
    assert.deepEqual([refused.exit, refused.error.message], [2, "standard input can be read once"]);
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
  }));

Deno.test("an empty input is told as that, and makes no folder", () =>
  withPlace(async ({ dir, data }) => {
    await Deno.writeTextFile(`${dir}/monday.json`, "\n");
    for (const [given, name] of [["monday.json", "monday.json"], ["-", "standard input"]] as const) {
      const refused = await document<{ error: { message: string } }>(["import", "bench", given, "--data", data], {
        cwd: dir,
      });
      assert.deepEqual([refused.exit, refused.error.message], [2, `${name} is empty`]);
    }
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
  }));
