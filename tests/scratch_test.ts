/** SQLite files that were not closed are read through a copy: of one moment, private, and gone afterwards. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { mock } from "node:test";
import { changeMark, isLeftOpen, Scratch, ScratchFault } from "../adapters/sqlite/scratch.ts";
import { givenStage } from "./cli_given.ts";

interface Given {
  readonly dir: string;
  /** `db`, not there yet. */
  readonly path: string;
  readonly folder: string;
  readonly scratch: Scratch;
  /** What `onStop` was handed, while it listens. */
  readonly stops: Set<() => void>;
  readonly told: string[];
}

const nobody = () => Promise.resolve(false);

const withScratch = async (test: (given: Given) => Promise<void>): Promise<void> => {
  const dir = await Deno.makeTempDir();
  const folder = `${dir}/scratch`;
  const stops = new Set<() => void>();
  const told: string[] = [];
  const scratch = new Scratch({
    folder,
    onStop(call) {
      stops.add(call);
      return () => stops.delete(call);
    },
    quit: () => told.push("quit"),
    onCopy: (path, bytes) => told.push(`${path.slice(dir.length)} ${bytes}`),
  });
  try {
    await test({ dir, path: `${dir}/db`, folder, scratch, stops, told });
    assert.equal(stops.size, 0, "nobody listens any more");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
};

/** A database of `rows` as its killed writer leaves it: all of them in the `-wal` alone. */
const leftOpen = (path: string, rows: number): void => {
  const writing = new DatabaseSync(`${path}.writing`);
  writing.exec("pragma journal_mode = wal; create table t(n)");
  const insert = writing.prepare("insert into t values (?)");
  for (let n = 0; n < rows; n++) insert.run(n);
  for (const suffix of ["", "-wal", "-shm"]) Deno.copyFileSync(`${path}.writing${suffix}`, path + suffix);
  writing.close();
  Deno.removeSync(`${path}.writing`);
};

const open = (path: string) => new DatabaseSync(path, { readOnly: true });
const rowsOf = (db: DatabaseSync) => {
  const { n } = db.prepare("select count(*) as n from t").get()!;
  db.close();
  return n;
};
const isThere = async (path: string) => (await Deno.stat(path).catch(() => undefined)) !== undefined;

Deno.test("scratch: of a link to a file that was not closed no copy is made, which would miss what was written last", () =>
  withScratch(async ({ dir, path, folder, scratch }) => {
    await Deno.mkdir(`${dir}/elsewhere`);
    leftOpen(`${dir}/elsewhere/db`, 3);
    await Deno.symlink(`${dir}/elsewhere/db`, path);
    await assert.rejects(scratch.open(path, nobody, open), {
      name: "ScratchFault",
      kind: "io",
      message: `${path} is a link, and was not closed: ` +
        "start the server once, which puts it in order, or link the whole folder",
    });
    assert.equal(await isThere(folder), false);
    // Who has it keeps it in order, and SQLite finds what lies there.
    assert.equal(await scratch.open(path, () => Promise.resolve(true), (at) => rowsOf(open(at))), 3);
  }));

Deno.test("scratch: a file that was closed is opened where it lies", () =>
  withScratch(async ({ path, scratch, told }) => {
    const db = new DatabaseSync(path);
    db.exec("create table t(n); insert into t values (1)");
    db.close();
    assert.equal(await isLeftOpen(path), false);
    assert.equal(await scratch.open(path, nobody, (at) => at), path);
    assert.equal(await scratch.open(`${path}.none`, nobody, (at) => at), `${path}.none`);
    assert.deepEqual(told, []);
  }));

Deno.test("scratch: a file that was left open is read through a private copy, which goes on being read when it is gone", () =>
  withScratch(async ({ path, folder, scratch, told }) => {
    leftOpen(path, 100);
    assert.equal(await isLeftOpen(path), true);
    const before = await changeMark(path);
    const db = await scratch.open(path, nobody, (at) => {
      assert.equal(at, `${folder}/db`);
      assert.deepEqual([folder, at].map((name) => Deno.statSync(name).mode! & 0o777), [0o700, 0o600]);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["db"], "as if it had been closed");
      return open(at);
    });
    assert.equal(await isThere(folder), false);
    assert.equal(rowsOf(db), 100);
    assert.equal(await changeMark(path), before);
    assert.match(told.join(), /^\/db \d+$/);
  }));

Deno.test("scratch: a running writer's file is opened where it lies", () =>
  withScratch(async ({ path, scratch }) => {
    leftOpen(path, 1);
    assert.equal(await scratch.open(path, () => Promise.resolve(true), (at) => at), path);
  }));

Deno.test("scratch: a copy during which somebody wrote is not used", () =>
  withScratch(async ({ path, folder, scratch }) => {
    leftOpen(path, 5);
    let looks = 0;
    const writing = () => {
      // The second look comes when the first copy is made.
      if (++looks === 2) leftOpen(path, 9);
      return Promise.resolve(false);
    };
    assert.equal(rowsOf(await scratch.open(path, writing, open)), 9);
    // A writer came, and stayed.
    looks = 0;
    assert.equal(await scratch.open(path, () => Promise.resolve(++looks > 1), (at) => at), path);
    assert.equal(await isThere(folder), false);
  }));

Deno.test("scratch: a file that changes during every copy is opened where it lies", () =>
  withScratch(async ({ path, scratch }) => {
    let looks = 0;
    leftOpen(path, 1);
    const writing = () => {
      if (++looks % 2 === 0) leftOpen(path, looks);
      return Promise.resolve(false);
    };
    assert.equal(await scratch.open(path, writing, (at) => at), path);
    assert.equal(looks, 6, "three copies, with a look before and behind each");
  }));

Deno.test("scratch: a transaction that was cut off is taken back", () =>
  withScratch(async ({ path, scratch }) => {
    const writing = new DatabaseSync(`${path}.writing`);
    writing.exec("create table t(n); insert into t values (1); pragma cache_size = 1; begin");
    const insert = writing.prepare("insert into t values (?)");
    for (let n = 0; n < 2_000; n++) insert.run("x".repeat(500));
    for (const suffix of ["", "-journal"]) Deno.copyFileSync(`${path}.writing${suffix}`, path + suffix);
    writing.exec("rollback");
    writing.close();
    assert.equal(await isLeftOpen(path), true);
    assert.equal(rowsOf(await scratch.open(path, nobody, open)), 1);
  }));

Deno.test("scratch: a file that may only be read is copied to one that SQLite can put in order", () =>
  withScratch(async ({ path, scratch }) => {
    leftOpen(path, 3);
    for (const suffix of ["", "-wal", "-shm"]) Deno.chmodSync(path + suffix, 0o400);
    assert.equal(rowsOf(await scratch.open(path, nobody, open)), 3);
  }));

Deno.test("scratch: a damaged file is handed on as it is, for its opener to name what is wrong", () =>
  withScratch(async ({ path, folder, scratch }) => {
    leftOpen(path, 3);
    for (const suffix of ["", "-wal"]) Deno.writeFileSync(path + suffix, new Uint8Array(4096).fill(0xff));
    await assert.rejects(
      scratch.open(path, nobody, (at) => {
        assert.equal(at, `${folder}/db`);
        return rowsOf(open(at));
      }),
      /not a database|malformed/,
    );
    assert.equal(await isThere(folder), false);
  }));

Deno.test("scratch: whatever its opener throws, nothing is left, and the next one has its turn", () =>
  withScratch(async ({ path, folder, scratch }) => {
    leftOpen(path, 3);
    const failing = scratch.open(path, nobody, () => Promise.reject(new Error("stop")));
    const next = scratch.open(path, nobody, open);
    await assert.rejects(failing, /stop/);
    assert.equal(rowsOf(await next), 3);
    assert.equal(await isThere(folder), false);
  }));

Deno.test("scratch: what is wrong with a copy is told of the file that it was made of", () =>
  withScratch(async ({ path, scratch }) => {
    leftOpen(path, 3);
    const opened = scratch.open(path, nobody, (at) => Promise.reject(new Error(`${at} holds no log`)));
    await assert.rejects(opened, { message: `${path} holds no log` });
  }));

Deno.test("scratch: what cannot be copied is told of as that, and not of where the copy was to be", () =>
  withScratch(async ({ path, scratch, told }) => {
    leftOpen(path, 3);
    // It becomes a folder in the moment in which it is copied.
    told.push = () => (Deno.removeSync(`${path}-wal`), Deno.mkdirSync(`${path}-wal`), 0);
    const said = await scratch.open(path, nobody, open).then(() => "", ({ message }) => message);
    assert.ok(said.startsWith(`cannot copy ${path} to read it: `), said);
    assert.ok(said.endsWith(`copy '${path}-wal'`), said);
  }));

Deno.test("scratch: who is told to end leaves nothing", () =>
  withScratch(async ({ path, folder, scratch, stops, told }) => {
    leftOpen(path, 3);
    await scratch.open(path, nobody, async () => {
      for (const stop of stops) stop();
      assert.equal(await isThere(folder), false);
    });
    assert.deepEqual(told.slice(1), ["quit"]);
  }));

Deno.test("scratch: a folder that is there already is somebody else's", () =>
  withScratch(async ({ path, folder, scratch }) => {
    leftOpen(path, 3);
    await Deno.mkdir(folder);
    await Deno.writeTextFile(`${folder}/db`, "theirs");
    await assert.rejects(
      scratch.open(path, nobody, open),
      (error: unknown) => error instanceof ScratchFault && error.kind === "io" && /TMPDIR/.test(error.message),
    );
    assert.equal(await Deno.readTextFile(`${folder}/db`), "theirs");
  }));

Deno.test("scratch: no room for the copy is one clear error, exit code 3, and leaves nothing", () =>
  withScratch(async ({ path, folder, scratch }) => {
    leftOpen(path, 3);
    const copying = mock.method(Deno, "copyFile", () => {
      Deno.writeFileSync(`${folder}/db`, new Uint8Array(100));
      return Promise.reject(new Error("No space left on device (os error 28)"));
    });
    try {
      const stage = givenStage();
      stage.runtime.reader = () => scratch.open(path, nobody, () => assert.fail("there is no copy"));
      const { code, err } = await stage.type("events");
      assert.equal(code, 3);
      assert.match(err, /^daybook: there is no room for a copy of .+\/db in .+\/scratch; set TMPDIR [^\n]+\n$/);
      const document = await stage.json<{ error: { code: string } }>("events");
      assert.deepEqual([document.exit, document.error.code], [3, "no_room"]);
    } finally {
      copying.mock.restore();
    }
    assert.equal(await isThere(folder), false);
  }));
