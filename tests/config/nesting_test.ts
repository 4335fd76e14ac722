/** YAML that is nested more deeply than any stack is told with its place, wherever YAML is read. */
import assert from "node:assert/strict";
import { parseConfig } from "../../config/config.ts";
import { parseControls } from "../../config/controls.ts";
import { parseStack } from "../../config/stack.ts";
import { importStack } from "../../config/stack_import.ts";
import { NESTING_MAX, problemText } from "../../config/yaml_text.ts";

const DEEP: Readonly<Record<string, string>> = {
  lists: "[".repeat(5_000),
  "lists that end": "[".repeat(5_000) + "]".repeat(5_000),
  maps: "{a: ".repeat(5_000),
  dashes: "- ".repeat(5_000) + "x",
  keys: "? ".repeat(5_000) + "x",
  lines: Array.from({ length: NESTING_MAX + 1 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
};

Deno.test("YAML that is nested too deeply is one problem with file, line and column", () => {
  const expected = new RegExp(
    `^deep\\.yaml:\\d+:\\d+: expected maps and lists of at most ${NESTING_MAX} levels, found more$`,
  );
  for (const [what, text] of Object.entries(DEEP)) {
    const answers = {
      configuration: parseConfig(text, "deep.yaml", {}),
      controls: parseControls([{ file: "deep.yaml", text }]),
      stack: parseStack(text, "deep.yaml"),
      import: importStack(text, "deep.yaml"),
    };
    for (const [kind, answer] of Object.entries(answers)) {
      assert.ok(!answer.ok, `${kind} ${what}`);
      assert.deepEqual(answer.problems.map(problemText).filter((line) => !expected.test(line)), [], `${kind} ${what}`);
      assert.equal(answer.problems.length, 1, `${kind} ${what}`);
    }
  }
});

Deno.test("what aliases nest too deeply, or within itself, is told with its place", () => {
  const wide = "[".repeat(NESTING_MAX - 2), closed = "]".repeat(NESTING_MAX - 2);
  const chain = (name: string) =>
    [`${name}:`, `  a0: &a0 ${wide}1${closed}`]
      .concat(Array.from({ length: 99 }, (_, i) => `  a${i + 1}: &a${i + 1} ${wide}*a${i}${closed}`)).join("\n");
  const within = (keys: string) => `${keys}: &a\n  a: *a\n  b: [*a, *a]\n`;
  for (const text of [chain("x-chain"), chain("services"), within("services"), within("controls")]) {
    const answers = [
      parseConfig(text, "deep.yaml", {}),
      parseControls([{ file: "deep.yaml", text }]),
      parseStack(text, "deep.yaml"),
      importStack(text, "deep.yaml"),
    ];
    for (const answer of answers) {
      if (!answer.ok) { for (const problem of answer.problems) assert.doesNotMatch(problem.found, /call stack/); }
    }
  }
});

Deno.test("a variable or flag that is nested too deeply is a text", () => {
  for (const text of ["[".repeat(5_000), "- ".repeat(5_000)]) {
    const parsed = parseConfig("", "daybook.yaml", { DAYBOOK__SERVER__PORT: text });
    assert.ok(!parsed.ok);
    assert.match(problemText(parsed.problems[0]!), /^DAYBOOK__SERVER__PORT \(server\.port\): expected a whole number/);
  }
});

/** Far more than it takes, and far less than where each key is compared with all others. */
const READ_MS_MAX = 30_000;

Deno.test("a text of many keys or aliases takes as long as it has of them, and no longer", () => {
  const lines = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join("\n");
  const texts: readonly (readonly [string, number])[] = [
    [`services:\n  a: &a { command: x }\n${lines(10_000, (i) => `  b${i}: *a`)}`, 1],
    [lines(30_000, (i) => `k${i}: 1`), 30_000],
    [`services:\n  a:\n    command: x\n    environment:\n${lines(20_000, (i) => `      E${i}: []`)}`, 20_000],
    [`{ ${lines(20_000, (i) => `a: ${i},`)} }`, 19_999],
  ];
  for (const [text, count] of texts) {
    const began = performance.now();
    const parsed = parseStack(text, "many.yaml");
    const took = performance.now() - began;
    assert.ok(took < READ_MS_MAX, `${text.slice(0, 50)}: ${took} ms`);
    assert.ok(!parsed.ok);
    assert.equal(parsed.problems.length, count);
  }
});

Deno.test("of a key that is there twice the second is pointed at, in any kind of map; an anchor counts from where it stands", () => {
  const places = {
    "a: 1\nb: 2\na: 3\n": /^f:3:1: expected YAML 1\.2, found Map keys must be unique$/,
    "a: { b: 1, 'b': 2 }": /^f:1:12: /,
    "- ? b\n  : 1\n  b: 2\n": /^f:3:3: /,
    "a: *b\nb: &b 1\n": /^f:1:4: expected YAML 1\.2, found no anchor for \*b$/,
  };
  for (const [text, told] of Object.entries(places)) {
    const parsed = parseConfig(text, "f", {});
    assert.ok(!parsed.ok, text);
    assert.match(problemText(parsed.problems[0]!), told, text);
  }
});
