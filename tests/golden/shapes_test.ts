/** A shape that was recorded is never edited: it gets a new version, and an upcast from the old one. */
import assert from "node:assert/strict";
import { z } from "zod";
import { catalogue } from "../../events/catalogue.ts";
import { events } from "../../events/mod.ts";
import { edited, readShapes, shapesOf } from "./shapes.ts";

Deno.test("every fact takes what its version has always taken", async () => {
  assert.deepEqual(edited(await readShapes(), shapesOf(events)), []);
});

Deno.test("a shape that is edited and keeps its version is caught, however deep in it", () => {
  const TYPE = "orders.order.placed";
  const of = (by: readonly string[], version?: number) => {
    const schema = z.strictObject({ lines: z.array(z.strictObject({ by: z.enum(by) })) });
    const fact = { schema, kind: "decided" as const, about: "Somebody ordered.", ...(version ? { version } : {}) };
    return shapesOf(catalogue({ name: "orders", facts: { [TYPE]: fact } }));
  };
  const known = of(["post"]);
  assert.deepEqual(edited(known, of(["post"])), []);
  assert.match(edited(known, of(["post", "rail"])).join(), /^orders\.order\.placed 1 takes other data than it did/);
  assert.match(edited(known, of(["post", "rail"], 2)).join(), /^orders\.order\.placed 2 has no line/);
  assert.deepEqual(edited({ ...known, ...of(["post", "rail"], 2) }, of(["post", "rail"], 2)), []);
});
