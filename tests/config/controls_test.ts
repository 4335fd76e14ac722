/** The catalogue of controls: what it may say, and every mistake told with its place. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { CATALOGUE_LIMITS, FRAMEWORKS, parseControl, parseControls, problemText } from "../../config/controls.ts";
import { CONTROL_FACT_LIMITS } from "../../events/kernel_controls.ts";
import { events } from "../../events/mod.ts";
import { guardable } from "../../adapters/program/controls_files.ts";
import { CONTROL_LIMITS } from "../../projections/controls/mod.ts";
import { shipped } from "../controls_given.ts";

const control = (more: string, id = "it"): string => `
  - id: ${id}
    title: It holds
    frameworks: { soc2: [CC1.1] }
    freshness: 7d
${more.replace(/^/gm, "    ")}`;
const EVERY = "query: { every: { type: a.call.made }, satisfies: { data.ok: true } }";

const read = (...texts: readonly string[]) => parseControls(texts.map((text, i) => ({ file: `c${i}.yaml`, text })));
const bad = (...texts: readonly string[]): readonly string[] => {
  const parsed = read(...texts);
  assert.ok(!parsed.ok, "expected problems");
  return parsed.problems.map(problemText);
};
/** One control with this query. */
const query = (text: string): readonly string[] => bad(`controls:${control(`query: ${text}`)}`);

Deno.test("a control says what it is in a few lines, and the rest is as usual", () => {
  const parsed = read(`controls:${control(EVERY)}`);
  assert.ok(parsed.ok);
  const [{ control: it, stated }] = parsed.controls as [typeof parsed.controls[0]];
  assert.deepEqual(it, {
    id: "it",
    title: "It holds",
    frameworks: [{ name: "SOC 2", ref: "CC1.1" }],
    mode: "watch",
    guards: [],
    clock: "recorded",
    query: { every: { type: ["a.call.made"] }, satisfies: [{ "data.ok": { is: true } }] },
    freshness: 604_800_000,
    expectation: { violations_at_most: 0, over: 2_592_000_000 },
  });
  // What is recorded of it reads the same.
  assert.deepEqual(parseControl(JSON.parse(JSON.stringify(stated))), it);
  assert.equal(parseControl({ ...stated as object, sort: "new" }), undefined);
});

Deno.test("a mistake is told with file, line, column, path, what was expected and what was found", () => {
  const text = `controls:${control(EVERY)}${control("freshness: 3 days\nquery: {}\nmode: enforced", "it")}`;
  assert.deepEqual(bad(text.replace("    freshness: 7d\n    freshness", "    freshness")), [
    'c0.yaml:12:11 controls.1.mode: expected one of watch, enforce, found "enforced"',
    "c0.yaml:11:12 controls.1.query: expected one of every, of, complete, found {}",
    'c0.yaml:10:16 controls.1.freshness: expected a span of time: 30s, 15m, 24h or 90d, found "3 days"',
  ]);
});

Deno.test("a mistake inside of alternatives is told where it is", () => {
  assert.deepEqual(
    query("{ every: { type: a.b.c, where: { data.x: { atleast: 3 } } }, satisfies: { data.y: 1 } }")[0],
    'c0.yaml:6:55 controls.0.query.every.where.data.x.atleast: expected a known key, found "atleast"; did you mean "at_least"?',
  );
  assert.match(
    query("{ every: { type: a.b.c }, followed_by: { type: a.b.d } }")[0]!,
    /query.followed_by.within: expected a span of time/,
  );
  assert.match(
    query("{ every: { type: a.b.c }, preceded_by: [{ type: a.b.d, same: [data] }] }")[0]!,
    /query.preceded_by.0.same.0: expected a field as it stands in the event's JSON/,
  );
  assert.match(
    query("{ every: { type: sign-in }, satisfies: { data.x: 1 } }")[0]!,
    /query.every.type: expected a type of events/,
  );
  assert.match(query("{ every: { type: a.b.c }, satisfies: { account: 1 } }")[0]!, /expected a field as it stands/);
});

Deno.test("a query says one kind of thing, and all that it needs", () => {
  const of = "of: { type: a.b.c }", every = "every: { type: a.b.c }", done = "satisfies: { data.x: 1 }";
  for (
    const [text, expected] of [
      [`{ ${of}, ${every}, at_most: 1 }`, "one of every, of, complete"],
      [`{ ${every} }`, 'with "every" one of satisfies, followed_by, preceded_by, not_preceded_by'],
      [`{ ${of} }`, 'with "of" one of at_most, gap_at_most, kept_at_least'],
      [`{ ${of}, at_most: 1, gap_at_most: 1d }`, "one of at_most, gap_at_most, kept_at_least"],
      [`{ ${of}, at_most: 1, ${done} }`, 'nothing beside "of"'],
      [`{ ${every}, ${done}, per: [data.x] }`, 'nothing without "at_most"'],
      [`{ ${of}, gap_at_most: 1d, within: 1d }`, 'nothing without "at_most"'],
      [`{ ${of}, at_most: 1, within: 1d, reset_by: { type: a.b.d } }`, 'nothing beside "within": one or the other'],
      [`{ complete: { late: 1d, silent: 1h }, ${done} }`, 'nothing beside "complete"'],
      [`{ ${every}, satisfies: { data.x: {} } }`, "what the field must be, such as { present: true }"],
    ] as const
  ) assert.ok(query(text).some((told) => told.includes(`expected ${expected}`)), `${text}: ${query(text)}`);
});

Deno.test("what is enforced says what it guards", () => {
  const [told] = bad(`controls:${control(`${EVERY}\nmode: enforce`)}`);
  assert.match(told!, /guards: expected what is declined while it is red/);
});

Deno.test("what a control guards there is, or it would decline nothing", () => {
  const guarding = (...guards: readonly string[]) => {
    const text = `controls:${control(`${EVERY}\nguards: [${guards.join(", ")}]`)}`;
    const parsed = parseControls([{ file: "c0.yaml", text }], guardable());
    return parsed.ok ? [] : parsed.problems.map(problemText);
  };
  const wrong = (found: string, at: string, meant = "") =>
    `c0.yaml:7:${at}: expected a command, an observed event or an operation that there is, found "${found}"${
      meant === "" ? "" : `; did you mean "${meant}"?`
    }`;
  // A command, an operation, an observed event, and one of a domain that is not here.
  assert.deepEqual(
    guarding("identity.role.grant", "token.create", "releases.deployment.started", "payments.sum.paid"),
    [],
  );
  assert.deepEqual(guarding("tokn.create", "identity.role.grannt"), [
    wrong("tokn.create", "14 controls.0.guards.0", "token.create"),
    wrong("identity.role.grannt", "27 controls.0.guards.1", "identity.role.grant"),
  ]);
  // What an actor decides is declined by its command.
  assert.deepEqual(guarding("identity.role.granted"), [
    wrong("identity.role.granted", "14 controls.0.guards.0", "identity.role.grant"),
  ]);
  assert.deepEqual(guarding("kernel.control.enforced"), [wrong("kernel.control.enforced", "14 controls.0.guards.0")]);
});

Deno.test("a rule that says nothing of its events is none, for everything would pass it", () => {
  const message = "expected what must be true of a field, such as { data.ok: true }, found";
  assert.deepEqual(query("{ every: { type: a.b.c }, satisfies: {} }"), [
    `c0.yaml:6:49 controls.0.query.satisfies: ${message} {}`,
  ]);
  assert.deepEqual(query("{ every: { type: a.b.c }, satisfies: [{ data.x: 1 }, {}] }"), [
    `c0.yaml:6:49 controls.0.query.satisfies: ${message} [{"data.x":1},{}]`,
  ]);
  assert.deepEqual(query("{ every: { type: a.b.c }, satisfies: { data.x: 1, __proto__: { present: true } } }"), [
    'c0.yaml:6:62 controls.0.query.satisfies.__proto__: expected another key, found "__proto__"',
  ]);
  // What is on record already is read as it was said.
  const stated = { id: "it", title: "It", frameworks: { soc2: ["CC1"] }, freshness: "1d" };
  assert.ok(parseControl({ ...stated, query: { every: { type: "a.b.c" }, satisfies: {} } }));
});

Deno.test("an id is a control's own in all files", () => {
  const [told] = bad(`controls:${control(EVERY)}`, `controls:${control(EVERY)}`);
  assert.equal(
    told,
    'c1.yaml:2:9 controls.0.id: expected an id that no other control has, as one in c0.yaml:2, found "it"',
  );
});

Deno.test("what is no catalogue is one problem each", () => {
  assert.equal(bad("")[0], "c0.yaml:1:1 controls: expected a list of a map, found nothing");
  assert.equal(bad("- 1")[0], "c0.yaml:1:1: expected a map with controls, a list, found [1]");
  assert.match(bad("controls: [")[0]!, /expected YAML 1.2/);
  assert.match(bad("x".repeat(CATALOGUE_LIMITS.file_chars_max + 1))[0]!, /expected at most 1048576 characters/);
  const many = Array.from({ length: CATALOGUE_LIMITS.controls_max }, (_, i) => control(EVERY, `c-${i}`)).join("");
  assert.ok(read(`controls:${many}`).ok);
  assert.match(
    bad(`controls:${many}`, `controls:${control(EVERY)}`)[0]!,
    /expected at most 200 controls in all files, found 201/,
  );
  const long = Array.from({ length: 50 }, (_, i) => `data.x${i}: ${"y".repeat(450)}`).join(", ");
  assert.match(
    query(`{ every: { type: a.b.c }, satisfies: { ${long} } }`)[0]!,
    /expected at most 20000 characters for one control/,
  );
});

Deno.test("parseControls answers any text at all", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json().map((json) => `controls: [${json}]`)), (text) => {
    const parsed = read(text);
    if (parsed.ok) return;
    for (const problem of parsed.problems) {
      assert.match(problemText(problem), /^c0\.yaml:\d+:\d+.*: expected .+, found /s);
    }
  }));
});

Deno.test("the shipped controls speak of types and fields that there are, guard what there is, and name every framework", () => {
  const controls = shipped();
  assert.ok(controls.length >= 20);
  assert.ok(controls.length <= CONTROL_LIMITS.controls_max);
  const named = new Set<string>();
  const typesIn = (value: unknown): readonly string[] =>
    typeof value !== "object" || value === null
      ? []
      : Object.entries(value).flatMap(([key, inner]) => key === "type" ? inner as string[] : typesIn(inner));
  for (const { id, frameworks, guards, query, evidence, applies_when } of controls) {
    assert.deepEqual(typesIn([query, evidence, applies_when]).filter((type) => !events.spec(type)), [], id);
    assert.deepEqual(guards.filter((guard) => !guardable().names.includes(guard)), [], id);
    for (const { name } of frameworks) named.add(name);
    assert.ok(id.length <= CONTROL_FACT_LIMITS.id_chars_max);
  }
  assert.deepEqual([...named].sort(), Object.values(FRAMEWORKS).toSorted());
});
