/** How things look: what is safe to print, tables, numbers, bars. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Usage } from "../adapters/cli/call.ts";
import { table } from "../adapters/cli/columns.ts";
import { bar, bytes, cell, count, counted, duration, palette, safe, short } from "../adapters/cli/print.ts";
import { describe, progressBar } from "../adapters/cli/progress.ts";
import type { Io } from "../adapters/cli/io.ts";
import { givenStage } from "./cli_given.ts";

const io = (terminal: boolean, env: Record<string, string> = {}): Io & { readonly said: string[] } => {
  const said: string[] = [];
  return {
    said,
    err: (text: string) => void said.push(text),
    terminal: { out: terminal, err: terminal },
    columns: 60,
    env: (name: string) => env[name],
  } as unknown as Io & { readonly said: string[] };
};

Deno.test("what was made safe has no control, no mark that turns or hides text, and loses nothing else", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(safe(text), /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/);
  }));
  assert.equal(safe("a\u001b[31m\nb\t\u202e"), "a\\u001b[31m\\nb\\t\\u202e");
  assert.equal(safe("Zoë 漢字 👩‍🚀".replaceAll("\u200d", "")), "Zoë 漢字 👩🚀");
});

Deno.test("short keeps to its width and says that it cut", () => {
  assert.equal(short("abcdef", 6), "abcdef");
  assert.equal(short("abcdefg", 6), "abcde…");
  assert.equal(cell({ a: 1 }), `{"a":1}`);
  assert.equal(cell(undefined), "");
});

Deno.test("tables align what people of the world write", () => {
  assert.equal(
    table([{ title: "name" }, { title: "n", right: true }], [["漢字", "1"], ["abc", "1,000"]]),
    "name      n\n漢字      1\nabc   1,000\n",
  );
});

Deno.test("a table of many rows is aligned as a whole", () => {
  const rows = Array.from({ length: 100 }, (_, i) => [i === 77 ? "漢字漢字" : `r${i}`, `${i * i}`]);
  const lines = table([{ title: "name" }, { title: "n", right: true }], rows).split("\n");
  assert.deepEqual([lines[0], lines[1], lines[78], lines[100]], [
    "name         n",
    "r0           0",
    "漢字漢字  5929",
    "r99       9801",
  ]);
});

Deno.test("a table is drawn in time that grows with its rows, and not with their square", () => {
  const took = (length: number) => {
    const rows = Array.from({ length }, (_, i) => Array<string>(8).fill(`cell ${i}`));
    const began = performance.now();
    table(Array(8).fill({ title: "t" }), rows);
    return performance.now() - began;
  };
  took(500);
  const [few, many] = [Math.max(took(500), took(500)), Math.min(took(8_000), took(8_000))];
  assert.ok(many < few * 35, `500 rows took ${few} ms, 8,000 took ${many} ms`);
});

Deno.test("numbers are as people say them", () => {
  assert.deepEqual([bytes(999), bytes(1_234), bytes(5_600_000), bytes(7e12)], ["999 B", "1.2 kB", "5.6 MB", "7.0 TB"]);
  assert.deepEqual(
    [duration(45), duration(1_234), duration(185_000), duration(7_620_000)],
    ["45 ms", "1.2 s", "3 min 5 s", "2 h 7 min"],
  );
  assert.deepEqual([counted(1, "row"), counted(1_234, "branch", "branches")], ["1 row", "1,234 branches"]);
  assert.deepEqual([0, 999, 1_000, 100_000, 12_345_678].map(count), ["0", "999", "1,000", "100,000", "12,345,678"]);
  assert.deepEqual([bar(0, 4), bar(0.5, 4), bar(1, 4), bar(7, 4)], ["", "██", "████", "████"]);
});

Deno.test("colour is for terminals, and for those only who have not said NO_COLOR", () => {
  assert.equal(palette(io(true)).red("x"), "\u001b[31mx\u001b[0m");
  assert.equal(palette(io(true, { NO_COLOR: "1" })).red("x"), "x");
  assert.equal(palette(io(true, { NO_COLOR: "" })).red("x"), "\u001b[31mx\u001b[0m");
  assert.equal(palette(io(false)).red("x"), "x");
});

Deno.test("progress tells how far, how fast and how long still", () => {
  assert.equal(
    describe("importing", { done: 1_200, total: 5_000, unit: "commits" }, 1_000),
    "importing 1,200 of 5,000 commits · 1,200/s · 3.2 s left",
  );
  assert.equal(describe("reading", { done: 7, unit: "events" }, 0), "reading 7 events");
  assert.equal(describe("reading", { done: 5, total: 5, unit: "events" }, 1_000), "reading 5 of 5 events · 5/s");
});

Deno.test("a bar is drawn in place on a terminal and taken away, a line now and then elsewhere, nothing when quiet", () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now, schedule: () => () => {} };
  const tick = (to: Io, quiet = false) => {
    now = 0;
    const progress = progressBar("importing", { io: to, clock, quiet });
    for (now = 0; now <= 25_000; now += 50) progress.on({ done: now, total: 25_000, unit: "commits" });
    progress.end();
  };
  const [screen, pipe, silent] = [io(true), io(false), io(true)];
  tick(screen);
  assert.equal(screen.said.length, 251);
  assert.ok(screen.said.every((text) => text.startsWith("\r\u001b[2K")));
  assert.equal(screen.said.at(-1), "\r\u001b[2K");
  tick(pipe);
  assert.deepEqual(pipe.said.map((text) => text.split(" ·")[0]), [
    "importing 10,000 of 25,000 commits",
    "importing 20,000 of 25,000 commits",
  ]);
  tick(silent, true);
  assert.deepEqual(silent.said, []);
});

Deno.test("how fast the work goes is that of its own kind, however long what was before it took", () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now, schedule: () => () => {} };
  const pipe = io(false);
  const progress = progressBar("importing", { io: pipe, clock });
  for (now = 0; now <= 60_000; now += 20_000) progress.on({ done: now, total: 60_000, unit: "commits" });
  for (let done = 1; done <= 100; done++, now += 100) progress.on({ done, total: 400, unit: "branches" });
  progress.on({ done: 101, total: 400, unit: "branches" });
  assert.deepEqual(pipe.said.slice(3), [
    "importing 1 of 400 branches\n",
    "importing 101 of 400 branches · 10/s · 29.6 s left\n",
  ]);
});

Deno.test("what is wrong with a file is said behind its name, as other commands say it", async () => {
  const error: Error = await Deno.stat("/no such").catch((error) => error);
  assert.match(error.message, /os error 2/);
  const stage = givenStage();
  for (
    const [thrown, code, said] of [[error, 3, ""], [
      new Usage(`cannot read it: ${error.message}`),
      2,
      "cannot read it: ",
    ]] as const
  ) {
    stage.runtime.reader = () => Promise.reject(thrown);
    const { code: exit, err } = await stage.type("status");
    assert.deepEqual([exit, err], [code, `daybook: ${said}/no such: No such file or directory\n`]);
  }
  const quoted: Error = await Deno.stat("/no such/ada's/x").catch((error) => error);
  stage.runtime.reader = () => Promise.reject(quoted);
  assert.equal((await stage.type("status")).err, "daybook: /no such/ada's/x: No such file or directory\n");
});

Deno.test("a path with quotes in it is said whole", async () => {
  const stage = givenStage();
  for (
    const [said, whole] of [
      ["No such file or directory (os error 2): stat '/it's here'", "/it's here: No such file or directory"],
      ["Is a directory (os error 21): rename '/a's b' -> '/b's'", "/a's b: Is a directory -> '/b's'"],
    ] as const
  ) {
    stage.runtime.reader = () => Promise.reject(new Usage(said));
    assert.equal((await stage.type("status")).err, `daybook: ${whole}\n`);
  }
});
