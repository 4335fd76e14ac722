/** tlog-tiles folders that somebody has changed: each change is found and named, and none that nobody made. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { tlogFiles, writeTlog } from "../adapters/tlog/writer.ts";
import { bundlePath, pathsOf, WIDTH } from "../adapters/verify/tlog_files.ts";
import { verifyTlog } from "../adapters/verify/tlog.ts";
import { LogFault } from "../events/log.ts";
import { bundlePieces, readBundle } from "../events/tiles.ts";
import { FolderReader } from "../adapters/kv/folder_reader.ts";
import { catalogue } from "../events/catalogue.ts";
import type { Checkpoint } from "../events/log.ts";
import { inFolder } from "./folder_given.ts";
import { changed as changedKey, FIRST, makeChanging, SECOND, type Step, STRANGER } from "./key_change_given.ts";
import { withSignedLog, withTlogFolder } from "./tlog_given.ts";
import { chance, makeLog, signer, stranger, Tampered } from "./verify_given.ts";
import { cosigner } from "../adapters/keys/note.ts";

const SIZE = 700;
const key = signer.vkey;

/** The first failure as `position kind`. */
const firstOf = async (folder: string, options: Partial<Parameters<typeof verifyTlog>[0]> = {}): Promise<string> => {
  const { ok, failures: [first], failed } = await verifyTlog({ folder, key, ...options });
  assert.equal(ok, failed === 0);
  return first ? `${first.position} ${first.kind}` : "fine";
};

const change = async (path: string, at: number, bit = 1): Promise<void> => {
  const bytes = await Deno.readFile(path);
  bytes[at < 0 ? bytes.length + at : at]! ^= bit;
  await Deno.writeFile(path, bytes);
};

/** A changed copy of the folder, as often as there are changes. */
const changed = (
  folder: string,
  changes: Readonly<Record<string, readonly [change: (folder: string) => Promise<void>, expected: string]>>,
): Promise<void> =>
  inFolder(async (scratch) => {
    for (const [name, [spoil, expected]] of Object.entries(changes)) {
      const copy = join(scratch, name.replaceAll(/\W/g, "_"));
      await copyFolder(folder, copy);
      await spoil(copy);
      assert.equal(await firstOf(copy), expected, name);
    }
  });

const copyFolder = async (from: string, to: string): Promise<void> => {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(join(from, name), join(to, name));
    else await Deno.copyFile(join(from, name), join(to, name));
  }
};

Deno.test("a folder that nobody changed verifies, with the key and without", () =>
  withTlogFolder(SIZE, async (folder, log) => {
    const report = await verifyTlog({ folder, key });
    assert.deepEqual(report.failures, []);
    const { root } = (await log.checkpoint())!;
    assert.deepEqual(
      [report.ok, report.size, report.root, report.signed, report.authenticated, report.checkpoints],
      [true, SIZE, root, SIZE, true, [SIZE]],
    );
    assert.deepEqual([report.anchored, report.unanchored], [0, SIZE]);
    const unknown = await verifyTlog({ folder, folderKey: key });
    assert.deepEqual([unknown.ok, unknown.anchored, unknown.authenticated], [true, 0, false]);
    assert.equal(await firstOf(folder, { key: stranger.vkey }), `${SIZE - 1} signature`);
  }));

Deno.test("sizes around the width of a tile verify", async () => {
  for (const size of [1, 255, 256, 257, 512]) {
    await withTlogFolder(size, async (folder) => assert.equal(await firstOf(folder), "fine"));
  }
});

Deno.test("one changed, missing, surplus or cut file of each kind is found, and the first bad position named", () =>
  withTlogFolder(SIZE, async (folder) => {
    const entries = (name: string) => (copy: string) => join(copy, "tile/entries", name);
    const second = entries("001");
    const first = readBundle(await Deno.readFile(second(folder)))![0]!.length;
    await changed(folder, {
      "a byte of an entry": [(copy) => change(second(copy), 2 + first + 2 + 40), "257 entry"],
      "a length": [(copy) => change(second(copy), 1), "256 bundle"],
      "a cut bundle": [(copy) => Deno.truncate(second(copy), 1000), "256 bundle"],
      "an empty bundle": [(copy) => Deno.truncate(second(copy), 0), "256 bundle"],
      "a missing bundle": [(copy) => Deno.remove(second(copy)), "256 file"],
      "the last bundle missing": [(copy) => Deno.remove(entries("002.p/188")(copy)), "512 file"],
      "a leaf's hash": [(copy) => change(join(copy, "tile/0/001"), 32 * 3), "259 tile"],
      "a cut tile": [(copy) => Deno.truncate(join(copy, "tile/0/001"), 32 * 255), "256 tile"],
      "a padded tile": [(copy) => Deno.truncate(join(copy, "tile/0/002.p/188"), 32 * 189), "512 tile"],
      "a hash above": [(copy) => change(join(copy, "tile/1/000.p/2"), 33), "256 tile"],
      "a missing tile": [(copy) => Deno.remove(join(copy, "tile/1/000.p/2")), "0 file"],
      "a surplus tile": [
        (copy) => Deno.copyFile(join(copy, "tile/0/001"), join(copy, "tile/0/003")),
        `${SIZE - 1} file`,
      ],
      "a surplus file": [(copy) => Deno.writeTextFile(join(copy, "readme"), "x"), `${SIZE - 1} file`],
      "a link out of the folder": [async (copy) => {
        await Deno.rename(second(copy), join(dirname(copy), "elsewhere"));
        await Deno.symlink(join(dirname(copy), "elsewhere"), second(copy));
      }, "256 file"],
      "two bundles changed about": [async (copy) => {
        await Deno.rename(second(copy), join(copy, "x"));
        await Deno.rename(entries("000")(copy), second(copy));
        await Deno.rename(join(copy, "x"), entries("000")(copy));
      }, "0 entry"],
      "no checkpoint": [(copy) => Deno.remove(join(copy, "checkpoint")), "0 file"],
      "an empty checkpoint": [(copy) => Deno.truncate(join(copy, "checkpoint"), 0), "0 checkpoint"],
      "a byte of the checkpoint's root": [(copy) => change(join(copy, "checkpoint"), 30), "0 checkpoint"],
      "a byte of its signature": [(copy) => change(join(copy, "checkpoint"), -6), `${SIZE - 1} signature`],
    });
  }));

Deno.test("what is wrong with a file is named, each by itself", () =>
  withTlogFolder(SIZE, async (folder) => {
    const bundle = bundlePath(0, WIDTH);
    const cases: Record<string, readonly [path: string, spoil: (path: string) => Promise<void>, found: string]> = {
      "no checkpoint": ["checkpoint", (path) => Deno.remove(path), "none"],
      "a long checkpoint": ["checkpoint", (path) => Deno.truncate(path, 65_537), "65537 bytes"],
      "more behind the entries": [bundle, (path) =>
        Deno.writeFile(path, new Uint8Array(1), { append: true }), " other bytes"],
      "more than bundles have": [bundle, (path) =>
        Deno.truncate(path, WIDTH * 65_537 + 1), "16777473 bytes"],
    };
    for (const [name, [path, spoil, found]] of Object.entries(cases)) {
      const full = join(folder, path);
      const before = await Deno.readFile(full);
      await spoil(full);
      const { failures } = await verifyTlog({ folder });
      const seen = failures.some((one) =>
        one.expected.includes(path) && one.found.endsWith(found)
      );
      assert.ok(seen, `${name}: ${JSON.stringify(failures)}`);
      await Deno.writeFile(full, before);
    }
    assert.deepEqual((await verifyTlog({ folder })).failures, []);
  }));

Deno.test("an older checkpoint with a newer tree, a newer one with an older tree, and another log's are found", () =>
  withSignedLog([300, SIZE], (log, [older, newer]) =>
    inFolder(async (folder) => {
      const [old, young] = [join(folder, "old"), join(folder, "young")];
      await writeTlog(old, tlogFiles(log, older!));
      await writeTlog(young, tlogFiles(log, newer!));
      assert.equal(await firstOf(old), "fine");
      assert.equal(await firstOf(young, { against: [{ text: older!.note, name: "older", elsewhere: true }] }), "fine");
      assert.equal(
        await firstOf(old, { against: [{ text: newer!.note, name: "newer", elsewhere: true }] }),
        "300 truncated",
      );
      await Deno.writeTextFile(join(young, "checkpoint"), older!.note);
      assert.equal(await firstOf(young), "0 file");
      await Deno.writeTextFile(join(old, "checkpoint"), newer!.note);
      assert.equal(await firstOf(old), "0 file");
      const forked = signer.checkpoint(300, new Uint8Array(32).fill(9).toBase64());
      await writeTlog(old, tlogFiles(log, older!));
      assert.match(await firstOf(old, { against: [{ text: forked, name: "kept", elsewhere: true }] }), / forked$/);
    })));

Deno.test("a checkpoint of a size that nobody has costs no more than the folder has files", () =>
  withTlogFolder(300, async (folder) => {
    const size = 2 ** 53 - 1;
    await Deno.writeTextFile(join(folder, "checkpoint"), signer.checkpoint(size, new Uint8Array(32).toBase64()));
    assert.equal(await firstOf(folder), "256 truncated");
  }));

Deno.test("entries that are canonical and no history are found although tree and checkpoint are made anew", () =>
  withSignedLog([300], (log) =>
    inFolder(async (folder) => {
      // Whoever has the key can sign what they like; what an entry says about its place does not follow from that.
      const twisted = (position: number, from: string, to: string) => ({
        entry: (at: number) =>
          at === position
            ? new TextEncoder().encode(new TextDecoder().decode(log.entry(at)).replace(from, to))
            : log.entry(at),
      });
      const cases: readonly (readonly [ReturnType<typeof twisted>, string])[] = [
        [twisted(7, '"position":7', '"position":8'), "7 entry"],
        [twisted(9, '"revision":', '"revision":4'), "9 revision"],
        [twisted(11, '"id":"', '"id" :"'), "11 entry"],
      ];
      for (const [i, [source, expected]] of cases.entries()) {
        const place = join(folder, String(i));
        await writeTlog(place, tlogFiles(log, (await log.checkpoint())!));
        await writeTlog(place, [{
          path: "tile/entries/000",
          pieces: bundlePieces(source, { index: 0, width: 256 }),
          done: 256,
        }]);
        assert.equal(await firstOf(place), expected);
      }
    })));

Deno.test("what a witness has cosigned is anchored for who believes the witness, and a wrong cosignature is found", () =>
  withTlogFolder(300, async (folder, log) => {
    const { note } = (await log.checkpoint())!;
    const witness = cosigner("witness", new Uint8Array(32).fill(5));
    const cosigned = note + witness.cosign(note.slice(0, note.lastIndexOf("\n\n") + 1), 1_700_000_000);
    const against = [{ text: cosigned, name: "kept", elsewhere: false }];
    const believed = await verifyTlog({ folder, folderKey: key, against, witnesses: [witness.vkey] });
    assert.deepEqual([believed.ok, believed.anchored], [true, 300]);
    assert.equal((await verifyTlog({ folder, folderKey: key, against })).anchored, 0);
    const lines = cosigned.split("\n");
    const last = lines.at(-2)!;
    lines.splice(-2, 1, last.slice(0, -4) + (last.at(-4) === "A" ? "B" : "A") + last.slice(-3));
    const spoiled = [{ text: lines.join("\n"), name: "kept", elsewhere: false }];
    assert.equal(await firstOf(folder, { against: spoiled, witnesses: [witness.vkey] }), "299 signature");
  }));

Deno.test("200 seeded changes of a single byte are all found", () =>
  withTlogFolder(SIZE, async (folder) => {
    const paths = [
      "checkpoint",
      "tile/0/000",
      "tile/0/002.p/188",
      "tile/1/000.p/2",
      "tile/entries/000",
      "tile/entries/002.p/188",
    ];
    const random = chance(20261120);
    for (let i = 0; i < 200; i++) {
      const path = join(folder, paths[i % paths.length]!);
      const at = Math.floor(random() * (await Deno.stat(path)).size);
      const bit = 1 << Math.floor(random() * 8);
      await change(path, at, bit);
      assert.notEqual(await firstOf(folder), "fine", `bit ${bit} of byte ${at} of ${path}`);
      await change(path, at, bit);
    }
    assert.equal(await firstOf(folder), "fine");
  }));

Deno.test("what is no folder and what is no key is said, and nothing is verified", () =>
  withTlogFolder(3, async (folder) => {
    const kindOf = async (options: Parameters<typeof verifyTlog>[0]) => {
      try {
        await verifyTlog(options);
        return "none";
      } catch (error) {
        return error instanceof LogFault ? error.kind : String(error);
      }
    };
    assert.equal(await kindOf({ folder: join(folder, "nowhere") }), "missing");
    assert.equal(await kindOf({ folder: join(folder, "checkpoint") }), "foreign");
    assert.equal(await kindOf({ folder, key: "nonsense" }), "invalid");
    assert.equal(await kindOf({ folder, witnesses: [key] }), "invalid");
    await assert.rejects(() => verifyTlog({ folder, key, signal: AbortSignal.abort(new Error("enough")) }), /enough/);
  }));

Deno.test("a log whose key was changed is followed from either key, and a change that both have not signed is named", () =>
  inFolder(async (dir) => {
    let kept: readonly { readonly text: string; readonly name: string; readonly elsewhere: false }[] = [];
    const written = async (name: string, steps: readonly Step[]): Promise<string> => {
      const { notes } = await makeChanging(join(dir, `${name}.db`), steps);
      kept = [...notes].map(([size, text]) => ({ text, name: String(size), elsewhere: false }));
      const log = new FolderReader(join(dir, `${name}.db`), { catalogue: catalogue() });
      try {
        await writeTlog(join(dir, name), tlogFiles(log, (await log.checkpoint())!));
      } finally {
        await log.close();
      }
      return join(dir, name);
    };
    const changing: readonly Step[] = [300, [FIRST, SECOND], (at) => changedKey(at, [FIRST, SECOND]), [SECOND], 300];
    const folder = await written("true", changing);
    for (const { vkey } of [FIRST, SECOND]) {
      const report = await verifyTlog({ folder, key: vkey });
      assert.deepEqual(report.failures, []);
      assert.deepEqual(report.key_changes, [{ position: 300, old: FIRST.vkey, new: SECOND.vkey }]);
      assert.equal(report.authenticated, true);
      // Those from before the change are signed by the old key alone.
      assert.ok(kept.length > 2);
      assert.equal(await firstOf(folder, { key: vkey, against: kept }), "fine");
    }
    assert.equal(await firstOf(folder, { key: STRANGER.vkey }), "600 signature");
    const forged = changing.map((step) =>
      typeof step === "function" ? (at: Checkpoint) => changedKey(at, [STRANGER, SECOND], { old: FIRST.vkey }) : step
    );
    assert.equal(await firstOf(await written("forged", forged), { key: SECOND.vkey }), "300 key_change");
    const other = changing.map((step) =>
      typeof step === "function"
        ? ({ size }: Checkpoint) => changedKey({ size, root: "A".repeat(43) + "=" }, [FIRST, SECOND])
        : step
    );
    assert.equal(await firstOf(await written("other", other), { key: SECOND.vkey }), "300 key_change");
  }));

Deno.test("which files a log has, and up to an entry, and which entry is the first of each", () => {
  const whole = [
    ["tile/0/000", 0],
    ["tile/entries/000", 0],
    ["tile/0/001", 256],
    ["tile/entries/001", 256],
    ["tile/0/002.p/188", 512],
    ["tile/entries/002.p/188", 512],
    ["tile/1/000.p/2", 0],
  ];
  assert.deepEqual([...pathsOf(700)], whole);
  assert.deepEqual([...pathsOf(700, 512)], whole.filter(([, first]) => first !== 512));
  const upper = [...pathsOf(256 ** 2 + 5)].filter(([path]) => !/^tile\/(0|entries)\//.test(path));
  assert.deepEqual(upper, [["tile/1/000", 0], ["tile/2/000.p/1", 0]]);
});

Deno.test("a log that has no tiles becomes a folder as well", () =>
  inFolder(async (dir) => {
    const { path, root } = await makeLog(join(dir, "log.db"), { appends: [SIZE] });
    const file = new Tampered(path);
    for (const place of [[0, 0], [0, 1], [0, 2], [1, 0]]) file.delete("tile", ...place);
    file.close();
    const log = new FolderReader(path, { catalogue: catalogue() });
    try {
      await writeTlog(join(dir, "log"), tlogFiles(log, (await log.checkpoint())!));
    } finally {
      await log.close();
    }
    const report = await verifyTlog({ folder: join(dir, "log"), key });
    assert.deepEqual([report.ok, report.root, report.failures], [true, root, []]);
  }));
