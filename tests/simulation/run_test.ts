/** `deno task sim` and `deno task soak` as somebody types them. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

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
    const path = (to: string) => fileURLToPath(new URL(to, import.meta.url));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-A", "--no-check", "--config", path("../../deno.json"), path(script), ...args],
      env: { NO_COLOR: "1" },
    }).output();
    const err = new TextDecoder().decode(stderr);
    assert.deepEqual([code, stdout.length], [2, 0], err);
    assert.match(err, said);
    assert.match(err, new RegExp(`\ndeno task ${name} \\[--`));
  });
}
