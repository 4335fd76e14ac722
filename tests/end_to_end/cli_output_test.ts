/** Where the real program writes, and what it says where it cannot. */
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
