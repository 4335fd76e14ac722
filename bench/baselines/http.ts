/**
 * Baselines of ingest, as a process of their own, written as a user of hono would: `POST /nothing` is a route that does nothing;
 * `POST /events` parses a body and validates envelope and data with one zod schema, and neither keeps nor checks anything else.
 */
import { Hono } from "hono";
import { z } from "zod";
import { commitFacts } from "../../events/commits.ts";

const event = z.strictObject({
  specversion: z.literal("1.0"),
  id: z.string().min(1),
  source: z.string().min(1),
  type: z.literal("commits.changes.listed"),
  time: z.iso.datetime({ offset: true }),
  data: commitFacts["commits.changes.listed"],
});
const batch = z.array(event).max(1_000);

const app = new Hono();

app.post("/nothing", (c) => c.body(null, 204));

app.post("/events", async (c) => {
  const body: unknown = await c.req.json();
  const parsed = Array.isArray(body) ? batch.safeParse(body) : event.safeParse(body);
  return parsed.success ? c.json({ accepted: Array.isArray(body) ? body.length : 1 }, 201) : c.json(parsed.error, 400);
});

Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`listening on http://127.0.0.1:${port}`),
}, app.fetch);
