import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { type Keys, type KeysFault, type KeysOptions, openKeys } from "../adapters/keys/keys.ts";
import { holdsAny } from "../adapters/keys/leftovers.ts";
import { PASSPHRASE_CHARACTERS_MIN, PBKDF2_ITERATIONS } from "../adapters/keys/passphrase.ts";
import { REWRAP_BATCH } from "../adapters/keys/rewrap.ts";
import { rootCheck, versionOf, Wrapping } from "../adapters/keys/wrapping.ts";
import { subjectOf } from "../events/personal.ts";
import { ADA, change, GRACE, onDisk, sealed, using } from "./keys_given.ts";

const GOLDEN = fileURLToPath(new URL("./golden/0.1.0/", import.meta.url));

const querying = <T>(path: string, ask: (db: DatabaseSync) => T): T => {
  const db = new DatabaseSync(path);
  try {
    return ask(db);
  } finally {
    db.close();
  }
};

const formatOf = (path: string): unknown =>
  querying(path, (db) => db.prepare("PRAGMA user_version").get()!.user_version);

const told = (keys: Keys) => ({
  ada: keys.subject("ada@example.com"),
  vkey: keys.logKey.signer.vkey,
  digest: keys.digest("text"),
  erased: keys.erased(),
});

Deno.test("a database of the first format is read as it is, and upgraded when it is opened to be written", () =>
  onDisk(({ dir, clock, catalogue }) => {
    for (const name of ["keys.db", "root.key"]) Deno.copyFileSync(`${GOLDEN}${name}`, `${dir}/${name}`);
    Deno.chmodSync(`${dir}/keys.db`, 0o600);
    const options = { path: `${dir}/keys.db`, clock, catalogue };
    const before = using({ ...options, readOnly: true }, told);
    assert.match(before.ada!, /^s_/);
    assert.equal(formatOf(options.path), 1);
    assert.deepEqual(using(options, told), before);
    assert.equal(formatOf(options.path), 2);
    assert.deepEqual(using({ ...options, readOnly: true }, told), before);
    const keys = querying(options.path, (db) => [
      ...db.prepare("SELECT key FROM subjects WHERE key IS NOT NULL").all(),
      ...db.prepare("SELECT key FROM periods").all(),
      ...db.prepare("SELECT value AS key FROM meta WHERE name = 'log key'").all(),
    ]);
    assert.ok(keys.length > 2);
    for (const { key } of keys) assert.equal(versionOf(key as Uint8Array), 1);
  }));

Deno.test("a database of the first format with more keys than one batch has every one of them after the upgrade", () =>
  onDisk(({ dir, clock, catalogue }) => {
    for (const name of ["keys.db", "root.key"]) Deno.copyFileSync(`${GOLDEN}${name}`, `${dir}/${name}`);
    const root = Buffer.from(Deno.readTextFileSync(`${dir}/root.key`).split(" ")[1]!, "base64url");
    const wrapping = new Wrapping(root, (bytes) => new Uint8Array(bytes).fill(5));
    const path = `${dir}/keys.db`;
    const count = 2 * REWRAP_BATCH + 1;
    querying(path, (db) => {
      db.exec("BEGIN");
      const insert = db.prepare("INSERT INTO subjects VALUES (?, ?, '2026-01-01T00:00:00Z', NULL)");
      for (let i = 0; i < count; i++) {
        const id = `u_${String(i).padStart(16, "0")}`;
        insert.run(id, wrapping.wrap(`subject ${id}`, new Uint8Array(32).fill(i)));
      }
      db.exec("COMMIT");
    });
    using({ path, clock, catalogue }, (keys) => {
      for (const i of [0, REWRAP_BATCH - 1, REWRAP_BATCH, count - 1]) {
        assert.equal(keys.isErased(`u_${String(i).padStart(16, "0")}`), false);
      }
      assert.equal(keys.eraseKey(`u_${String(count - 1).padStart(16, "0")}`), true);
    });
  }));

Deno.test("an upgrade that is cut off leaves the first format whole", () =>
  onDisk(({ dir, clock, catalogue }) => {
    for (const name of ["keys.db", "root.key"]) Deno.copyFileSync(`${GOLDEN}${name}`, `${dir}/${name}`);
    const options = { path: `${dir}/keys.db`, clock, catalogue };
    const before = using({ ...options, readOnly: true }, told);
    let drawn = 0;
    const random = (bytes: number) => {
      if (drawn++ > 4) throw new Error("cut off");
      return new Uint8Array(bytes).fill(drawn);
    };
    assert.throws(() => openKeys({ ...options, random }), /cut off/);
    assert.equal(formatOf(options.path), 1);
    assert.deepEqual(using({ ...options, readOnly: true }, told), before);
  }));

Deno.test("no key lies in the database under the root key's own name, or under two levels at once", () =>
  onDisk((options) => {
    using(options, (keys) => sealed(keys, change(ADA), change(GRACE)));
    const root = Buffer.from(Deno.readTextFileSync(`${options.dir}/root.key`).split(" ")[1]!, "base64url");
    const file = Buffer.from(Deno.readFileSync(options.path));
    assert.equal(file.indexOf(root), -1);
    assert.notEqual(file.indexOf(Buffer.from(rootCheck(root))), -1);
    querying(options.path, (db) => {
      // The root key itself opens no subject's key.
      const { subject, key } = db.prepare("SELECT subject, key FROM subjects").get()!;
      const direct = new Wrapping(root, (bytes) => new Uint8Array(bytes));
      assert.throws(() => direct.unwrap(`1\nsubject ${subject}`, (key as Uint8Array).subarray(4)), /damaged/);
    });
  }));

Deno.test("a part of the program has a key of its own by name, the same whenever it asks", () =>
  onDisk((options) => {
    const first = using(options, (keys) => {
      assert.deepEqual(keys.secret("blocks"), keys.secret("blocks"));
      return keys.secret("blocks");
    });
    assert.equal(first.length, 32);
    using({ ...options, readOnly: true }, (keys) => {
      assert.deepEqual(Buffer.from(keys.secret("blocks")), Buffer.from(first));
      assert.throws(() => keys.secret("identity"), (fault: KeysFault) => fault.kind === "missing");
    });
    using(options, (keys) => {
      assert.notDeepEqual(Buffer.from(keys.secret("identity")), Buffer.from(first));
      assert.throws(() => keys.secret("Not a name"), /is no name of a secret/);
    });
    assert.equal(Buffer.from(Deno.readFileSync(options.path)).indexOf(Buffer.from(first)), -1);
  }));

Deno.test("what a part of the program makes is kept as it is, once, also under another root key", () =>
  onDisk((options) => {
    const made = Buffer.from("a private key that is longer than thirty-two bytes are");
    const first = (text: Uint8Array) => () => text;
    using(options, (keys) => assert.deepEqual(Buffer.from(keys.secret("authority", first(made))), made));
    using(options, (keys) => {
      assert.deepEqual(Buffer.from(keys.secret("authority", first(Buffer.from("another")))), made);
      const rotation = keys.rotate();
      while (!rotation.next().done);
    });
    using(
      options,
      (keys) => assert.deepEqual(Buffer.from(keys.secret("authority", first(Buffer.from("other")))), made),
    );
    assert.equal(Buffer.from(Deno.readFileSync(options.path)).indexOf(made), -1);
  }));

Deno.test("the root key may come out of a passphrase, whose parameters are kept and which is not", () =>
  onDisk((options) => {
    const passphrase = "correct horse battery";
    const root = { passphrase };
    const text = using({ ...options, root }, (keys) => (sealed(keys, change(ADA))[0]!.data as Authored).author.name);
    assert.deepEqual(
      [...Deno.readDirSync(options.dir)].map(({ name }) => name).filter((name) => name.startsWith("root")),
      [],
    );
    // However the keyboard composed it.
    using({ ...options, root: { passphrase: passphrase.normalize("NFD") } }, (keys) => {
      assert.equal(keys.sealer.unseal(text), ADA.name);
    });
    const kdf = querying(options.path, (db) => JSON.parse(db.prepare("SELECT kdf FROM roots").get()!.kdf as string));
    assert.deepEqual([kdf.name, kdf.iterations], ["pbkdf2-hmac-sha256", PBKDF2_ITERATIONS]);
    assert.equal(Buffer.from(Deno.readFileSync(options.path)).indexOf(passphrase), -1);
    const wrong = (root: KeysOptions["root"], kind: string, message: RegExp) =>
      assert.throws(() => openKeys({ ...options, root }), (fault: KeysFault) => {
        assert.match(fault.message, message);
        assert.doesNotMatch(fault.message, /horse/);
        return fault.kind === kind;
      });
    wrong({ passphrase: "correct horse batterie" }, "root_wrong", /the passphrase is not the one/);
    wrong({ passphrase: "x".repeat(PASSPHRASE_CHARACTERS_MIN - 1) }, "invalid", /at least 12 characters/);
    wrong({ key: new Uint8Array(32) }, "root_wrong", /not the one it was made with/);
    querying(
      options.path,
      (db) => db.exec(`UPDATE roots SET kdf = '{"name":"pbkdf2-hmac-sha256","iterations":1,"salt":""}'`),
    );
    wrong(root, "truncated", /parameters of its passphrase are damaged/);
  }));

Deno.test("a passphrase is no root key of a database that has one of another kind", () =>
  onDisk((options) => {
    using(options, () => {});
    assert.throws(
      () => openKeys({ ...options, root: { passphrase: "correct horse battery" } }),
      (fault: KeysFault) => fault.kind === "root_wrong" && /not made of a passphrase/.test(fault.message),
    );
  }));

Deno.test("a database whose tenant or lookup key is gone is damaged, and says so", () =>
  onDisk((options) => {
    using(options, () => {});
    const whole = Deno.readFileSync(options.path);
    for (
      const change of [
        "DELETE FROM tenants",
        "DELETE FROM secrets",
        "DELETE FROM roots",
        "UPDATE tenants SET key = zeroblob(64)",
      ]
    ) {
      Deno.writeFileSync(options.path, whole);
      querying(options.path, (db) => db.exec(change));
      assert.throws(() => openKeys(options), (fault: KeysFault) => {
        assert.match(fault.message, /damaged|does not say/, change);
        return fault.kind === "truncated";
      });
    }
  }));

interface Authored {
  readonly author: { readonly name: string };
}

/** Transactions that have changed a file of SQLite so far: "file change counter" (SQLite database file format, 1.3.7). */
const changesOf = (path: string): number => new DataView(Deno.readFileSync(path).buffer).getUint32(24);

Deno.test("many persons are erased with a few flushes, and of none of them a byte is left", () =>
  onDisk((options) => {
    using(options, (keys) => {
      const subjects = Array.from({ length: 50 }, (_, i) => {
        const [given] = sealed(keys, change({ ...ADA, email: `ada${i}@example.com` }, { id: `${i}` }));
        return subjectOf((given!.data as { readonly author: typeof ADA }).author.name)!;
      });
      const pieces = querying(options.path, (db) =>
        [
          ...db.prepare("SELECT key AS piece FROM subjects").all(),
          ...db.prepare("SELECT lookup AS piece FROM identifiers").all(),
        ].map(({ piece }) => piece as Uint8Array));
      assert.equal(pieces.length, 100);
      assert.equal(holdsAny(options.path, pieces), true);
      assert.equal(holdsAny(options.path, [...Array(20).keys()].map((i) => new Uint8Array(40).fill(i + 1))), false);
      const before = changesOf(options.path);
      const nobody = "s_nobodynobodynobo";
      assert.deepEqual([...keys.eraseKeys([...subjects, nobody])], subjects);
      assert.ok(changesOf(options.path) - before <= 3);
      assert.deepEqual(keys.erased(), [...subjects, nobody].sort());
      assert.equal(holdsAny(options.path, pieces), false);
    });
  }));

Deno.test("bytes are found wherever they lie in a file", () =>
  onDisk(({ dir }) => {
    const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
    const pieces = Array.from({ length: 30 }, (_, i) => Uint8Array.of(0, 0, 0, 1, ...random(30 + i)));
    const path = `${dir}/file`;
    for (const at of [0, 5, (1 << 20) - 7, (1 << 20) + 50, 3_000_000 - 63]) {
      const file = new Uint8Array(3_000_000);
      Deno.writeFileSync(path, file);
      assert.equal(holdsAny(path, pieces), false);
      file.set(pieces[29]!, at);
      Deno.writeFileSync(path, file);
      assert.equal(holdsAny(path, pieces), true);
      assert.equal(holdsAny(path, pieces.slice(0, 29)), false);
    }
  }));
