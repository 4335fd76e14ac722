/** Services that are in the way, and services that are killed, in small numbers; `deno task soak --only services` has the large ones. */
import assert from "node:assert/strict";
import { onSmallDisk } from "../small_disk_given.ts";
import { Program, run } from "./program.ts";
import { recoveries } from "./stack_recoveries.ts";
import { storms } from "./stack_storms.ts";
import { until } from "../until.ts";

Deno.test("services that end at once, flood the disk, write binary, ignore SIGTERM or fork away are bounded and on record, and harm nobody", async () => {
  const { starts, kept, lost, events } = await storms(30, 50_000_000);
  assert.equal(starts, 31);
  assert.ok(kept > 0 && lost > 0 && kept + lost < 50_100_000, `${kept} bytes kept, ${lost} lost`);
  assert.ok(events <= 31 * 7 + 80, `${events} events`);
});

Deno.test("a service that is killed is back within its back-off schedule, each time", async () => {
  const { kills, late } = await recoveries(9, 3);
  assert.equal(kills, 9);
  // However loaded the machine is.
  assert.ok(late.p95 < 60_000, `${late.p95} ms beside the schedule`);
});

Deno.test("a service that fills the disk to the last byte again and again loses its output; the log goes on, and the one beside it is restarted", async (t) => {
  await onSmallDisk(t, "48m", async (dir) => {
    const [data, file] = [`${dir}/data`, `${dir}/stack.yaml`];
    await Deno.writeTextFile(
      file,
      `
services:
  beside:
    command: /bin/sh
    arguments: [-c, "echo well; exec sleep 1000"]
    ready_line: ^well$
  flooding:
    command: /bin/sh
    arguments: [-c, "yes daybook; exit 1"]
    restart: { policy: always, max: 1000000, first_ms: 50, last_ms: 200 }
    log: { bytes_max: 100000, keep: 2 }
`,
    );
    const program = await Program.start(data, {}, { more: ["--stack", file] });
    const instances = async () => {
      const { services } = JSON.parse((await run("ps", "--json", "--data", data)).out) as {
        services: { instances: { service: string; state: string; starts: number }[] }[];
      };
      return services.flatMap(({ instances }) => instances);
    };
    const flooding = async () => (await instances()).find(({ service }) => service === "flooding");
    await until("three starts of it", flooding, (one) => one !== undefined && one.starts >= 3);
    // The server may be without room at just that moment; who asks again is heard.
    for (let tries = 0;; tries++) {
      const restarted = await run("restart", "beside", "--data", data);
      if (restarted.code === 0) break;
      assert.ok(tries < 20, restarted.err);
    }
    const beside = (await instances()).find(({ service }) => service === "beside")!;
    assert.deepEqual([beside.state, beside.starts >= 2], ["healthy", true]);
    for (let tries = 0; (await run("down", "--data", data)).code !== 0; tries++) assert.ok(tries < 20);
    const { out } = await run("events", "--stream", "services/main", "--limit", "100000", "--data", data);
    assert.match(out, /services\.output\.lost/);
    await program.end("SIGTERM");
    const verified = await run("verify", "--data", data);
    assert.equal(verified.code, 0, verified.out + verified.err);
  });
});
