/** What works behind the log, as a child of the tree of a whole daybook: it may die in any way, and the log goes on. */
import assert from "node:assert/strict";
import { downIn, type HealthNode } from "../actors/kernel/daybook.ts";
import { openSystem, type SystemOptions } from "../adapters/program/daybook.ts";
import type { Opened } from "../adapters/program/opened.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { parseConfig } from "../config/config.ts";
import type { Event } from "../events/event.ts";
import type { NewEvent } from "../events/log.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

const eventAt = (n: number): NewEvent => ({
  id: String(n),
  source: "urn:test",
  type: "test.thing.happened",
  time: "2026-01-01T00:00:00Z",
  stream: "inbox/test",
  version: 1,
  authtype: "system",
  authid: "test",
  data: { n },
});

const configured = (yaml: string) => {
  const parsed = parseConfig(yaml, "test", {});
  assert.ok(parsed.ok);
  return parsed.config;
};

const withSystem = async (options: SystemOptions, body: (opened: Opened) => Promise<void>): Promise<void> => {
  const opened = await openSystem(options);
  try {
    await body(opened);
  } finally {
    await opened.daybook.close();
  }
};

const troubled = (trouble: string) => new URL(`./troubled_background_worker.ts?${trouble}`, import.meta.url);

/** Resolves with the next fact of the worker that `holds` says is the one, from `from` on. */
const heard = async ({ daybook }: Opened, from: number, holds: (event: Event) => boolean): Promise<Event> => {
  const enough = new AbortController();
  for await (const page of daybook.follow(from, enough.signal)) {
    const found = page.find(holds);
    if (!found) continue;
    enough.abort();
    return found;
  }
  throw new Error("the log has been closed");
};

const about = (type: string, child: string) => (event: Event) =>
  event.type === type && (event.data as { readonly child: string }).child === child;
const WORKER = "daybook:log:background";
const nodeAt = (tree: HealthNode, ...path: readonly string[]): HealthNode =>
  path.reduce((node, id) => node.children!.find((child) => child.id === id)!, tree);

/** Chain, tree and signed checkpoint, by the verifier, up to the end. */
const verified = async (data: string, key: string): Promise<void> => {
  const report = await verifyLog({ path: `${data}/log.db`, key });
  assert.deepEqual([report.ok, report.failures, report.signed], [true, [], report.size]);
};

for (const trouble of ["throw", "later", "exit", "close", "hang"]) {
  Deno.test(`a worker behind the log that does "${trouble}" is noticed, recorded and started again; nothing is lost`, () =>
    inFolder(async (data) => {
      const url = troubled(trouble);
      const spoken = trouble === "throw" || trouble === "later";
      // One that speaks is not to be taken for silent when the machine pauses.
      const worker = { url, heartbeat: { every: 100, within: spoken ? 60_000 : 1_500 } };
      let key = "";
      await withSystem({ data, worker }, async (opened) => {
        const { daybook, keys } = opened;
        key = keys.logKey.signer.vkey;
        for (let n = 0; n < 20; n++) await daybook.append({ events: [eventAt(n)] });
        const crashed = await heard(opened, 0, about("kernel.child.crashed", WORKER));
        const { cause } = crashed.data as { readonly cause: string };
        if (spoken) assert.match(cause, /the worker is troubled/);
        else assert.equal(cause, "no heartbeat within 1500 ms");
        // Whoever waits does not wait for the next worker.
        const { size } = daybook.status();
        const checkpoint = await daybook.checkpoint(size);
        assert.ok(checkpoint!.size >= size);
        url.search = "";
        await heard(opened, crashed.position, about("kernel.child.restarted", WORKER));
        for (let n = 20; n < 40; n++) await daybook.append({ events: [eventAt(n)] });
        // One that was on its way before the trouble was over has crashed again, and been started again.
        const { row, again } = await until(
          "the worker runs",
          async () => {
            const again = daybook.status().size;
            const { rows } = await daybook.view("health.children", { wait: again - 1, deadline: 120_000 });
            const row = rows.find(({ key }) => key === WORKER)!.row;
            return { row: row as { crashes: number; restarts: number; state: string }, again };
          },
          ({ row }) => row.state === "running" && row.restarts === row.crashes,
        );
        assert.ok(row.crashes >= 1, JSON.stringify(row));
        assert.ok((await daybook.checkpoint(again))!.size >= again);
        const numbers = [...daybook.log.read({ stream: "inbox/test" })].flat().map((event) =>
          (event.data as { n: number }).n
        );
        assert.deepEqual(numbers, Array.from({ length: 40 }, (_, n) => n));
      });
      await verified(data, key);
    }));
}

Deno.test("when the worker behind the log is given up, the log does its work itself, and that is visible", () =>
  inFolder(async (data) => {
    const config = configured(
      "kernel: { restarts: { max: 2, within_ms: 60000 }, backoff: { first_ms: 1, max_ms: 2 } }",
    );
    let key = "";
    await withSystem({ data, config, worker: { url: troubled("throw") } }, async (opened) => {
      const { daybook, keys } = opened;
      key = keys.logKey.signer.vkey;
      await daybook.append({ events: [eventAt(0)] });
      const gaveUp = await heard(opened, 0, about("kernel.child.gave_up", "daybook:log"));
      assert.match((gaveUp.data as { cause: string }).cause, /the worker is troubled/);
      await heard(opened, gaveUp.position, about("kernel.child.crashed", "daybook:log"));
      const { state, health } = daybook.status();
      assert.deepEqual([state, downIn(health)], ["ready", ["daybook:log"]]);
      assert.deepEqual([nodeAt(health, "log").state, nodeAt(health, "log", "background").state], ["down", "down"]);
      assert.equal(nodeAt(health, "entities").state, "running");

      // More than one generation of the index, so that segments are made, and merged pages written.
      for (let n = 0; n < 20_000; n += 1_000) {
        await daybook.append({ events: Array.from({ length: 1_000 }, (_, i) => eventAt(1 + n + i)) });
      }
      const { size } = daybook.status();
      assert.ok((await daybook.checkpoint(size))!.size >= size);
      await until("the index", () => daybook.status().indexed > 0);
      const repeated = await daybook.append({ events: [eventAt(17)] });
      assert.ok(repeated.ok && repeated.duplicates === 1);

      const { rows } = await daybook.view("health.tree", { wait: gaveUp.position + 1, deadline: 120_000 });
      const states = Object.fromEntries(rows.map(({ key, row }) => [key, (row as { state: string }).state]));
      assert.deepEqual([states["daybook"], states["daybook:log"], states[WORKER]], ["running", "down", "down"]);
    });
    await verified(data, key);
    await withSystem({ data }, async ({ daybook }) => {
      assert.deepEqual(downIn(daybook.status().health), []);
      const repeated = await daybook.append({ events: [eventAt(19_999)] });
      assert.ok(repeated.ok && repeated.duplicates === 1);
    });
  }));

Deno.test("in memory the thread of the log works behind it, as the same child", () =>
  withSystem({ data: ":memory:" }, async ({ daybook }) => {
    await daybook.append({ events: [eventAt(0)] });
    const { size, health } = daybook.status();
    assert.ok((await daybook.checkpoint(size))!.size >= size);
    assert.equal(nodeAt(health, "log", "background").state, "running");
  }));
