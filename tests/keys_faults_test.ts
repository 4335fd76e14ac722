import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { HELD_MS, KeyDatabase, SEEN_WITHIN_MS, THERE_WITHIN_MS } from "../adapters/keys/database.ts";
import { type KeysFault, type KeysOptions, openKeys } from "../adapters/keys/keys.ts";
import { readRoot, ROOT_BYTES, writeRoot } from "../adapters/keys/root.ts";
import { subjectOf } from "../events/personal.ts";
import { ADA, change, clockAt, GRACE, MAY, onDisk, people, sealed } from "./keys_given.ts";

/** Opening fails as said, the message naming the file but nothing secret, and leaves no other file behind. */
const refuses = (options: KeysOptions, kind: string, message: RegExp) => {
  const folder = options.path.replace(/\/[^/]*$/, "");
  const list = () => [...Deno.readDirSync(folder)].map(({ name }) => name).sort().join();
  const before = list();
  assert.throws(() => openKeys(options).close(), (fault: KeysFault) => {
    assert.equal(fault.name, "KeysFault");
    assert.match(fault.message, message);
    assert.equal(fault.kind, kind, fault.message);
    return true;
  });
  assert.equal(list(), before);
};

const made = (options: KeysOptions): string => {
  const keys = openKeys(options);
  const { name } = (sealed(keys, change(ADA))[0]!.data as { author: typeof ADA }).author;
  keys.close();
  return name;
};

Deno.test("keys open again to the same keys, name and tokens", () =>
  onDisk((options) => {
    const keys = openKeys(options);
    const [given] = sealed(keys, change(ADA));
    const { token } = keys.tokens.create("ci", ["read"]);
    const { vkey } = keys.logKey.signer;
    keys.close();
    keys.close();
    const again = openKeys({ ...options, existing: true });
    assert.deepEqual(sealed(again, change(ADA))[0], given);
    assert.equal(again.logKey.signer.vkey, vkey);
    assert.ok(again.tokens.check(token));
    again.close();
  }));

Deno.test("all files are the owner's alone, and one that is not is warned of", () =>
  onDisk((options) => {
    const lines: string[] = [];
    const warned = { ...options, warn: (line: string) => void lines.push(line) };
    made(warned);
    for (const { name } of Deno.readDirSync(options.dir)) {
      assert.equal((Deno.statSync(`${options.dir}/${name}`).mode ?? 0) & 0o777, 0o600, name);
    }
    assert.deepEqual(lines, []);
    Deno.chmodSync(options.path, 0o644);
    Deno.chmodSync(`${options.dir}/root.key`, 0o640);
    made(warned);
    assert.equal(lines.length, 2);
    assert.match(lines[0]!, /keys\.db can be read by others \(mode 644\); run: chmod 600/);
    assert.match(lines[1]!, /root\.key can be read by others \(mode 640\)/);
  }));

Deno.test("a missing or emptied database beside a log is a fault, not a first start", () =>
  onDisk((options) => {
    refuses({ ...options, existing: true }, "missing", /restore it from a backup/);
    refuses({ ...options, readOnly: true }, "missing", /keys\.db/);
    made(options);
    Deno.truncateSync(options.path);
    refuses({ ...options, existing: true }, "truncated", /it is empty/);
  }));

Deno.test("a missing root key is never replaced by a new one", () =>
  onDisk((options) => {
    const text = made(options);
    const file = `${options.dir}/root.key`;
    const kept = Deno.readFileSync(file);
    Deno.removeSync(file);
    refuses(options, "root_missing", /root\.key is missing/);
    Deno.writeFileSync(file, kept);
    const keys = openKeys(options);
    assert.equal(keys.sealer.unseal(text), ADA.name);
    keys.close();
  }));

Deno.test("another root key, or a file that holds none, is told", () =>
  onDisk((options) => {
    made(options);
    const file = `${options.dir}/root.key`;
    refuses({ ...options, root: { key: new Uint8Array(ROOT_BYTES) } }, "root_wrong", /not the one it was made with/);
    refuses({ ...options, root: { key: new Uint8Array(5) } }, "invalid", /has 32 bytes, this one 5/);
    for (const text of ["", "daybook-root-key-1 AAAA\n", "a".repeat(99)]) {
      Deno.writeTextFileSync(file, text);
      refuses(options, "truncated", /does not hold a root key/);
    }
  }));

Deno.test("the root key may be handed in, or lie elsewhere", () =>
  onDisk((options) => {
    const root = { key: new Uint8Array(ROOT_BYTES).fill(7) };
    const text = made({ ...options, root });
    assert.deepEqual(
      [...Deno.readDirSync(options.dir)].map(({ name }) => name).filter((name) => name.includes("root")),
      [],
    );
    writeRoot(`${options.dir}/elsewhere`, root.key);
    const keys = openKeys({ ...options, root: { file: `${options.dir}/elsewhere` } });
    assert.equal(keys.sealer.unseal(text), ADA.name);
    keys.close();
  }));

Deno.test("of two root keys written at once the first counts for both", () =>
  onDisk(({ dir }) => {
    const file = `${dir}/root.key`,
      first = new Uint8Array(ROOT_BYTES).fill(1),
      second = new Uint8Array(ROOT_BYTES).fill(2);
    assert.deepEqual(new Uint8Array(writeRoot(file, first)), first);
    assert.deepEqual(new Uint8Array(writeRoot(file, second)), first);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["root.key"]);
    assert.equal(readRoot({ file: `${dir}/none` }), undefined);
  }));

Deno.test("a root key without its database, as a crash in between leaves it, is used", () =>
  onDisk((options) => {
    const key = new Uint8Array(ROOT_BYTES).fill(3);
    writeRoot(`${options.dir}/root.key`, key);
    Deno.writeFileSync(options.path, new Uint8Array(), { mode: 0o600 });
    const text = made(options);
    const keys = openKeys({ ...options, root: { key } });
    assert.equal(keys.sealer.unseal(text), ADA.name);
    keys.close();
  }));

Deno.test("a foreign file, a foreign database and one of a newer version are told apart", () =>
  onDisk((options) => {
    const at = (name: string) => ({ ...options, path: `${options.dir}/${name}` });
    Deno.writeTextFileSync(at("text").path, "not a database at all. ".repeat(100), { mode: 0o600 });
    refuses(at("text"), "foreign", /it is not a key database/);
    const other = new DatabaseSync(at("other").path);
    other.exec("CREATE TABLE theirs (x)");
    other.close();
    refuses(at("other"), "foreign", /it is not a key database/);
    Deno.mkdirSync(at("folder").path);
    refuses(at("folder"), "foreign", /it is no file/);
    // A folder that is not there is no file of another kind.
    assert.throws(() => openKeys(at("none/keys.db")), { name: "KeysFault", kind: "io" });
    made(options);
    const newer = new DatabaseSync(options.path);
    newer.exec("PRAGMA user_version = 4");
    newer.close();
    refuses(options, "newer", /format 4 .* this one knows 3/);
  }));

Deno.test("a program that knows no tenants does not open a database with tokens of some", () =>
  onDisk((options) => {
    const format = () => {
      const db = new DatabaseSync(options.path, { readOnly: true });
      const { user_version } = db.prepare("PRAGMA user_version").get()!;
      db.close();
      return user_version;
    };
    made(options);
    const keys = openKeys(options);
    keys.tokens.create("ours", ["read"]);
    assert.equal(format(), 2);
    keys.tokens.create("theirs", ["read"], undefined, { tenant: "acme" });
    keys.close();
    assert.equal(format(), 3);
    openKeys(options).close();
  }));

Deno.test("a database cut short at any page is told at opening", () =>
  onDisk((options) => {
    made(options);
    const whole = Deno.readFileSync(options.path);
    for (let size = 100; size < whole.length; size += 1_024) {
      Deno.writeFileSync(options.path, whole.subarray(0, size));
      refuses(options, "truncated", /damaged|cut short/);
    }
    Deno.writeFileSync(options.path, whole);
    openKeys(options).close();
  }));

Deno.test("a wrapped key that was altered or moved is told and opens nothing", () =>
  onDisk((options) => {
    const text = made(options);
    const change = new DatabaseSync(options.path);
    change.exec("UPDATE subjects SET key = zeroblob(64)");
    change.close();
    const keys = openKeys(options);
    assert.throws(() => keys.sealer.unseal(text), (fault: KeysFault) =>
      fault.kind === "truncated" && /unwrap/.test(fault.message));
    keys.close();
    const moved = new DatabaseSync(options.path);
    moved.exec("UPDATE subjects SET key = (SELECT value FROM meta WHERE name = 'log key')");
    moved.close();
    const again = openKeys(options);
    assert.throws(() =>
      again.sealer.unseal(text), (fault: KeysFault) => fault.kind === "truncated");
    again.close();
  }));

Deno.test("a database that another process holds is told as locked, and works when it is let go", () =>
  onDisk((options) => {
    const keys = openKeys({ ...options, busyMs: 20 });
    const holder = new DatabaseSync(options.path);
    holder.exec("BEGIN EXCLUSIVE");
    const locked = (fault: KeysFault) => fault.kind === "locked";
    assert.throws(() => keys.tokens.create("ci", ["read"]), locked);
    assert.throws(() => openKeys({ ...options, busyMs: 20 }), locked);
    holder.exec("ROLLBACK");
    assert.ok(keys.tokens.create("ci", ["read"]));
    assert.equal(keys.tokens.list().length, 1);
    holder.close();
    keys.close();
  }));

Deno.test("a database that stays held is waited for once; then it is asked shortly, for reading and for writing, until it is let go", () =>
  onDisk((options) => {
    const busyMs = 20 * HELD_MS;
    const db = new KeyDatabase({ ...options, busyMs });
    const holder = new DatabaseSync(options.path);
    const waits = () => db.get("PRAGMA busy_timeout")!.timeout;
    const read = () => db.read("read", () => (db.get("SELECT count(*) FROM meta"), waits()));
    const write = () => db.write("write", waits);
    assert.deepEqual([read(), write()], [busyMs, busyMs]);
    for (const [held, tried] of [["IMMEDIATE", [write]], ["EXCLUSIVE", [write, read]]] as const) {
      holder.exec(`BEGIN ${held}`);
      for (const again of [busyMs, HELD_MS, HELD_MS]) {
        for (const one of tried) {
          assert.throws(one, { kind: "locked" });
          assert.equal(waits(), again);
        }
        if (held === "IMMEDIATE") assert.equal(read(), busyMs);
      }
      holder.exec("ROLLBACK");
      for (const one of tried) assert.deepEqual([one(), one()], [HELD_MS, busyMs]);
    }
    holder.close();
    db.close();
  }));

Deno.test("what is read while writing has no say in how long the writing waits for those who still read", () =>
  onDisk((options) => {
    const busyMs = 20 * HELD_MS;
    const db = new KeyDatabase({ ...options, busyMs });
    const holder = new DatabaseSync(options.path);
    const waits = () => db.get("PRAGMA busy_timeout")!.timeout;
    const read = () => db.read("read", () => db.get("SELECT count(*) FROM meta"));
    const write = (): unknown => {
      let waited: unknown;
      try {
        db.write("write", () => {
          db.run("INSERT OR REPLACE INTO meta VALUES ('test', x'00')");
          read();
          waited = waits();
        });
        return [waited];
      } catch (fault) {
        return [waited, (fault as KeysFault).kind];
      }
    };
    holder.exec("BEGIN");
    holder.prepare("SELECT count(*) FROM meta").get();
    assert.deepEqual([write(), write(), write()], [[busyMs, "locked"], [HELD_MS, "locked"], [HELD_MS, "locked"]]);
    holder.exec("ROLLBACK");
    assert.deepEqual([write(), write()], [[HELD_MS], [busyMs]]);
    holder.exec("BEGIN EXCLUSIVE");
    assert.throws(read, { kind: "locked" });
    holder.exec("ROLLBACK");
    assert.deepEqual(write(), [busyMs], "nor one that was in vain before");
    holder.close();
    db.close();
  }));

Deno.test("into a database that was deleted, moved or replaced nothing is written, nor sealed under a key in it; put back it goes on", () =>
  onDisk((options) => {
    let now: number = MAY;
    const keys = openKeys({ ...options, clock: { now: () => now += THERE_WITHIN_MS } });
    const [given] = sealed(keys, change(ADA));
    const { token } = keys.tokens.create("ci", ["read"]);
    Deno.renameSync(options.path, `${options.dir}/aside`);
    for (const state of [/keys\.db is not there any more: it was deleted or moved/, /keys\.db .* it was replaced/]) {
      assert.throws(() => keys.sealer.seal([change(ADA)]), { name: "KeysFault", kind: "read_only", message: state });
      assert.throws(() => keys.tokens.create("more", ["read"]), { kind: "read_only", message: state });
      assert.ok(keys.tokens.check(token), "what is known is still read");
      Deno.writeTextFileSync(options.path, "of another");
    }
    Deno.renameSync(`${options.dir}/aside`, options.path);
    assert.deepEqual(sealed(keys, change(ADA))[0], given);
    keys.tokens.create("more", ["read"]);
    keys.close();
  }));

Deno.test("reading changes nothing: no file is made, nothing is written, what would write is refused", () =>
  onDisk((options) => {
    const text = made(options);
    const state = () =>
      [...Deno.readDirSync(options.dir)].map((
        { name },
      ) => [name, Deno.statSync(`${options.dir}/${name}`).mtime?.getTime()]);
    const before = JSON.stringify(state());
    const keys = openKeys({ ...options, readOnly: true, existing: true });
    assert.equal(keys.sealer.unseal(text), ADA.name);
    assert.ok(keys.logKey.signer.vkey);
    assert.equal(keys.tokens.first(), undefined);
    const refused = (fault: KeysFault) => fault.kind === "read_only";
    assert.throws(() => keys.tokens.create("ci", ["read"]), refused);
    assert.throws(() => keys.eraseKey("s_0123456789abcdef"), refused);
    assert.throws(
      () => keys.logKey.remember(keys.logKey.signer.checkpoint(1, Buffer.alloc(32).toString("base64"))),
      refused,
    );
    keys.close();
    assert.equal(JSON.stringify(state()), before);
  }));

Deno.test("what another process revokes, creates or erases is seen within SEEN_WITHIN_MS", () =>
  onDisk((options) => {
    const clock = clockAt(MAY);
    const server = openKeys({ ...options, clock });
    const other = openKeys(options);
    const text = (sealed(server, change(ADA))[0]!.data as { author: typeof ADA }).author.name;
    const { token, id } = server.tokens.create("ci", ["read"]);
    assert.ok(server.tokens.check(token));
    other.tokens.revoke(id);
    const made = other.tokens.create("new", ["read"]);
    other.eraseKey(other.subject(ADA.email)!);
    assert.ok(SEEN_WITHIN_MS < 1_000);
    clock.at += SEEN_WITHIN_MS;
    assert.equal(server.sealer.unseal(text), "[erased]");
    assert.equal(server.tokens.check(token), undefined);
    assert.ok(server.tokens.check(made.token));
    // Sealing looks too: it must not go on under a key that is no more.
    const grace = () => subjectOf((sealed(server, change(GRACE))[0]!.data as { author: typeof GRACE }).author.name);
    const before = grace();
    other.eraseKey(before!);
    clock.at += SEEN_WITHIN_MS;
    assert.notEqual(grace(), before);
    other.tokens.revoke(made.id);
    clock.at += SEEN_WITHIN_MS;
    assert.equal(server.tokens.check(made.token), undefined);
    other.close();
    server.close();
  }));

Deno.test("a clock set back does not hide what another process did", () =>
  onDisk((options) => {
    const clock = clockAt(MAY);
    const server = openKeys({ ...options, clock });
    const other = openKeys(options);
    const { token, id } = server.tokens.create("ci", ["read"]);
    assert.ok(server.tokens.check(token));
    other.tokens.revoke(id);
    clock.at -= 3_600_000;
    assert.equal(server.tokens.check(token), undefined);
    other.close();
    server.close();
  }));

Deno.test("the log's name can be chosen on first start only, and must fit a note", () =>
  onDisk((options) => {
    assert.throws(() => openKeys({ ...options, origin: "two words" }), (fault: KeysFault) => fault.kind === "invalid");
    const keys = openKeys({ ...options, origin: "example.com/daybook" });
    assert.equal(keys.logKey.signer.name, "example.com/daybook");
    keys.close();
    openKeys({ ...options, origin: "example.com/daybook" }).close();
    refuses({ ...options, origin: "example.com/other" }, "invalid", /known as "example\.com\/daybook" already/);
  }));

Deno.test("after close every use is a fault that says so", () =>
  onDisk((options) => {
    const keys = openKeys(options);
    keys.close();
    const closed = (fault: KeysFault) => fault.name === "KeysFault" && fault.kind === "closed";
    assert.throws(() => keys.tokens.create("ci", ["read"]), closed);
    assert.throws(() => keys.tokens.list(), closed);
  }));

Deno.test("the same seed gives the same key database", () => {
  const run = () => {
    let state = 1;
    const random = (bytes: number) =>
      Uint8Array.from({ length: bytes }, () => (state = (state * 48_271) % 2_147_483_647) & 255);
    const keys = openKeys({ path: ":memory:", clock: { now: () => MAY }, catalogue: people, random });
    const seen = [sealed(keys, change(ADA))[0], keys.logKey.signer.vkey, keys.tokens.create("ci", ["read"]).token];
    keys.close();
    return seen;
  };
  assert.deepEqual(run(), run());
});
