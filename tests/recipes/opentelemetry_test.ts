/** The recipe for OpenTelemetry, as it stands in the document, with a collector of this test. */
import assert from "node:assert/strict";
import { Collector } from "../end_to_end/telemetry_given.ts";
import { filledIn, snippets, started } from "./recipe.ts";

Deno.test("opentelemetry: an event that is sent with a traceparent is found below it, down to the views", async () => {
  const [start, send] = snippets("opentelemetry").map(({ text }) => text);
  const collector = new Collector();
  const folder = await Deno.makeTempDir({ prefix: "daybook-recipe-" });
  try {
    for (const [, name] of start!.matchAll(/(OTEL_\w+)=/g)) assert.ok(name! in collector.environment, name);
    const server = await started(folder, { env: collector.environment });
    try {
      const command = filledIn(send!, { "http://127.0.0.1:7373": server.url, ".daybook/": `${folder}/` });
      const sent = await new Deno.Command("bash", { args: ["-e", "-c", command], stderr: "null" }).output();
      const [{ position }] = JSON.parse(new TextDecoder().decode(sent.stdout)).receipts;
      const view = await server.get(`/views/audit.trail?wait=${position}`);
      await view.body?.cancel();
      assert.equal(view.status, 200);
      const trace = /00-([0-9a-f]{32})-/.exec(send!)![1]!;
      await collector.has(trace, "POST /events", "append", "project audit.trail");
    } finally {
      assert.equal(await server.stop(), 0);
    }
  } finally {
    await collector.close();
    await Deno.remove(folder, { recursive: true });
  }
});
