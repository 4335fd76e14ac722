/** A backup that still has somebody's key comes back without it. */
import assert from "node:assert/strict";
import { document, type Place, run, withPlace } from "./cli_given.ts";
import { authors, EMAIL, filled, NAME, opened, recorded, until } from "./privacy_given.ts";

const PASS = { env: { DAYBOOK_PASSPHRASE: "correct horse battery" } };

/** A folder in which somebody was erased behind a backup of it with its keys; the certificate lies beside it. */
const backedUp = async ({ dir, data }: Place): Promise<{ readonly subject: string }> => {
  await filled(data);
  const backup = await run(["backup", `${dir}/backup`, "--with-keys", "--data", data], PASS);
  assert.equal(backup.code, 0, backup.err);
  const erased = await document<{ subject: string }>(["erase", EMAIL, "--out", `${dir}/erasure.json`, "--data", data]);
  assert.equal(erased.exit, 0);
  return erased;
};

const AGAIN = "privacy.subject.erased";

Deno.test("a restored copy has every erasure applied again that the folder it replaces knows of", () =>
  withPlace(async (place) => {
    const { dir, data } = place;
    const { subject } = await backedUp(place);
    // One of the two may be lost: its log, or its keys.
    for (const gone of ["log.db", "keys.db"]) {
      const replaced = `${dir}/replaced-${gone}`, copy = `${dir}/copy-${gone}`;
      await Deno.mkdir(replaced);
      for (const { name, isFile } of Deno.readDirSync(data)) {
        if (isFile && name !== gone) Deno.copyFileSync(`${data}/${name}`, `${replaced}/${name}`);
      }
      const back = ["restore", `${dir}/backup`, "--replaces", replaced, "--data"];
      const restored = await document([...back, copy, "--new-origin", "example.com/after"], PASS);
      assert.deepEqual([restored.exit, restored.erased], [0, 1], gone);
      await opened(copy, async (daybook) => {
        assert.equal(authors(daybook)[0], "[erased]", gone);
        await until(daybook, AGAIN, 1);
        assert.deepEqual(recorded(daybook, AGAIN), [{ subject, key: "destroyed", because: "restore" }]);
      });
      await opened(copy, (daybook) => assert.equal(recorded(daybook, AGAIN).length, 1, "recorded once"));
    }
    const read = await document(["restore", `${dir}/backup`, "--replaces", data, "--data", `${dir}/read`], PASS);
    assert.deepEqual([read.exit, read.erased, read.readOnly], [0, 1, true], "a copy that is only read");
    const shown = await run(["events", "--since", "0", "--personal", "--json", "--data", `${dir}/read`]);
    assert.deepEqual([shown.out.includes("[erased]"), shown.out.includes(NAME)], [true, false]);
  }));

Deno.test("a certificate tells of an erasure too, if this log's key has signed it", () =>
  withPlace(async (place) => {
    const { dir } = place;
    await backedUp(place);
    const certificate = `${dir}/erasure.json`;
    const restore = (to: string, ...more: readonly string[]) =>
      run(["restore", `${dir}/backup`, ...more, "--data", `${dir}/${to}`], PASS);
    const plain = await restore("plain");
    assert.equal(plain.code, 0, plain.err);
    await opened(`${dir}/plain`, (daybook) => assert.equal(authors(daybook)[0], NAME, "the backup has the key"));
    const restored = await restore("copy", "--erasure", certificate);
    assert.equal(restored.code, 0, restored.err);
    assert.match(restored.out, /1 erasure applied again, so that they stay erased/);
    await opened(`${dir}/copy`, (daybook) => assert.equal(authors(daybook)[0], "[erased]"));

    await Deno.writeTextFile(
      certificate,
      (await Deno.readTextFile(certificate)).replace(/"s_[\w-]{16}"/, '"s_bbbbbbbbbbbbbbbb"'),
    );
    for (
      const [more, code, message] of [
        [["--erasure", certificate], 2, /is no certificate of an erasure in this log: its signature is over another/],
        [["--replaces", `${dir}/nothing`], 3, /nothing knows of erasures cannot be read/],
      ] as const
    ) {
      const refused = await restore("other", ...more);
      assert.equal(refused.code, code, refused.err);
      assert.match(refused.err, message);
      assert.throws(() => Deno.statSync(`${dir}/other`), Deno.errors.NotFound);
    }
    const without = await run(["restore", `${dir}/backup`, "--erasure", certificate, "--data", `${dir}/other`]);
    assert.equal(without.code, 2);
    assert.match(without.err, /erasures are applied to the keys of the backup/);
  }));
