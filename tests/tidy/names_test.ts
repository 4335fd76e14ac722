/** Names that people search for: dotted, of their own domain, and written out where they are declared. */
import assert from "node:assert/strict";
import { actors } from "../../actors/mod.ts";
import { events } from "../../events/mod.ts";
import { projections } from "../../projections/mod.ts";

const root = new URL("../../", import.meta.url);

/** The text of a domain in one folder: its file and those beside it that begin with its name, or all files of the folder of that name. */
const textOf = (folder: string, domain: string): string => {
  const beside = [...Deno.readDirSync(new URL(`${folder}/`, root))].filter(({ name, isFile }) =>
    isFile && (name === `${domain}.ts` || name.startsWith(`${domain}_`))
  );
  if (beside.length > 0) {
    return beside.map(({ name }) => Deno.readTextFileSync(new URL(`${folder}/${name}`, root))).join("\n");
  }
  const inside = new URL(`${folder}/${domain}/`, root);
  return [...Deno.readDirSync(inside)].map(({ name }) => Deno.readTextFileSync(new URL(name, inside))).join("\n");
};

Deno.test("every fact is domain.noun.verb of its own domain, written out in that domain's file", () => {
  for (const { name: domain, facts } of events.domains) {
    const text = textOf("events", domain);
    for (const [type, { about }] of Object.entries(facts)) {
      assert.match(type, new RegExp(`^${domain}\\.[a-z_]+\\.[a-z_]+$`));
      assert.ok(text.includes(`"${type}"`), `${type} is written out in events/${domain}`);
      assert.match(about, /^\S.{5,}/, `${type} says what it means`);
    }
  }
});

Deno.test("every command is domain.noun.verb of its own actor, written out in that actor's file", () => {
  for (const { domain, commands, facts } of actors) {
    const text = textOf("actors", domain);
    for (const type of Object.keys(commands)) {
      assert.match(type, new RegExp(`^${domain}\\.[a-z_]+\\.[a-z_]+$`));
      assert.ok(text.includes(`"${type}"`), `${type} is written out in actors/${domain}`);
    }
    for (const type of facts) assert.ok(events.spec(type), `${type}, which ${domain} decides, is declared`);
  }
});

Deno.test("every view is domain.noun, written out in a file of projections/, and hears what there is", () => {
  const files = [...Deno.readDirSync(new URL("projections/", root))].filter(({ name }) => name.endsWith(".ts"));
  const text = files.map(({ name }) => Deno.readTextFileSync(new URL(`projections/${name}`, root))).join("\n");
  for (const { name, hears } of projections) {
    assert.match(name, /^[a-z_]+\.[a-z_]+$/);
    assert.ok(text.includes(`"${name}"`), `${name} is written out`);
    for (const type of hears === "*" ? [] : hears) assert.ok(events.spec(type), `${name} hears ${type}`);
  }
  const names = projections.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length, "no name is taken twice");
});
