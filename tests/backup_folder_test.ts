/** A folder that is filled beside its place, alone and while others fill one for the same place. */
import assert from "node:assert/strict";
import { fillFolder } from "../adapters/backup/folder.ts";
import { LogFault } from "../events/log.ts";
import { inFolder } from "./folder_given.ts";

Deno.test("what is flushed is not cleared away by another that is to take the same place", () =>
  inFolder(async (dir) => {
    const { promise: filled, resolve: isFilled } = Promise.withResolvers<void>();
    const names = Array.from({ length: 2_000 }, (_, n) => `${n}`);
    const first = fillFolder(`${dir}/b`, async (folder) => {
      for (const name of names) Deno.writeTextFileSync(`${folder}/${name}`, name);
      isFilled();
      await Promise.resolve();
    });
    await filled;
    // By then files are being flushed.
    await new Promise((resolve) => setTimeout(resolve, 10));
    const second = fillFolder(`${dir}/b`, () => first);
    await assert.rejects(second, (error) => error instanceof LogFault && error.kind === "invalid");
    await first;
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["b"]);
    assert.equal([...Deno.readDirSync(`${dir}/b`)].length, names.length);
  }));

Deno.test("what keeps a folder from being filled is told of where it was to be, not of one that is gone", () =>
  inFolder(async (dir) => {
    const filling = fillFolder(`${dir}/back`, (folder) => {
      throw new LogFault("sealed", `Cannot open ${folder}/keys.db: its root key ${folder}/root.key is missing`);
    });
    const message = `Cannot open ${dir}/back/keys.db: its root key ${dir}/back/root.key is missing`;
    await assert.rejects(filling, { name: "LogFault", kind: "sealed", message });
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));
