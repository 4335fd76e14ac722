/** Services that are killed one after another: how long each takes to be healthy again, held against its back-off schedule. */
import assert from "node:assert/strict";
import { chance } from "../verify_given.ts";
import { Stand, tracing } from "./stack_given.ts";

export interface Spread {
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

export interface Recoveries {
  readonly kills: number;
  /** From the end of a process until its service was healthy again, ms. */
  readonly down: Spread;
  /** The part of it that the schedule states. */
  readonly scheduled: Spread;
  /** The rest: until the restart was announced, the process there, and its probe content. */
  readonly late: Spread;
}

const RESTART = { first_ms: 50, last_ms: 1_600, jitter: 20 } as const;
const NAMES = ["lined", "probed", "plain"] as const;

const yaml = (traces: string): string => {
  const restart = `restart: { policy: always, max: 1000000, first_ms: ${RESTART.first_ms}, ` +
    `last_ms: ${RESTART.last_ms}, jitter: ${RESTART.jitter} }`;
  return `
services:
  lined:
    ${tracing(traces, "lined", "echo ready; exec sleep 1000")}
    ready_line: ^ready$
    ${restart}
  probed:
    ${tracing(traces, "probed", "exec sleep 1000")}
    probes: { readiness: { exec: { command: "true" }, interval_ms: 50 } }
    ${restart}
  plain:
    ${tracing(traces, "plain", "exec sleep 1000")}
    ${restart}
`;
};

interface Told {
  readonly type: string;
  readonly time: string;
  readonly data: { readonly service: string; readonly attempt?: number; readonly until_ms?: number };
}

/** Throws where one does not come back, or comes back before its schedule lets it. */
export const recoveries = async (kills: number, seed: number): Promise<Recoveries> => {
  const random = chance(seed);
  let events: readonly Told[] = [];
  await Stand.with(yaml, async (stand) => {
    await stand.start();
    const starts = new Map<string, number>(NAMES.map((name) => [name, 1]));
    const healthy = async () =>
      await stand.until((rows) =>
        NAMES.every((name) =>
          rows.some((row) => row.service === name && row.state === "healthy" && row.starts === starts.get(name))
        )
      );
    let rows = await healthy();
    for (let kill = 0; kill < kills; kill++) {
      const name = NAMES[Math.floor(random() * NAMES.length)]!;
      Deno.kill(-rows.find(({ service }) => service === name)!.pid!, "SIGKILL");
      starts.set(name, starts.get(name)! + 1);
      rows = await healthy();
    }
    events = await stand.events();
    await stand.down();
    await stand.program.end("SIGTERM");
  });
  const all = NAMES.flatMap((name) => recoveriesOf(events.filter(({ data }) => data.service === name)));
  assert.equal(all.length, kills, "each that was killed is back");
  return {
    kills,
    down: spread(all.map(({ down }) => down)),
    scheduled: spread(all.map(({ scheduled }) => scheduled)),
    late: spread(all.map(({ down, scheduled }) => down - scheduled)),
  };
};

/** Of one service, from its own events. */
const recoveriesOf = (events: readonly Told[]) => {
  const all: { down: number; scheduled: number }[] = [];
  let ended = 0, until = 0, attempts = 0;
  for (const { type, time, data } of events) {
    const at = Date.parse(time);
    if (type === "services.instance.exited") ended = at;
    if (type === "services.instance.delayed") {
      until = data.until_ms!;
      assert.equal(data.attempt, ++attempts);
      const plain = Math.min(RESTART.last_ms, RESTART.first_ms * 2 ** Math.min(attempts - 1, 30));
      const most = plain * RESTART.jitter / 100 + 1;
      assert.ok(Math.abs(until - ended - plain) <= most, `attempt ${attempts} waits ${until - ended} ms, not ${plain}`);
    }
    if (type === "services.instance.announced") assert.ok(at >= until, "it is not started before its time");
    if (type === "services.health.confirmed" && ended > 0) {
      all.push({ down: at - ended, scheduled: until - ended });
      ended = 0;
    }
  }
  return all;
};

const spread = (values: readonly number[]): Spread => {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * part) - 1)]!;
  return { p50: at(0.5), p95: at(0.95), max: sorted.at(-1)! };
};
