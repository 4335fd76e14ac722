/** What is asked of whoever has the folder while its disk is full: it is told so, and nobody waits until there is room. */
import assert from "node:assert/strict";
import { openSystem } from "../adapters/program/daybook.ts";
import { append, archived, asked, begin, opened, type System } from "./archive_given.ts";
import { inFolder } from "./folder_given.ts";
import { onSmallDisk } from "./small_disk_given.ts";
import { until, within } from "./until.ts";

/** A log of 600 events, on a disk that has no room left until it is made. */
const onFullDisk = (t: Deno.TestContext, body: (system: System, room: () => Promise<void>) => Promise<void>) =>
  onSmallDisk(t, "8m", async (data, run) => {
    const system = await openSystem({ data });
    try {
      await append(system, 0, 600);
      await system.log.checkpoint(600);
      await run("sh", "-c", 'cat /dev/zero > "$0/fill" 2> "$0/told" || true', data);
      let taken = 600;
      await assert.rejects(async () => {
        for (;; taken++) await append(system, taken, 1);
      }, { kind: "full" });
      await body(system, () => Deno.remove(`${data}/fill`));
    } finally {
      await system.daybook.close();
    }
  });

Deno.test("whoever verified the log is told that it could not be recorded, and may have it recorded later", (t) =>
  onFullDisk(t, async (system, room) => {
    const verified = { size: 600, root: system.log.tree.root(600)!.toBase64(), ok: true, failures: 0, anchored: 0 };
    await assert.rejects(within("an answer", asked(system, "record-verification", verified), { seconds: 30 }), {
      kind: "full",
    });
    await room();
    await asked(system, "record-verification", verified);
    const told = [...system.log.read({ types: ["kernel.log.verified"] })].flat();
    assert.deepEqual(told.map(({ data }) => data), [{ ...verified, because: "asked" }]);
  }));

Deno.test("whoever wants to archive what has not come to tree and index is told so, and may ask again", (t) =>
  onFullDisk(t, async (system, room) => {
    await assert.rejects(within("an answer", begin(system, 600), { seconds: 30 }), {
      message: "Cannot archive: tree and index of the log get no further: database or disk is full",
    });
    await room();
    assert.equal((await begin(system, 600)).until, 512);
  }));

Deno.test("nothing is archived that views have not folded which stand still for want of room", (t) =>
  inFolder((dir) =>
    onSmallDisk(t, "8m", async (disk, run) => {
      const data = `${dir}/data`;
      await opened(data, () => Promise.resolve());
      await run("mv", `${data}/views.db`, disk);
      await Deno.symlink(`${disk}/views.db`, `${data}/views.db`);
      await opened(data, async (system) => {
        await run("sh", "-c", 'cat /dev/zero > "$0/fill" 2> "$1/told" || true', disk, dir);
        const stood = () => system.daybook.status().projections.filter(({ stoppedAt }) => stoppedAt?.of === "views");
        for (let at = 0; at < 600 || stood().length === 0; at += 200) {
          await append(system, at, 200);
          await until("views that look at what was appended", () =>
            system.daybook.status().projections, (all) =>
            all.every(({ size, state }) => state === "stopped" || size >= at + 200));
        }
        await assert.rejects(archived(system, data, `${dir}/archive`, 512), {
          name: "Refused",
          code: "view_behind",
          message:
            /^The view .+ stands still at position \d+, .*database or disk is full; archive when it has come to /,
        });
        await Deno.remove(`${disk}/fill`);
        await until("the views", stood, (all) => all.length === 0);
        assert.equal((await archived(system, data, `${dir}/archive`, 512)).until, 512);
        const { size } = system.daybook.log;
        assert.deepEqual((await system.daybook.view("audit.sources", { wait: size - 1 })).rows.length, 3);
      });
    })
  ));
