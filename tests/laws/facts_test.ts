import assert from "node:assert/strict";
import fc from "fast-check";
import { events } from "../../events/mod.ts";
import { actors } from "../../actors/mod.ts";
import { canonical, parseIJson } from "../../events/canonical.ts";
import { LIMITS } from "../../events/log.ts";
import { marksOf } from "../../events/personal.ts";
import { arbitraryOf } from "./arbitrary.ts";

/** Verbs whose past tense has no -ed. */
const IRREGULAR = new Set(
  "set begun built found given gone gave_up held kept left lost made paid read redriven run seen sent shown spent taken told"
    .split(
      " ",
    ),
);

const specs = events.domains.flatMap(({ name, facts }) =>
  Object.entries(facts).map(([type, spec]) => ({ domain: name, type, spec }))
);

for (const { domain, type, spec } of specs) {
  Deno.test(`${type} is named domain.noun.verb in the past tense, and says what it is`, () => {
    const [first, noun, verb, ...more] = type.split(".");
    assert.equal(first, domain);
    assert.match(noun!, /^[a-z][a-z0-9_]*$/);
    assert.deepEqual(more, []);
    assert.ok(/^[a-z][a-z0-9_]*ed$/.test(verb!) || IRREGULAR.has(verb!), `${verb} is not in the past tense`);
    assert.match(spec.about, /^[A-Z].*\.$/);
    assert.ok(["decided", "observed"].includes(spec.kind));
    assert.equal(spec.upcasts?.length ?? 0, (spec.version ?? 1) - 1, "an upcast from every earlier version");
    assert.equal(events.spec(type), spec);
  });

  Deno.test(`${type}: its data has a canonical form that is read back the same, and its marks can be sealed`, () => {
    marksOf(spec.schema);
    fc.assert(
      fc.property(arbitraryOf(spec.schema), (data) => {
        const text = canonical(data, LIMITS.data_depth_max);
        const back = parseIJson(text, LIMITS.data_depth_max);
        assert.ok(spec.schema.safeParse(back).success);
        assert.equal(canonical(back), text);
      }),
      { numRuns: 50 },
    );
  });
}

Deno.test("a type belongs to one domain, and a domain is named once", () => {
  const types = specs.map(({ type }) => type);
  assert.equal(new Set(types).size, types.length);
  const names = events.domains.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("every decided type has its actor, which the kernel is for its own", () => {
  const decided = specs.filter(({ domain, spec }) => spec.kind === "decided" && domain !== "kernel").map(({ type }) =>
    type
  );
  const owned = actors.flatMap(({ facts }) => facts);
  assert.deepEqual(decided.filter((type) => !owned.includes(type as typeof owned[number])), []);
});
