/** However much is said of controls, what the log is told of them fits an entry. */
import assert from "node:assert/strict";
import { watchControls } from "../adapters/program/controls/watch.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { seededRandom } from "../adapters/simulation/random.ts";
import { parseControls } from "../config/controls.ts";
import type { Event } from "../events/event.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

Deno.test("how many controls stand, in whatever script they are written, is told in facts that an entry has room for", () =>
  inFolder(async (dir) => {
    const { daybook, gate, supervision: { world: { recorder } } } = await openSystem({ data: `${dir}/data` });
    const { log } = daybook;
    const said = Array.from({ length: 60 }, (_, n) => `
  - id: c${n}
    title: ${"部".repeat(200)}
    frameworks: { gdpr: [${Array.from({ length: 10 }, (_, i) => `${i}${"条".repeat(50)}`).join(", ")}] }
    freshness: 90d
    query: { every: { type: kernel.log.verified }, satisfies: { data.ok: true } }`);
    const parsed = parseControls([{ file: "controls.yaml", text: `controls:${said.join("")}` }]);
    assert.ok(parsed.ok);
    const { controls } = parsed;
    const clock = new SimulatedClock(seededRandom(1), Date.now());
    const stop = new AbortController();
    const parts = { log, clock, recorder, gate, catalogue: () => Promise.resolve(controls) };
    const child = watchControls({ ...parts, everyMs: 1_000, report: () => {} });
    const ended = child.run(stop.signal, { ready: () => {} } as never);
    const turned = async () => {
      await clock.advance(1_000);
      await recorder.flush();
      return [...log.read({ types: ["kernel.control.turned"] })].flat();
    };
    const changes = (events: readonly Event[]) =>
      events.flatMap(({ data }) => (data as { changes: { control: string }[] }).changes.map(({ control }) => control));
    const told = await until("all of them", turned, (events) => changes(events).length >= 60, {
      seconds: 20,
      every_ms: 0,
    });
    assert.deepEqual(changes(told), controls.map(({ control }) => control.id));
    stop.abort();
    await ended;
    await daybook.close();
  }));
