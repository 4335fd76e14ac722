/** What writes into a Deno KV file without Deno KV: that Deno KV reads it, and what goes which way. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { CommitThread } from "../adapters/kv/commit_thread.ts";
import { COMMIT_BYTES_MAX, commitIn, OUTCOMES, putCommit, wireBytes, WORDS } from "../adapters/kv/commit_wire.ts";
import { type Commit, Commits, PAGE_BYTES, VERSIONS_TAKEN } from "../adapters/kv/commits.ts";
import { encodeKey } from "../adapters/kv/key_encoding.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { HERE, Writer } from "../adapters/kv/writer.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { LogFault } from "../events/log.ts";
import { type Key, VALUE_BYTES_MAX } from "../events/store.ts";

import { inFolder } from "./folder_given.ts";
import { until } from "./until.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const put = (key: Key, value: Uint8Array): readonly [Key, Uint8Array] => [key, value];

/** A file with Deno KV's tables, and what Deno KV says is in it afterwards. */
const inFile = (body: (path: string, read: <T>(look: (kv: Deno.Kv) => Promise<T>) => Promise<T>) => Promise<void>) =>
  inFolder(async (dir) => {
    const path = `${dir}/log.db`;
    await (await KvStore.open(path, { clock: systemClock, random: systemRandom })).close();
    await body(path, async (look) => {
      const kv = await Deno.openKv(path);
      try {
        return await look(kv);
      } finally {
        kv.close();
      }
    });
  });

Deno.test("what is written is what Deno KV would have written: it reads, checks, overwrites and deletes it", () =>
  inFile(async (path, read) => {
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    assert.ok(await store.commit({ absent: ["a", 0], puts: [put(["a", 0], bytes(1, 2)), put(["a", 7], bytes(3))] }));
    assert.ok(!await store.commit({ absent: ["a", 7], puts: [put(["b", 1], bytes(9))] }));
    assert.ok(!await store.commit({ absent: ["a", 7], puts: [put(["a", 7], bytes(9)), put(["b", 1], bytes(9))] }));
    assert.ok(await store.commit({ puts: [put(["a", 7], bytes(4))], deletes: [["a", 0]] }));
    await store.close();
    await read(async (kv) => {
      const found = await Array.fromAsync(kv.list<Uint8Array>({ prefix: [] }));
      assert.deepEqual(found.map(({ key, value }) => [key, value]), [[["a", 7], bytes(4)]]);
      const { versionstamp } = found[0]!;
      assert.ok((await kv.atomic().check({ key: ["a", 7], versionstamp }).set(["a", 7], bytes(5)).commit()).ok);
      assert.ok(!(await kv.atomic().check({ key: ["a", 7], versionstamp }).set(["a", 7], bytes(6)).commit()).ok);
      const later = (await kv.get(["a", 7])).versionstamp!;
      assert.ok(later > versionstamp, `${later} is not greater than ${versionstamp}`);
    });
    const again = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    assert.deepEqual(again.get(["a", 7]), bytes(5));
    await again.close();
  }));

Deno.test("an append that is alone writes one page: Deno KV's index of what expires holds only that, and serves Deno KV as before", () =>
  inFile(async (path, read) => {
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    const written: number[] = [];
    for (let n = 0; n < 3; n++) {
      assert.ok(await store.commit({ absent: ["a", n], puts: [put(["a", n], bytes(1))], idle: true }));
      written.push(Deno.statSync(`${path}-wal`).size);
    }
    assert.deepEqual(written[2]! - written[1]!, PAGE_BYTES + 24);
    await store.close();
    await read(async (kv) => {
      await kv.set(["soon"], bytes(1), { expireIn: 600_000 });
      await kv.set(["later"], bytes(1), { expireIn: 3_600_000 });
      await kv.set(["kept"], bytes(1), { expireIn: 3_600_000 });
      await kv.set(["kept"], bytes(2));
    });
    const db = new DatabaseSync(path);
    // As Deno KV asks.
    for (
      const sql of [
        "delete from kv where expiration_ms >= 0 and expiration_ms <= 9e15 returning k",
        "select expiration_ms from kv where expiration_ms >= 0 order by expiration_ms limit 1",
      ]
    ) {
      const [plan] = db.prepare(`explain query plan ${sql}`).all();
      assert.match(String(plan!.detail), /using (covering )?index kv_expiration_ms_idx/i, sql);
    }
    assert.equal(db.prepare("select count(*) as rows from kv where expiration_ms >= 0").get()!.rows, 2);
    assert.deepEqual(db.prepare("pragma integrity_check").all().map((row) => row.integrity_check), ["ok"]);
    db.close();
  }));

Deno.test("a log whose tables were made before goes on with the index that it has", () =>
  inFile(async (path, read) => {
    const db = new DatabaseSync(path);
    db.exec("drop index kv_expiration_ms_idx; create index kv_expiration_ms_idx on kv (expiration_ms)");
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    assert.ok(await store.commit({ absent: ["a", 0], puts: [put(["a", 0], bytes(1))] }));
    await store.close();
    const again = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    assert.ok(!await again.commit({ absent: ["a", 0], puts: [put(["a", 0], bytes(2))] }));
    assert.ok(await again.commit({ absent: ["a", 1], puts: [put(["a", 1], bytes(2))] }));
    await again.close();
    const commits = new Commits(path);
    assert.equal(commits.pagesEach, 3);
    commits.close();
    assert.deepEqual(db.prepare("pragma integrity_check").all().map((row) => row.integrity_check), ["ok"]);
    db.close();
    await read(async (kv) => assert.deepEqual((await kv.get(["a", 0])).value, bytes(1)));
  }));

Deno.test("versions grow from commit to commit, also when more are taken, and of two connections none has one of the other's", () =>
  inFile((path) => {
    const [one, two] = [new Commits(path), new Commits(path)];
    const versionOf = (commits: Commits, n: number): number => {
      const key = encodeKey(["a", n]);
      commits.commit({ absent: undefined, puts: [[key, bytes(n)]], deletes: [] });
      const db = new DatabaseSync(path, { readOnly: true });
      try {
        return db.prepare("select version from kv where k = ?").get(key)!.version as number;
      } finally {
        db.close();
      }
    };
    const [first, other, second] = [versionOf(one, 1), versionOf(two, 2), versionOf(one, 3)];
    assert.equal(second, first + 1);
    assert.ok(Math.abs(other - first) >= VERSIONS_TAKEN, `${first} ${other}`);
    one.close();
    two.close();
    const three = new Commits(path);
    assert.ok(versionOf(three, 4) > Math.max(second, other));
    three.close();
    return Promise.resolve();
  }));

Deno.test("a commit that fails leaves nothing, and the connection goes on", () =>
  inFile((path) => {
    const commits = new Commits(path);
    const fine = [encodeKey(["a", 1]), bytes(1)] as const;
    const broken = [encodeKey(["a", 2]), undefined as unknown as Uint8Array] as const;
    assert.throws(() => commits.commit({ absent: undefined, puts: [fine, broken], deletes: [] }));
    assert.ok(commits.commit({ absent: fine[0], puts: [fine], deletes: [] }));
    assert.ok(!commits.commit({ absent: fine[0], puts: [fine], deletes: [] }));
    commits.close();
    return Promise.resolve();
  }));

Deno.test("a commit lies in shared memory as it was, to the last byte that it may have", () => {
  const own = new Uint8Array(COMMIT_BYTES_MAX);
  const commit: Commit = {
    absent: bytes(1, 2, 3),
    puts: [[bytes(1), bytes()], [bytes(2, 2), new Uint8Array(COMMIT_BYTES_MAX - 48).fill(7)]],
    deletes: [bytes(9), bytes()],
  };
  assert.equal(wireBytes(commit), putCommit(commit, own));
  assert.deepEqual(commitIn(own), commit);
  const empty: Commit = { absent: undefined, puts: [], deletes: [] };
  assert.equal(wireBytes(empty), putCommit(empty, own));
  assert.deepEqual(commitIn(own), empty);
});

Deno.test("the other thread writes, refuses, says what went wrong and goes on; too large a commit does not reach it", () =>
  inFile(async (path, read) => {
    const thread = new CommitThread(path);
    const commit = (n: number, value = bytes(n)): Commit => {
      const key = encodeKey(["a", n]);
      return { absent: key, puts: [[key, value]], deletes: [] };
    };
    assert.ok(await thread.commit(commit(1)));
    assert.ok(!await thread.commit(commit(1)));
    const other = new DatabaseSync(path);
    other.exec("begin immediate");
    await assert.rejects(thread.commit(commit(2)), /database is locked/);
    other.exec("rollback");
    other.close();
    await assert.rejects(
      thread.commit(commit(3, new Uint8Array(COMMIT_BYTES_MAX))),
      (error) => error instanceof LogFault && error.kind === "too_large",
    );
    assert.ok(await thread.commit(commit(2)));
    await thread.close();
    assert.deepEqual(await read(async (kv) => (await Array.fromAsync(kv.list({ prefix: ["a"] }))).length), 2);
  }));

const TROUBLE = "throw new Error('it is troubled')";
for (
  const [name, answers, script] of [
    ["before it has answered", 0, `onmessage = () => setTimeout(() => { ${TROUBLE}; }, 1)`],
    [
      "after it has answered",
      1,
      `onmessage = ({ data: { shared } }) => {
        const words = new Int32Array(shared, 0, 4);
        Atomics.wait(words, ${WORDS.asked}, 0);
        words[${WORDS.outcome}] = ${OUTCOMES.written};
        Atomics.store(words, ${WORDS.answered}, 1);
        postMessage(null);
        setTimeout(() => { ${TROUBLE}; }, 1);
      }`,
    ],
  ] as const
) {
  Deno.test(`when the other thread dies ${name} the outcome is unknown, and whoever asks next is told at once`, () =>
    inFile(async (path) => {
      const worker = new Worker(`data:application/javascript,${encodeURIComponent(script)}`, { type: "module" });
      const thread = new CommitThread(path, worker);
      const commit: Commit = { absent: undefined, puts: [[encodeKey(["a", 1]), bytes(1)]], deletes: [] };
      for (let n = 0; n < answers; n++) assert.ok(await thread.commit(commit));
      if (answers > 0) await until("it has died", () => thread.isDead);
      for (let n = 0; n < 2; n++) {
        await assert.rejects(
          thread.commit(commit),
          (error) => error instanceof LogFault && error.kind === "io" && /troubled/.test(error.message),
        );
        assert.ok(thread.isDead);
      }
      await thread.close();
    }));
}

Deno.test("commits are counted past what 32 bits hold", () =>
  inFile(async (path, read) => {
    const thread = new CommitThread(path, undefined, 2 ** 31 - 3);
    for (let n = 0; n < 6; n++) {
      assert.ok(await thread.commit({ absent: undefined, puts: [[encodeKey(["a", n]), bytes(n)]], deletes: [] }));
    }
    // One that did not notice would write the last one again and again.
    const versions = () =>
      read(async (kv) => (await Array.fromAsync(kv.list({ prefix: [] }))).map((row) => row.versionstamp));
    assert.deepEqual(await versions(), await versions());
    await thread.close();
    assert.equal((await versions()).length, 6);
  }));

/** A store whose thread that writes has answers of its own; undefined: it writes. */
const failing = async (
  answers: readonly (string | undefined)[],
  body: (store: KvStore) => Promise<void>,
): Promise<void> => {
  const { commit } = CommitThread.prototype;
  const left = [...answers];
  CommitThread.prototype.commit = async function (asked) {
    const said = left.shift();
    if (said === undefined) return await commit.call(this, asked);
    await new Promise((resolve) => setTimeout(resolve, 1));
    throw new Error(said);
  };
  try {
    await inFolder(async (dir) => {
      const store = await KvStore.open(`${dir}/log.db`, { clock: systemClock, random: systemRandom });
      await body(store);
      await store.close();
    });
  } finally {
    CommitThread.prototype.commit = commit;
  }
};

const kindOf = ({ status, reason }: { status: string; reason?: unknown }) =>
  reason instanceof LogFault ? reason.kind : status;

for (
  const [name, answers] of [
    ["what waits behind a commit whose flush failed", ["disk I/O error"]],
    ["what is tried again because the database was locked", ["database is locked", "disk I/O error"]],
  ] as const
) {
  Deno.test(`${name} is not written once the disk has failed, nor what comes after`, () =>
    failing(answers, async (store) => {
      const ask = (n: number, idle: boolean) => store.commit({ puts: [put(["a", n], bytes(n))], idle });
      const said = await Promise.allSettled([ask(1, false), ask(2, false), ask(3, true)]);
      assert.deepEqual(said.map(kindOf), ["fenced", "fenced", "fenced"]);
      assert.deepEqual((await Promise.allSettled([ask(4, true), ask(5, false)])).map(kindOf), ["fenced", "fenced"]);
      assert.deepEqual(store.list({ prefix: ["a"] }), []);
    }));
}

Deno.test("nor what is asked for at once behind one that failed in the thread that asks", () =>
  inFile(async (path) => {
    const writer = new Writer(path, instant);
    const { commit } = Commits.prototype;
    Commits.prototype.commit = () => {
      throw new Error("disk I/O error");
    };
    const first = writer.commit({ puts: [put(["a", 1], bytes(1))], idle: true });
    Commits.prototype.commit = commit;
    const others = [true, false].map((idle, n) => writer.commit({ puts: [put(["a", 2 + n], bytes(1))], idle }));
    assert.deepEqual((await Promise.allSettled([first, ...others])).map(kindOf), ["fenced", "fenced", "fenced"]);
    await writer.close();
    assert.equal(writersOf(path), 0);
  }));

/** However slow the disk is here, no commit seems to take time: where one is made hangs on what the test says alone. */
const instant = { ...systemClock, monotonic: () => 0 };

/** Who wrote: whoever takes versions from the file takes its own. */
const writersOf = (path: string): number => {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare(`select count(distinct (version - 1) / ${VERSIONS_TAKEN}) as writers from kv`).get()!
      .writers as number;
  } finally {
    db.close();
  }
};

Deno.test("a commit is made here where nothing else is to be done, else apart, and all in the order of asking", () =>
  inFile(async (path) => {
    const writer = new Writer(path, instant);
    const ask = (n: number, idle?: boolean, size = 1) =>
      writer.commit({ absent: ["a", n], puts: [put(["a", n], new Uint8Array(size))], idle });
    for (let n = 0; n < 5; n++) assert.ok(await ask(n, n % 2 === 0 ? true : undefined));
    assert.equal(writersOf(path), 1);
    assert.ok(await ask(5, false));
    assert.equal(writersOf(path), 2);
    // Behind one that is on its way nobody is alone; and of one key only the first is written.
    const many = Array.from({ length: 20 }, (_, i) => ask(6 + (i >> 1), [true, false, undefined][i % 3]));
    assert.deepEqual(await Promise.all(many), many.map((_, i) => i % 2 === 0));
    await Promise.all([writer.close(), writer.close()]);
    await writer.close();
  }));

/** One commit after the other with nothing else to do, `bytes` each: when the other thread made one, and when the database file had grown. */
const written = (bytes: number, commits: number) =>
  inFolder(async (folder) => {
    const path = `${folder}/log.db`;
    const store = await KvStore.open(path, { clock: instant, random: systemRandom });
    const { size } = Deno.statSync(path);
    const apart: number[] = [];
    const moved: number[] = [];
    for (let n = 0; n < commits; n++) {
      const before = [writersOf(path), Deno.statSync(path).size] as const;
      assert.ok(await store.commit({ puts: [put(["a", n], new Uint8Array(bytes))], idle: true }));
      if (n > 0 && writersOf(path) > before[0]) apart.push(n);
      if (Deno.statSync(path).size > before[1]) moved.push(n);
    }
    const grown = Deno.statSync(path).size - size;
    await store.close();
    return { apart, moved, grown };
  });

for (const large of [VALUE_BYTES_MAX - 1_000, 21_000]) {
  Deno.test(`commits of ${large} bytes are made here, the one with the checkpoint apart`, async () => {
    const commits = Math.ceil(HERE.wal_pages / (2 + Math.ceil(large / PAGE_BYTES)));
    const { apart, moved, grown } = await written(large, commits + 10);
    assert.deepEqual(apart, [commits - 1]);
    assert.deepEqual(moved, apart);
    assert.ok(grown > HERE.wal_bytes_max, "what was written is where it belongs");
  });
}

Deno.test("small commits are made here, with their checkpoint", async () => {
  const { apart, moved } = await written(330, HERE.wal_pages_max);
  assert.deepEqual(apart, []);
  assert.ok(moved.length > 0);
});

const TEMPORARY = [Deno.env.get("TMPDIR") || "/tmp"];
Deno.test({
  name: "who may not read the modules of the other thread writes everything here, also what is large",
  permissions: { read: TEMPORARY, write: TEMPORARY },
  fn: () =>
    inFile(async (path) => {
      const writer = new Writer(path, instant);
      assert.ok(await writer.commit({ puts: [put(["a", 1], bytes(1))], idle: false }));
      const large = Array.from({ length: 10 }, (_, n) => put(["b", n], new Uint8Array(VALUE_BYTES_MAX)));
      assert.ok(await writer.commit({ puts: large, idle: false }));
      assert.equal(writersOf(path), 1);
      await writer.close();
    }),
});

Deno.test("what is large is written apart, also for one append", () =>
  inFile(async (path) => {
    const writer = new Writer(path, instant);
    const large = Array.from(
      { length: HERE.bytes_max / VALUE_BYTES_MAX },
      (_, n) => put(["b", n], new Uint8Array(VALUE_BYTES_MAX)),
    );
    assert.ok(await writer.commit({ puts: [put(["a", 1], bytes(1))], idle: true }));
    assert.ok(await writer.commit({ puts: large, idle: true }));
    assert.equal(writersOf(path), 2);
    await writer.close();
  }));

Deno.test("on a slow disk all is written apart, and after a while here again", () =>
  inFile(async (path) => {
    let now = 0;
    let took = 0;
    // Every other look at the clock is behind a commit.
    const clock = { ...systemClock, monotonic: () => now += took };
    const writer = new Writer(path, clock);
    const ask = async (n: number) => {
      assert.ok(await writer.commit({ puts: [put(["a", n], bytes(n))], idle: true }));
      return writersOf(path);
    };
    took = HERE.slow_ms + 1;
    for (let n = 0; n < HERE.slow_commits; n++) assert.equal(await ask(n), 1);
    took = 0;
    assert.equal(await ask(10), 2);
    now += HERE.slow_for_ms;
    const before = writersOf(path);
    assert.equal(await ask(10), before - 1, "the key of the other thread's only commit is written here");
    await writer.close();
  }));

Deno.test("who only ever waits for commits leaves the event loop its turns", () =>
  inFile(async (path) => {
    let now = 0;
    // Every other look at the clock is behind a commit: two of them are as long as the event loop may wait.
    const writer = new Writer(path, { ...systemClock, monotonic: () => now += HERE.stay_ms / 2 });
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    for (let n = 0; n < 200; n++) await writer.commit({ puts: [put(["a", n], bytes(1))], idle: true });
    isOver = true;
    await writer.close();
    assert.ok(turns >= 90, `${turns} turns`);
  }));

Deno.test("a file whose tables Deno KV was cut off from making opens, and Deno KV makes the rest", () =>
  inFile(async (path) => {
    const db = new DatabaseSync(path);
    // As it is after the first of Deno KV's changes.
    db.exec(
      "drop index kv_expiration_ms_idx; alter table kv drop column expiration_ms; alter table kv drop column seq",
    );
    db.exec("alter table data_version drop column seq; update migration_state set version = 1");
    for (
      const { name } of db.prepare("select name from sqlite_master where name like 'queue%' and type = 'table'").all()
    ) {
      db.exec(`drop table ${name}`);
    }
    db.close();
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    assert.ok(await store.commit({ puts: [put(["a", 1], bytes(1))] }));
    assert.deepEqual(store.get(["a", 1]), bytes(1));
    await store.close();
  }));

Deno.test("a value that Deno KV would not take is refused", () =>
  inFile(async (path) => {
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    await assert.rejects(
      store.commit({ puts: [put(["a", 1], new Uint8Array(VALUE_BYTES_MAX + 1))] }),
      (error) => error instanceof LogFault && error.kind === "too_large",
    );
    assert.equal(store.get(["a", 1]), undefined);
    await store.close();
  }));
