/** What is the same event again and what is another one, by the real program. */
import assert from "node:assert/strict";
import { z } from "zod";
import { DEFAULTS } from "../config/shipped.ts";
import type { Domain } from "../events/catalogue.ts";
import { personal, pseudonym } from "../events/personal.ts";
import { openSystem } from "../adapters/program/daybook.ts";

const EVENT = { source: "urn:tests", type: "tests.thing.happened" } as const;
const BY = { authtype: "system", authid: "tests" } as const;

Deno.test("of an unknown type a repeat is what was sent, however much of it looks like a pseudonym or a sealed text", async () => {
  const [mine, other] = ["p_202611_oJUEntWFJQmVhQPSU-ouJg", "p_202611_uMmMzkBkUPLWAsuIvDBkYQ"];
  const system = await openSystem({ data: ":memory:" });
  try {
    let id = 0;
    const twice = async (first: unknown, second: unknown) => {
      const event = { id: String(++id), source: "urn:tests", type: "tests.thing.happened" };
      const recorded = await system.daybook.ingest([{ ...event, data: first }], BY);
      assert.ok(recorded.ok && recorded.accepted === 1);
      const again = await system.daybook.ingest([{ ...event, data: second }], BY);
      return again.ok ? "same" : again.conflict;
    };
    assert.equal(await twice({ a: -0, b: mine }, { b: mine, a: -0 }), "same");
    assert.equal(await twice({ a: mine }, { a: other }), "id");
    assert.equal(await twice({}, { a: mine }), "id");
    assert.equal(await twice({ a: mine }, {}), "id");
    assert.equal(await twice(mine, other), "id");
    assert.equal(await twice(undefined, null), "id");
  } finally {
    await system.daybook.close();
  }
});

Deno.test("a repeat that comes with another trace, or with none, is the same, and one that names another itself is told so", async () => {
  const [one, other] = ["1", "2"].map((trace) => `00-${trace.padStart(32, "0")}-${"1".padStart(16, "0")}-01`);
  const system = await openSystem({ data: ":memory:" });
  try {
    const sent = async (id: string, traceparent: string | undefined, more = {}) => {
      const event = { ...EVENT, id, data: {}, ...more };
      const done = await system.daybook.ingest([event], BY, traceparent === undefined ? {} : { traceparent });
      return done.ok ? [done.accepted, done.duplicates] : done.conflict;
    };
    for (const first of [one, undefined]) {
      const id = `first ${first}`;
      assert.deepEqual(await sent(id, first), [1, 0]);
      for (const then of [one, other, undefined]) assert.deepEqual(await sent(id, then), [0, 1], `${id}, then ${then}`);
      assert.equal(await sent(id, undefined, { traceparent: other }), "id");
    }
    assert.deepEqual(await sent("named", other, { traceparent: one }), [1, 0]);
    assert.deepEqual(await sent("named", other, { traceparent: one }), [0, 1]);
    assert.equal(await sent("named", one, { traceparent: other }), "id");
  } finally {
    await system.daybook.close();
  }
});

Deno.test("nobody else records an event under the name of a fact of an entity or of the kernel, so no command is refused for it", async () => {
  const system = await openSystem({ data: ":memory:" });
  try {
    const { daybook } = system;
    const taken = [["commits/shop", "tests:c1/0"], ["identity/u_1", "identity:7.0/1"], [
      "kernel",
      "kernel.log.archived 256",
    ]];
    for (const [source, id] of taken) {
      const refused = await daybook.ingest([{ ...EVENT, source: source!, id: id!, data: {} }], BY);
      assert.ok(!refused.ok && refused.conflict === "invalid", source);
      assert.deepEqual(refused.issues.map(({ path }) => path), ["/id"]);
    }
    const others = [
      ["commits/shop", "7"],
      ["commits/shop", "c1/0"],
      ["commits/shop", "https://ci.example/builds/17"],
      ["commits", "a:b/0"],
      ["kernels/x", "a:b/0"],
    ];
    for (const [source, id] of others) {
      assert.ok((await daybook.ingest([{ ...EVENT, source: source!, id: id!, data: {} }], BY)).ok, `${source} ${id}`);
    }
    const data = { branch: "main", to: "c0ffee".padEnd(40, "0") };
    const moved = await daybook.ask({ type: "commits.branch.move", id: "shop", command: "c1", data, by: BY });
    assert.equal(moved.is, "accepted");
  } finally {
    await system.daybook.close();
  }
});

Deno.test("a source that is sealed since, or no more, repeats what it sent before; what says something else is told so", async () => {
  const data = await Deno.makeTempDir();
  const open = (sealed_sources: string[]) =>
    openSystem({ data, config: { ...DEFAULTS, ingest: { ...DEFAULTS.ingest, sealed_sources } } });
  const sent = [{ who: "Ada" }, "Ada", null].map((data, i) => ({ ...EVENT, id: `json ${i}`, data }));
  const bytes = { ...EVENT, id: "bytes", datacontenttype: "text/plain", data_base64: "QWRh" };
  const events = (by: string) => [...sent, bytes].map((event) => ({ ...event, id: `${by} ${event.id}` }));
  try {
    for (const sealed of [false, true]) {
      const by = sealed ? "sealed" : "plain";
      const first = await open(sealed ? [EVENT.source] : []);
      const recorded = await first.daybook.ingest(events(by), BY);
      assert.ok(recorded.ok && recorded.accepted === 4);
      const entry = new TextDecoder().decode(first.daybook.log.entry(recorded.receipts[0]!.position));
      assert.equal(entry.includes("sealed:1:"), sealed);
      await first.daybook.close();
      const then = await open(sealed ? [] : [EVENT.source]);
      const again = await then.daybook.ingest(events(by), BY);
      assert.deepEqual(again.ok && [again.accepted, again.duplicates], [0, 4], by);
      for (const other of events(by)) {
        const changed = "data" in other
          ? { ...other, data: { data_base64: "QWRh" } }
          : { ...other, data_base64: "RWRh" };
        const refused = await then.daybook.ingest([changed], BY);
        assert.ok(!refused.ok && refused.conflict === "id", other.id);
      }
      await then.daybook.close();
    }
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});

Deno.test("of a type that became known since, with what is personal in it, a repeat is the same, and something else is told so", async () => {
  const data = await Deno.makeTempDir();
  const people: Domain = {
    name: "tests",
    facts: {
      "tests.thing.happened": {
        schema: z.strictObject({
          who: personal({ subject: "who" }),
          who_pseudonym: pseudonym({ of: "who" }),
          times: z.int(),
        }),
        kind: "observed",
        stream: () => "tests/one",
        about: "Happened.",
      },
    },
  };
  const event = (who: string, times: number) => ({ ...EVENT, id: "1", data: { who, times } });
  try {
    const first = await openSystem({ data });
    const recorded = await first.daybook.ingest([event("Ada", 1)], BY);
    assert.ok(recorded.ok && recorded.accepted === 1);
    await first.daybook.close();
    const then = await openSystem({ data, domains: [people] });
    const again = await then.daybook.ingest([event("Ada", 1)], BY);
    assert.deepEqual(again.ok && [again.accepted, again.receipts[0]!.stream], [0, "inbox/urn:tests"]);
    for (const other of [event("Eda", 1), event("Ada", 2)]) {
      const refused = await then.daybook.ingest([other], BY);
      assert.ok(!refused.ok && refused.conflict === "id");
    }
    await then.daybook.close();
  } finally {
    await Deno.remove(data, { recursive: true });
  }
});
