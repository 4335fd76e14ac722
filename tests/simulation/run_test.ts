/** `deno task sim` and `deno task soak` as somebody types them. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const typed = (script: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const path = (to: string) => fileURLToPath(new URL(to, import.meta.url));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--no-check", "--config", path("../../deno.json"), path(script), ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
};

for (
  const [name, script, args, said] of [
    ["sim", "./run.ts", ["--sed", "4"], /^Unknown option '--sed'/],
    ["sim", "./run.ts", ["4"], /^Unexpected argument '4'/],
    ["sim", "./run.ts", ["--seed"], /^Option '--seed <value>' argument missing/],
    ["sim", "./run.ts", ["--seeds", "0"], /^--seeds: expected a whole number from 1, not "0"/],
    ["sim", "./run.ts", ["--ground", "disk", "--rounds", "1"], /^--ground: expected memory, kv, sealed, not "disk"/],
    ["soak", "../soak/run.ts", ["--seeds", "4"], /^Unknown option '--seeds'/],
    ["soak", "../soak/run.ts", ["--only", "nothing"], /^--only takes ids,/],
  ] as const
) {
  Deno.test(`deno task ${name} ${args.join(" ")} runs nothing and says why, with 2, for 1 is a run that failed`, async () => {
    const { code, stdout, stderr } = await typed(script, args);
    const err = new TextDecoder().decode(stderr);
    assert.deepEqual([code, stdout.length], [2, 0], err);
    assert.match(err, said);
    assert.match(err, new RegExp(`\ndeno task ${name} \\[--`));
  });
}

Deno.test("a part of deno task soak that throws did not hold, and those behind it are run and shown", async () => {
  // A stream of which every hundredth event is one has none among so few.
  const { code, stdout } = await typed("../soak/run.ts", ["--only", "cold,ids", "--scale", "0.00001"]);
  const out = new TextDecoder().decode(stdout);
  assert.equal(code, 1, out);
  assert.match(out, /│ cold +│ Error: 1 of 0 came +│ no error +│ NO +│/);
  assert.match(out, /distinct ids/);
});

Deno.test("where strace is missing deno task soak says so of what cannot be tried without", async () => {
  const { code, stdout } = await typed("../soak/run.ts", ["--only", "calls,power", "--scale", "0.01"], {
    PATH: "/nowhere",
    CI: "false",
  });
  const out = new TextDecoder().decode(stdout);
  assert.equal(code, 0, out);
  assert.equal(out.match(/│ no strace +│/g)?.length, 2, out);
});
