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
