import assert from "node:assert/strict";
import type { Child } from "../../actors/kernel/child.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { followers } from "../../adapters/program/followers.ts";
import { parseConfig } from "../../config/config.ts";
import { rig } from "./rig.ts";

const defaults = () => {
  const parsed = parseConfig("", "test", {});
  assert.ok(parsed.ok);
  const { restarts: { max, within_ms }, backoff: { first_ms, max_ms } } = parsed.config.kernel;
  return { restarts: { max, within: within_ms }, backoff: { first: first_ms, last: max_ms } };
};

/** A child that cannot work until the disk has room again. */
const heldUp = (until: () => boolean, id = "view"): Child => ({
  id,
  restart: "transient",
  grace: 1_000,
  run: (signal) =>
    until()
      ? new Promise((resolve) => signal.addEventListener("abort", () => resolve()))
      : Promise.reject(new Error("the disk is full")),
});

Deno.test("what follows the log may be held up for hours: it does not take the root with it, and goes on by itself", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const r = rig(seed);
    const spec = defaults();
    let room = false;
    const views = followers("projections", [heldUp(() => room)], spec, r);
    const root = new Supervisor({ id: "daybook", strategy: "one_for_one", ...spec, children: [views] }, r);
    const stopping = new AbortController();
    const run = root.run(stopping.signal);
    await r.clock.advance(6 * 3_600_000);
    assert.equal(root.tree().state, "running");
    room = true;
    await r.clock.advance(3 * spec.backoff.last);
    assert.equal(views.tree().children![0]!.state, "running");
    stopping.abort();
    await r.clock.until(run);
  }
});

Deno.test("as many followers as there are may be held up by one disk together: that takes the root with it no more than one does", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const r = rig(seed);
    const spec = defaults();
    let room = false;
    const held = Array.from({ length: 3 * spec.restarts.max }, (_, i) => heldUp(() => room, `rule${i}`));
    const rules = followers("threats", held, spec, r);
    const root = new Supervisor({ id: "daybook", strategy: "one_for_one", ...spec, children: [rules] }, r);
    const stopping = new AbortController();
    const run = root.run(stopping.signal);
    await r.clock.advance(3_600_000);
    assert.equal(root.tree().state, "running");
    room = true;
    await r.clock.advance(3 * spec.backoff.last);
    assert.deepEqual(new Set(rules.tree().children!.map(({ state }) => state)), new Set(["running"]));
    stopping.abort();
    await r.clock.until(run);
  }
});
