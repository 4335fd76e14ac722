/** The catalogue of controls as it lies on the disk: read as a whole, or every reason why not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Usage } from "../adapters/cli/call.ts";
import { readControls } from "../adapters/program/controls_files.ts";
import { inFolder } from "./folder_given.ts";

const OWN = new URL("../config/controls/", import.meta.url);

const refused = async (folder: string): Promise<string> => {
  try {
    await readControls(folder);
    return "read";
  } catch (error) {
    assert.ok(error instanceof Usage, String(error));
    return error.message;
  }
};

Deno.test("the program's own controls are read, and the same from another folder, in the order of their files", () =>
  inFolder(async (folder) => {
    const own = await readControls();
    assert.ok(own.length >= 20);
    for await (const { name } of Deno.readDir(OWN)) await Deno.copyFile(new URL(name, OWN), join(folder, name));
    await Deno.writeTextFile(join(folder, "notes.txt"), "not a control");
    assert.deepEqual(await readControls(folder), own);
  }));

Deno.test("a folder that is missing, empty or has a broken file is wrong usage, with file, line and what was expected", () =>
  inFolder(async (folder) => {
    assert.match(await refused(join(folder, "nowhere")), /there are no controls: .+ is not there/);
    assert.match(await refused(folder), /it has no \.yaml file/);
    await Deno.writeTextFile(join(folder, "a.yaml"), "controls:\n  - id: one\n");
    await Deno.writeTextFile(join(folder, "b.yaml"), "controls: [");
    const said = await refused(folder);
    assert.match(said, /a\.yaml:2/);
    assert.match(said, /b\.yaml:1/);
    await Deno.mkdir(join(folder, "none"));
    await Deno.writeTextFile(join(folder, "none/all.yaml"), "controls: []\n");
    assert.deepEqual(await readControls(join(folder, "none")), []);
  }));
