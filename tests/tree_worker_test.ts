/** Tiles as they are shipped: made in the worker behind the log, for new logs and for those of versions that had none. */
import assert from "node:assert/strict";
import { openDaybook } from "../main.ts";
import { inFolder } from "./folder_given.ts";
import { leaf, mth } from "./proofs_given.ts";
import { until } from "./until.ts";

type Daybook = Awaited<ReturnType<typeof openDaybook>>;

/** Waits until the tiles have come as far as the newest checkpoint, and holds them against the entries. */
const tiled = async (daybook: Daybook): Promise<void> => {
  const { log } = daybook;
  const { size, root } = (await daybook.checkpoint(log.size))!;
  await until("the tiles", () => log.tree.size, (tiled) => tiled >= size);
  const expected = mth(Array.from({ length: size }, (_, i) => leaf(log.entry(i)!)));
  assert.equal(expected.toBase64(), root);
  assert.deepEqual([...log.tree.root(size)!], [...expected]);
};

Deno.test("the worker behind a log makes its tiles with each checkpoint", () =>
  inFolder(async (dir) => {
    const daybook = await openDaybook({ data: `${dir}/data` });
    const by = { authtype: "system", authid: "tests" } as const;
    for (let round = 0; round < 3; round++) {
      const events = Array.from(
        { length: 300 },
        (_, i) => ({ id: `${round}-${i}`, source: "/a", type: "a.b.happened" }),
      );
      assert.ok((await daybook.ingest(events, by)).ok);
      await tiled(daybook);
    }
    await daybook.close();
  }));

Deno.test("a log of a version that had no tiles gets them", () =>
  inFolder(async (dir) => {
    const golden = new URL("golden/0.1.0/", import.meta.url);
    for (const file of ["log.db", "keys.db", "root.key"]) await Deno.copyFile(new URL(file, golden), `${dir}/${file}`);
    const daybook = await openDaybook({ data: dir });
    await tiled(daybook);
    await daybook.close();
  }));
