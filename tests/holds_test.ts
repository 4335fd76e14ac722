/** Legal holds: what they forbid, with their reason, and that nothing is done where one stands. */
import assert from "node:assert/strict";
import { holdsIn } from "../adapters/program/holds.ts";
import { operate } from "../adapters/program/operations.ts";
import { append, archived, begin, opened } from "./archive_given.ts";
import { document, run, start, withPlace } from "./end_to_end/cli_given.ts";
import { EMAIL, filled } from "./end_to_end/privacy_given.ts";
import { inFolder } from "./folder_given.ts";

const WHO = "s_0123456789abcdef";

Deno.test("while a hold stands nothing is archived, whatever it is about, and the refusal says why", () =>
  inFolder(async (dir) => {
    const data = `${dir}/data`;
    await opened(data, async (system) => {
      await append(system, 0, 300);
      const ask = (name: string, input: unknown) =>
        operate(system, name, { input, progress: () => {}, signal: new AbortController().signal });
      const standing = () => holdsIn(system.daybook.log, Date.now()).map(({ hold }) => hold);
      const size = () => [...system.daybook.log.read({ types: ["kernel.log.archived"] })].flat().length;
      const scopes: readonly Record<string, unknown>[] = [
        {},
        { types: ["tests.thing.happened"] },
        { types: ["another.thing.happened"] },
        { subjects: [WHO] },
      ];
      for (const [i, scope] of scopes.entries()) {
        const hold = `case-${i}`;
        await ask("place-hold", { hold, reason: "preservation letter", ...scope });
        assert.deepEqual(standing(), [hold]);
        const held = {
          name: "Refused",
          code: "held",
          message: `The legal hold ${hold} forbids it: preservation letter`,
        };
        await assert.rejects(begin(system, 256), held);
        await assert.rejects(ask("end-archive", { until: 256, root: "x" }), held);
        assert.equal(size(), 0);
        await ask("lift-hold", { hold, reason: "closed" });
        assert.deepEqual(standing(), []);
      }
      await ask("place-hold", { hold: "soon", reason: "short", until: new Date(Date.now() + 60_000).toISOString() });
      assert.deepEqual(standing(), ["soon"]);
      assert.deepEqual(holdsIn(system.daybook.log, Date.now() + 61_000), [], "it ends by itself");
      await assert.rejects(ask("place-hold", { hold: "soon", reason: "twice" }), { code: "hold_exists" });
      await assert.rejects(ask("lift-hold", { hold: "other", reason: "none" }), { code: "no_such_hold" });
      const invalid = { name: "LogFault", kind: "invalid" };
      for (const wrong of [{ hold: "" }, { hold: "a b" }, { hold: "x", subjects: ["ada"] }, { hold: "x", types: [] }]) {
        await assert.rejects(ask("place-hold", { reason: "why", ...wrong }), invalid);
      }
      await assert.rejects(ask("place-hold", { hold: "x", reason: "" }), invalid);
      const misspelt = { hold: "x", reason: "why", types: ["tests.thing.happened", "commits.commit.record"] };
      await assert.rejects(ask("place-hold", misspelt), {
        name: "Usage",
        message: 'there is no type "commits.commit.record"; did you mean commits.commit.recorded?',
      });
      await ask("lift-hold", { hold: "soon", reason: "closed" });
      // Placed between the look and the end.
      const begun = await begin(system, 256);
      await ask("place-hold", { hold: "late", reason: "just in time" });
      await assert.rejects(ask("end-archive", { until: begun.until, root: begun.root }), { code: "held" });
      await ask("lift-hold", { hold: "late", reason: "closed" });
      assert.equal((await archived(system, data, `${dir}/archive`, 256)).until, 256);
    });
  }));

Deno.test("a hold is placed, listed and lifted by command, with and without a server, and forbids an erasure", () =>
  withPlace(async ({ dir, data }) => {
    await filled(data);
    const who = EMAIL;
    const server = await start(data);
    try {
      const placed = await document<{ subjects: string[] }>(
        ["hold", "place", "case-7", "--reason", "dispute", "--subject", who, "--data", data],
      );
      assert.deepEqual([placed.exit, placed.subjects.length], [0, 1]);
      const refused = await run(["erase", who, "--out", `${dir}/certificate.json`, "--data", data]);
      assert.equal(refused.code, 1);
      assert.match(refused.err, /The legal hold case-7 forbids it: dispute/);
      const told = await run(["hold", "list", "--data", data]);
      assert.match(told.out, /case-7 .* lifted +s_[\w-]{16} +dispute\n/);
    } finally {
      assert.equal((await server.stop()).code, 0);
    }
    assert.equal((await run(["hold", "lift", "case-7", "--reason", "settled", "--data", data])).code, 0);
    assert.deepEqual((await document<{ holds: unknown[] }>(["hold", "list", "--data", data])).holds, []);
    const soon = await run(["hold", "place", "soon", "--reason", "short", "--until", "30d", "--data", data]);
    assert.match(soon.out, /^held: everything until \S+; .* until then or hold lift soon\n$/);
    for (const args of [["place", "x"], ["place", "x", "--reason", "y", "--subject", "nobody@example.com"]]) {
      assert.equal((await run(["hold", ...args, "--data", data])).code, 2, args.join(" "));
    }
  }));
