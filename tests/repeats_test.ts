/** What is the same event again and what is another one, by the real program. */
import assert from "node:assert/strict";
import { openSystem } from "../adapters/program/daybook.ts";

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
