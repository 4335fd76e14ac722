/** Backup while the log is written, and restore: whole and verified, or nothing. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { type Against, backupLog, type BackupOptions, COPIES_MAX, type Verify } from "../adapters/backup/backup.ts";
import { bundleFiles, type BundleSource } from "../adapters/backup/bundle.ts";
import { CHECKPOINT, KEYS, LOG, MANIFEST, readManifest } from "../adapters/backup/manifest.ts";
import { restoreLog } from "../adapters/backup/restore.ts";
import { BUNDLE_BYTES_MAX, openBundle, PASSPHRASE_CHARACTERS_MIN, sealBundle } from "../adapters/backup/sealed.ts";
import { snapshot, snapshotJournaled } from "../adapters/backup/snapshot.ts";
import { openKeys } from "../adapters/keys/keys.ts";
import { systemClock } from "../adapters/system/world.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { catalogue } from "../events/catalogue.ts";
import { LogFault } from "../events/log.ts";
import { chance, makeLog, ones, signer, Tampered } from "./verify_given.ts";
import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

const verify: Verify = (path, { against, progress, signal }) =>
  verifyLog({ path, against: against as Against[], key: signer.vkey, progress, signal });
const created = "2026-01-02T03:04:05.678Z";
const passphrase = "correct horse battery";
const fault = (kind: LogFault["kind"], says = /./) => (error: unknown) =>
  (error instanceof LogFault && error.kind === kind && says.test(error.message)) || assert.fail(String(error));

const names = (dir: string): string[] => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

const rowsOf = (path: string): unknown => {
  const db = new DatabaseSync(path, { readOnly: true });
  const { n } = db.prepare("select count(*) as n from t").get()!;
  db.close();
  return n;
};

Deno.test("what was backed up comes back: log, index, checkpoints and keys", async () => {
  await inFolder(async (dir) => {
    const made = await makeLog(`${dir}/log.db`, { appends: [...ones(10), 200] });
    const files = { "keys.db": new Uint8Array([1, 2, 3]), "root.key": Buffer.from("secret") };
    const progress: unknown[] = [];
    const copied = await backupLog({
      log: made.path,
      destination: `${dir}/backups/one`,
      verify,
      created,
      checkpoint: made.note!,
      keys: { passphrase, export: () => Promise.resolve(files) },
      progress: (step) => progress.push(step),
    });
    assert.deepEqual([copied.size, copied.root, copied.keys], [made.size, made.root, true]);
    assert.ok(progress.length > 0);
    assert.deepEqual(names(`${dir}/backups/one`), [CHECKPOINT, KEYS, LOG, MANIFEST]);
    assert.equal(
      copied.bytes,
      names(`${dir}/backups/one`).reduce((sum, name) => sum + Deno.statSync(`${dir}/backups/one/${name}`).size, 0),
    );
    assert.ok(copied.entry_bytes_per_event! > 200 && copied.bytes_per_event! > copied.entry_bytes_per_event!);
    const manifest = readManifest(Deno.readFileSync(`${dir}/backups/one/${MANIFEST}`));
    assert.deepEqual([manifest.origin, manifest.size, manifest.root, manifest.created], [
      signer.name,
      made.size,
      made.root,
      created,
    ]);
    for (const name of names(`${dir}/backups/one`)) {
      assert.equal(Deno.statSync(`${dir}/backups/one/${name}`).mode! & 0o777, 0o600, name);
      const text = Deno.readFileSync(`${dir}/backups/one/${name}`);
      assert.equal(
        Buffer.from(text).includes("secret") || Buffer.from(text).includes(files["root.key"].toString("base64")),
        false,
      );
    }

    const restored = await restoreLog({ source: `${dir}/backups/one`, data: `${dir}/data`, verify, passphrase });
    assert.deepEqual([restored.size, restored.root, restored.keys, restored.created], [
      made.size,
      made.root,
      true,
      created,
    ]);
    assert.equal(restored.shorter_than, undefined);
    assert.deepEqual(names(`${dir}/data`), ["keys.db", "log.db", "root.key"]);
    assert.deepEqual(Deno.readFileSync(`${dir}/data/keys.db`), files["keys.db"]);
    // It goes on where it stopped.
    const grown = await makeLog(`${dir}/data/log.db`, { appends: [5] });
    assert.equal(grown.size, made.size + 5);
    assert.equal((await verifyLog({ path: `${dir}/data/log.db`, key: signer.vkey })).ok, true);

    const without = await restoreLog({ source: `${dir}/backups/one`, data: `${dir}/other`, verify });
    assert.deepEqual([without.keys, names(`${dir}/other`)], [false, ["log.db"]]);
    assert.deepEqual(names(dir), ["backups", "data", "log.db", "other"]);
  });
});

Deno.test("a backup beside a busy writer is one moment of the log, and the writer sees no error", async () => {
  await inFolder(async (dir) => {
    const sizes: number[] = [];
    let running: Promise<unknown> = Promise.resolve();
    let n = 0;
    await makeLog(`${dir}/log.db`, {
      appends: new Array(120).fill(10),
      async between(size) {
        if (size % 200 !== 0) return;
        const destination = `${dir}/${n++}`;
        running = running.then(() => backupLog({ log: `${dir}/log.db`, destination, verify: unsigned, created })).then((
          { size },
        ) => sizes.push(size));
        if (size === 1_000) await until("the first backup", () => sizes.length > 0);
      },
    });
    await running;
    assert.equal(sizes.length, 6);
    for (const size of sizes) assert.equal(size % 10, 0, "an append is in it whole or not at all");
    assert.ok(sizes[0]! < 1200, "the first was taken while the log grew");
  });
});
/** While the log is young it may have no checkpoint yet. */
const unsigned: Verify = (path) => verifyLog({ path, folderKey: signer.vkey });

Deno.test("an empty log, one at rest and one that was cut off are backed up, and nothing is left beside them", async () => {
  await inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/data`);
    const at = `${dir}/data/log.db`;
    await makeLog(at, { appends: [] });
    assert.equal((await backupLog({ log: at, destination: `${dir}/empty`, verify, created })).size, 0);
    assert.equal((await restoreLog({ source: `${dir}/empty`, data: `${dir}/none`, verify })).size, 0);
    await makeLog(at, { appends: ones(12) });
    assert.equal((await backupLog({ log: at, destination: `${dir}/rest`, verify, created })).size, 12);
    assert.deepEqual(names(`${dir}/data`), ["log.db"]);
    const open = new Tampered(at);
    open.run("pragma journal_mode = wal");
    open.run("update kv set version = version + 1");
    await Deno.mkdir(`${dir}/cut`);
    for (const suffix of ["", "-wal"]) await Deno.copyFile(at + suffix, `${dir}/cut/log.db${suffix}`);
    open.close();
    assert.equal(
      (await backupLog({ log: `${dir}/cut/log.db`, destination: `${dir}/after`, verify, created })).size,
      12,
    );
    assert.deepEqual(names(`${dir}/cut`), ["log.db", "log.db-wal"]);
  });
});

Deno.test("a place that is taken is left as it is", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [3] });
    await Deno.mkdir(`${dir}/full`);
    await Deno.writeTextFile(`${dir}/full/mine`, "mine");
    await Deno.mkdir(`${dir}/free`);
    await assert.rejects(
      backupLog({ log: path, destination: `${dir}/full`, verify, created }),
      fault("invalid", /something in it/),
    );
    await assert.rejects(backupLog({ log: path, destination: path, verify, created }), fault("invalid", /no folder/));
    await backupLog({ log: path, destination: `${dir}/free`, verify, created });
    await assert.rejects(restoreLog({ source: `${dir}/free`, data: `${dir}/full`, verify }), fault("invalid"));
    assert.deepEqual(names(`${dir}/full`), ["mine"]);
    assert.deepEqual(names(dir), ["free", "full", "log.db"]);
  });
});

Deno.test("a log that does not verify is not backed up, and a backup that was changed is not restored", async () => {
  await inFolder(async (dir) => {
    const { path, note } = await makeLog(`${dir}/log.db`, { appends: ones(8) });
    await backupLog({
      log: path,
      destination: `${dir}/good`,
      verify,
      created,
      checkpoint: note!,
      keys: { passphrase, export: () => Promise.resolve({ a: new Uint8Array(9) }) },
    });
    const file = new Tampered(path);
    file.delete("log", 3);
    file.close();
    await assert.rejects(
      backupLog({ log: path, destination: `${dir}/bad`, verify, created }),
      fault("truncated", /position 3: missing_block/),
    );

    const random = chance(5);
    for (let i = 0; i < 32; i++) {
      await Deno.remove(`${dir}/copy`, { recursive: true }).catch(() => {});
      await Deno.mkdir(`${dir}/copy`);
      for (const name of names(`${dir}/good`)) await Deno.copyFile(`${dir}/good/${name}`, `${dir}/copy/${name}`);
      const name = [LOG, MANIFEST, KEYS, CHECKPOINT][i % 4]!;
      const bytes = Deno.readFileSync(`${dir}/copy/${name}`);
      bytes[Math.floor(random() * bytes.length)]! ^= 1 + Math.floor(random() * 255);
      Deno.writeFileSync(`${dir}/copy/${name}`, bytes);
      const restoring = restoreLog({ source: `${dir}/copy`, data: `${dir}/data`, verify, passphrase });
      // Only `created` and `origin` of the manifest say nothing about the log.
      const spared = name === MANIFEST && await restoring.then(({ size }) => size === 8, () => false);
      if (spared) await Deno.remove(`${dir}/data`, { recursive: true });
      else {await assert.rejects(restoring, (error) =>
          error instanceof LogFault && ["truncated", "foreign", "newer"].includes(error.kind), `${name} ${i}`);}
      assert.deepEqual(names(dir).filter((entry) => entry !== "copy"), ["good", "log.db"]);
    }
    for (const missing of [LOG, MANIFEST, KEYS, CHECKPOINT]) {
      await Deno.remove(`${dir}/copy`, { recursive: true });
      await Deno.mkdir(`${dir}/copy`);
      for (const name of names(`${dir}/good`)) {
        if (name !== missing) await Deno.copyFile(`${dir}/good/${name}`, `${dir}/copy/${name}`);
      }
      for (const opening of [{ passphrase }, {}]) {
        await assert.rejects(
          restoreLog({ source: `${dir}/copy`, data: `${dir}/data`, verify, ...opening }),
          missing === MANIFEST ? fault("foreign") : fault("truncated", /it is in the manifest of .*, and is not there/),
        );
      }
    }
    await assert.rejects(
      restoreLog({ source: `${dir}/nowhere`, data: `${dir}/data`, verify }),
      fault("foreign", /no finished backup/),
    );
    assert.deepEqual(names(dir), ["copy", "good", "log.db"]);
  });
});

Deno.test("a restored log says when a checkpoint known elsewhere covers more, and is refused when one contradicts it", async () => {
  await inFolder(async (dir) => {
    const early = await makeLog(`${dir}/log.db`, { appends: [10] });
    await backupLog({ log: early.path, destination: `${dir}/backup`, verify, created });
    const late = await makeLog(early.path, { appends: [10] });
    const known = [{ name: "witness", origin: signer.name, size: 10, root: early.root }, {
      name: "keys",
      origin: signer.name,
      size: 20,
      root: late.root,
    }];
    const restored = await restoreLog({ source: `${dir}/backup`, data: `${dir}/data`, verify, known });
    assert.deepEqual(restored.shorter_than, known[1]);
    const forked = [{ ...known[0]!, root: late.root }];
    await assert.rejects(
      restoreLog({ source: `${dir}/backup`, data: `${dir}/data2`, verify, known: forked }),
      fault("truncated", /forked/),
    );
    const other = [{ ...known[1]!, origin: "daybook/other" }];
    await assert.rejects(
      restoreLog({ source: `${dir}/backup`, data: `${dir}/data2`, verify, known: other }),
      fault("truncated", /checkpoints of daybook\/verified, found keys is of daybook\/other/),
    );
    assert.deepEqual(names(dir), ["backup", "data", "log.db"]);
  });
});

Deno.test("an interrupted backup leaves nothing, and what a killed one left is cleared by the next", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [30] });
    const stop = new AbortController();
    const reason = new Error("stopped");
    const stopping: Verify = (copy, options) => {
      stop.abort(reason);
      return verify(copy, options);
    };
    const stopped = { log: path, destination: `${dir}/b`, verify: stopping, created, signal: stop.signal };
    await assert.rejects(backupLog(stopped), reason);
    assert.deepEqual(names(dir), ["log.db"]);

    // As kill -9 leaves it, and one that is at work.
    for (const left of [".b.partial-dead", ".b.partial-alive"]) {
      await Deno.mkdir(`${dir}/${left}`);
      await Deno.writeTextFile(`${dir}/${left}/.filling`, "");
      await Deno.writeTextFile(`${dir}/${left}/log.db`, "half");
    }
    using alive = await Deno.open(`${dir}/.b.partial-alive/.filling`, { write: true });
    await alive.lock(true);
    await backupLog({ log: path, destination: `${dir}/b`, verify, created });
    assert.deepEqual(names(dir), [".b.partial-alive", "b", "log.db"]);
  });
});

Deno.test("a full disk ends a backup and a restore with the fault that says so, and nothing half-made", async () => {
  await inFolder(async (dir) => {
    const small = `${dir}/small`;
    await Deno.mkdir(small);
    const mount = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=256k", "tmpfs", small],
      stderr: "null",
    }).output().catch(() => undefined);
    const { path } = await makeLog(`${dir}/log.db`, { appends: new Array(20).fill(60) });
    await backupLog({ log: path, destination: `${dir}/backup`, verify, created });
    try {
      // Where mounting is not allowed the same way is gone with a verifier that meets the full disk.
      const full: Verify = () =>
        Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
      const meets = mount?.success ? verify : full;
      await assert.rejects(backupLog({ log: path, destination: `${small}/b`, verify: meets, created }), fault("full"));
      await assert.rejects(restoreLog({ source: `${dir}/backup`, data: `${small}/d`, verify: meets }), fault("full"));
      assert.deepEqual(names(small), []);
    } finally {
      if (mount?.success) await new Deno.Command("umount", { args: [small] }).output();
    }
  });
});

Deno.test("keys open only under their passphrase, unchanged, and within their bounds", async () => {
  const files = { "keys.db": new Uint8Array(5000).fill(3), "root.key": new Uint8Array(0) };
  const sealed = await sealBundle(files, "Gru\u0308ße 12");
  const opened = await openBundle(sealed, "Grüße 12");
  assert.deepEqual(
    Object.entries(opened).map(([name, bytes]) => [name, [...bytes]]),
    Object.entries(files).map(([name, bytes]) => [name, [...bytes]]),
  );
  await assert.rejects(openBundle(sealed, "Grüße 13"), fault("invalid", /passphrase/));
  await assert.rejects(sealBundle(files, "x".repeat(PASSPHRASE_CHARACTERS_MIN - 1)), fault("invalid"));
  await assert.rejects(
    sealBundle({ big: { length: BUNDLE_BYTES_MAX + 1 } as Uint8Array }, passphrase),
    fault("too_large"),
  );
  const text = sealed.toString();
  const greedy = JSON.parse(text);
  greedy.kdf.N = 2 ** 30;
  await assert.rejects(openBundle(Buffer.from(JSON.stringify(greedy)), passphrase), fault("foreign"));
  const weak = JSON.parse(text);
  weak.kdf.N = 1 << 16;
  await assert.rejects(openBundle(Buffer.from(JSON.stringify(weak)), "Grüße 12"), fault("invalid"));
  await assert.rejects(openBundle(Buffer.from("{}"), passphrase), fault("foreign"));
});

Deno.test("keys are taken along at one moment while they are written, and nothing of them is left open", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [4] });
    const keys = openKeys({ path: `${dir}/keys.db`, clock: systemClock, catalogue: catalogue(), origin: signer.name });
    const before = names(dir);
    const sources: BundleSource[] = [
      { name: "keys.db", path: `${dir}/keys.db`, database: true },
      { name: "root.key", path: `${dir}/root.key`, database: false },
    ];
    await backupLog({
      log: path,
      destination: `${dir}/backup`,
      verify: unsigned,
      created,
      keys: { passphrase, export: (scratch) => bundleFiles(scratch, () => sources) },
    });
    const { vkey } = keys.logKey.signer;
    keys.close();
    assert.deepEqual(names(`${dir}/backup`), [KEYS, LOG, MANIFEST]);
    await restoreLog({ source: `${dir}/backup`, data: `${dir}/data`, verify: unsigned, passphrase });
    const restored = openKeys({
      path: `${dir}/data/keys.db`,
      clock: systemClock,
      catalogue: catalogue(),
      existing: true,
    });
    assert.equal(restored.logKey.signer.vkey, vkey);
    restored.close();
    const none = (database: boolean) => () => [{ name: "a", path: `${dir}/none`, database }];
    await assert.rejects(bundleFiles(dir, none(true)), LogFault);
    await assert.rejects(bundleFiles(dir, none(false)), fault("io"));
    assert.deepEqual(names(dir), [...before, "backup", "data"].sort());
  });
});

Deno.test("a log whose key is changed whenever it is copied is not backed up, and nothing is left", async () => {
  await inFolder(async (dir) => {
    const { path } = await makeLog(`${dir}/log.db`, { appends: [4] });
    let [changes, copies] = [0, 0];
    const keys = {
      passphrase,
      export: () => Promise.resolve({ "keys.db": Uint8Array.of(++copies) }),
      signedBy: () => Promise.resolve(`key ${changes++}`),
    };
    await assert.rejects(
      backupLog({ log: path, destination: `${dir}/backup`, verify: unsigned, created, keys }),
      fault("locked", /its key is changed all the time/),
    );
    assert.deepEqual([copies, names(dir)], [COPIES_MAX, ["log.db"]]);
  });
});

Deno.test("keys are taken along with the root key that opens them, also while it is replaced, and before the log is verified", async () => {
  await inFolder(async (dir) => {
    const root = `${dir}/root.key`, next = `${dir}/root.key.next`;
    const db = new DatabaseSync(`${dir}/keys.db`);
    db.exec("create table wrapped(by); insert into wrapped values ('old')");
    await Deno.writeTextFile(root, "old");
    const list = (): BundleSource[] =>
      [
        { name: "keys.db", path: `${dir}/keys.db`, database: true },
        { name: "root.key", path: root, database: false },
        { name: "next", path: next, database: false },
      ].filter(({ path }) => names(dir).includes(path.slice(dir.length + 1)));
    // Each step of a rotation just before a look at what there is: the new key beside the old, all wrapped under it, in its place.
    const steps = [
      () => {},
      () => Deno.writeTextFileSync(next, "new"),
      () => db.exec("update wrapped set by = 'new'"),
      () => Deno.renameSync(next, root),
    ];
    let looks = 0;
    const { next: none, ...bundle } = await bundleFiles(dir, () => {
      steps[looks++]?.();
      return list();
    });
    assert.equal(none, undefined);
    assert.equal(Buffer.from(bundle["root.key"]!).toString(), "new");
    await Deno.writeFile(`${dir}/copy.db`, bundle["keys.db"]!);
    const copy = new DatabaseSync(`${dir}/copy.db`, { readOnly: true });
    assert.deepEqual({ ...copy.prepare("select by from wrapped").get() }, { by: "new" });
    copy.close();
    db.close();

    let n = 0;
    const busy = bundleFiles(dir, () => {
      Deno.writeTextFileSync(root, `${n++}`);
      return list();
    });
    await assert.rejects(busy, fault("locked"));

    const { path } = await makeLog(`${dir}/log.db`, { appends: [4] });
    const order: string[] = [];
    await backupLog({
      log: path,
      destination: `${dir}/backup`,
      created,
      verify: (...asked) => (order.push("verify"), unsigned(...asked)),
      keys: { passphrase, export: () => (order.push("keys"), Promise.resolve({})) },
    });
    assert.deepEqual(order, ["keys", "verify"]);
  });
});

Deno.test("what a killed writer left is copied whole, and nothing is written beside it", async () => {
  await inFolder(async (dir) => {
    const writing = new DatabaseSync(`${dir}/writing`);
    writing.exec("pragma journal_mode = wal; create table t(n); insert into t values (1), (2)");
    for (const suffix of ["", "-wal", "-shm"]) {
      await Deno.copyFile(`${dir}/writing${suffix}`, `${dir}/left${suffix}`);
      await Deno.chmod(`${dir}/left${suffix}`, 0o400);
    }
    writing.close();
    const bytes = () => ["", "-wal", "-shm"].map((suffix) => Deno.readFileSync(`${dir}/left${suffix}`));
    const before = bytes();
    await snapshot(`${dir}/left`, `${dir}/copy`, () => Promise.resolve(false));
    assert.deepEqual(bytes(), before);
    assert.equal(rowsOf(`${dir}/copy`), 2);
    assert.deepEqual(names(dir).filter((name) => name.startsWith("copy")), ["copy"]);
    assert.equal(Deno.statSync(`${dir}/copy`).mode! & 0o777, 0o600);
  });
});

Deno.test("what a killed writer left behind a link is not copied without what lies where that leads to", async () => {
  await inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/disk`);
    const writing = new DatabaseSync(`${dir}/disk/log.db`);
    writing.exec("pragma journal_mode = wal; create table t(n); insert into t values (1), (2)");
    await Deno.symlink(`${dir}/disk/log.db`, `${dir}/log.db`);
    const cutOff = () => snapshot(`${dir}/log.db`, `${dir}/copy`, () => Promise.resolve(false));
    await assert.rejects(cutOff(), /log\.db: it is a link, and was not closed/);
    writing.exec("pragma journal_mode = delete");
    await cutOff();
    writing.close();
  });
});

Deno.test("a writer that closes the file between the look and the copy makes it be looked at again", async () => {
  await inFolder(async (dir) => {
    const writing = new DatabaseSync(`${dir}/log.db`);
    writing.exec("pragma journal_mode = wal; create table t(n); insert into t values (1), (2)");
    let looks = 0;
    await snapshot(`${dir}/log.db`, `${dir}/copy`, () => {
      if (looks++ === 0) writing.close(); // takes the -wal with it
      return Promise.resolve(false);
    });
    assert.equal(rowsOf(`${dir}/copy`), 2);
    assert.ok(looks > 2);
  });
});

Deno.test("keys whose writer was cut off are copied as they were before, and nothing is written beside them", async () => {
  await inFolder(async (dir) => {
    const writing = new DatabaseSync(`${dir}/writing`);
    writing.exec("create table t(n); insert into t values (1); pragma cache_size = 1; begin");
    const insert = writing.prepare("insert into t values (?)");
    for (let n = 0; n < 2_000; n++) insert.run("x".repeat(500));
    for (const suffix of ["", "-journal"]) await Deno.copyFile(`${dir}/writing${suffix}`, `${dir}/left${suffix}`);
    writing.exec("rollback");
    writing.close();
    const bytes = () => ["", "-journal"].map((suffix) => Deno.readFileSync(`${dir}/left${suffix}`));
    const before = bytes();
    await snapshotJournaled(`${dir}/left`, `${dir}/copy`);
    assert.deepEqual(bytes(), before);
    assert.equal(rowsOf(`${dir}/copy`), 1);
    assert.deepEqual(names(dir).filter((name) => name.startsWith("copy")), ["copy"]);
  });
});

Deno.test("a snapshot is refused where there is no database", async () => {
  await inFolder(async (dir) => {
    await assert.rejects(snapshot(`${dir}/none`, `${dir}/copy`), fault("io"));
    await Deno.writeTextFile(`${dir}/text`, "this is no database at all ".repeat(50));
    await assert.rejects(snapshot(`${dir}/text`, `${dir}/copy`), fault("foreign"));
    assert.deepEqual(names(dir), ["text"]);
    const options: BackupOptions = { log: `${dir}/text`, destination: `${dir}/b`, verify, created };
    await assert.rejects(backupLog(options), fault("foreign"));
    assert.deepEqual(names(dir), ["text"]);
  });
});
