/** Where the real program writes, and what it says where it cannot, or may not be meant. */
import assert from "node:assert/strict";
import { run, withPlace } from "./cli_given.ts";

/** With its standard streams where a shell puts them. */
const shell = (redirected: string) => ["/bin/sh", "-c", `exec "$0" "$@" ${redirected}`];

Deno.test("a standard output that takes no more is one line and exit 3, and a full standard error changes nothing", () =>
  withPlace(async ({ data }) => {
    const full = { code: 3, out: "", err: "daybook: Cannot write to standard output: No space left on device" };
    for (const args of [["--help"], ["view", "--data", data], ["view", "--json", "--data", data]]) {
      const { code, out, err } = await run(args, { under: shell(">/dev/full") });
      assert.deepEqual({ code, out, err: err.trim().replace(/ \(os error \d+\)$/, "") }, full, args.join(" "));
    }
    assert.equal((await run(["status", "--bogus"], { under: shell("2>/dev/full") })).code, 2);
  }));

Deno.test("a picture goes to standard output where it is told so", () =>
  withPlace(async ({ dir }) => {
    await Deno.writeTextFile(`${dir}/stack.yaml`, "services:\n  web:\n    command: sleep 1\n");
    const { code, out, err } = await run(["stack", "graph", "--stack", `${dir}/stack.yaml`, "--svg", "-"]);
    assert.deepEqual([code, out.slice(0, 4), err], [0, "<svg", ""]);
  }));

Deno.test("a silence of a rule of which nothing is on record is taken, with a word about it", () =>
  withPlace(async ({ data }) => {
    await run(["token", "create", "reader", "--scopes", "read", "--data", data]);
    const said: string[] = [];
    for (const reason of ["we know", "we still know"]) {
      const silence = ["alerts", "silence", "nosuch", "--until", "1h", "--reason", reason, "--data", data];
      const { code, err } = await run(silence);
      assert.equal(code, 0, err);
      said.push(err);
    }
    const word = 'daybook: nothing is on record of a rule "nosuch" yet; alerts list --all has the others\n';
    assert.deepEqual(said, [word, ""]);
  }));
