/** The recipe for a SIEM as it stands in the document, with a real rsyslog that is killed, and a receiver that is stuck. */
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { inFolder } from "../folder_given.ts";
import { installed } from "../installed_given.ts";
import { eventually } from "../sinks_given.ts";
import { until } from "../until.ts";
import { filledIn, snippets } from "./recipe.ts";
import { configured, freePort, ingest, metric, rsyslog, serving } from "./siem_recipe.ts";

Deno.test({
  name: "rsyslog is killed in the midst and comes back, and has every event",
  ignore: !installed("rsyslogd", "no event is sent to it"),
  fn: () =>
    inFolder(async (folder) => {
      const port = freePort();
      const { daemon, positions } = await rsyslog(folder, port);
      let running = daemon();
      const siem = { host: "127.0.0.1", port, tls: false, ca: null, types: ["orders."], settle_ms: 10 };
      const server = await serving(folder, configured({ siem: { ...siem, retry: { first_ms: 50, max_ms: 200 } } }));
      try {
        await ingest(server, 0, 500);
        await until("rsyslog has the first", async () => (await positions()).size === 500);
        await until("and they are settled", async () => await metric(server, "lag_events", "siem") === 0);
        // What is handed over to one that reads no more lies in its socket, and goes with it.
        running.kill("SIGSTOP");
        await ingest(server, 2_000, 300);
        let looks = 0;
        await until("they are handed over, and do not count", async () => {
          looks = await metric(server, "unsettled_events", "siem") === 300 ? looks + 1 : 0;
          return looks === 5;
        });
        running.kill("SIGKILL");
        await running.status;
        await ingest(server, 500, 1_000);
        await until("the sink says that it fails", async () => await metric(server, "failing", "siem") === 1);
        running = daemon();
        await ingest(server, 1_500, 500);
        const { position } = await eventually(server, "kernel.sink.recovered");
        await until("rsyslog has all", async () => (await positions()).size >= 2_300);
        await until("nothing is left", async () => await metric(server, "lag_events", "siem") === 0);
        const got = await positions();
        assert.equal(got.size, 2_300);
        const { size } = await (await server.get("/events?limit=1")).json() as { size: number };
        assert.ok([...got].every((position) => position < size));
        const view = await server.get(`/views/health.sinks/siem?wait=${position}`);
        const { row } = await view.json() as { row: { state: string; failures: number } };
        assert.ok(row.state === "delivering" && row.failures >= 1, JSON.stringify(row));
      } finally {
        assert.equal(await server.stop(), 0);
        running.kill("SIGKILL"); // it may stand still
        await running.status;
      }
    }),
});

Deno.test({
  name: "a sink whose receiver never reads delays nobody: appends, the others, the end",
  ignore: !installed("openssl", "no channel is told beside a sink that stands still"),
  fn: () =>
    inFolder(async (folder) => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const held: Deno.Conn[] = [];
      const accepting = (async () => {
        for await (const conn of listener) held.push(conn);
      })();
      const posts: { readonly headers: Headers; readonly body: string }[] = [];
      const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
        posts.push({ headers: request.headers, body: await request.text() });
        return new Response(null, { status: 204 });
      });
      const script = snippets("siem").filter(({ language }) => language === "sh")[0]!.text;
      const secret = filledIn(script, { "config/alerts-secret": `${folder}/alerts-secret` });
      assert.ok((await new Deno.Command("sh", { args: ["-e", "-c", secret] }).output()).success);
      const server = await serving(
        folder,
        configured({
          siem: { host: "127.0.0.1", port: listener.addr.port, tls: false, ca: null, types: [], deliver_ms: 1_000 },
          alerts: { url: `http://127.0.0.1:${hook.addr.port}/hook`, types: ["orders."] },
          archive: { path: `${folder}/events.ndjson` },
        }),
      );
      try {
        // More than sockets hold.
        for (let n = 0; n < 1_000; n += 50) await ingest(server, n, 50, "x".repeat(12_000));
        await until("the stuck one is given up", async () => await metric(server, "failing", "siem") === 1);
        await until("the webhook has all", () => posts.length >= 1_000);
        await until("the file has all", async () => await metric(server, "lag_events", "archive") === 0);
        assert.equal(await metric(server, "delivered_total", "siem"), 0);
        const lines = (await Deno.readTextFile(`${folder}/events.ndjson`)).trimEnd().split("\n");
        const orders = lines.map((line) => JSON.parse(line) as { type: string; position: number }).filter(({ type }) =>
          type === "orders.order.placed"
        );
        assert.deepEqual([
          orders.length,
          orders.every(({ position }, i) => i === 0 || position > orders[i - 1]!.position),
        ], [
          1_000,
          true,
        ]);
        const receiver = new Webhook((await Deno.readTextFile(`${folder}/alerts-secret`)).trim());
        const { headers, body } = posts[0]!;
        receiver.verify(
          body,
          Object.fromEntries(["id", "timestamp", "signature"].map((name) => [
            `webhook-${name}`,
            headers.get(`webhook-${name}`)!,
          ])),
        );
        const tree = JSON.stringify(await (await server.get("/status")).json());
        for (const name of ["siem", "alerts", "archive"]) assert.match(tree, new RegExp(`"id":"${name}"`));
      } finally {
        assert.equal(await server.stop(), 0);
        for (const conn of held) conn.close();
        listener.close();
        await accepting;
        await hook.shutdown();
      }
    }),
});
