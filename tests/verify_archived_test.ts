/** What a log's file says of its archived part: where that cannot be, or the archive is another, it is named, each by itself. */
import assert from "node:assert/strict";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { ArchivedTiles } from "../adapters/verify/archived_tiles.ts";
import { Failures } from "../adapters/verify/failures.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { append, archived, opened } from "./archive_given.ts";
import { inFolder } from "./folder_given.ts";
import { Tampered } from "./verify_given.ts";

type Row = Record<"until" | "kept" | "blocks", number> & { told: unknown[] };

const SAID = "what was archived, and where it was cut";

Deno.test("an archive that grows while it is looked at has its tiles", () =>
  inFolder(async (dir) => {
    const [data, archive] = [`${dir}/data`, `${dir}/archive`];
    await opened(data, async (system) => {
      await append(system, 0, 700);
      await archived(system, data, archive, 512);
      const failures = new Failures();
      const tiles = new ArchivedTiles(archive, 512);
      const before = tiles.checkpoint(failures)!.text;
      await append(system, 700, 1400);
      await archived(system, data, archive, 1024);
      tiles.judge(failures, 512);
      assert.deepEqual(failures.list, []);
      // By a checkpoint that is of no more entries it has not grown.
      Deno.writeTextFileSync(`${archive}/checkpoint`, before);
      const [later, missed] = [new ArchivedTiles(archive, 512), new Failures()];
      later.checkpoint(missed);
      later.judge(missed, 512);
      assert.deepEqual(missed.list.map(({ expected }) => expected), ["the file tile/1/000.p/2 of the archive"]);
    });
  }));

Deno.test("what is wrong with what was archived is named", () =>
  inFolder(async (dir) => {
    const [data, archive] = [`${dir}/data`, `${dir}/archive`];
    await opened(data, async (system) => {
      await append(system, 0, 700);
      await archived(system, data, archive, 512);
    });
    const said = (edit: (row: Row) => void) => (file: Tampered) => {
      const row = JSON.parse(file.text("archived")) as Row;
      edit(row);
      file.put(JSON.stringify(row), "archived");
    };
    const unbytes = (...key: (string | number)[]) => (file: Tampered) =>
      file.run("update kv set v_encoding = 1 where k = ?", encodeKey(key));
    const cases: Record<string, readonly [change: (file: Tampered) => void, expected: string, found: string]> = {
      "no bytes": [unbytes("archived"), SAID, "a value of encoding 1"],
      "an end within a bundle": [said((row) => row.until--), SAID, "a boundary that is none"],
      "more blocks": [said((row) => row.blocks++), SAID, "other blocks"],
      "no count of blocks": [said((row) => row.blocks = 0), SAID, "other blocks"],
      "an entry that is kept": [said((row) => row.told.push([row.kept, ""])), SAID, "an entry that was not archived"],
      "blocks that go back": [
        (file) => file.put(file.get("archive", 0).slice().fill(0, 40, 48), "archive", 0),
        SAID,
        "a block at 0",
      ],
      "half a block": [(file) => file.put(new Uint8Array(41), "archive", 0), SAID, "a row of blocks at 0"],
      "blocks that are no bytes": [unbytes("archive", 0), SAID, "a row of blocks at 0"],
      "no tile": [(file) => file.delete("tile", 0, 0), "the hashes of the archived entries from 0 on", "none"],
      "half a tile": [
        (file) => file.put(file.get("tile", 0, 1).slice(0, 32), "tile", 0, 1),
        "the hashes of the archived entries from 256 on",
        "fewer",
      ],
    };
    const path = `${dir}/changed.db`;
    const look = async (of: { readonly archive?: string }) =>
      (await verifyLog({ path, ...of })).failures.map(({ expected, found }) => [expected, found] as const);
    for (const [name, [change, expected, found]] of Object.entries(cases)) {
      Deno.copyFileSync(`${data}/log.db`, path);
      const file = new Tampered(path);
      change(file);
      file.close();
      const seen = await look({});
      assert.ok(seen.some((one) => one[0] === expected && one[1].includes(found)), `${name}: ${JSON.stringify(seen)}`);
    }
    Deno.copyFileSync(`${data}/log.db`, path);
    assert.deepEqual(await look({ archive }), []);
    const file = new Tampered(path);
    const { kept } = JSON.parse(file.text("archived")) as Row;
    file.close();
    assert.ok(kept < 512, "the last bundle has entries that are kept, too");
    const [first, last] = [`${archive}/tile/entries/000`, `${archive}/tile/entries/001`];
    const [was, end] = [Deno.readFileSync(first), Deno.readFileSync(last)];
    // Of the first entry the first letter, and of the last one.
    Deno.writeFileSync(first, was.with(2, 0x78));
    assert.ok((await look({ archive })).some(([, found]) => found.endsWith("of the archive that are no events")));
    Deno.writeFileSync(first, was);
    Deno.writeFileSync(last, end.with(end.length - 1, 0x78));
    assert.deepEqual(await look({ archive }), [["the entry of the tree, in the archive, too", "another"]]);
    Deno.removeSync(last);
    assert.ok((await look({ archive })).some(([expected]) => expected === "an entry bundle"));
  }));
