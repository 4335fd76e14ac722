/**
 * What each version of each fact takes, as a digest of its JSON Schema, in `shapes.json`. Lines are only added: a recorded shape is never
 * edited, for an older program would take what it does not know for something else.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { canonical } from "../../events/canonical.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import { HERE } from "./golden.ts";

type Shapes = Readonly<Record<string, string>>;

const KEPT = `${HERE}shapes.json`;
const CHARS = 16;

export const readShapes = async (): Promise<Shapes> => JSON.parse(await Deno.readTextFile(KEPT));

/** By type and version. */
export const shapesOf = ({ domains }: Pick<Catalogue, "domains">): Shapes =>
  Object.fromEntries(
    domains.flatMap(({ facts }) => Object.entries(facts)).map(([type, { schema, version = 1 }]) => {
      // Rules that no JSON Schema can tell are not held to it.
      const shape = canonical(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
      return [`${type} ${version}`, createHash("sha256").update(shape).digest("hex").slice(0, CHARS)];
    }),
  );

/** What does not hold, one line each. */
export const edited = (known: Shapes, now: Shapes): readonly string[] =>
  Object.entries(now).flatMap(([shape, digest]) => {
    if (known[shape] === digest) return [];
    return shape in known
      ? [`${shape} takes other data than it did: it needs a new version, and an upcast`]
      : [`${shape} has no line: deno run -A tests/golden/make.ts --shapes`];
  });

/** The lines there are, and those that were missing. */
export const keepShapes = async (now: Shapes): Promise<void> => {
  const known = await readShapes();
  await Deno.writeTextFile(KEPT, `${JSON.stringify({ ...known, ...now, ...known }, undefined, 2)}\n`);
};
