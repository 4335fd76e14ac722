/**
 * Services that do all they can to be in the way: one that ends at once as often as it is started, one that floods the disk with output,
 * one that writes binary, one that ignores SIGTERM, one that forks away. What becomes of them, and of the one beside them.
 */
import assert from "node:assert/strict";
import { run } from "./program.ts";
import { Stand, startsIn, tracing } from "./stack_given.ts";
import { until } from "../until.ts";

export interface Storms {
  /** Starts of the one that ends at once. */
  readonly starts: number;
  readonly events: number;
  /** Bytes of output that were written, are kept, and are recorded as lost. */
  readonly written: number;
  readonly kept: number;
  readonly lost: number;
}

const LOG = { bytes_max: 100_000, keep: 2 } as const;

const yaml = (exits: number, flood: number) => (traces: string): string => `
services:
  beside:
    ${tracing(traces, "beside", "echo well; exec sleep 1000")}
    ready_line: ^well$
  hasty:
    ${tracing(traces, "hasty", "exit 3")}
    restart: { policy: always, max: ${exits}, first_ms: 0, last_ms: 0 }
  flooding:
    ${tracing(traces, "flooding", `yes daybook | head -c ${flood}; echo; echo over; exec sleep 1000`)}
    ready_line: ^over$
    log: { bytes_max: ${LOG.bytes_max}, keep: ${LOG.keep} }
  binary:
    ${tracing(traces, "binary", "head -c 300000 /dev/urandom; exec sleep 1000")}
    log: { bytes_max: ${LOG.bytes_max}, keep: ${LOG.keep} }
  stubborn:
    ${tracing(traces, "stubborn", "trap '' TERM; while :; do sleep 1; done")}
    stop: { grace_ms: 300 }
  forking:
    ${tracing(traces, "forking", "setsid sleep 1000 & exit 0")}
`;

interface Told {
  readonly type: string;
  readonly data: { readonly service?: string; readonly bytes?: number };
}

export const storms = async (exits: number, flood: number): Promise<Storms> => {
  let result: Storms | undefined;
  await Stand.with(yaml(exits, flood), async (stand) => {
    const wanted: Readonly<Record<string, string>> = { hasty: "failed", forking: "completed" };
    await stand.start();
    const rows = await stand.until(
      (rows) => rows.length === 6 && rows.every(({ service, state }) => state === (wanted[service] ?? "healthy")),
      120 + exits,
    );
    const beside = rows.find(({ service }) => service === "beside")!;
    assert.deepEqual([beside.starts, beside.state], [1, "healthy"], "the one beside them is unharmed");
    const { starts } = rows.find(({ service }) => service === "hasty")!;
    assert.equal(starts, exits + 1);
    assert.equal((await startsIn(stand.traces)).filter(({ name }) => name === "hasty").length, starts);
    const forked = (await startsIn(stand.traces)).find(({ name }) => name === "forking")!;
    assert.ok((await stand.alive()).every(({ nonce }) => nonce !== forked.nonce), "what was forked away is gone");

    const kept = await keptOf(stand, "flooding");
    for (const name of ["flooding", "binary"]) {
      // A file is set aside before it holds more than twice as much, else only its end is.
      assert.ok(await keptOf(stand, name) <= (2 * LOG.keep + 1) * LOG.bytes_max, name);
    }
    const shown = await run("logs", "binary", "--data", stand.data);
    assert.equal(shown.code, 0, shown.err);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(shown.out, /[\u0000-\u0008\u000b\u001b\u007f\u009b]/, "nothing that a terminal would obey");

    await stand.down();
    const events = await stand.events<Told>();
    const of = (type: string, service: string) => events.filter((e) => e.type === type && e.data.service === service);
    assert.equal(of("services.instance.stop_expired", "stubborn").length, 1);
    assert.equal(of("services.instance.exited", "hasty").length, starts, "each end is on record");
    const losses = of("services.output.lost", "flooding");
    const traced = [...Deno.readDirSync(`${stand.data}/services/main/started`)].length;
    assert.equal(traced, 0, "nothing is left of all the starts");
    result = {
      starts,
      events: events.length,
      written: flood,
      kept,
      lost: losses.reduce((sum, { data }) => sum + data.bytes!, 0),
    };
    await stand.program.end("SIGTERM");
  });
  return result!;
};

/** Bytes in all files of its output, once the last of it was looked at. */
const keptOf = async (stand: Stand, name: string): Promise<number> => {
  const path = `${stand.data}/services/main/${name}-0.log`;
  await until("it is rotated", () => Deno.stat(path), ({ size }) => size <= LOG.bytes_max);
  let bytes = 0;
  for (const file of [path, ...Array.from({ length: LOG.keep + 1 }, (_, n) => `${path}.${n + 1}`)]) {
    bytes += await Deno.stat(file).then(({ size }) => size, () => 0);
  }
  return bytes;
};
