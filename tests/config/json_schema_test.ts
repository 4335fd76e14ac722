/** The JSON Schema of the configuration: what an editor would say is what the program says, as far as single keys go. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { problemsIn } from "../../adapters/program/configuration.ts";
import { jsonSchema } from "../../config/json_schema.ts";
import type { Shape } from "../../config/problems.ts";
import { run } from "../end_to_end/program.ts";
import { inFolder } from "../folder_given.ts";

const root = new URL("../../", import.meta.url);
const editor = new Ajv2020({ allErrors: true, validateFormats: false }).compile(jsonSchema() as object);
const said = (text: string): readonly string[] =>
  editor(parse(text)) ? [] : editor.errors!.map(({ instancePath, message }) => `${instancePath} ${message}`);

/** Blocks of YAML of a page that are a configuration, or a part of one. */
const examples = (page: string): readonly string[] =>
  [...Deno.readTextFileSync(new URL(page, root)).matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text!);

Deno.test("an editor has nothing to say about what is shipped and what the documents show, and the program neither", () => {
  const shipped = Deno.readTextFileSync(new URL("config/daybook.yaml", root));
  const own = `alerting:\n  ${Deno.readTextFileSync(new URL("config/alerts.yaml", root)).replace(/\n/g, "\n  ")}`;
  const shown = ["docs/services.md", "docs/alerts.md", "docs/configuration.md"].flatMap(examples);
  assert.ok(shown.length >= 5);
  for (const text of [shipped, own, ...shown]) assert.deepEqual(said(text), [], text);
  const whole = [
    shipped,
    own,
    ...examples("docs/alerts.md"),
    ...examples("docs/configuration.md"),
    ...examples("docs/services.md"),
  ];
  for (const text of whole) assert.deepEqual(problemsIn(text, "daybook.yaml"), [], text);
});

Deno.test("a wrong key or kind anywhere is one for both", () => {
  for (
    const text of [
      "sever: {}",
      "server: { port: many }",
      "services: { api: { comand: x } }",
      "services: { api: { command: x, replicas: 0 } }",
      "services: { api: { command: x, probes: { readiness: { htp: {} } } } }",
      "services: { api: { command: x, metrics: { port: 1, every: 5 } } }",
      "stack: { order: random }",
      "alerting: { rules: { it: { title: A, sevrity: info, when: { type: a.b.c } } } }",
      "alerting: { rules: { it: { title: A, when: { type: a.b.c }, for: 5 minutes } } }",
      "sinks: [{ name: a, kind: slak }]",
    ]
  ) {
    assert.notDeepEqual(said(text), [], text);
    assert.notDeepEqual(problemsIn(text, "daybook.yaml"), [], text);
  }
  // What several keys get wrong together, the program alone says.
  const together = "alerting: { rules: { it: { title: A, when: { type: a.b.c }, at_least: 3 } } }";
  assert.deepEqual(said(together), []);
  assert.match(problemsIn(together, "daybook.yaml")[0]!.path, /at_least$/);
});

Deno.test("hovering tells what a key is, and no word of ours is in the schema", () => {
  const { properties } = jsonSchema() as { readonly properties: Readonly<Record<string, Shape>> };
  const service = (properties.services!.additionalProperties as Shape).properties!;
  for (const key of ["command", "metrics", "depends_on"]) assert.ok(service[key]!.description!.length > 10, key);
  assert.ok(properties.server!.properties!.port!.description!.length > 5);
  assert.ok(!JSON.stringify(jsonSchema()).includes('"expected":"'));
});

Deno.test("config check tells each problem with its place, config schema prints what the editor reads", () =>
  inFolder(async (folder) => {
    const file = `${folder}/daybook.yaml`;
    await Deno.writeTextFile(file, "server:\n  prot: 1\nservices:\n  api: { command: ./api, depends_on: [db] }\n");
    const wrong = await run("config", "check", file, "--json");
    const { ok, problems } = JSON.parse(wrong.out) as {
      ok: boolean;
      problems: { line: number; path: string; meant: string }[];
    };
    assert.deepEqual([wrong.code, ok, problems[0]!.line, problems[0]!.path, problems[0]!.meant], [
      1,
      false,
      2,
      "server.prot",
      "port",
    ]);
    await Deno.writeTextFile(file, "services:\n  api: { command: ./api, depends_on: [db] }\n");
    const needs = await run("config", "check", file);
    assert.equal(needs.code, 1);
    assert.match(
      needs.out,
      /daybook\.yaml:2:\d+ services\.api\.depends_on\.db: expected another service, of which there is none, found "db"\n/,
    );
    await Deno.writeTextFile(file, "services:\n  api: { command: ./api }\n");
    assert.deepEqual(
      [(await run("config", "check", file)).code, (await run("config", "check", `${folder}/none`)).code],
      [0, 3],
    );
    const written = await run("config", "schema", "--out", `${folder}/schema.json`);
    assert.equal(written.code, 0, written.err);
    assert.deepEqual(
      JSON.parse(await Deno.readTextFile(`${folder}/schema.json`)),
      JSON.parse(JSON.stringify(jsonSchema())),
    );
  }));

Deno.test("names of types and views that there are not are told with their place, and refused before anything is made", async () => {
  await inFolder(async (folder) => {
    const [file, data] = [`${folder}/daybook.yaml`, `${folder}/data`];
    await Deno.writeTextFile(
      file,
      "retention:\n  types:\n    commits.commit.recorder: 30\nprojections:\n  policies: { audit.trial: skip }\n",
    );
    const checked = await run("config", "check", file, "--json");
    assert.deepEqual([checked.code, JSON.parse(checked.out).problems], [1, [
      {
        file,
        line: 3,
        column: 5,
        path: "retention.types",
        expected: "a type of events",
        found: '"commits.commit.recorder"',
        meant: "commits.commit.recorded",
      },
      {
        file,
        line: 5,
        column: 15,
        path: "projections.policies",
        expected: "the name of a view",
        found: '"audit.trial"',
        meant: "audit.trail",
      },
    ]]);
    await Deno.writeTextFile(file, "projections:\n  policies: { audit.trial: skip }\n");
    const started = await run("start", "--config", file, "--data", data, "--port", "0");
    assert.deepEqual([started.code, started.err], [
      2,
      'daybook: projections.policies: expected the name of a view, not "audit.trial"; did you mean audit.trail?\n',
    ]);
    await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
  });
});
