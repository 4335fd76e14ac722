import assert from "node:assert/strict";
import { Program } from "./program.ts";

Deno.test("metrics tell of commits, group size, mailboxes and entities of the running program", async () => {
  const data = await Deno.makeTempDir();
  const program = await Program.start(data);
  const client = Deno.createHttpClient({});
  const headers = { authorization: `Bearer ${program.token}`, "content-type": "application/json" };
  try {
    const moved = await fetch(`${program.url}/commands/commits.branch.move/shop`, {
      method: "POST",
      client,
      headers,
      body: JSON.stringify({ branch: "main", to: "1".repeat(40) }),
    });
    await moved.body?.cancel();
    assert.equal(moved.status, 200);
    const text = await (await fetch(`${program.url}/metrics`, { client, headers })).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    assert.ok(value("daybook_log_commits_total") > 0);
    assert.ok(value("daybook_log_commit_events_total") >= value("daybook_log_commits_total"));
    assert.ok(value("daybook_log_commit_seconds_total") > 0);
    assert.equal(value("daybook_entities_resident"), 1);
    assert.equal(value("daybook_entity_activations_total"), 1);
    assert.equal(value("daybook_mailbox_messages"), 0);
  } finally {
    client.close();
    await program.end("SIGTERM");
    await Deno.remove(data, { recursive: true });
  }
});
