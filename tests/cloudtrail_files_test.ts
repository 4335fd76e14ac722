/** Which files of folders CloudTrail's importer takes, and what it says of those that it does not. */
import assert from "node:assert/strict";
import { filesIn } from "../adapters/cloudtrail/files.ts";
import { fileOf, imported, recordOf } from "./cloudtrail_given.ts";
import { opened } from "./daybook_given.ts";
import { inFolder } from "./folder_given.ts";

Deno.test("a folder that lies too deep is told of, and what lies above it comes in", async () => {
  await inFolder(async (folder) => {
    const deepest = `${folder}/logs${"/d".repeat(32)}`;
    await Deno.mkdir(`${deepest}/d`, { recursive: true });
    await Deno.writeTextFile(`${deepest}/1.json`, fileOf([recordOf(1)]));
    await Deno.writeTextFile(`${deepest}/d/2.json`, fileOf([recordOf(2)]));
    await using daybook = await opened();
    const { found, done } = await imported(daybook, `${folder}/logs`);
    assert.deepEqual([found.refused, found.problems], [1, [`${deepest}/d: not looked into, below 32 other folders`]]);
    assert.equal(done.events, 1);
  });
});

Deno.test("links within a folder are told of where log files may be behind them, and what lies beside them comes in", async () => {
  await inFolder(async (folder) => {
    const logs = `${folder}/logs`;
    await Deno.mkdir(logs);
    await Deno.mkdir(`${folder}/elsewhere`);
    await Deno.writeTextFile(`${logs}/1.json`, fileOf([recordOf(1)]));
    await Deno.writeTextFile(`${folder}/elsewhere/2.json`, fileOf([recordOf(2)]));
    await Deno.writeTextFile(`${folder}/elsewhere/notes.txt`, "not looked at");
    await Deno.symlink(`${folder}/elsewhere/2.json`, `${logs}/2.json`);
    await Deno.symlink(`${folder}/elsewhere`, `${logs}/more`);
    await Deno.symlink(`${folder}/elsewhere/notes.txt`, `${logs}/notes`);
    await Deno.symlink(`${folder}/gone`, `${logs}/nowhere`);
    await using daybook = await opened();
    const { found, done } = await imported(daybook, logs);
    const why = "not followed, for it is a link; name what it leads to";
    assert.deepEqual(found.problems, [`${logs}/2.json: ${why}`, `${logs}/more: ${why}`]);
    assert.equal(done.events, 1);
  });
});

Deno.test("of more files than one import takes the first come in, and it is told once that there are others", async () => {
  await inFolder(async (folder) => {
    for (const name of [1, 2, 3, 4]) await Deno.writeTextFile(`${folder}/${name}.json`, fileOf([recordOf(name)]));
    const { files, passedOver } = await filesIn([folder], 2);
    assert.deepEqual(files.map(({ path }) => path), [`${folder}/1.json`, `${folder}/2.json`]);
    const why = "neither it nor what follows was read: at most 2 files at once";
    assert.deepEqual(passedOver, [{ path: `${folder}/3.json`, why }]);
    assert.deepEqual((await filesIn([folder], 4)).passedOver, []);
  });
});
