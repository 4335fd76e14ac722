/** The verifier on sound logs, and against published vectors. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { fingerprint, fingerprintOfId } from "../adapters/kv/fingerprint.ts";
import { nameFingerprint, streamFingerprint, typeFingerprint } from "../adapters/verify/fingerprint.ts";
import { readCheckpoint, readNote, readVerifierKey, signedBy } from "../adapters/verify/note.ts";
import {
  HASH_BYTES,
  HELD_MIN,
  heldToPlatform,
  leafHash,
  MerkleTree,
  nodeHash,
  peaksOf,
} from "../adapters/verify/tree.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { LogFault } from "../events/log.ts";
import { chance, makeLog, ones, signer, stranger, Tampered } from "./verify_given.ts";
import { inFolder } from "./folder_given.ts";
import { INPUTS, ROOTS } from "./proofs_given.ts";

Deno.test("the tree has the roots of the reference tree of RFC 9162", () => {
  const tree = new MerkleTree();
  for (const [size, root] of ROOTS.entries()) {
    assert.equal(tree.size, size);
    assert.equal(tree.root().toHex(), root.toHex());
    assert.equal(tree.subtrees().length, peaksOf(size));
    if (size < INPUTS.length) tree.add(leafHash(INPUTS[size]!));
  }
});

Deno.test("hashes of many at once are held against the platform's, and others are a fault and no finding", () => {
  const hashes = crypto.getRandomValues(new Uint8Array(HELD_MIN * HASH_BYTES));
  const right = (index: number) => hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  const wrong = (index: number) => right(index).with(0, right(index)[0]! ^ 1);
  for (let n = 0; n < 100; n++) {
    assert.equal(heldToPlatform(hashes, right), hashes);
    assert.throws(() => heldToPlatform(hashes, wrong), LogFault);
  }
  assert.equal(heldToPlatform(hashes.subarray(HASH_BYTES), wrong).length, (HELD_MIN - 1) * HASH_BYTES);
});

/** RFC 9162 section 2.1.1 read aloud. */
const mth = (leaves: readonly Uint8Array[]): Uint8Array => {
  if (leaves.length === 0) return new MerkleTree().root();
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
};

Deno.test("the tree grown leaf by leaf is the tree of the definition, and its subtrees cover it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 50 }), (size, batch) => {
      const leaves = Array.from({ length: size }, (_, i) => leafHash(Buffer.from(String(i))));
      const tree = new MerkleTree();
      // In batches of any size, as blocks bring them.
      for (let from = 0; from < size; from += batch) tree.add(Buffer.concat(leaves.slice(from, from + batch)));
      assert.deepEqual(Buffer.from(tree.root()), Buffer.from(mth(leaves)));
      let until = 0;
      for (const { from, count, hash } of tree.subtrees()) {
        assert.equal(from, until);
        assert.deepEqual(Buffer.from(hash), Buffer.from(mth(leaves.slice(from, until = from + count))));
      }
      assert.equal(until, size);
    }),
    { numRuns: 60 },
  );
});

Deno.test("fingerprints are those the format has, although computed apart", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string(), (a, b) => {
      assert.equal(streamFingerprint(a), fingerprint(a));
      assert.equal(typeFingerprint(a), fingerprint(a, 1));
      assert.equal(nameFingerprint(a, b), fingerprintOfId(a, b));
    }),
  );
});

Deno.test("notes are read as C2SP says, and a signature counts only under its own key", () => {
  const note = signer.checkpoint(3, ROOTS[3]!.toBase64());
  const read = readNote(note)!;
  const own = readVerifierKey(signer.vkey)!;
  assert.equal(signedBy(read, own), "signed");
  assert.equal(signedBy(read, readVerifierKey(stranger.vkey)!), "unsigned");
  assert.equal(signedBy(readNote(note.replace("\n3\n", "\n4\n"))!, own), "wrong");
  assert.deepEqual(readCheckpoint(read.text), {
    origin: signer.name,
    size: 3,
    root: ROOTS[3]!.toBase64(),
  });
  // A second signer, as a witness adds one, takes nothing away.
  const line = stranger.checkpoint(3, "x").split("\n\n")[1]!;
  assert.equal(signedBy(readNote(note + line)!, own), "signed");
  for (
    const bad of [
      "",
      "\n",
      "a\n3\n",
      note.slice(0, -1),
      note + "\n",
      note.replace("— ", "- "),
      note.replace("\n3\n", "\n3\r\n"),
      note + "x\n",
    ]
  ) {
    assert.equal(readNote(bad), undefined, JSON.stringify(bad));
  }
  const root = "A".repeat(43) + "=";
  for (
    const bad of [
      `a\n03\n${root}\n`,
      `a\n3\n${root}`,
      `a\n3\nAAAA\n`,
      `a\n-1\n${root}\n`,
      `\n3\n${root}\n`,
      `a\n3\n${root}\n\n`,
      `a\n9007199254740993\n${root}\n`,
    ]
  ) {
    assert.equal(readCheckpoint(bad), undefined, JSON.stringify(bad));
  }
  assert.ok(readCheckpoint(`a\n3\n${root}\nextension\n`));
  for (
    const bad of [
      "",
      "a+b+c",
      signer.vkey.slice(0, -1),
      signer.vkey.replace("+", "+0"),
      signer.vkey.replace("daybook", "Daybook"),
    ]
  ) {
    assert.equal(readVerifierKey(bad), undefined, bad);
  }
});

Deno.test("logs of many sizes and shapes are found sound, with the root the writer signed", async () => {
  await inFolder(async (dir) => {
    const random = chance(1);
    const shapes: number[][] = [
      [],
      [1],
      [2],
      [1, 1],
      [3],
      [4],
      [7, 1],
      [8],
      [16],
      [17],
      [63, 2],
      [64],
      [255, 1],
      [256],
      [257],
      [1000],
      ones(40),
    ];
    for (let i = 0; i < 12; i++) shapes.push(Array.from({ length: 1 + random() * 8 }, () => Math.ceil(random() * 60)));
    for (const [i, appends] of shapes.entries()) {
      const made = await makeLog(`${dir}/${i}.db`, { appends, streams: 1 + i % 7 });
      const report = await verifyLog({ path: made.path, key: signer.vkey });
      assert.deepEqual(report.failures, [], JSON.stringify(appends));
      assert.equal(report.ok, true);
      assert.equal(report.size, made.size);
      assert.deepEqual([report.signed, report.anchored, report.unanchored], [made.size, 0, made.size]);
      assert.equal(report.authenticated, made.size > 0);
      if (made.size > 0) assert.equal(report.root, made.root);
      else assert.equal(report.root, ROOTS[0]!.toBase64());
      assert.equal(report.streams, Math.min(made.size, 1 + i % 7));
    }
  });
});

Deno.test("a log whose index has segments of several levels is found sound", async () => {
  await inFolder(async (dir) => {
    const appends = new Array<number>(20).fill(100);
    const { path, size } = await makeLog(`${dir}/log.db`, { appends, streams: 11, segmentEvents: 64 });
    const report = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([report.failures, report.signed, report.anchored], [[], size, 0]);
    const file = new Tampered(path);
    assert.match(file.text("manifest"), /"level":1/);
    file.close();
  });
});

Deno.test("a checkpoint that was kept for good is missed when it is gone, and what says so cannot be another", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const { path, size } = await makeLog(`${dir}/log.db`, { appends: ones(30), keep: [7, 20] });
    const look = async (change: (file: Tampered) => void) => {
      await Deno.copyFile(path, `${dir}/changed.db`);
      const file = new Tampered(`${dir}/changed.db`);
      change(file);
      file.close();
      const { failures } = await verifyLog({ path: file.path, key: signer.vkey });
      return failures.map(({ position, kind, expected, found }) => `${position} ${kind} ${expected}, ${found}`);
    };
    assert.deepEqual(await look(() => {}), []);
    for (const gone of [7, 20]) {
      const missed = await look((file) => file.delete("checkpoints", gone));
      assert.deepEqual(missed, [`${size - 1} checkpoint 2 checkpoints that are kept for good, 1`]);
    }
    const newest = await look((file) => file.delete("checkpoint"));
    assert.ok(newest.some((one) => one.endsWith("checkpoint a newest checkpoint of 20 or more, none")), newest.join());
    const tree = await look((file) => file.delete("tree"));
    assert.ok(tree.some((one) => one.endsWith("the tree's frontier beside the newest checkpoint, none")), tree.join());
    const said = (edit: (row: Record<string, unknown>) => void) => (file: Tampered) => {
      const row = JSON.parse(file.text("checkpoint"));
      edit(row);
      file.put(JSON.stringify(row), "checkpoint");
    };
    for (
      const edit of [
        said((row) => row.kept = 1),
        said((row) => row.index = "x"),
        said((row) => delete row.sum),
        said((row) => delete row.kept),
        said((row) => row.more = 1),
      ]
    ) assert.match((await look(edit))[0]!, /^29 checkpoint how many checkpoints are kept/);
    // As versions before it had it.
    const older = await look(said((row) => ["kept", "index", "sum"].forEach((name) => delete row[name])));
    assert.deepEqual(older, []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("without a key a sound log agrees with itself and nothing is anchored; what is kept elsewhere anchors", async () => {
  await inFolder(async (dir) => {
    const notes: string[] = [];
    const { path, size, note } = await makeLog(`${dir}/log.db`, { appends: ones(9) });
    const alone = await verifyLog({ path });
    assert.deepEqual([alone.ok, alone.anchored, alone.authenticated], [true, 0, false]);
    // An older copy of the file has its key's checkpoint, too.
    const signed = await verifyLog({ path, key: signer.vkey });
    assert.deepEqual([signed.ok, signed.signed, signed.anchored, signed.unanchored], [true, size, 0, size]);
    const folder = await verifyLog({
      path,
      folderKey: signer.vkey,
      against: [{ text: note!, name: "keys", elsewhere: false }],
    });
    assert.deepEqual([folder.ok, folder.anchored, folder.authenticated], [true, 0, false]);
    const witness = await verifyLog({
      path,
      against: [{ text: note!.split("\n\n")[0] + "\n", name: "w.txt", elsewhere: true }],
    });
    assert.deepEqual([witness.ok, witness.anchored, witness.authenticated], [true, size, false]);
    notes.push(note!);
    const both = await verifyLog({
      path,
      key: signer.vkey,
      against: notes.map((text) => ({ text, name: "w", elsewhere: true })),
    });
    assert.deepEqual([both.ok, both.anchored, both.authenticated], [true, size, true]);
  });
});

Deno.test("a log that grew since a checkpoint that is kept elsewhere is anchored up to it, and the tail is apart", async () => {
  await inFolder(async (dir) => {
    const early = await makeLog(`${dir}/early.db`, { appends: [5, 6] });
    const { path } = await makeLog(`${dir}/log.db`, { appends: [5, 6, 7], signed: false });
    // The recorded times differ between the two, so the older one's file is what grows.
    const grown = await makeLog(early.path, { appends: [7], signed: false });
    assert.equal(grown.size, 18);
    const against = [{ text: early.note!, name: "kept", elsewhere: true }];
    const report = await verifyLog({ path: early.path, key: signer.vkey, against });
    assert.deepEqual([report.ok, report.size, report.anchored, report.unanchored], [true, 18, 11, 7]);
    assert.deepEqual([report.signed, report.checkpoint], [11, 11]);
    assert.equal((await verifyLog({ path })).ok, true);
  });
});

Deno.test("a key that is none and a file that is not there are told apart from a log that is wrong", async () => {
  const fault = (kind: string) => (error: unknown) => error instanceof LogFault && error.kind === kind;
  await inFolder(async (dir) => {
    await assert.rejects(verifyLog({ path: `${dir}/none.db` }), fault("io"));
    await assert.rejects(verifyLog({ path: `${dir}/none.db`, key: "what" }), fault("invalid"));
    await Deno.writeTextFile(`${dir}/text.db`, "not a database ".repeat(100));
    await Deno.writeTextFile(`${dir}/empty.db`, "");
    for (const name of ["text", "empty"]) {
      const report = await verifyLog({ path: `${dir}/${name}.db` });
      assert.deepEqual(
        [report.ok, report.failures[0]?.kind, report.failures[0]?.position],
        [false, "foreign", 0],
        name,
      );
    }
  });
});

Deno.test("names are compared in as many passes as memory asks for, with the same result", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [30, 30, 30] });
    assert.equal((await verifyLog({ path, namesMax: 7 })).ok, true);
    const file = new Tampered(path);
    const [, second] = file.blocks();
    const entries = file.entries(second!);
    entries[11] = { ...entries[11], id: file.entries(0)[2]!.id, source: file.entries(0)[2]!.source };
    file.write(second!, entries);
    file.rechain();
    file.forget();
    file.close();
    for (const namesMax of [1, 7, 1000]) {
      const { failures } = await verifyLog({ path, namesMax });
      assert.deepEqual(failures.map(({ kind, position }) => [kind, position]), [["duplicate", 41]]);
    }
  });
});

Deno.test("it reports how far it is, and ends when it is told to", async () => {
  await inFolder(async (dir) => {
    const { path, size } = await makeLog(`${dir}/log.db`, { appends: ones(3) });
    const seen: unknown[] = [];
    await verifyLog({ path, progress: (progress) => seen.push(progress) });
    assert.deepEqual(seen.at(-1), { done: size, total: size, unit: "events" });
    const reason = new Error("enough");
    await assert.rejects(verifyLog({ path, signal: AbortSignal.abort(reason) }), reason);
  });
});

Deno.test("nothing is left in the folder by looking, and a file at rest, cut off, or copied without its index is read alike", async () => {
  await inFolder(async (dir) => {
    const rest = await makeLog(`${dir}/log.db`, { appends: ones(20) });
    const names = () => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
    assert.equal((await verifyLog({ path: rest.path, key: signer.vkey })).ok, true);
    assert.deepEqual(names(), ["log.db"]);

    // As kill -9 leaves it: everything since the last checkpointing of SQLite is only in the -wal.
    const open = new Tampered(rest.path);
    open.run("pragma journal_mode = wal");
    open.run("update kv set version = version + 1 where k = (select min(k) from kv)");
    for (const suffix of ["", "-wal", "-shm"]) await Deno.copyFile(`${rest.path}${suffix}`, `${dir}/cut.db${suffix}`);
    for (const suffix of ["", "-wal"]) await Deno.copyFile(`${rest.path}${suffix}`, `${dir}/copied.db${suffix}`);
    open.close();
    assert.ok(Deno.statSync(`${dir}/cut.db-wal`).size > 0);
    // As a crash leaves it while the file is taken out of WAL mode: half changed, and a journal that takes it back.
    const other = new Tampered(rest.path);
    other.run("pragma journal_mode = delete");
    other.run("pragma cache_size = 1");
    other.run("begin immediate");
    other.run("update kv set v = zeroblob(length(v))");
    for (const suffix of ["", "-journal"]) await Deno.copyFile(`${rest.path}${suffix}`, `${dir}/half.db${suffix}`);
    other.run("rollback");
    other.close();
    const before = names();
    // What a `-shm` holds is only how SQLite's connections get along.
    const content = () =>
      before.filter((name) => !name.endsWith("-shm")).map((name) => Deno.readFileSync(`${dir}/${name}`).toBase64());
    const bytes = content();
    for (const name of ["cut.db", "copied.db", "half.db"]) {
      const report = await verifyLog({ path: `${dir}/${name}`, key: signer.vkey });
      assert.deepEqual([report.ok, report.size], [true, 20], name);
    }
    assert.deepEqual(names(), before);
    assert.deepEqual(content(), bytes);
  });
});

Deno.test("what somebody put beside the file as a journal hides nothing of what waits in the -wal", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await makeLog(path, { appends: [3, 1] });
    const open = new Tampered(path);
    open.run("pragma journal_mode = wal");
    open.put("nothing", "log", 3);
    for (const suffix of ["", "-wal", "-shm"]) Deno.copyFileSync(`${path}${suffix}`, `${dir}/cut.db${suffix}`);
    open.close();
    for (const journal of ["", "x"]) {
      Deno.writeTextFileSync(`${dir}/cut.db-journal`, journal);
      const { ok, failures } = await verifyLog({ path: `${dir}/cut.db`, key: signer.vkey });
      assert.deepEqual([ok, failures[0]?.position, failures[0]?.found], [false, 3, "7 bytes"]);
    }
  }));

Deno.test("through a link a log is verified as it is where that leads to, or it is said that it cannot be", async () => {
  await inFolder(async (dir) => {
    const [path, link, copied] = [`${dir}/disk/log.db`, `${dir}/log.db`, `${dir}/disk/copied.db`];
    await Deno.mkdir(`${dir}/disk`);
    await Deno.symlink(path, link);
    await makeLog(path, {
      appends: new Array(6).fill(20),
      async between(size) {
        const report = await verifyLog({ path: link, folderKey: signer.vkey });
        assert.deepEqual([report.failures, report.size], [[], size]);
      },
    });
    assert.equal((await verifyLog({ path: link, key: signer.vkey })).ok, true);
    const open = new Tampered(path);
    open.run("pragma journal_mode = wal");
    open.run("update kv set version = version + 1 where k = (select min(k) from kv)");
    for (const suffix of ["", "-wal"]) await Deno.copyFile(`${path}${suffix}`, `${copied}${suffix}`);
    open.close();
    await Deno.remove(link);
    await Deno.symlink(copied, link);
    // Where SQLite may not make what it needs beside it; as root it may.
    const report = await verifyLog({ path: link, key: signer.vkey }).catch((error) => error);
    if (report instanceof Error) assert.match(report.message, /log\.db: it is a link, and was cut off/);
    else assert.deepEqual([report.ok, report.size], [true, 120]);
  });
});

Deno.test("a log is verified while it is written, at one moment of it", async () => {
  await inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    const sizes: number[] = [];
    await makeLog(path, {
      appends: new Array(30).fill(20),
      async between(size) {
        if (size % 60 !== 0) return;
        const report = await verifyLog({ path, folderKey: signer.vkey });
        assert.deepEqual(report.failures, []);
        sizes.push(report.size);
        assert.equal(report.size, size);
      },
    });
    assert.equal(sizes.length, 10);
  });
});
