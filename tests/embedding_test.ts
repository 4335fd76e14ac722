/** What an embedding program hands over, and changes nevertheless. */
import assert from "node:assert/strict";
import { z } from "zod";
import { accept, type Actor, type Command, type CommandType, type ProcessManager } from "../actors/types.ts";
import type { Domain, FactSpec } from "../events/catalogue.ts";
import type { Fact, FactType } from "../events/event.ts";
import { personal } from "../events/personal.ts";
import { openDaybook } from "../main.ts";
import type { AnyProjection } from "../projections/projection.ts";
import { until } from "./until.ts";

const BY = { authtype: "system", authid: "tests" } as const;

Deno.test("a fold that changes what it is given is told so with its first event, and nobody has the state of another", async () => {
  type Basket = { items: string[] };
  const put = (basket: Basket, { data }: { readonly data: unknown }) => {
    basket.items.push((data as { item: string }).item);
    return basket;
  };
  const item = z.strictObject({ item: z.string() });
  const actor = {
    domain: "baskets",
    version: 1,
    commands: { "baskets.item.put": item },
    facts: ["baskets.item.added"],
    initial: { items: [] },
    decide: (_, { data }) => accept({ type: "baskets.item.added", data }),
    evolve: put,
  } satisfies Actor<Basket>;
  const seen = { name: "tests.seen", version: 1, hears: ["shops.item.seen"] as const, initial: { items: [] } };
  const projection = {
    ...seen,
    about: "Items by shop.",
    row: z.object({ items: z.array(z.string()) }),
    keys: ({ subject = "" }) => [subject],
    apply: (row, event) => put(row as Basket, event),
  } satisfies AnyProjection;
  const manager = {
    ...seen,
    name: "shops",
    initial: { items: [] },
    key: ({ subject = "" }) => subject,
    react: (state, event) => ({ state: put(state as Basket, event), effects: [] }),
  } satisfies ProcessManager;
  const daybook = await openDaybook({
    data: ":memory:",
    domains: [{
      name: "baskets",
      facts: { "baskets.item.added": { schema: item, kind: "decided", about: "One more." } },
    }],
    actors: [actor as unknown as Actor],
    projections: [projection],
    managers: [{ manager: manager as unknown as ProcessManager }],
  });
  const asked = daybook.ask({ type: "baskets.item.put", id: "a", data: { item: "tea" }, by: BY });
  await assert.rejects(asked, ({ cause }: Error) => cause instanceof TypeError && /not extensible/.test(cause.message));
  await daybook.ingest([{ id: "1", source: "/s", type: "shops.item.seen", subject: "a", data: { item: "tea" } }], BY);
  const stopped = () => daybook.status().projections.find(({ name }) => name === "tests.seen")?.stoppedAt;
  assert.match((await until("the view stops", stopped, (at) => at !== undefined))!.cause, /not extensible/);
  const letters = () => daybook.deadLetters().map(({ target, cause }) => `${target} ${cause}`);
  const [letter] = await until("the event is a dead letter", letters, ({ length }) => length > 0);
  assert.match(letter!, /^manager:shops .*not extensible/);
  assert.deepEqual([actor, projection, manager].map(({ initial }) => initial), Array(3).fill({ items: [] }));
  await daybook.close();
});

Deno.test("who changes an event that was read is told so, and others read what is recorded", async () => {
  const daybook = await openDaybook({ data: ":memory:" });
  const author = { name: "Ann", email: "ann@example.org", time: "2026-01-01T00:00:00Z" };
  const data = { sha: "c".repeat(40), parents: [], author, committer: author, message: "tea" };
  const event = { id: "c".repeat(40), source: "/repositories/shop", type: "tests.thing.seen", data };
  await daybook.ingest([event], BY);
  const changed = { name: "TypeError", message: /read only|not extensible/ };
  // deno-lint-ignore no-explicit-any
  const seen = async (): Promise<any> => (await Array.fromAsync(daybook.read({ types: [event.type] })))[0];
  const { position } = await seen();
  const page = (await daybook.follow(position, new AbortController().signal)[Symbol.asyncIterator]().next()).value;
  for (const read of [await seen(), page[0]]) {
    assert.throws(() => read.data = "another", changed);
    assert.throws(() => read.data.author.name = "Bob", changed);
    assert.throws(() => read.data.parents.push("d"), changed);
  }
  assert.deepEqual((await seen()).data, data);
  await daybook.close();
});

Deno.test("what is asynchronous by mistake is told so, and its failure ends nothing", async () => {
  const later = (): never => Promise.reject(new Error("later")) as never;
  const item = z.strictObject({ item: z.string() });
  const actor = (domain: string): Actor => ({
    domain,
    version: 1,
    commands: { [`${domain}.item.put`]: item },
    facts: ["baskets.item.added"],
    initial: {},
    decide: () => accept({ type: "baskets.item.added", data: { item: "tea" } }),
    evolve: (state) => state,
  });
  const projection: AnyProjection = {
    name: "tests.seen",
    version: 1,
    about: "Nothing.",
    hears: ["shops.item.seen"],
    row: z.strictObject({}),
    initial: {},
    keys: () => ["all"],
    apply: (row) => row,
  };
  const manager: ProcessManager = {
    name: "shops",
    version: 1,
    hears: ["shops.item.seen"],
    initial: {},
    key: () => "all",
    react: (state) => ({ state, effects: [] }),
  };
  const daybook = await openDaybook({
    data: ":memory:",
    domains: [{
      name: "baskets",
      facts: { "baskets.item.added": { schema: item, kind: "decided", about: "One more." } },
    }],
    actors: [{ ...actor("deciding"), decide: later }, { ...actor("evolving"), evolve: later }],
    projections: [
      { ...projection, name: "tests.keys", keys: later },
      { ...projection, name: "tests.apply", apply: later },
    ],
    managers: [{ manager: { ...manager, name: "key", key: later } }, {
      manager: { ...manager, name: "react", react: later },
    }],
  });
  for (const [type, who] of [["deciding.item.put", "decide"], ["evolving.item.put", "evolve"]] as const) {
    await assert.rejects(daybook.ask({ type, id: "a", data: { item: "tea" }, by: BY }), ({ cause }: Error) => {
      assert.equal((cause as Error).message, `${who} gave a promise; it has to answer at once`);
      return true;
    });
  }
  await daybook.ingest([{ id: "1", source: "/s", type: "shops.item.seen", data: { item: "tea" } }], BY);
  const causes = () => [
    ...daybook.status().projections.flatMap(({ stoppedAt }) => stoppedAt ? [stoppedAt.cause] : []),
    ...daybook.deadLetters().map(({ cause }) => cause),
  ];
  const told = await until("all are told", causes, ({ length }) => length === 4);
  const expected = ["apply", "key", "keys", "react"].map((who) =>
    `TypeError: ${who} gave a promise; it has to answer at once`
  );
  assert.deepEqual([...told].sort(), expected);
  await daybook.close();
});

Deno.test("a decision whose facts are not as their schemas say fails its command, and nothing of it is recorded", async () => {
  const fact = z.strictObject({ item: z.string(), by: personal({ subject: "by" }).max(20) });
  const actor: Actor<{ readonly by?: string }, Command, Fact<"baskets.item.added", z.output<typeof fact>>> = {
    domain: "baskets",
    version: 1,
    commands: { "baskets.item.put": z.record(z.string(), z.unknown()), "baskets.item.again": z.strictObject({}) },
    facts: ["baskets.item.added"],
    initial: {},
    decide: ({ by }, { type, data }) =>
      accept({
        type: "baskets.item.added",
        // What is sealed in the state may be longer than it was.
        data: type === "baskets.item.again" ? { item: "tea", by: by! } : data as z.output<typeof fact>,
      }),
    evolve: (_, { data: { by } }) => ({ by }),
  };
  const facts = { "baskets.item.added": { schema: fact, kind: "decided", about: "One more." } } as const;
  const daybook = await openDaybook({
    data: ":memory:",
    domains: [{ name: "baskets", facts }],
    actors: [actor as unknown as Actor],
  });
  const ask = (type: CommandType, data: unknown) => daybook.ask({ type, id: "a", data, by: BY });
  const wrong = [
    [{ item: 7, by: "Ann" }, "/item"],
    [{ item: "tea", by: "A".repeat(21) }, "/by"],
    [{ by: "Ann" }, "/item"],
    [{ item: "tea", by: "Ann", more: 1 }, "/"],
  ] as const;
  for (const [data, path] of wrong) {
    await assert.rejects(ask("baskets.item.put", data), ({ cause }: Error) => {
      const { name, message } = cause as Error;
      assert.equal(name, "TypeError");
      assert.ok(message.startsWith(`"baskets.item.added" was decided with other data than it has: ${path} `), message);
      return true;
    });
  }
  const outcomes = [await ask("baskets.item.put", { item: "tea", by: "Ann" }), await ask("baskets.item.again", {})];
  assert.deepEqual(outcomes.map(({ is }) => is), ["accepted", "accepted"]);
  const { length } = await Array.fromAsync(daybook.read({ stream: "baskets/a" }));
  assert.equal(length, 2);
  await daybook.close();
});

Deno.test("a program that has a fact or a view of a name that is taken, be it by Daybook, is told so when it opens", async () => {
  const observed: FactSpec = {
    schema: z.strictObject({}),
    kind: "observed",
    stream: () => "tests/one",
    about: "Told.",
  };
  const domain = (type: FactType, name = "tests"): Domain => ({ name, facts: { [type]: observed } });
  const view = (name: string): AnyProjection => ({
    name,
    version: 1,
    about: "Nothing.",
    hears: "*",
    row: z.strictObject({}),
    initial: {},
    keys: () => [],
    apply: (row) => row,
  });
  const taken = [
    [
      { domains: [domain("tests.thing.seen"), domain("tests.thing.seen", "others")] },
      'Two domains have the fact "tests.thing.seen"',
    ],
    [{ domains: [domain("tests.thing.seen"), domain("tests.other.seen")] }, 'Two domains are called "tests"'],
    [{ domains: [domain("tests.thing.seen", "commits")] }, 'Two domains are called "commits"'],
    [{ domains: [domain("commits.branch.moved")] }, 'Two domains have the fact "commits.branch.moved"'],
    [{ projections: [view("tests.seen"), view("tests.seen")] }, 'Two projections are called "tests.seen"'],
    [{ projections: [view("audit.trail")] }, 'Two projections are called "audit.trail"'],
  ] as const;
  for (const [options, message] of taken) {
    await assert.rejects(openDaybook({ data: ":memory:", ...options }), { name: "TypeError", message });
  }
});
