/** What is asked of whoever has the folder while its disk is full: it is told so, and nobody waits until there is room. */
import assert from "node:assert/strict";
import { append, archived, asked, begin, opened, type System } from "./archive_given.ts";
import { EMAIL, filled } from "./end_to_end/privacy_given.ts";
import { inFolder } from "./folder_given.ts";
import { onSmallDisk } from "./small_disk_given.ts";
import { until, within } from "./until.ts";

/** A data folder of which one file is on a disk of its own, how to fill that, and how to make room there. */
const withOnSmallDisk = (
  t: Deno.TestContext,
  file: string,
  body: (data: string, fill: () => Promise<void>, room: () => Promise<void>) => Promise<void>,
) =>
  inFolder((dir) =>
    onSmallDisk(t, "8m", async (disk, run) => {
      const data = `${dir}/data`;
      await opened(data, () => Promise.resolve());
      await run("mv", `${data}/${file}`, disk);
      await Deno.symlink(`${disk}/${file}`, `${data}/${file}`);
      const fill = () => run("sh", "-c", 'cat /dev/zero >> "$0/fill" 2> "$1/told" || true', disk, dir);
      await body(data, fill, () => Deno.remove(`${disk}/fill`));
    })
  );

/** A log of 600 events and more, of which the newest are in no tree yet and can be in none until there is room. */
const onFullDisk = (t: Deno.TestContext, body: (system: System, room: () => Promise<void>) => Promise<void>) =>
  withOnSmallDisk(t, "log.db", (data, fill, room) =>
    opened(data, async (system) => {
      await append(system, 0, 600);
      await system.log.checkpoint(600);
      await fill();
      await assert.rejects(async () => {
        for (let taken = 600;; taken++) await append(system, taken, 1).then(fill);
      }, { kind: "full" });
      await body(system, room);
    }));

/** It is told that it could not be recorded, and may be recorded later. */
const recordedLater = (t: Deno.TestContext) =>
  onFullDisk(t, async (system, room) => {
    const verified = { size: 600, root: system.log.tree.root(600)!.toBase64(), ok: true, failures: 0, anchored: 0 };
    await assert.rejects(within("an answer", asked(system, "record-verification", verified), { seconds: 30 }), {
      kind: "full",
    });
    await room();
    await asked(system, "record-verification", verified);
    const told = [...system.log.read({ types: ["kernel.log.verified"] })].flat();
    assert.deepEqual(told.map(({ data }) => data), [{ ...verified, because: "asked" }]);
  });

/** What has not come to tree and index is not archived yet. */
const archivedLater = (t: Deno.TestContext) =>
  onFullDisk(t, async (system, room) => {
    await assert.rejects(within("an answer", begin(system, 600), { seconds: 30 }), /database or disk is full/);
    await room();
    assert.equal((await begin(system, 600)).until, 512);
  });

/** The old one signs on. */
const keyChanged = (t: Deno.TestContext) =>
  onFullDisk(t, async (system, room) => {
    const before = system.keys.logKey.vkeys;
    const change = () => within("an answer", asked(system, "rotate-log-key", { overlap_ms: 0 }), { seconds: 30 });
    await assert.rejects(change(), /database or disk is full/);
    assert.deepEqual(system.keys.logKey.vkeys, before);
    await room();
    await change();
    assert.notDeepEqual(system.keys.logKey.vkeys, before);
  });

/** That is done, also where no checkpoint can be signed now. */
const erased = () =>
  inFolder(async (data) => {
    await filled(data);
    await opened(data, async (system) => {
      const { keys, log } = system;
      await log.checkpoint(log.size);
      keys.logKey.checkpoint = () => {
        throw new Error("it cannot sign");
      };
      const { subject } = keys.known(EMAIL)!;
      const done = await within("an answer", asked(system, "erase-subject", { subject }), { seconds: 30 }) as {
        readonly key: string;
        readonly erased: number;
        readonly size?: number;
      };
      assert.deepEqual([done.key, done.size], ["destroyed", undefined]);
      const [told] = [...log.read({ types: ["privacy.subject.erased"] })].flat();
      assert.equal(told!.position, done.erased);
      delete (keys.logKey as { checkpoint?: unknown }).checkpoint;
    });
  });

// At the same time, in a folder each: most of it is waiting for what does not come.
Deno.test("who has the log verified, archived, its key changed or somebody erased is told what cannot be done now, and may ask again", async (t) => {
  await Promise.all([recordedLater, archivedLater, keyChanged, erased].map((asks) => asks(t)));
});

Deno.test("nothing is archived that views have not folded which stand still for want of room", (t) =>
  withOnSmallDisk(t, "views.db", (data, fill, room) =>
    opened(data, async (system) => {
      await fill();
      const all = () => system.daybook.status().projections;
      const stood = () => all().filter(({ stoppedAt }) => stoppedAt?.of === "views");
      for (let at = 0; at < 600 || stood().length === 0; at += 200) {
        await append(system, at, 200);
        await until("views that look at what was appended", all, (each) =>
          each.every(({ size, state }) =>
            state === "stopped" || size >= at + 200
          ));
      }
      await assert.rejects(archived(system, data, `${data}.archive`, 512), {
        name: "Refused",
        code: "view_behind",
        message: /^The view .+ stands still at position \d+, .*database or disk is full; archive when it has come to /,
      });
      await room();
      await until("the views", stood, (each) => each.length === 0);
      assert.equal((await archived(system, data, `${data}.archive`, 512)).until, 512);
      const { size } = system.daybook.log;
      assert.equal((await system.daybook.view("audit.sources", { wait: size - 1 })).rows.length, 3);
    })));
