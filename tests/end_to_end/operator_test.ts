import { CedarAuthority } from "../../adapters/program/access/authority.ts";
import { shippedModel } from "../../adapters/program/access/model.ts";
import assert from "node:assert/strict";
import { z } from "zod";
import { accept, type Actor, type Command } from "../../actors/types.ts";
import { openSystem } from "../../adapters/program/daybook.ts";
import { operatorRoutes } from "../../adapters/program/operator_routes.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import type { Domain } from "../../events/catalogue.ts";
import { nobodyIn } from "../http_given.ts";
import { Program } from "./program.ts";
import { until } from "../until.ts";

/** While true, deciding what the timer brings throws. */
let broken = true;

const bells: Domain = {
  name: "bells",
  facts: { "bells.bell.rung": { schema: z.strictObject({}), kind: "decided", about: "It rang." } },
};
type Bell = Command<"bells.bell.set" | "bells.bell.ring", Record<string, never>>;
const bell: Actor<number, Bell, { readonly type: "bells.bell.rung"; readonly data: Record<string, never> }> = {
  domain: "bells",
  version: 1,
  commands: { "bells.bell.set": z.strictObject({}), "bells.bell.ring": z.strictObject({}) },
  facts: ["bells.bell.rung"],
  initial: 0,
  decide(_, { type }, { at }) {
    if (type === "bells.bell.set") {
      return { ok: true, facts: [], timers: [{ set: "ring", at, command: { type: "bells.bell.ring", data: {} } }] };
    }
    if (broken) throw new Error("the bell is cracked");
    return accept({ type: "bells.bell.rung", data: {} });
  },
  evolve: (rung) => rung + 1,
};

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
    // Beside the one that was asked, those of policies and tokens.
    assert.ok(value("daybook_entities_resident") >= 1);
    assert.ok(value("daybook_entity_activations_total") >= 1);
    assert.equal(value("daybook_mailbox_messages"), 0);
    assert.ok(value("daybook_mailbox_taken_total") >= 1);
    assert.equal(value("daybook_mailbox_refused_total"), 0);
  } finally {
    client.close();
    await program.end("SIGTERM");
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("dead letters are listed and delivered again for the operator; a letter that is none is 404", async () => {
  const opened = await openSystem({ data: ":memory:", actors: [bell as Actor], domains: [bells] });
  const { createServer } = await import("../../adapters/http/server.ts");
  const server = createServer({
    authority: new CedarAuthority(shippedModel()),
    daybook: opened.daybook,
    access: nobodyIn,
    clock: systemClock,
    random: systemRandom,
    routes: operatorRoutes(opened),
  });
  const operator = {
    id: "o",
    scopes: ["admin"],
    tenant: "default",
    principal: { authtype: "user", authid: "o" },
  } as const;
  const reader = { ...operator, scopes: ["read"] };
  const ask = async (method: string, path: string, as: typeof reader = operator as never) => {
    const response = await server.fetch(new Request(`http://localhost${path}`, { method }), undefined, as);
    return { status: response.status, body: await response.json() };
  };
  try {
    // A timer whose command the domain refuses to decide cannot be delivered.
    const outcome = await opened.daybook.ask({ type: "bells.bell.set", id: "a", data: {}, by: operator.principal });
    assert.equal(outcome.is, "accepted");
    await until("the letter", () => opened.daybook.status().deadLetters > 0);
    const { body } = await ask("GET", "/dead-letters");
    assert.equal(body.deadLetters.length, 1);
    const [letter] = body.deadLetters;
    assert.equal((await ask("POST", `/dead-letters/${letter.id}/redrive`)).body.is, "failed");
    broken = false;
    assert.deepEqual((await ask("POST", `/dead-letters/${letter.id}/redrive`)).body, { is: "delivered" });
    assert.deepEqual((await ask("GET", "/dead-letters")).body, { deadLetters: [], evicted: 0 });
    assert.equal((await ask("POST", `/dead-letters/${letter.id}/redrive`)).status, 404);
    assert.equal((await ask("POST", "/dead-letters/%E0%A4%A/redrive")).status < 500, true);
    assert.equal((await ask("GET", "/dead-letters", reader)).status, 403);
  } finally {
    await server.stop();
    await opened.daybook.close();
  }
});
