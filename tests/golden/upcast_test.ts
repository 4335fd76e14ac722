/**
 * A fact whose shape has changed twice, end to end: what an older program wrote is read, folded, decided on, checked and served
 * in the newest shape, while no stored byte changes.
 */
import { CedarAuthority } from "../../adapters/program/access/authority.ts";
import { shippedModel } from "../../adapters/program/access/model.ts";
import assert from "node:assert/strict";
import { z } from "zod";
import { accept, type Actor, type Command } from "../../actors/types.ts";
import { FolderReader } from "../../adapters/kv/folder_reader.ts";
import { openSystem } from "../../adapters/program/daybook.ts";
import { SqliteViews } from "../../adapters/sqlite/views.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import { verifyLog } from "../../adapters/verify/verify.ts";
import { catalogue, type Domain, type FactSpec, type Upcast } from "../../events/catalogue.ts";
import type { Event } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";
import { events } from "../../events/mod.ts";
import { raised } from "../../events/upcast.ts";
import { projections } from "../../projections/mod.ts";
import type { AnyProjection, Projection } from "../../projections/projection.ts";
import { givenStage } from "../cli_given.ts";
import { nobodyIn } from "../http_given.ts";

const BY = { authtype: "user", authid: "u_1" } as const;

/** Version 1: lines as one text. Version 2: a fact for each line. Version 3: its amount is a number. */
const one = z.strictObject({ lines: z.string() });
const three = z.strictObject({ item: z.string(), amount: z.int() });
type One = z.output<typeof one>;
type Three = z.output<typeof three>;

const TYPE = "orders.order.placed";
const about = "Somebody ordered.";
const before: Domain = { name: "orders", facts: { [TYPE]: { schema: one, kind: "decided", about } } };
const now: Domain = {
  name: "orders",
  facts: {
    [TYPE]: {
      schema: three,
      kind: "decided",
      about,
      version: 3,
      upcasts: [
        (data) => (data as One).lines.split(", ").map((line) => ({ type: TYPE, data: { line } })),
        (data) => {
          const [amount, item] = (data as { line: string }).line.split(" ");
          return [{ type: TYPE, data: { item: item!, amount: Number(amount) } }];
        },
      ],
    },
  },
};

type Place<D> = Command<"orders.order.place", D>;
const actorBefore: Actor<number, Place<One>, { type: typeof TYPE; data: One }> = {
  domain: "orders",
  version: 1,
  commands: { "orders.order.place": one },
  facts: [TYPE],
  initial: 0,
  decide: (_, { data }) => accept({ type: TYPE, data }),
  evolve: (placed) => placed + 1,
};
/** Decides on what was ordered so far: what is there is not ordered again. */
const actorNow: Actor<Readonly<Record<string, number>>, Place<Three>, { type: typeof TYPE; data: Three }> = {
  domain: "orders",
  version: 2,
  commands: { "orders.order.place": three },
  facts: [TYPE],
  initial: {},
  decide: (amounts, { data }) => data.item in amounts ? accept() : accept({ type: TYPE, data }),
  evolve: (amounts, { data: { item, amount } }) => ({ ...amounts, [item]: (amounts[item] ?? 0) + amount }),
};

const countsBefore: Projection<{ orders: number }> = {
  name: "orders.counts",
  version: 1,
  hears: [TYPE],
  row: z.strictObject({ orders: z.int() }),
  initial: { orders: 0 },
  about: "Orders.",
  keys: () => ["all"],
  apply: ({ orders }) => ({ orders: orders + 1 }),
};
const countsNow: Projection<{ ordered: number }> = {
  name: "orders.counts",
  version: 2,
  hears: [TYPE],
  row: z.strictObject({ ordered: z.int() }),
  initial: { ordered: 0 },
  about: "What was ordered, by item.",
  keys: ({ data }) => [(data as Three).item],
  apply: ({ ordered }, { data }) => ({ ordered: ordered + (data as Three).amount }),
};

const older = {
  domains: [before],
  actors: [actorBefore as unknown as Actor],
  projections: [countsBefore as unknown as AnyProjection],
};
const newer = {
  domains: [now],
  actors: [actorNow as unknown as Actor],
  projections: [countsNow as unknown as AnyProjection],
};

const within = async (test: (data: string) => Promise<void>): Promise<void> => {
  const data = await Deno.makeTempDir();
  try {
    await test(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
};

const withProgram = async <T>(
  data: string,
  version: typeof older | typeof newer,
  test: (site: { ask(path: string, init?: RequestInit): Promise<Response> }) => Promise<T>,
): Promise<T> => {
  const opened = await openSystem({ data, ...version });
  const { createServer } = await import("../../adapters/http/server.ts");
  const server = createServer({
    authority: new CedarAuthority(shippedModel()),
    daybook: opened.daybook,
    access: nobodyIn,
    clock: systemClock,
    random: systemRandom,
  });
  const operator = { id: "o", scopes: ["admin"], tenant: "default", principal: BY } as const;
  try {
    return await test({
      ask: async (path, init) => await server.fetch(new Request(`http://localhost${path}`, init), undefined, operator),
    });
  } finally {
    await server.stop();
    await opened.daybook.close();
  }
};

const placing = (data: unknown): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(data),
});

/** The ids of the first so many messages about orders; a message may have none. */
const idsOf = async (response: Response, count: number): Promise<readonly (number | undefined)[]> => {
  const ids: (number | undefined)[] = [];
  let text = "";
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const messages = (text += piece).split("\n\n");
    text = messages.pop()!;
    for (const message of messages.filter((one) => one.includes(TYPE) && one.includes('"amount"'))) {
      const id = /^id: (\d+)$/m.exec(message)?.[1];
      ids.push(id === undefined ? undefined : Number(id));
    }
    if (ids.length >= count) break;
  }
  return ids;
};

interface Told {
  readonly position: number;
  readonly revision: number;
  readonly version: number;
  readonly id: string;
  readonly data: unknown;
}

Deno.test("a fact of an earlier shape is read, folded and decided on as the facts it has become; its bytes stay as they are", () =>
  within(async (data) => {
    const entries: Uint8Array[] = [];
    const [first, second] = await withProgram(data, older, async ({ ask }) => {
      const placed = await (await ask("/commands/orders.order.place/a", placing({ lines: "2 tea, 3 cake" }))).json();
      const more = await (await ask("/commands/orders.order.place/a", placing({ lines: "1 tea" }))).json();
      const { row } = await (await ask(`/views/orders.counts/all?wait=${more.position}`)).json();
      assert.deepEqual(row, { orders: 2 });
      return [placed.position as number, more.position as number] as const;
    });
    const read = async (): Promise<Uint8Array> => {
      const log = new FolderReader(`${data}/log.db`, { catalogue: catalogue(...events.domains, now) });
      const entry = log.entry(first)!;
      await log.close();
      return entry;
    };
    entries.push(await read());
    await withProgram(data, newer, async ({ ask }) => {
      const shown = async (query: string): Promise<readonly Told[]> =>
        (await (await ask(`/events?${query}`)).json()).events;
      const facts = await shown("stream=orders/a");
      assert.deepEqual(facts.map(({ data }) => data), [
        { item: "tea", amount: 2 },
        { item: "cake", amount: 3 },
        { item: "tea", amount: 1 },
      ]);
      // Both are what one event has become.
      assert.deepEqual(facts.map(({ position }) => position), [first, first, second]);
      assert.deepEqual(facts.map(({ revision, version }) => [revision, version]), [[0, 3], [0, 3], [1, 3]]);
      assert.equal(facts[0]!.id, facts[1]!.id);
      // Pages and streams never end between them.
      const page = await (await ask("/events?stream=orders/a&limit=1")).json();
      assert.deepEqual(page.events.map(({ position }: Told) => position), [first, first]);
      assert.equal((await (await ask(page.next)).json()).events[0].position, second);
      for (const query of [`from=${first}`, "stream=orders/a"]) {
        assert.deepEqual(await idsOf(await ask(`/follow?${query}`), 3), [undefined, first, second], query);
      }
      assert.deepEqual((await shown(`type=${TYPE}`)).length, 3);
      const raw = await ask(`/events/${first}`, { headers: { accept: "application/octet-stream" } });
      assert.deepEqual(new Uint8Array(await raw.arrayBuffer()), entries[0]);
      // The actor knows what was ordered in the old shape, and its stream goes on.
      const again = await (await ask("/commands/orders.order.place/a", placing({ item: "cake", amount: 9 }))).json();
      assert.deepEqual(again.facts, []);
      const fresh = await ask("/commands/orders.order.place/a", placing({ item: "milk", amount: 1 }));
      const { revision, position } = await fresh.json();
      assert.equal(revision, 2);
      const rows = (await (await ask(`/views/orders.counts?wait=${position}`)).json()).rows as {
        key: string;
        row: unknown;
      }[];
      assert.deepEqual(rows.map(({ key, row }) => [key, row]), [
        ["cake", { ordered: 3 }],
        ["milk", { ordered: 1 }],
        ["tea", { ordered: 3 }],
      ]);
      const then = await (await ask(`/views/orders.counts/tea?at=${first}`)).json();
      assert.deepEqual(then.row, { ordered: 2 });
      const trail = await (await ask(`/views/audit.trail?wait=${position}&limit=1000`)).json();
      assert.equal(trail.rows.filter(({ key }: { key: string }) => key === String(first)).length, 1);
    });
    entries.push(await read());
    assert.deepEqual(entries[1], entries[0]);
    const report = await verifyLog({ path: `${data}/log.db` });
    assert.deepEqual([report.ok, report.failures], [true, []]);
  }));

Deno.test("replay --check folds a log of earlier shapes to what the views hold; a program that knows less stops by name", () =>
  within(async (data) => {
    await withProgram(data, older, async ({ ask }) => {
      await (await ask("/commands/orders.order.place/a", placing({ lines: "2 tea, 3 cake, 4 tea" }))).body?.cancel();
    });
    // Every view is built anew, those of the program itself, too.
    for (const name of ["views.db", "notes.db"]) await Deno.remove(`${data}/${name}`);
    await withProgram(data, newer, async ({ ask }) => {
      const { position } = await (await ask("/commands/orders.order.place/b", placing({ item: "milk", amount: 1 })))
        .json();
      for (const { name } of [...projections, countsNow]) {
        assert.equal((await ask(`/views/${name}?wait=${position}`)).status, 200, name);
      }
    });
    const stage = givenStage();
    const all = [...projections, countsNow as unknown as AnyProjection];
    stage.runtime.projections = () => Promise.resolve(all);
    stage.runtime.reader = () =>
      Promise.resolve(new FolderReader(`${data}/log.db`, { catalogue: catalogue(...events.domains, now) }));
    stage.runtime.views = () => Promise.resolve(new SqliteViews({ path: data, readOnly: true }));
    const report = await stage.json<{ ok: boolean; views: { name: string; equal: boolean | null; rows: number }[] }>(
      "replay",
      "--check",
      "--json",
    );
    assert.deepEqual(report.views.filter(({ equal }) => equal !== true), []);
    assert.deepEqual([report.ok, report.exit], [true, 0]);
    assert.equal(report.views.find(({ name }) => name === "orders.counts")?.rows, 3);

    const behind = new FolderReader(`${data}/log.db`, { catalogue: catalogue(...events.domains, before) });
    assert.throws(() => [...behind.read({})].flat(), (error) => error instanceof LogFault && error.kind === "newer");
    await behind.close();
    const { type: _, ...astray } = { type: TYPE, ...now.facts[TYPE]! };
    const other: Domain = {
      name: "orders",
      facts: {
        [TYPE]: { ...astray, upcasts: [() => [{ type: "orders.order.lost", data: {} }], ...astray.upcasts!.slice(1)] },
      },
    };
    const lost = new FolderReader(`${data}/log.db`, { catalogue: catalogue(...events.domains, other) });
    assert.throws(
      () => [...lost.read({})].flat(),
      /upcast of "orders\.order\.placed" from version 1 gives "orders\.order\.lost"/,
    );
    await lost.close();
  }));

Deno.test("where a recorded shape knows more than it did, a program that knows less says so, and what it wrote says the same", () => {
  const widened = [
    ["identity.account.unlocked", { account: "u_aaaaaaaaaaaaaaaa", because: "threat" }],
    ["services.finding.reported", {
      service: "api",
      replica: 0,
      check: "limit_not_held",
      severity: "low",
      policy: "warn",
      because: "why",
    }],
    ["services.finding.cleared", { service: "api", replica: 0, check: "limit_not_held" }],
  ] as const;
  for (const [type, data] of widened) {
    const spec = events.spec(type)!;
    const at = (version: number) => [{ type, data, version, position: 7 } as unknown as Event];
    assert.ok(spec.schema.safeParse(data).success);
    assert.deepEqual(raised(events, at(1)), at(spec.version!), type);
    const behind = { spec: () => ({ ...spec, version: 1, upcasts: [] }) };
    assert.throws(() => raised(behind, at(spec.version!)), { kind: "newer" }, type);
  }
});

const shaped = (upcast: unknown): Domain => ({
  name: "orders",
  facts: { [TYPE]: { ...now.facts[TYPE]!, version: 2, upcasts: [upcast as Upcast] } },
});
const recordedBefore = { type: TYPE, data: { lines: "2 tea" }, version: 1, position: 7 } as unknown as Event;

Deno.test("an upcast that takes apart what it is given harms nobody who reads the same event after it", () => {
  const known = catalogue(shaped((data: { lines?: string; line?: string }) => {
    data.line = data.lines;
    delete data.lines;
    return [{ type: TYPE, data }];
  }));
  const event = structuredClone(recordedBefore);
  for (let times = 0; times < 2; times++) assert.deepEqual(raised(known, [event])[0]!.data, { line: "2 tea" });
  assert.deepEqual(event, recordedBefore);
});

Deno.test("an upcast that fails or gives no shape is told by position, type and version", () => {
  const broken = [
    [() => {
      throw new Error("no lines");
    }, /^position 7: the upcast of "orders\.order\.placed" from version 1 failed: no lines$/],
    [() => [], /^position 7: the upcast of "orders\.order\.placed" from version 1 gives no shape$/],
    [() => undefined, /gives no shape$/],
    [() => [undefined], /gives no shape$/],
    [() => Promise.reject(new Error("later")), /failed: it gave a promise; it has to answer at once$/],
  ] as const;
  for (const [upcast, message] of broken) {
    assert.throws(() => raised(catalogue(shaped(upcast)), [recordedBefore]), { kind: "invalid", message });
  }
});

Deno.test("a command to an entity whose history an upcast fails on is a fault that says where, and not a log to be waited for", () =>
  within(async (data) => {
    const ask = { type: "orders.order.place", id: "a", data: { lines: "2 tea" }, by: BY } as const;
    const first = await openSystem({ data, ...older });
    const { position } = await first.daybook.ask(ask) as { readonly position: number };
    await first.daybook.close();
    const { daybook } = await openSystem({ data, ...newer, domains: [shaped(() => [])] });
    const cause = { kind: "invalid", message: new RegExp(`^position ${position}: the upcast of "orders`) };
    await assert.rejects(daybook.ask({ ...ask, data: { item: "milk", amount: 1 } }), (error: Error) => {
      assert.throws(() => {
        throw error.cause;
      }, cause);
      return error.name === "EntityFault";
    });
    await daybook.close();
  }));

Deno.test("a program appends shapes of the version that its catalogue has, and of no other", async () => {
  const seen: FactSpec = { ...now.facts[TYPE]!, kind: "observed", stream: () => "orders/seen" };
  const { daybook } = await openSystem({ data: ":memory:", domains: [{ name: "orders", facts: { [TYPE]: seen } }] });
  const event = {
    id: "1",
    source: "/till",
    type: TYPE,
    time: "2026-01-01T00:00:00Z",
    stream: "orders/seen",
    authtype: "system",
    authid: "till",
    data: { item: "tea", amount: 2 },
  } as const;
  for (const version of [1, 2, 4]) {
    const refused = { kind: "invalid", message: `"${TYPE}" has version 3 here, not ${version}` };
    await assert.rejects(daybook.append({ events: [{ ...event, version }] }), refused);
  }
  assert.equal((await daybook.append({ events: [{ ...event, version: 3 }] })).ok, true);
  const read = await Array.fromAsync(daybook.read({ types: [TYPE] }));
  assert.deepEqual(read.map(({ version, data }) => [version, data]), [[3, event.data]]);
  await daybook.close();
});
