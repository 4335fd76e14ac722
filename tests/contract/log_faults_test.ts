/** Named faults of the log on Deno KV, each with its stated reaction. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { inlineBackground } from "../../adapters/kv/background.ts";
import { FolderLock } from "../../adapters/kv/lock.ts";
import { KvLog } from "../../adapters/kv/log.ts";
import { LOG_BOUNDS, type LogOptions } from "../../adapters/kv/log_options.ts";
import { LogReader } from "../../adapters/kv/reader.ts";
import { encodeKey } from "../../adapters/kv/key_encoding.ts";
import { KvReader, KvStore } from "../../adapters/kv/store.ts";
import { MemoryStore } from "../../adapters/memory/store.ts";
import { systemClock, systemRandom } from "../../adapters/system/world.ts";
import { type Catalogue, catalogue } from "../../events/catalogue.ts";
import { LogFault } from "../../events/log.ts";
import type { Batch, Key, Store } from "../../events/store.ts";
import { openWithWorker } from "../log_given.ts";
import { onSmallDisk } from "../small_disk_given.ts";
import { lying, lyingUnder } from "../at_rest_given.ts";
import { all, event } from "./log_contract.ts";
import { inFolder } from "../folder_given.ts";

/** Of a block's only run, see `block.ts`. */
const RUN_COUNT_AT = 56 + 16;
const world = { clock: systemClock, random: systemRandom };
const fault = (kind: LogFault["kind"]) => (error: unknown) =>
  (error instanceof LogFault && error.kind === kind) || assert.fail(`${error}`);

const openAt = async (path: string, more: Partial<LogOptions> = {}) =>
  await openWithWorker(lying(await KvStore.open(path, world)), path, {
    catalogue: catalogue(),
    clock: systemClock,
    ...lyingUnder(),
    ...more,
  });

const filled = async (path: string, events: number) => {
  const log = await openAt(path);
  for (let i = 0; i < events; i++) await log.append({ events: [event(i)] });
  await log.close();
};

const sql = (path: string, statement: string, ...values: (Uint8Array | number)[]) => {
  const db = new DatabaseSync(path);
  try {
    return db.prepare(statement).run(...values).changes;
  } finally {
    db.close();
  }
};

const edit = (path: string, key: Uint8Array, change: (value: Uint8Array) => void) => {
  const db = new DatabaseSync(path);
  try {
    const value = db.prepare("select v from kv where k = ?").get(key)!.v as Uint8Array;
    change(value);
    db.prepare("update kv set v = ? where k = ?").run(value, key);
  } finally {
    db.close();
  }
};

Deno.test("a database that is locked for a while is tried again until it is free", () =>
  inFolder(async (dir) => {
    const log = await openAt(`${dir}/log.db`);
    const other = new DatabaseSync(`${dir}/log.db`);
    other.exec("begin immediate");
    setTimeout(() => other.exec("commit"), 150);
    const answer = await log.append({ events: [event(1)] });
    assert.ok(answer.ok);
    other.close();
    await log.close();
  }));

Deno.test("a journal that was left by who was killed on the way into WAL mode or out of it is rolled back", () =>
  inFolder(async (dir) => {
    const [path, left] = [`${dir}/log.db`, `${dir}/left.db`];
    await filled(path, 3);
    // Changes that are in the file already, and a journal of what was there before.
    const db = new DatabaseSync(path);
    db.exec("pragma journal_mode = delete; pragma cache_size = 1; begin; update kv set v = zeroblob(40000)");
    for (const suffix of ["", "-journal"]) await Deno.copyFile(path + suffix, left + suffix);
    db.close();
    const log = await openAt(left);
    assert.equal(log.size, 3);
    assert.ok((await log.append({ events: [event(3)] })).ok);
    await log.close();
    await assert.rejects(Deno.stat(`${left}-journal`), Deno.errors.NotFound);
  }));

Deno.test("a log that somebody is reading opens when they have finished", () =>
  inFolder(async (dir) => {
    await filled(`${dir}/log.db`, 3);
    const reader = new DatabaseSync(`${dir}/log.db`, { readOnly: true });
    reader.exec("begin");
    reader.prepare("select count(*) from kv").get();
    setTimeout(() => reader.exec("commit"), 200);
    const log = await openAt(`${dir}/log.db`);
    assert.equal(log.size, 3);
    reader.close();
    await log.close();
  }));

Deno.test("a database that stays locked fails the append as locked, appends nothing, and the next one goes through", () =>
  inFolder(async (dir) => {
    const hasty = { ...systemClock, schedule: (_: number, call: () => void) => systemClock.schedule(1, call) };
    const store = await KvStore.open(`${dir}/log.db`, { clock: hasty, random: systemRandom });
    const log = await KvLog.open(store, {
      catalogue: catalogue(),
      clock: systemClock,
      background: inlineBackground(store, systemClock),
    });
    const other = new DatabaseSync(`${dir}/log.db`);
    other.exec("begin immediate");
    await assert.rejects(log.append({ events: [event(1)] }), fault("locked"));
    other.exec("rollback");
    other.close();
    assert.equal(log.size, 0);
    assert.ok((await log.append({ events: [event(1)] })).ok);
    await log.close();
  }));

class Unsure extends MemoryStore {
  next: "written" | "lost" | "sure" = "sure";
  kind: LogFault["kind"] = "io";
  unreadable = false;
  override get(key: Key): Uint8Array | undefined {
    if (this.unreadable) throw new LogFault("io", "it cannot be read");
    return super.get(key);
  }
  override async commit(batch: Batch): Promise<boolean> {
    const { next } = this;
    this.next = "sure";
    if (next !== "lost") await super.commit(batch);
    if (next !== "sure") throw new LogFault(this.kind, "the connection broke");
    return true;
  }
}

Deno.test("an unknown outcome is read back: what was written counts, what was not is refused and can be repeated", async () => {
  const store = lying(new Unsure());
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
  });
  store.next = "written";
  const first = await log.append({ events: [event(1)] });
  assert.ok(first.ok && first.accepted === 1);
  store.next = "lost";
  await assert.rejects(log.append({ events: [event(2)] }), fault("io"));
  assert.equal(log.size, 1);
  const again = await log.append({ events: [event(2)] });
  assert.ok(again.ok && again.receipts[0]!.position === 1);
  await log.close();
});

Deno.test("where an unknown outcome cannot be read back the log stops; a commit that certainly was not made is refused alone", async () => {
  const store = lying(new Unsure());
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
  for (const [next, kind, told] of [["lost", "full", "full"], ["written", "io", "fenced"]] as const) {
    Object.assign(store, { next, kind, unreadable: true });
    await assert.rejects(log.append({ events: [event(kind)] }), fault(told));
    store.unreadable = false;
    assert.equal(log.size, 0);
  }
  await assert.rejects(log.append({ events: [event("later")] }), /what became of a commit cannot be read/);
  assert.ok(log.unwritable);
  await log.close();
});

Deno.test("a commit whose flush the disk failed is not acknowledged, whatever can be read of it, and the log stops", async () => {
  const store = lying(new Unsure());
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
  Object.assign(store, { next: "written", kind: "fenced" });
  await assert.rejects(log.append({ events: [event(1)] }), fault("fenced"));
  assert.equal(log.size, 0);
  await assert.rejects(log.append({ events: [event(2)] }), fault("fenced"));
  assert.ok(log.unwritable);
  await log.close();
});

Deno.test("a log behind whose back another has written stops, and says so", async () => {
  const store: Store = new MemoryStore();
  const options = { catalogue: catalogue(), clock: systemClock, background: inlineBackground(store, systemClock) };
  const one = await KvLog.open(store, options);
  const two = await KvLog.open(store, options);
  assert.ok((await two.append({ events: [event("two")] })).ok);
  await assert.rejects(one.append({ events: [event("one")] }), fault("fenced"));
  await assert.rejects(one.append({ events: [event("more")] }), fault("fenced"));
  // Nor does it say where a stream ends, for nobody may decide on that.
  assert.throws(() => one.head("tests/one"), fault("fenced"));
  assert.equal(two.size, 1);
  await one.close();
  await two.close();
});

Deno.test("a full disk fails appends as full and loses nothing; writing resumes in the same process when there is room", (t) =>
  onSmallDisk(t, "3m", async (dir) => {
    const log = await openAt(`${dir}/log.db`);
    let written = 0;
    await assert.rejects(async () => {
      for (;; written++) await log.append({ events: [event(written, { data: "x".repeat(20_000) })] });
    }, fault("full"));
    assert.ok(written > 10);
    assert.equal(log.size, written);
    await assert.rejects(log.append({ events: [event("more", { data: "x".repeat(20_000) })] }), fault("full"));
    await new Deno.Command("mount", { args: ["-o", "remount,size=12m", dir] }).output();
    const answer = await log.append({ events: [event("after", { data: "x".repeat(20_000) })] });
    assert.ok(answer.ok && answer.receipts[0]!.position === written);
    await log.close();
    const again = await openAt(`${dir}/log.db`);
    assert.deepEqual(all(again).map((e) => e.id), [...Array.from({ length: written }, (_, i) => String(i)), "after"]);
    await again.close();
  }));

Deno.test("into a file that was deleted, moved or replaced nothing is acknowledged; where it is put back the log goes on", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    for (const file of [path, `${path}-wal`]) {
      const said: string[] = [];
      const log = await openAt(path, { trouble: (line) => said.push(line) });
      const { size } = log;
      assert.ok((await log.append({ events: [event(`${file} before`)] })).ok);
      await Deno.rename(file, `${dir}/aside`);
      await assert.rejects(log.append({ events: [event(`${file} moved`)] }), fault("read_only"));
      assert.match(log.unwritable!.message, /deleted or moved/);
      await Deno.writeTextFile(file, "of another");
      await assert.rejects(log.append({ events: [event(`${file} replaced`)] }), fault("read_only"));
      assert.equal(log.size, size + 1);
      assert.deepEqual(said, [`the log cannot be written: ${file} is not there any more: it was deleted or moved`]);
      await Deno.rename(`${dir}/aside`, file);
      assert.ok((await log.append({ events: [event(`${file} moved`)] })).ok);
      assert.ok(!log.unwritable);
      await log.close();
    }
    const log = await openAt(path);
    assert.equal(all(log).length, 4);
    await Deno.remove(path);
    assert.ok(log.unwritable);
    await log.close();
    await assert.rejects(Deno.stat(path), Deno.errors.NotFound, "nothing that looks like a log is left in its place");
  }));

Deno.test("a log whose write-ahead log was cut short stops", () =>
  inFolder(async (dir) => {
    const log = await openAt(`${dir}/log.db`);
    assert.ok((await log.append({ events: [event(1)] })).ok);
    await Deno.truncate(`${dir}/log.db-wal`);
    await assert.rejects(log.append({ events: [event(2)] }), fault("fenced"));
    await assert.rejects(log.append({ events: [event(3)] }), fault("fenced"));
    assert.ok(log.unwritable);
    await log.close();
  }));

Deno.test("a log whose write-ahead log another program had SQLite empty goes on", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    const log = await openAt(path);
    for (let i = 1; i <= 3; i++) {
      assert.ok((await log.append({ events: [event(i)] })).ok);
      sql(path, "pragma wal_checkpoint(truncate)");
      assert.equal((await Deno.stat(`${path}-wal`)).size, 0);
      assert.ok(!log.unwritable);
    }
    assert.ok((await log.append({ events: [event(4)] })).ok);
    await log.close();
    const again = await openAt(path);
    assert.equal(again.size, 4);
    await again.close();
  }));

Deno.test("a folder that cannot be written refuses to open for writing and can be read", (t) =>
  onSmallDisk(t, "8m", async (dir, run) => {
    await filled(`${dir}/log.db`, 5);
    await run("mount", "-o", "remount,ro", dir);
    await assert.rejects(openAt(`${dir}/log.db`), fault("read_only"));
    await assert.rejects(FolderLock.take(`${dir}/lock`), fault("read_only"));
    const reader = new LogReader(lying(new KvReader(`${dir}/log.db`)), { catalogue: catalogue() });
    reader.refresh();
    assert.equal(all(reader).length, 5);
    await reader.close();
  }));

Deno.test("a truncated file is named as such", () =>
  inFolder(async (dir) => {
    await filled(`${dir}/log.db`, 200);
    const { size } = await Deno.stat(`${dir}/log.db`);
    await Deno.truncate(`${dir}/log.db`, Math.floor(size / 2 / 4096) * 4096);
    await assert.rejects(async () => {
      const log = await openAt(`${dir}/log.db`);
      await log.close();
    }, fault("truncated"));
  }));

Deno.test("a page that cannot be read is told with the name of the file", () =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await filled(path, 300);
    const reader = new KvReader(path);
    const { size } = await Deno.stat(path);
    using file = await Deno.open(path, { write: true });
    await file.seek(8_192, Deno.SeekMode.Start);
    await file.write(new Uint8Array(size - 8_192).fill(0x5a));
    const read = () => reader.list({ prefix: ["block"] });
    assert.throws(read, { kind: "truncated", message: "log.db: database disk image is malformed" });
    await reader.close();
  }));

Deno.test("a missing block and a block cut short are named with their position", () =>
  inFolder(async (dir) => {
    await filled(`${dir}/log.db`, 6);
    sql(`${dir}/log.db`, "delete from kv where k = ?", encodeKey(["log", 3]));
    await assert.rejects(openAt(`${dir}/log.db`), (error: Error) =>
      fault("truncated")(error) && /position 3 is missing/.test(error.message));
    await filled(`${dir}/other.db`, 6);
    sql(`${dir}/other.db`, "update kv set v = substr(v, 1, length(v) - 9) where k = ?", encodeKey(["log", 2]));
    await assert.rejects(openAt(`${dir}/other.db`), (error: Error) =>
      fault("truncated")(error) && /position 2/.test(error.message));
  }));

for (
  const [name, change] of [
    ["whose entries are no entries", (block) => block.fill(0x78, block.length - 20)],
    ["that has runs for fewer entries", (block) => block.set([2], RUN_COUNT_AT + 3)],
    ["that has runs for more entries", (block) => block.set([4], RUN_COUNT_AT + 3)],
  ] as readonly (readonly [string, (block: Uint8Array) => void])[]
) {
  Deno.test(`a block ${name} is named with its position`, async () => {
    const store = new MemoryStore();
    const background = inlineBackground(store, systemClock);
    const options = { catalogue: catalogue(), clock: systemClock, background };
    const log = await KvLog.open(store, options);
    await log.append({ events: [event(1, { data: { text: "é" } }), event(2), event(3, { data: { text: "é" } })] });
    const [[first, block]] = [...store.list({ prefix: ["log"] })] as [[number, Uint8Array]];
    const changed = block.slice();
    change(changed);
    await store.commit({ puts: [[["log", first], changed]] });
    await assert.rejects(
      KvLog.open(store, options),
      (error: Error) => fault("truncated")(error) && /position 0/.test(error.message),
    );
  });
}

Deno.test("a foreign file is refused and left as it is", () =>
  inFolder(async (dir) => {
    await Deno.writeTextFile(`${dir}/text.db`, "not a database, but some text that somebody wrote\n".repeat(50));
    await assert.rejects(openAt(`${dir}/text.db`), fault("foreign"));
    sql(`${dir}/other.db`, "create table accounts(name text)");
    const before = await Deno.readFile(`${dir}/other.db`);
    await assert.rejects(openAt(`${dir}/other.db`), fault("foreign"));
    assert.deepEqual(await Deno.readFile(`${dir}/other.db`), before);
  }));

Deno.test("a newer format of log, index, block, codec or event stops the reader with a fault that says so", () =>
  inFolder(async (dir) => {
    const cases: [string, (path: string) => void][] = [
      [
        "log",
        (path) =>
          sql(path, "update kv set v = ? where k = ?", new TextEncoder().encode('{"format":2}'), encodeKey(["format"])),
      ],
      [
        "block",
        (path) => edit(path, encodeKey(["log", 1]), (value) => value.set([0x32], 3)),
      ],
      [
        "codec",
        (path) => edit(path, encodeKey(["log", 1]), (value) => value.set([7], 4)),
      ],
      [
        "index",
        (path) =>
          sql(
            path,
            "insert into kv(k, v, v_encoding, version) values (?, ?, 3, 1)",
            encodeKey(["manifest"]),
            new TextEncoder().encode('{"format":3}'),
          ),
      ],
    ];
    for (const [name, change] of cases) {
      await filled(`${dir}/${name}.db`, 3);
      change(`${dir}/${name}.db`);
      await assert.rejects(openAt(`${dir}/${name}.db`), (error) => fault("newer")(error), name);
    }
    const schema = { safeParse: () => ({ success: true }) } as never;
    const shapes = (version: number): Catalogue =>
      catalogue({
        name: "tests",
        facts: {
          "tests.thing.happened": {
            schema,
            kind: "observed",
            about: "a test",
            version,
            upcasts: [(data) => [{ type: "tests.thing.happened", data: { was: data } }]],
          },
        },
      });
    const log = await openAt(`${dir}/event.db`, { catalogue: shapes(2) });
    await log.append({ events: [event(1), event(2, { version: 2 })] });
    assert.deepEqual(all(log).map((e) => [e.version, e.data]), [[2, { was: { n: 1 } }], [2, { n: 2 }]]);
    await log.close();
    const older = await openAt(`${dir}/event.db`, { catalogue: shapes(1) });
    assert.throws(() => all(older), fault("newer"));
    await older.close();
  }));

Deno.test("one process at a time holds the lock of a folder", () =>
  inFolder(async (dir) => {
    const lock = await FolderLock.take(`${dir}/lock`);
    await assert.rejects(FolderLock.take(`${dir}/lock`), fault("locked"));
    lock.release();
    (await FolderLock.take(`${dir}/lock`)).release();
  }));

Deno.test("whoever looks whether a folder has a writer is told, and is in no writer's way", () =>
  inFolder(async (dir) => {
    assert.equal(await FolderLock.isHeld(`${dir}/lock`), false);
    assert.equal((await Deno.stat(`${dir}/lock`).catch(() => undefined))?.isFile, undefined, "looking makes nothing");
    const lock = await FolderLock.take(`${dir}/lock`);
    assert.equal(await FolderLock.isHeld(`${dir}/lock`), true);
    lock.release();
    assert.equal(await FolderLock.isHeld(`${dir}/lock`), false);
    // Many look all the time, and each time the lock can be had.
    let done = false;
    const lookers = Array.from({ length: 8 }, async () => {
      while (!done) await FolderLock.isHeld(`${dir}/lock`);
    });
    for (let taken = 0; taken < 50; taken++) (await FolderLock.take(`${dir}/lock`)).release();
    done = true;
    await Promise.all(lookers);
    // Who looks and never lets go is taken for somebody at work.
    const looker = await Deno.open(`${dir}/lock`);
    assert.equal(await looker.tryLock(false), true);
    await assert.rejects(FolderLock.take(`${dir}/lock`), fault("locked"));
    looker.close();
  }));

class Stuck extends MemoryStore {
  go: (() => void) | undefined;
  override async commit(batch: Batch): Promise<boolean> {
    if (batch.absent?.[0] === "log") await new Promise<void>((resolve) => this.go = resolve);
    return super.commit(batch);
  }
}

Deno.test("the queue of appends is bounded in number and bytes; what is over is refused, what was taken is written", async () => {
  const store = new Stuck();
  const log = await KvLog.open(store, {
    catalogue: catalogue(),
    clock: systemClock,
    background: inlineBackground(store, systemClock),
  });
  const taken: Promise<unknown>[] = [log.append({ events: [event("first")] })];
  await new Promise((resolve) => setTimeout(resolve, 0));
  const big = "x".repeat(55_000);
  for (let bytes = 0; bytes + 56_000 < LOG_BOUNDS.queue_bytes_max; bytes += 55_400) {
    taken.push(log.append({ events: [event(`big${bytes}`, { data: big })] }));
  }
  await assert.rejects(async () => {
    for (let i = 0; i < 100; i++) {
      await Promise.race([
        log.append({ events: [event(`over${i}`, { data: big })] }),
        new Promise((resolve) => setTimeout(resolve, 0)),
      ]);
    }
  }, fault("overloaded"));
  const free = setInterval(() => store.go?.(), 0);
  await Promise.all(taken);
  const many = Array.from(
    { length: LOG_BOUNDS.queue_events_max + 10 },
    (_, i) =>
      log.append({ events: [event(`n${i}`, { data: null })] }).then(
        () => true,
        (error) => fault("overloaded")(error) && false,
      ),
  );
  const done = await Promise.all(many);
  assert.equal(done.filter((ok) => !ok).length, 10);
  clearInterval(free);
  const closing = setInterval(() => store.go?.(), 0);
  await log.close();
  clearInterval(closing);
});
