/** A server that is started again after its log's beginning was archived, and whose archive is somewhere else by then. */
import assert from "node:assert/strict";
import type { HealthNode } from "../../actors/kernel/daybook.ts";
import { document, run } from "./cli_given.ts";
import { Program } from "./program.ts";
import { Stand, startsIn, tracing } from "./stack_given.ts";
import { until } from "../until.ts";

const BAD = { forwarded: "for=198.51.100.9" };

const stack = (traces: string): string => `
stack: { name: yard }
services:
  steady:
    ${tracing(traces, "steady", "exec sleep 600")}
  timed:
    ${tracing(traces, "timed", "exit 0")}
    schedule: "* * * * * *"
`;

const environment = (sink: string) => ({
  DAYBOOK__SERVER__BEHIND_PROXY: "127.0.0.1",
  DAYBOOK__SERVER__HOSTS: "[a.example]",
  DAYBOOK__THREATS__ADDRESS_FAILURES: "6",
  DAYBOOK__ALERTING__EVERY_MS: "100",
  DAYBOOK__SINKS: `[{ kind: file, name: copy, path: ${JSON.stringify(sink)}, from: beginning }]`,
});

const ask = (
  { url, token }: Pick<Program, "url" | "token">,
  path: string,
  { headers = {}, body }: { readonly headers?: Record<string, string>; readonly body?: unknown } = {},
) =>
  fetch(`${url}${path}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });

const statusOf = async (...asked: Parameters<typeof ask>): Promise<number> => {
  const answer = await ask(...asked);
  await answer.body?.cancel();
  return answer.status;
};

const ingest = async (program: Program, from: number, count: number): Promise<void> => {
  for (let at = from; at < from + count; at += 100) {
    const body = Array.from({ length: 100 }, (_, i) => ({
      specversion: "1.0",
      id: `e-${at + i}`,
      source: "urn:tests",
      type: "tests.thing.happened",
      data: { n: at + i },
    }));
    const headers = { "content-type": "application/cloudevents-batch+json" };
    assert.equal(await statusOf(program, "/events", { headers, body }), 201);
  }
};

/** Positions that the sink was given, in its order. */
/** A line that is being written is not there yet. */
const handed = async (sink: string): Promise<readonly number[]> =>
  (await Deno.readTextFile(sink)).split("\n").slice(0, -1).map((line) => JSON.parse(line).position);

const notRunning = ({ id, state, children = [] }: HealthNode): readonly string[] => [
  ...state === "running" ? [] : [`${id} is ${state}`],
  ...children.flatMap(notRunning),
];

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  Deno.test(`with its beginning in an archive that is elsewhere, a server goes on as before, after ${signal}`, () =>
    Stand.with(stack, async (stand) => {
      const { data, traces } = stand;
      const [sink, to] = [`${data}.ndjson`, `${data}.archive`];
      await stand.start(environment(sink));
      const starts = (name: string) => startsIn(traces).then((all) => all.filter((each) => each.name === name));
      await until("the services run", () => starts("timed"), ({ length }) => length > 0);
      for (let i = 0; i < 6; i++) {
        const body = { name: `name${i % 2}`, password: `guess ${i}` };
        const headers = { ...BAD, "content-type": "application/json" };
        assert.equal(await statusOf(stand.program, "/auth/sign-in", { headers, body }), 401);
      }
      await until(
        "the address is blocked",
        () => statusOf(stand.program, "/livez", { headers: BAD }),
        (at) => at === 403,
      );
      assert.equal((await run(["cert", "issue", "api", "--host", "localhost", "--data", data])).code, 0);
      const authority = await run(["cert", "authority", "--data", data]);
      const told = async (type: string) =>
        (await document<{ events: readonly unknown[] }>(["events", "--type", type, "--data", data])).events.length;
      await until("an alert waits for others", () => told("kernel.timer.set"), (count) => count > 0);
      await ingest(stand.program, 0, 900);
      const done = await document<{ until: number; kept: number }>(
        ["archive", "--before", "768", "--to", to, "--data", data],
      );
      assert.deepEqual([done.exit, done.until], [0, 768]);

      await stand.program.end(signal);
      const before = await starts("timed");
      await stand.start(environment(sink));
      assert.equal(await statusOf(stand.program, "/readyz"), 200);
      await ingest(stand.program, 900, 100);
      const { size } = await until(
        "all runs",
        () => document<{ size: number; health: HealthNode }>(["status", "--data", data]),
        ({ health }) => notRunning(health).length === 0,
      );
      const last = await until(
        "all is handed out",
        () => handed(sink),
        (positions) => (positions.at(-1) ?? -1) >= size - 1,
      );
      // At least once, and what comes for the first time in its order.
      assert.deepEqual(last.filter((at, i) => last.indexOf(at) === i), [...Array(last.at(-1)! + 1).keys()]);
      assert.equal(await statusOf(stand.program, "/livez", { headers: BAD }), 403);
      await until("what has its times goes on", () => starts("timed"), ({ length }) => length > before.length);
      assert.equal((await starts("steady")).length, 1, "adopted");
      assert.equal((await run(["cert", "renew", "api", "--data", data])).code, 0);
      assert.equal((await run(["cert", "authority", "--data", data])).out, authority.out);
      assert.match((await run(["verify", "--data", data, "--archive", to])).out, /^the log agrees with itself/);
    }));
}
