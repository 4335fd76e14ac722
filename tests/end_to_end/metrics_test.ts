/** Metrics of services' own: read by the real program from real processes, shown, and looked at by rules for alerts. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { until } from "../until.ts";
import { run } from "./program.ts";
import { Stand, startsIn, tracing } from "./stack_given.ts";

const WORKER = `
const answer = async () => {
  try {
    return new Response(await Deno.readTextFile("metrics"));
  } catch {
    return new Response("not now", { status: 503 });
  }
};
Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => {} }, answer);
`;

Deno.test("what a service tells is read and shown, is a reason for an alert over a death, and one that cannot be read says so", () =>
  Stand.with((traces) => `
alerting:
  defaults: false
  every_ms: 100
  group_ms: 0
  rules:
    queue-long: { title: The queue is long, metric: jobs_waiting, labels: { queue: mail }, above: 100, for: 1s }
    not-told: { title: A service tells nothing, severity: warning, metric: up, below: 1 }
services:
  worker:
    ${tracing(traces, "worker", `exec "${Deno.execPath()}" run -A worker.ts "$PORT"`)}
    environment: { PORT: "\${ports.http}" }
    ports: { http: random }
    probes: { readiness: { tcp: { port: http } } }
    metrics: { port: http, interval_ms: 100, timeout_ms: 60000, series_max: 3 }
`, async (stand) => {
    const folder = dirname(stand.file);
    const tell = async (text: string) => {
      await Deno.writeTextFile(`${folder}/metrics.new`, text);
      await Deno.rename(`${folder}/metrics.new`, `${folder}/metrics`);
    };
    const facts = async (type: string) => {
      const { url, token } = stand.program;
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${url.replace(/\/$/, "")}/events?type=${type}`, { headers });
      return (await answer.json() as { events: { stream: string; data: { because: string } }[] }).events;
    };
    // By rule: while a service starts it cannot be read, and whether that is an alert hangs on how soon it is looked for.
    const of = async (rule: string, type: "raised" | "resolved") =>
      (await facts(`alerts.alert.${type}`)).filter(({ stream }) => stream === `alerts/${rule}`).map(({ data }) =>
        data.because
      );
    const metrics = () => run("stack", "metrics", "--data", stand.data);
    await Deno.writeTextFile(`${folder}/worker.ts`, WORKER);
    await tell('jobs_waiting{queue="mail"} 7\njobs_waiting{queue="web"} 700\n');
    const start = () => stand.start({}, ["--config", stand.file]);
    await start();
    await stand.until((rows) => rows.some(({ state }) => state === "healthy"));
    await until("it is read", async () => (await metrics()).out.includes("jobs_waiting"));
    const shown = await metrics();
    assert.equal(shown.code, 0);
    assert.match(shown.out, /worker +0 +jobs_waiting +queue=mail +7\n/);
    assert.match(shown.out, /worker +0 +up +1\n/);
    const { samples } = JSON.parse(
      (await run("stack", "metrics", "worker", "--metric", "jobs", "--json", "--data", stand.data)).out,
    );
    assert.deepEqual(samples.map(({ value }: { value: number }) => value), [7, 700]);
    const nobody = await run("stack", "metrics", "nobody", "--data", stand.data);
    assert.equal(nobody.code, 2);
    assert.match(nobody.err, /there is no service "nobody"/);

    await tell('jobs_waiting{queue="mail"} 130\n');
    await until("the queue is long", async () => (await of("queue-long", "raised")).length === 1);
    assert.deepEqual(await of("queue-long", "raised"), ["jobs_waiting is 130, above 100"]);
    // Who is back does not take what was not read yet for an end.
    await stand.program.end("SIGKILL");
    await start();
    await tell('jobs_waiting{queue="mail"} 140\n');
    await until("it is read again", async () => (await metrics()).out.includes(" 140"));
    assert.deepEqual([await of("queue-long", "raised"), await of("queue-long", "resolved")], [
      ["jobs_waiting is 130, above 100"],
      [],
    ]);
    await tell('jobs_waiting{queue="mail"} 99\n');
    await until("it is short again", async () => (await of("queue-long", "resolved")).length === 1);

    const before = (await of("not-told", "raised")).length;
    await tell("a 1\nb 2\nc 3\nd 4\n");
    await until("too many series are none", async () => (await of("not-told", "raised")).length > before);
    const broken = await metrics();
    assert.deepEqual([broken.code, broken.out.split("\n")[0]], [1, "not read  worker/0: more than 3 series"]);
    assert.equal((await of("not-told", "raised")).at(-1), "up is 0, below 1");
    const { url, token } = stand.program;
    const text = await (await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text();
    assert.match(text, /^daybook_service_metrics_up\{service="worker",replica="0"\} 0$/m);
    await Deno.remove(`${folder}/metrics`);
    await until("what is wrong is said", async () => (await metrics()).out.includes("status 503"));
    await tell("a 1\n");
    await until("it tells again", async () => (await of("not-told", "resolved")).length === before + 1);
    // What is read is not recorded.
    const { out } = await run("events", "--json", "--data", stand.data);
    assert.ok(!out.includes('"b"') && !/services\.metrics/.test(out));
    assert.equal((await startsIn(stand.traces)).length, 1);
    await stand.down();
    await until("nothing is read any more", async () => (await metrics()).out.startsWith("no running service"));
    const none = await metrics();
    assert.equal(none.code, 0);
  }));
