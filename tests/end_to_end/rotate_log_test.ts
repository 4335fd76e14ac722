/** The log's key is changed by a command, with and without a server, and wherever it is cut off. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { verifyLog } from "../../adapters/verify/verify.ts";
import { openDaybook, verifyNote } from "../../main.ts";
import { commands } from "../program_given.ts";
import { command, document, type Place, run, start, withPlace } from "./cli_given.ts";

const append = async (data: string, from: number, count: number): Promise<void> => {
  const daybook = await openDaybook({ data });
  const events = Array.from({ length: count }, (_, i) => ({
    id: `e-${from + i}`,
    source: "urn:tests",
    type: "tests.thing.happened",
    data: { n: from + i },
  }));
  assert.ok((await daybook.ingest(events, { authtype: "system", authid: "tests" })).ok);
  await daybook.close();
};

const keyOf = async (data: string): Promise<string> =>
  (await document<{ key: string }>(["status", "--data", data])).key;

interface Changed {
  readonly ok: boolean;
  readonly old: string;
  readonly new: string;
  readonly position: number;
  readonly checkpoint: string;
}

/** By the verifier itself, which is what `verify` prints. */
const verified = async (data: string, key: string, ...against: readonly string[]) => {
  const kept = await Promise.all(
    against.map(async (name) => ({ name, text: await Deno.readTextFile(name), elsewhere: true })),
  );
  return await verifyLog({ path: `${data}/log.db`, key, against: kept });
};

const signers = (note: string, ...keys: readonly string[]): readonly boolean[] =>
  keys.map((key) => {
    try {
      return verifyNote(note, [key]).names.length === 1;
    } catch {
      return false;
    }
  });

Deno.test("a backup in whose midst the log's key is changed has both or neither, so that it can be gone on with", () =>
  withPlace(async ({ dir, data }) => {
    await append(data, 0, 5);
    await Deno.writeTextFile(`${dir}/passphrase`, "correct horse battery\n");
    const withKeys = ["--passphrase-file", `${dir}/passphrase`];
    const typed = commands(dir);
    let left = 1;
    // When the log was copied and the keys were not.
    const rootAsked = async () => {
      if (left-- <= 0) return;
      assert.equal((await typed("keys", "rotate-log", "--overlap", "0", "--data", data)).code, 0);
    };
    const made = await commands(dir, { rootAsked })(
      "backup",
      `${dir}/copy`,
      "--with-keys",
      ...withKeys,
      "--data",
      data,
    );
    // How far it is may be told, where the disk is slow.
    assert.deepEqual([made.code, made.err.replace(/^copying \d+ of \d+ events[^\n]*\n/gm, "")], [0, ""]);
    assert.ok(left <= 0);
    const back = `${dir}/back`;
    assert.equal((await typed("restore", `${dir}/copy`, ...withKeys, "--data", back)).code, 0);
    await append(back, 5, 5);
    const key = await keyOf(back);
    assert.equal(key, await keyOf(data));
    assert.deepEqual((await verified(back, key)).failures, []);
  }));

Deno.test("a log whose key was changed is followed by old and new key, and what was kept before still holds", () =>
  withPlace(async ({ dir, data }) => {
    await append(data, 0, 20);
    const old = await keyOf(data);
    const receipt = `${dir}/old.tlog-proof`;
    assert.equal((await run(["receipt", "3", "--out", receipt, "--data", data])).code, 0);

    const changed = await document<Changed>(["keys", "rotate-log", "--data", data]);
    assert.deepEqual([changed.exit, changed.ok, changed.old, changed.new !== old], [0, true, old, true]);
    assert.equal(await keyOf(data), changed.new);
    assert.deepEqual(signers(changed.checkpoint, old, changed.new), [true, true], "both sign in the overlap");
    await append(data, 20, 20);
    for (const key of [old, changed.new]) {
      const report = await verified(data, key);
      assert.deepEqual([report.ok, report.signed, report.anchored], [true, report.size, 0]);
      assert.deepEqual(report.key_changes?.map(({ position }) => position), [changed.position]);
    }
    const told = await run(["verify", "--data", data, "--key", old]);
    assert.match(
      told.out,
      new RegExp(`changed at position ${changed.position}, from [0-9a-f]{8} to [0-9a-f]{8}, signed by both`),
    );
    assert.ok(told.out.includes(`signed by a newer key now: ${changed.new}`), told.out);

    assert.equal((await run(["receipt", "--check", receipt, "--key", old])).code, 0);
    assert.equal((await run(["receipt", "--check", receipt, "--key", changed.new])).code, 1);
    assert.equal((await run(["receipt", "--check", receipt, "--data", data])).code, 0, "by any key of the folder's");

    const second = await document<Changed>(["keys", "rotate-log", "--overlap", "0", "--data", data]);
    assert.equal(second.old, changed.new);
    assert.deepEqual(signers(second.checkpoint, old, changed.new, second.new), [false, false, true]);
    for (const key of [old, changed.new, second.new]) {
      const report = await verified(data, key);
      assert.deepEqual([report.failures, report.key_changes?.length], [[], 2]);
    }
    const bytes = await Deno.readFile(`${data}/keys.db`);
    assert.ok(!new TextDecoder("latin1").decode(bytes).includes("log key next"), "nothing is left half done");
    // A key that never signed leads nowhere.
    const stranger = (await withStranger(dir))!;
    const report = await verified(data, stranger);
    assert.deepEqual([report.ok, report.authenticated], [false, false]);
    assert.ok(report.failures.every(({ kind }) => kind === "signature"));
  }));

/** The key of another log. */
const withStranger = async (dir: string): Promise<string | undefined> => {
  const data = `${dir}/another`;
  await append(data, 0, 1);
  return await keyOf(data);
};

Deno.test("beside a running server the key is changed through its socket, and it signs on", () =>
  withPlace(async ({ data }) => {
    await append(data, 0, 5);
    const old = await keyOf(data);
    const server = await start(data);
    try {
      const changed = await document<Changed>(["keys", "rotate-log", "--overlap", "12h", "--data", data]);
      assert.equal(changed.exit, 0);
      const answer = await fetch(`${server.url}/checkpoint`, { headers: { authorization: `Bearer ${server.token}` } });
      assert.deepEqual(signers(await answer.text(), old, changed.new), [true, true]);
      const shown = await document<{ events: readonly { type: string; stream: string; data: { note: string } }[] }>([
        "events",
        "--type",
        "kernel.log.key_rotated",
        "--data",
        data,
      ]);
      assert.deepEqual(shown.events.map(({ stream }) => stream), ["kernel/log"]);
      assert.deepEqual(signers(shown.events[0]!.data.note, old, changed.new), [true, true]);
      // Nobody else can say so.
      const forged = await fetch(`${server.url}/events`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.token}`, "content-type": "application/cloudevents+json" },
        body: JSON.stringify({
          specversion: "1.0",
          id: "x",
          source: "urn:x",
          type: "kernel.log.key_rotated",
          data: {},
        }),
      });
      assert.equal(forged.status, 403);
      await forged.body?.cancel();
      const wrong = await fetch(`${server.url}/operations/rotate-log-key`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.token}`, "content-type": "application/json" },
        body: JSON.stringify({ overlap_ms: -1 }),
      });
      const problem = await wrong.json();
      assert.deepEqual([wrong.status, problem.type, problem.errors[0].path], [
        400,
        "urn:daybook:problem:invalid_data",
        "/overlap_ms",
      ]);
      assert.deepEqual((await verified(data, old)).failures, []);
    } finally {
      assert.equal((await server.stop()).code, 0);
    }
    assert.deepEqual((await verified(data, old)).failures, []);
  }));

Deno.test("a witness that knows the old key cosigns through the overlap, and one that knows both goes on behind it", () =>
  withPlace(async ({ dir, data }) => {
    await append(data, 0, 5);
    const old = await keyOf(data);
    const kept = `${dir}/kept.txt`;
    const witnessed = async (logs: readonly string[]): Promise<number> => {
      const child = command([
        "witness",
        `${dir}/witness`,
        "--port",
        "0",
        "--json",
        ...logs.flatMap((log) => ["--log", log]),
      ], {}).spawn();
      const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      try {
        const { listening, key } = JSON.parse((await lines.read()).value!);
        return (await run(["anchor", listening, "--key", key, "--out", kept, "--data", data])).code;
      } finally {
        child.kill("SIGTERM");
        await lines.cancel();
        await child.stderr.cancel();
        await child.status;
      }
    };
    assert.equal(await witnessed([old]), 0);
    const changed = await document<Changed>(["keys", "rotate-log", "--data", data]);
    assert.equal(await witnessed([old]), 0, "both sign");
    const overlapping = await verified(data, old, kept);
    assert.deepEqual([overlapping.failures, overlapping.anchored], [[], overlapping.size]);
    const second = await document<Changed>(["keys", "rotate-log", "--overlap", "0", "--data", data]);
    assert.equal(await witnessed([old]), 3, "no key that it knows has signed");
    assert.equal(await witnessed([old, changed.new, second.new]), 0);
    for (const key of [old, second.new]) {
      const report = await verified(data, key, kept);
      assert.deepEqual([report.failures, report.anchored], [[], report.size]);
    }
  }));

/** Dies at a point, as by `kill -9`. */
const dying = async ({ data }: Place, point: string): Promise<void> => {
  const main = fileURLToPath(new URL("../../main.ts", import.meta.url));
  const { signal } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", V8_FLAGS, "-A", main, "keys", "rotate-log", "--data", data],
    env: { DAYBOOK_CRASH_AT: point, NO_COLOR: "1" },
    stdout: "null",
    stderr: "null",
  }).output();
  assert.equal(signal, "SIGKILL", point);
};

Deno.test("wherever a change of the key is cut off, the log is signed by whom its history says", () =>
  withPlace(async (place) => {
    const { data } = place;
    await append(data, 0, 5);
    const first = await keyOf(data);
    let changes = 0;
    for (
      const point of ["log_key.begun", "log_key.recorded", "checkpoint.signed", "log_key.settled"]
    ) {
      await dying(place, point);
      const before = await verified(data, first);
      assert.deepEqual(before.failures, [], point);
      await append(data, 100 + changes, 1);
      const after = await verified(data, first);
      assert.deepEqual([after.failures, after.signed], [[], after.size], point);
      const done = after.key_changes?.length ?? 0;
      assert.ok(done === changes || done === changes + 1, point);
      // What was begun is finished by asking again, with the key that was made.
      if (done === changes) assert.equal((await run(["keys", "rotate-log", "--data", data])).code, 0);
      const newest = await verified(data, await keyOf(data));
      assert.deepEqual([newest.failures, newest.key_changes?.length], [[], ++changes], point);
    }
  }));

Deno.test("what is no overlap is said, and changes nothing", () =>
  withPlace(async ({ data }) => {
    await append(data, 0, 1);
    const key = await keyOf(data);
    for (const overlap of ["12", "1.5d", "1w", "367d", "9999999d"]) {
      const ran = await run(["keys", "rotate-log", "--overlap", overlap, "--data", data]);
      assert.equal(ran.code, 2, overlap);
      assert.match(ran.err, /^daybook: .*--overlap takes 0, 45m, 12h, 30d, at most 366d/);
    }
    assert.equal(await keyOf(data), key);
  }));
