/** What several people ask of the folder's owner at once: each as if there were no other. */
import assert from "node:assert/strict";
import { writeArchive } from "../adapters/program/archive_folder.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { append, asked, begin, end, opened, reading, type System } from "./archive_given.ts";
import { EMAIL, filled } from "./end_to_end/privacy_given.ts";
import { inFolder } from "./folder_given.ts";

const rotated = (system: System, input: unknown) =>
  asked(system, "rotate-root-key", input) as Promise<{ readonly from: number; readonly to: number }>;

Deno.test("of two who replace the root key at once each replaces the other's, and it lies where the last one says", () =>
  inFolder(async (data) => {
    await filled(data);
    const to = { key: btoa("k".repeat(32)) };
    let last: "file" | "given" | undefined;
    await opened(data, async (system) => {
      const [own, given] = await Promise.all([rotated(system, {}), rotated(system, { to })]);
      assert.deepEqual([[own.from, own.to], [given.from, given.to]].sort(), [[1, 2], [2, 3]]);
      last = given.to === 3 ? "given" : "file";
    });
    const again = opened(data, () => Promise.resolve());
    if (last === "file") await again;
    else await assert.rejects(again, /this root key, version 2, was replaced .* by version 3$/);
  }));

Deno.test("of several who change the log's key at once each changes the other's", () =>
  inFolder(async (data) => {
    await opened(data, async (system) => {
      await append(system, 0, 10);
      const changes = await Promise.all([0, 0, 60_000].map((overlap_ms) =>
        asked(system, "rotate-log-key", { overlap_ms }) as Promise<{ readonly old: string; readonly new: string }>
      ));
      // Whoever comes first: of four keys each but the last has one other in its place.
      assert.equal(new Set(changes.flatMap((change) => [change.old, change.new])).size, 4);
      assert.equal(
        new Set(changes.map((change) =>
          change.old
        )).size,
        3,
      );
    });
    const report = await verifyLog({ path: `${data}/log.db` });
    assert.deepEqual([report.failures, report.key_changes?.length], [[], 3]);
  }));

Deno.test("of several who erase a person at once one does, and the others are told that it was done", () =>
  inFolder(async (data) => {
    await filled(data);
    await opened(data, async (system) => {
      const { subject } = system.keys.known(EMAIL)!;
      const erased = await Promise.allSettled([1, 2, 3].map(() => asked(system, "erase-subject", { subject })));
      assert.deepEqual(erased.map((one) => one.status === "fulfilled" ? "done" : one.reason.code), [
        "done",
        "already_erased",
        "already_erased",
      ]);
    });
  }));

Deno.test("of two who archive at once what the longer archive holds is let go of, whoever comes first", () =>
  inFolder(async (dir) => {
    for (const order of [[512, 256], [256, 512], [512, 512]]) {
      const data = `${dir}/data-${order}`;
      await opened(data, async (system) => {
        await append(system, 0, 600);
        const begun = [];
        for (const until of order) begun.push(await begin(system, until));
        for (const [i, one] of begun.entries()) {
          await reading(data, (log) => writeArchive(log, `${dir}/archive-${order}-${i}`, one, () => {}));
        }
        await Promise.all(begun.map((one) => end(system, one)));
      });
      const longest = `${dir}/archive-${order}-${order.indexOf(512)}`;
      for (const archive of [{}, { archive: longest }]) {
        assert.deepEqual((await verifyLog({ path: `${data}/log.db`, ...archive })).failures, [], `${order}`);
      }
    }
  }));
