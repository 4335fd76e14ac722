/** The catalogue of controls as it lies on the disk: every `.yaml` file of a folder, in the order of their names. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { actors } from "../../actors/mod.ts";
import { type Guardable, parseControls, problemsText, type Stated } from "../../config/controls.ts";
import { events } from "../../events/mod.ts";
import { Usage } from "../cli/call.ts";
import { regularText } from "../cli/terminal.ts";
import { OPERATIONS } from "./controls/guarded.ts";

/** That of the program. */
const OWN = fileURLToPath(new URL("../../config/controls", import.meta.url));

/** Throws `Usage` with every reason why they cannot be read; a folder that was named must be there. */
export const readControls = async (folder?: string): Promise<readonly Stated[]> => {
  const place = folder ?? OWN;
  const files: { readonly file: string; readonly text: string }[] = [];
  for (const name of await namesIn(place)) {
    const file = join(place, name);
    files.push({ file, text: await regularText(file) });
  }
  if (files.length === 0) throw new Usage(`there are no controls in ${place}: it has no .yaml file`);
  const read = parseControls(files, guardable());
  if (read.ok) return read.controls;
  throw new Usage(problemsText(read.problems));
};

/** A fact that is decided is declined by its command. */
export const guardable = (): Guardable => ({
  names: [
    ...actors.flatMap(({ commands }) => Object.keys(commands)),
    ...events.domains.flatMap(({ facts }) => Object.keys(facts)).filter((type) =>
      events.spec(type)?.kind === "observed"
    ),
    ...OPERATIONS,
  ],
  domains: events.domains.map(({ name }) => name),
});

const namesIn = async (folder: string): Promise<readonly string[]> => {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".yaml")) names.push(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new Usage(`there are no controls: ${folder} is not there`);
    throw error;
  }
  return names.sort();
};
