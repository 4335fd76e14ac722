/** A log that was restored as another, and whose beginning lies in the archive of the one that it left. */
import assert from "node:assert/strict";
import { append, archived, opened } from "../archive_given.ts";
import { inFolder } from "../folder_given.ts";
import { run } from "./cli_given.ts";

Deno.test("a log that goes on under another name takes along what was archived before, into an archive of its own", () =>
  inFolder(async (dir) => {
    const [data, copy, to, own] = [`${dir}/data`, `${dir}/copy`, `${dir}/archive`, `${dir}/own`];
    await opened(data, async (system) => {
      await append(system, 0, 900);
      assert.equal((await archived(system, data, to, 600)).until, 512);
    });
    let attached: Record<string, string> = {};
    const env = { DAYBOOK_PASSPHRASE: "a passphrase of tests" };
    const typed = async (...args: string[]) => {
      const { code, out, err } = await run(args, { env: { ...env, ...attached } });
      return { code, text: out + err };
    };
    assert.equal((await typed("backup", `${dir}/backup`, "--with-keys", "--data", data)).code, 0);
    const restored = await typed("restore", `${dir}/backup`, "--new-origin", "tests/other", "--data", copy);
    assert.equal(restored.code, 0, restored.text);

    // A backup is without views: they are built where the archive is attached.
    attached = { DAYBOOK__LOG__ARCHIVE: to };
    const archive = (folder: string, ...more: string[]) =>
      typed("archive", "--before", "800", "--to", folder, ...more, "--data", copy);
    const alone = await archive(own);
    assert.equal(alone.code, 1);
    assert.match(alone.text, /first 512 events lie in another archive; .* with --archive take them along to a new one/);
    assert.match((await archive(to, "--archive", to)).text, /is the archive of another log/);
    const done = await archive(own, "--archive", to);
    assert.match(done.text, /archived.* 256 events, up to position 768/);
    assert.equal(done.code, 0);
    for (const [folder, at] of [[own, copy], [to, data]] as const) {
      const { code, text } = await typed("verify", "--archive", folder, "--data", at);
      assert.deepEqual([code, /^the log agrees with itself/.test(text)], [0, true], text);
    }
    // From then on its archive is one like others.
    await opened(copy, async (system) => {
      await append(system, 2_000, 300);
      assert.equal((await archived(system, copy, own, 1_100)).until, 1_024);
    });
  }));
