import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { SEEN_WITHIN_MS } from "../adapters/keys/database.ts";
import { type Keys, type KeysFault, type KeysOptions, openKeys, type RotationStep } from "../adapters/keys/keys.ts";
import { freshKdf, keyOfPassphrase } from "../adapters/keys/passphrase.ts";
import { REWRAP_BATCH } from "../adapters/keys/rewrap.ts";
import { writeRoot } from "../adapters/keys/root.ts";
import { versionOf } from "../adapters/keys/wrapping.ts";
import { ADA, change, clockAt, GRACE, MAY, onDisk, sealed, using } from "./keys_given.ts";
import { onSmallDisk } from "./small_disk_given.ts";

/** To its end; what it comes to. */
const whole = (keys: Keys, options: Parameters<Keys["rotate"]>[0] = {}) => {
  const rotation = keys.rotate(options);
  for (;;) {
    const step = rotation.next();
    if (step.done) return step.value;
  }
};

const STEPS: readonly RotationStep[] = ["waiting", "wrapped", "replaced", "batch", "rewrapped"];

const made = (options: KeysOptions) =>
  using(options, (keys) => {
    const texts = sealed(keys, change(ADA), change(GRACE, { id: "b" })).map(({ data }) =>
      (data as { author: typeof ADA }).author
    );
    return {
      texts,
      vkey: keys.logKey.signer.vkey,
      secret: Buffer.from(keys.secret("blocks")),
      ada: keys.subject(ADA.email),
    };
  });

/** Everything reads as it did, and seals to the same bytes. */
const asBefore = (keys: Keys, before: ReturnType<typeof made>): void => {
  const { pseudonym: _, ...name } = keys.sealer.unseal(before.texts[0]!) as { pseudonym?: string; name: string };
  assert.equal(name.name, ADA.name);
  assert.equal(keys.logKey.signer.vkey, before.vkey);
  assert.deepEqual(Buffer.from(keys.secret("blocks")), before.secret);
  assert.equal(keys.subject(ADA.email), before.ada);
  assert.deepEqual((sealed(keys, change(ADA))[0]!.data as { author: typeof ADA }).author, before.texts[0]);
};

Deno.test("after a rotation everything opens under the new root key, and the old one is gone from disk and of no use", () =>
  onDisk((options) => {
    const before = made(options);
    const old = Deno.readFileSync(`${options.dir}/root.key`);
    const database = Deno.readFileSync(options.path);
    // The bytes that lay under the name, which a name alone would leave on the disk.
    Deno.linkSync(`${options.dir}/root.key`, `${options.dir}/same-bytes`);
    using(options, (keys) => {
      assert.deepEqual(whole(keys), {
        from: 1,
        to: 2,
        keys: { tenants: 1, subjects: 2, periods: 1, secrets: 3 },
      });
      assert.deepEqual(keys.unfinishedRotation, { from: 1, to: 2 });
      keys.rotationRecorded();
      assert.equal(keys.unfinishedRotation, undefined);
      asBefore(keys, before);
    });
    using({ ...options, readOnly: true }, (keys) => asBefore(keys, before));
    assert.deepEqual(
      [...Deno.readDirSync(options.dir)].map(({ name }) => name).filter((name) => name.startsWith("root")),
      [
        "root.key",
      ],
    );
    const now = Deno.readFileSync(`${options.dir}/root.key`);
    assert.notDeepEqual(now, old);
    assert.deepEqual(Deno.readFileSync(`${options.dir}/same-bytes`), new Uint8Array(old.length));
    // Who has the old root key and the old database opens nothing of the new one: not one wrapped key is as it was.
    const fresh = Buffer.from(Deno.readFileSync(options.path));
    const db = new DatabaseSync(options.path);
    for (const { key } of db.prepare("SELECT key FROM subjects").all()) {
      assert.equal(versionOf(key as Uint8Array), 2);
      assert.equal(Buffer.from(database).indexOf(key as Uint8Array), -1);
    }
    db.close();
    assert.ok(fresh.length > 0);
    Deno.writeFileSync(`${options.dir}/root.key`, old);
    assert.throws(() => openKeys(options), (fault: KeysFault) => {
      assert.match(fault.message, /this root key, version 1, was replaced at 2024-05-06T07:08:09.000Z by version 2/);
      return fault.kind === "root_wrong";
    });
  }));

for (const step of STEPS) {
  Deno.test(`a rotation cut off at "${step}" leaves a database that opens, and is gone on with`, () =>
    onDisk((options) => {
      const before = made(options);
      using(options, (keys) => {
        const cut = (passed: RotationStep) => {
          if (passed === step) throw new Error("cut off");
        };
        assert.throws(() => whole(keys, { passed: cut }), /cut off/);
      });
      using({ ...options, readOnly: true }, (keys) => asBefore(keys, before));
      using(options, (keys) => {
        asBefore(keys, before);
        assert.equal(keys.unfinishedRotation === undefined, step === "waiting");
        const { to } = whole(keys);
        assert.equal(to, 2);
        keys.rotationRecorded();
        asBefore(keys, before);
      });
      using(options, (keys) => {
        assert.equal(whole(keys).to, 3);
        asBefore(keys, before);
      });
    }));
}

Deno.test("a root key that was replaced and waits beside its file is put in its place by who may write, and used by who may not", () =>
  onDisk((options) => {
    const before = made(options);
    const old = Deno.readFileSync(`${options.dir}/root.key`);
    using(options, (keys) => whole(keys));
    // As a crash between the transaction and the renaming leaves it, with the old file whole or overwritten.
    const now = Deno.readFileSync(`${options.dir}/root.key`);
    for (const left of [old, new Uint8Array(old.length), undefined]) {
      Deno.writeFileSync(`${options.dir}/root.key.next`, now);
      if (left) Deno.writeFileSync(`${options.dir}/root.key`, left);
      else Deno.removeSync(`${options.dir}/root.key`);
      using({ ...options, readOnly: true }, (keys) => asBefore(keys, before));
      using(options, (keys) => asBefore(keys, before));
      assert.deepEqual(Deno.readFileSync(`${options.dir}/root.key`), now);
      assert.throws(() => Deno.statSync(`${options.dir}/root.key.next`), Deno.errors.NotFound);
    }
  }));

Deno.test("another process that has the database open goes on under the new root key", () =>
  onDisk((options) => {
    const before = made(options);
    const clock = clockAt(MAY);
    const other = openKeys({ ...options, clock });
    asBefore(other, before);
    using(options, (keys) => whole(keys));
    clock.at += SEEN_WITHIN_MS;
    asBefore(other, before);
    assert.equal(other.rootVersion, 2);
    sealed(other, change({ name: "New", email: "new@example.com" }));
    other.close();
    using(options, (keys) => assert.match(keys.subject("new@example.com")!, /^s_/));
  }));

Deno.test("a root key may be replaced by one from elsewhere, and by a passphrase", () =>
  onDisk((options) => {
    const before = made(options);
    const key = new Uint8Array(32).fill(9);
    using(options, (keys) => {
      whole(keys, { to: { key } });
      keys.rotationRecorded();
    });
    assert.throws(() => openKeys(options), /was replaced/);
    using({ ...options, root: { key } }, (keys) => asBefore(keys, before));
    const passphrase = "correct horse battery";
    const kdf = freshKdf((bytes) => new Uint8Array(bytes).fill(3));
    using({ ...options, root: { key } }, (keys) => {
      assert.throws(() => whole(keys), /lies in no file here/);
      assert.throws(() => whole(keys, { to: { key } }), /was used before/);
      assert.throws(() => whole(keys, { to: { key: new Uint8Array(3) } }), /has 32 bytes/);
      whole(keys, { to: { key: keyOfPassphrase(passphrase, kdf), kdf } });
      keys.rotationRecorded();
    });
    using({ ...options, root: { passphrase } }, (keys) => asBefore(keys, before));
  }));

Deno.test("more keys than one batch are wrapped anew in several, and what comes meanwhile is under the new key", () =>
  onDisk((options) => {
    const count = REWRAP_BATCH + 5;
    using(options, (keys) => {
      sealed(
        keys,
        ...Array.from({ length: count }, (_, i) => change({ name: "N", email: `p${i}@example.com` }, { id: `c${i}` })),
      );
      const rotation = keys.rotate();
      const first = rotation.next();
      assert.ok(!first.done && first.value.done === REWRAP_BATCH && first.value.total > count);
      sealed(keys, change({ name: "Late", email: "late@example.com" }, { id: "late" }));
      let last = rotation.next();
      while (!last.done) last = rotation.next();
      assert.equal(last.value.keys.subjects, count + 1);
    });
    const db = new DatabaseSync(options.path);
    db.exec("UPDATE subjects SET key = zeroblob(64) WHERE subject = (SELECT max(subject) FROM subjects)");
    db.close();
    using(options, (keys) => {
      const looking = keys.wrong();
      let last = looking.next();
      while (!last.done) last = looking.next();
      assert.deepEqual(last.value.map(({ found }) => found), ["one that does not open"], "behind the first batch, too");
    });
  }));

Deno.test("a key that does not open stops a rotation before the old version is gone", () =>
  onDisk((options) => {
    made(options);
    const db = new DatabaseSync(options.path);
    db.exec("UPDATE subjects SET key = zeroblob(64)");
    db.close();
    using(options, (keys) => assert.throws(() => whole(keys), (fault: KeysFault) => fault.kind === "truncated"));
    const after = new DatabaseSync(options.path);
    assert.equal(after.prepare("SELECT count(*) AS n FROM tenants").get()!.n, 2);
    after.close();
  }));

Deno.test("a key that another process has put back under the old version stops a rotation before that is gone", () =>
  onDisk((options) => {
    const before = made(options);
    const db = new DatabaseSync(options.path);
    const [first] = db.prepare("SELECT subject, key FROM subjects").all();
    const passed = (step: RotationStep) => {
      if (step === "batch") {
        db.prepare("UPDATE subjects SET key = ? WHERE subject = ?").run(first!.key!, first!.subject!);
      }
    };
    using(options, (keys) => {
      assert.throws(() => whole(keys, { passed }), { name: "KeysFault", kind: "io" });
      assert.equal(whole(keys).to, 2);
      asBefore(keys, before);
    });
    assert.equal(versionOf(db.prepare("SELECT min(key) AS key FROM subjects").get()!.key as Uint8Array), 2);
    db.close();
  }));

Deno.test("a root key that root replaces stays its owner's, whose server is to read it", () =>
  onDisk((options) => {
    if (Deno.uid() !== 0) return console.log("not root: left out");
    made(options);
    const file = `${options.dir}/root.key`;
    Deno.chownSync(file, 54_321, 54_322);
    using(options, (keys) => {
      whole(keys);
      keys.rotationRecorded();
    });
    const { uid, gid, mode } = Deno.statSync(file);
    assert.deepEqual([uid, gid, mode! & 0o777], [54_321, 54_322, 0o600]);
  }));

Deno.test("a root key for which there is no room leaves nothing beside its place", (t) =>
  onSmallDisk(t, "16k", (disk) => {
    const filler = `${disk}/filler`;
    const file = Deno.openSync(filler, { write: true, createNew: true });
    assert.throws(() => {
      for (;;) file.writeSync(new Uint8Array(4_096));
    }, /No space left/);
    file.close();
    assert.throws(
      () => writeRoot(`${disk}/root.key`, new Uint8Array(32)),
      ({ kind, message }: KeysFault) => kind === "full" && message.includes(`${disk}/root.key`),
    );
    assert.deepEqual([...Deno.readDirSync(disk)].map(({ name }) => name), ["filler"]);
    Deno.removeSync(filler);
    assert.deepEqual(Buffer.from(writeRoot(`${disk}/root.key`, new Uint8Array(32))), Buffer.alloc(32));
    return Promise.resolve();
  }));
