/** What the index reads of an entry without parsing it, and the order it brings its rows into. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { attributesOf } from "../../adapters/kv/attributes.ts";
import { Block } from "../../adapters/kv/block.ts";
import { inOrder } from "../../adapters/kv/index/order.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock } from "../../adapters/system/world.ts";
import { catalogue } from "../../events/catalogue.ts";
import type { NewEvent } from "../../events/log.ts";
import { lying } from "../at_rest_given.ts";
import { event } from "./log_contract.ts";

const NAMES = ["source", "id", "stream", "type", "correlationid", "data"];
/** Texts that look like members, once they are written. */
const texts = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12 }),
  fc.string({ unit: "binary", minLength: 1, maxLength: 6 }).filter((text) => text.isWellFormed()),
  fc.constantFrom(
    ...NAMES.flatMap((name) => [`,"${name}":"no"`, `","${name}":"no`, `${name}\\`, `"${name}"`, "é", "\\"]),
  ),
);
const { data } = fc.letrec((tie) => ({
  data: fc.oneof({ maxDepth: 3 }, texts, fc.integer(), fc.array(tie("data"), { maxLength: 3 }), tie("record")),
  record: fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), texts), tie("data"), { maxKeys: 5 }),
}));
const events = fc.record({
  source: texts,
  data,
  stream: texts.map((text) => `tests/${text}`),
  correlationid: texts,
  causationid: texts,
  subject: texts,
  extensions: fc.dictionary(fc.constantFrom("aa", "correlation", "ida", "sourcea", "typea", "zz"), texts),
}, { requiredKeys: ["source", "stream"] });

const blocksOf = async (appended: readonly NewEvent[]): Promise<Block[]> => {
  const store = lying(new MemoryStore());
  const background = () => ({ ask() {}, swept() {}, close: () => Promise.resolve() });
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
  await log.append({ events: appended });
  await log.close();
  return [...store.list({ prefix: ["log"] })].map(([first, bytes]) => new Block(bytes, first));
};

Deno.test("what the index reads of an entry is what a parser reads, whatever texts the event holds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(events, { minLength: 1, maxLength: 8 }), async (sent) => {
      const blocks = await blocksOf(sent.map((one, n) => event(one.source + n, one as never)));
      for (const block of blocks) {
        for (let i = 0; i < block.count; i++) {
          const { source, id, stream, type, correlationid } = block.attributes(i);
          const parsed = block.event(i);
          assert.deepEqual(
            { source, id, stream, type, correlationid },
            {
              source: parsed.source,
              id: parsed.id,
              stream: parsed.stream,
              type: parsed.type,
              correlationid: parsed.correlationid,
            },
          );
          assert.equal(block.entryBytes(i), block.entry(i).length);
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("an ordinary entry is read without a parser, one with an escape is not", () => {
  const entry = (id: string) =>
    `{"authid":"a","correlationid":"k","data":{"id":"no","source":"no"},"id":${JSON.stringify(id)},"position":1,` +
    `"recordedat":"","revision":0,"source":"urn:a","specversion":"1.0","stream":"a/b","time":"","type":"a.b.c","version":1}`;
  const read = { source: "urn:a", id: "7", stream: "a/b", type: "a.b.c", correlationid: "k" };
  assert.deepEqual(attributesOf(entry("7")), read);
  assert.deepEqual(attributesOf(entry("7").replace('"correlationid":"k",', "")), {
    source: "urn:a",
    id: "7",
    stream: "a/b",
    type: "a.b.c",
  });
  assert.equal(attributesOf(entry('7"')), undefined);
  assert.equal(attributesOf(entry("7\u00e9")), undefined);
  assert.equal(attributesOf("{}"), undefined);
});

Deno.test("rows come in the order of their fingerprints, and equal ones as they came", () => {
  const fingerprint = fc.oneof(fc.integer({ min: 0, max: 2 ** 53 - 1 }), fc.nat(3), fc.constant(2 ** 53 - 1));
  fc.assert(
    fc.property(fc.array(fingerprint, { maxLength: 200 }), fc.integer({ min: 2, max: 5 }), (keys, columns) => {
      const rows = keys.flatMap((key, i) => [key, i, ...new Array<number>(columns - 2).fill(0)]);
      const sorted = keys.map((_, i) => i).sort((a, b) => keys[a]! - keys[b]! || a - b);
      assert.deepEqual([...inOrder(rows, columns)], sorted.map((i) => i * columns));
    }),
  );
});
