import assert from "node:assert/strict";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { canonical, CanonicalError, parseIJson } from "../events/canonical.ts";

const refused = (code: CanonicalError["code"], path: string) => (error: unknown) => {
  assert.ok(error instanceof CanonicalError, String(error));
  assert.deepEqual([error.code, error.path], [code, path]);
  return true;
};

Deno.test("canonical form is what RFC 8785 shows in its examples", () => {
  // Section 3.2.2 and 3.2.3.
  const sample = JSON.parse(
    `{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}`,
  );
  assert.equal(
    canonical(sample),
    `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA'B\\"\\\\\\\\\\"/"}`,
  );
  const sorted = canonical({
    "\u20ac": "Euro",
    "\r": "CR",
    "\ufb33": "Dalet",
    "1": "One",
    "\ud83d\ude00": "Smiley",
    "\u0080": "Control",
    "\u00f6": "o",
  });
  assert.deepEqual([...sorted.matchAll(/:"(\w+)"/g)].map(([, value]) => value), [
    "CR",
    "One",
    "Control",
    "o",
    "Euro",
    "Smiley",
    "Dalet",
  ]);
});

Deno.test("canonical form agrees with an implementation of others for every JSON value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const ours = canonical(value);
      assert.equal(ours, canonicalize(value));
      assert.deepEqual(parseIJson(ours), JSON.parse(ours));
    }),
    { numRuns: 500 },
  );
});

Deno.test("canonical form sorts members that engines order otherwise, leaves the undefined out, and changes nothing it was given", () => {
  const value = { b: { "10": 1, "9": 2, a: { d: 1, c: 2 } }, a: [-0, { z: 1, y: undefined, x: [{ q: 1, p: 2 }] }] };
  const before = JSON.stringify(value);
  assert.equal(canonical(value), '{"a":[0,{"x":[{"p":2,"q":1}],"z":1}],"b":{"10":1,"9":2,"a":{"c":2,"d":1}}}');
  assert.equal(JSON.stringify(value), before);
  assert.equal(canonical(JSON.parse('{"b":1,"__proto__":{"d":1,"c":2}}')), '{"__proto__":{"c":2,"d":1},"b":1}');
  assert.equal(canonical(JSON.parse('{"__proto__":{"d":1,"c":2},"b":1}')), '{"__proto__":{"c":2,"d":1},"b":1}');
  assert.equal(canonical({ z: { "2": 1, "1": 2 }, "1": 1, "-1": 0 }), '{"-1":0,"1":1,"z":{"1":2,"2":1}}');
});

Deno.test("canonical form refuses what I-JSON excludes, with the path", () => {
  assert.throws(() => canonical({ a: [1, NaN] }), refused("number_not_representable", "/a/1"));
  assert.throws(() => canonical({ "a/b": { "c~d": "\ud800" } }), refused("lone_surrogate", "/a~1b/c~0d"));
  assert.throws(
    () => canonical({ "\udc00": 1 }),
    (error) => error instanceof CanonicalError && error.code === "lone_surrogate",
  );
  assert.throws(() => canonical([1n]), refused("not_json", "/0"));
  assert.throws(() => canonical({ when: new Date(0) }), refused("not_json", "/when"));
  assert.throws(() => canonical([[[1]]], 2), refused("too_deep", "/0/0"));
});

Deno.test("parsing refuses duplicate keys, lone surrogates and numbers a double does not hold, with the path", () => {
  const cases: [string, CanonicalError["code"], string][] = [
    ['{"a":1,"a":2}', "duplicate_key", "/a"],
    ['{"x":{"a":1, "\\u0061":2}}', "duplicate_key", "/x/a"],
    ['{"n":12345678901234567890}', "number_not_representable", "/n"],
    ['{"n":[0, 9007199254740993]}', "number_not_representable", "/n/1"],
    ['{"n":1e400}', "number_not_representable", "/n"],
    ['{"n":0.1234567890123456789}', "number_not_representable", "/n"],
    ['{"n":1e-400}', "number_not_representable", "/n"],
    ['["\\ud800"]', "lone_surrogate", "/0"],
    ['{"\\udc00":1}', "lone_surrogate", ""],
    ["[[[[1]]]]", "too_deep", "/0/0/0"],
    ["{", "malformed", ""],
    ["", "malformed", ""],
    ['{"a":1}x', "malformed", ""],
  ];
  for (const [text, code, path] of cases) assert.throws(() => parseIJson(text, 3), refused(code, path), text);
});

Deno.test("parsing takes every number that a double holds, however it is written", () => {
  for (
    const text of [
      "0",
      "-0",
      "0.0",
      "1.50e2",
      "150.0",
      "1E5",
      "100000",
      "0.1",
      "1e21",
      "9007199254740992",
      "-1.5e-7",
      "5e-324",
      "1.7976931348623157e308",
      "0e999",
    ]
  ) {
    assert.equal(parseIJson(` [ ${text} ] `) instanceof Array, true, text);
  }
});

Deno.test("parsing gives what JSON.parse gives for any text that loses nothing", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.boolean(), (value, spaced) => {
      const text = JSON.stringify(value, undefined, spaced ? 2 : 0);
      assert.deepEqual(parseIJson(text), JSON.parse(text));
    }),
    { numRuns: 300 },
  );
});
