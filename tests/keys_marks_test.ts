import assert from "node:assert/strict";
import { z } from "zod";
import { isPseudonym, isSealed, marksOf, personal, pseudonym, sealedIn, subjectOf } from "../events/personal.ts";

const text = () => personal({ subject: "email" });
const email = text();
const paths = (schema: z.ZodType) => marksOf(schema).personal.map(({ path }) => path.join("."));

Deno.test("marks are found in objects, arrays, records, tuples, unions and intersections", () => {
  const schema = z.strictObject({
    plain: z.string(),
    email: text(),
    people: z.array(z.object({ name: personal({ subject: "name" }) })),
    byRole: z.record(z.string(), text()),
    pair: z.tuple([z.number(), text()]).rest(text()),
    either: z.discriminatedUnion("is", [
      z.object({ is: z.literal("person"), email }),
      z.object({ is: z.literal("team"), email }),
    ]),
    both: z.intersection(z.object({ a: personal({ subject: "a" }) }), z.object({ b: personal({ subject: "b" }) })),
  });
  assert.deepEqual(paths(schema), [
    "email",
    "people.*.name",
    "byRole.*",
    "pair.1",
    "pair.*",
    "either.email",
    "both.a",
    "both.b",
  ]);
});

Deno.test("marks are found under every wrapper and outlive further checks on the text", () => {
  const schema = z.object({
    email,
    a: text().optional(),
    b: text().nullable(),
    c: text().default("x"),
    d: text().min(1).max(10).optional().nullable(),
    e: z.object({ f: personal({ subject: "f" }) }).readonly().optional(),
    g: z.lazy(() => text()),
    h: text().catch("x"),
    i: text().transform((value) => value.length),
    j: text().prefault("x"),
    k: text().nullish(),
    l: z.nonoptional(text().optional()),
  });
  assert.deepEqual(paths(schema), ["email", "a", "b", "c", "d", "e.f", "g", "h", "i", "j", "k", "l"]);
});

Deno.test("a mark names its subject and a pseudonym its value", () => {
  const schema = z.object({ id: z.string(), email: personal({ subject: "id" }), account: pseudonym({ of: "email" }) });
  assert.deepEqual(marksOf(schema), {
    personal: [{ path: ["email"], subject: "id" }],
    pseudonyms: [{ path: ["account"], of: "email" }],
  });
});

Deno.test("a schema without personal fields has no marks", () => {
  assert.deepEqual(marksOf(z.object({ a: z.string(), b: z.array(z.number()), c: z.unknown() })), {
    personal: [],
    pseudonyms: [],
  });
});

Deno.test("the same field in two options of a union is listed once", () => {
  assert.deepEqual(paths(z.union([z.object({ email }), z.object({ email, age: z.number() })])), ["email"]);
});

Deno.test("a recursive schema is walked to its end, and refused when it has personal fields", () => {
  interface Tree {
    readonly name: string;
    readonly children: readonly Tree[];
  }
  const tree: z.ZodType<Tree> = z.object({ name: z.string(), children: z.lazy(() => z.array(tree)) });
  assert.deepEqual(paths(tree), []);
  const family: z.ZodType<Tree> = z.object({
    name: personal({ subject: "name" }),
    children: z.lazy(() => z.array(family)),
  });
  assert.throws(() => marksOf(family), { name: "TypeError", message: /recursive/ });
});

Deno.test("a mark on what is no text, beside a field that is not there, or on fields without a name, is refused", () => {
  const mark = { personal: { subject: "a" } };
  assert.throws(() => marksOf(z.object({ a: z.number().meta(mark) })), { message: /\/a: only a text/ });
  assert.throws(() => marksOf(z.object({ a: z.string() }).catchall(personal({ subject: "a" }))), {
    message: /use a record/,
  });
  assert.throws(() => marksOf(z.object({ a: personal({ subject: "b" }) })), { message: /\/a: there is no field "b"/ });
  assert.throws(() => marksOf(z.object({ a: pseudonym({ of: "b" }) })), { message: /\/a: there is no field "b"/ });
  assert.throws(() => marksOf(z.object({ "*": z.string() })), { message: /cannot be named/ });
});

Deno.test("only the exact shape counts as sealed or as a pseudonym", () => {
  assert.equal(isSealed("sealed:1:s_abc:AAAA-_"), true);
  assert.equal(isSealed("sealed:12:s_abc:AAAA"), true);
  for (
    const other of [
      "sealed: the envelope",
      "sealed:1:s_abc",
      "sealed:1::AAAA",
      "sealed:1:s_abc:A A",
      "Sealed:1:a:b",
      "",
    ]
  ) {
    assert.equal(isSealed(other), false, other);
  }
  assert.equal(subjectOf("sealed:1:s_abc:AAAA"), "s_abc");
  assert.equal(subjectOf("s_abc"), undefined);
  assert.equal(isPseudonym(`p_202405_${"a".repeat(22)}`), true);
  assert.equal(isPseudonym("p_202405_abc"), false);
});

Deno.test("what looks sealed is found wherever it is in a value", () => {
  const value = {
    a: ["sealed:1:s_abc:AAAA", "sealed: no"],
    "b/c~d": { e: `p_202405_${"a".repeat(22)}` },
    f: null,
    g: 1,
  };
  assert.deepEqual(sealedIn(value), ["/a/0", "/b~1c~0d/e"]);
  assert.deepEqual(sealedIn("sealed:1:s_abc:AAAA"), [""]);
  assert.deepEqual(sealedIn({ a: 1 }), []);
});
