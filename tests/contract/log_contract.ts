/** What every log promises, said once. `log_test.ts` holds each implementation against it. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { BLOB_LIMITS } from "../../events/blobs.ts";
import type { Event, StreamId } from "../../events/event.ts";
import { type EventLog, LogFault, type NewEvent } from "../../events/log.ts";
import { leaf } from "../proofs_given.ts";
import { LogModel } from "./log_model.ts";
import { until } from "../until.ts";

export interface Subject {
  readonly log: EventLog;
  /** Closes and opens again what is durable; absent where nothing is. */
  reopen?(): Promise<EventLog>;
  /** What the log believes the time to be; may be set back. */
  readonly clock: { ms: number };
  close(): Promise<void>;
}
export type Start = () => Promise<Subject>;
/** Says what every log does, and does it with a new one. */
export type Test = (what: string, body: (subject: Subject) => Promise<void>) => void;

export const event = (n: number | string, more: Partial<NewEvent> = {}): NewEvent => ({
  id: String(n),
  source: "urn:test",
  type: "tests.thing.happened",
  stream: "tests/one",
  version: 1,
  time: "2026-01-01T00:00:00.000Z",
  authtype: "system",
  authid: "test",
  data: { n },
  ...more,
});

export const all = (log: Pick<EventLog, "read">, range: Parameters<EventLog["read"]>[0] = {}): Event[] =>
  [...log.read(range)].flat();

export const appended = async (log: EventLog, ...events: NewEvent[]) => {
  const answer = await log.append({ events });
  assert.ok(answer.ok, JSON.stringify(answer));
  return answer;
};

export const fault = (kind: LogFault["kind"]) => (error: unknown) =>
  error instanceof LogFault && error.kind === kind || assert.fail(String(error));

/** Each test has a log of its own, closed when it is over. */
export const testsOf = (name: string, start: Start): Test => (what, body) =>
  Deno.test(`${name}: ${what}`, async () => {
    const subject = await start();
    try {
      await body(subject);
    } finally {
      await subject.close();
    }
  });

export const logContract = (name: string, start: Start): void => {
  const test = testsOf(name, start);

  test("an empty log has size 0, no events and no heads", async ({ log }) => {
    assert.equal(log.size, 0);
    assert.deepEqual(all(log), []);
    assert.equal(log.head("tests/one"), -1);
    assert.equal(log.find("urn:test", "1"), undefined);
    assert.equal(log.entry(0), undefined);
    assert.equal(log.leaf(0), undefined);
    assert.equal(log.positionAt("2026-01-01T00:00:00Z"), 0);
    await log.close();
    await assert.rejects(log.append({ events: [event(1)] }), fault("closed"));
  });

  test("positions and revisions are gap-free, per log and per stream", async ({ log }) => {
    const answer = await appended(log, event(1), event(2, { stream: "tests/two" }), event(3));
    assert.deepEqual(answer.receipts.map(({ stream, revision, position }) => [stream, revision, position]), [
      ["tests/one", 0, 0],
      ["tests/two", 0, 1],
      ["tests/one", 1, 2],
    ]);
    assert.deepEqual([answer.accepted, answer.duplicates, answer.size], [3, 0, 3]);
    assert.deepEqual(all(log).map((e) => [e.position, e.stream, e.revision, e.data]), [[0, "tests/one", 0, { n: 1 }], [
      1,
      "tests/two",
      0,
      { n: 2 },
    ], [2, "tests/one", 1, { n: 3 }]]);
    assert.equal(log.head("tests/one"), 1);
    for (const n of [4, 5]) await appended(log, event(n));
    assert.deepEqual(all(log, { stream: "tests/one" }).map((e) => e.revision), [0, 1, 2, 3]);
  });

  test("an entry is the canonical JSON of the event", async ({ log }) => {
    await appended(
      log,
      event('é\n"x', {
        data: { b: [1.5, -0, 1e21, "\u2028"], a: null },
        subject: "s",
        causationid: "c",
        correlationid: "k",
        extensions: { priority: 3, zone: "z", commanddigest: "d" },
      }),
    );
    const [stored] = all(log);
    const text = new TextDecoder().decode(log.entry(0));
    assert.deepEqual(JSON.parse(text), stored);
    assert.equal(
      text,
      `{"authid":"test","authtype":"system","causationid":"c","commanddigest":"d","correlationid":"k","data":{"a":null,"b":[1.5,0,1e+21,"\u2028"]},"id":"é\\n\\"x","position":0,"priority":3,` +
        `"recordedat":"${
          stored!.recordedat
        }","revision":0,"source":"urn:test","specversion":"1.0","stream":"tests/one","subject":"s","time":"2026-01-01T00:00:00.000Z","type":"tests.thing.happened","version":1,"zone":"z"}`,
    );
  });

  test("the leaf of an entry is SHA-256 over a zero byte and the entry, whatever block holds it", async ({ log }) => {
    for (let n = 0; n < 3; n++) await appended(log, event(n));
    await appended(log, ...Array.from({ length: 20 }, (_, n) => event(3 + n, { data: { text: "x".repeat(500 * n) } })));
    for (let n = log.size - 1; n >= 0; n--) assert.deepEqual(Uint8Array.from(log.leaf(n)!), leaf(log.entry(n)!));
    assert.equal(log.leaf(log.size), undefined);
  });

  test("an append is all or none", async ({ log }) => {
    await appended(log, event(1));
    const lost = await log.append({
      events: [event(2), event(3, { stream: "tests/two" })],
      expected: [["tests/two", "exists"]],
    });
    assert.deepEqual(lost, { ok: false, conflict: "revision", stream: "tests/two", expected: "exists", revision: -1 });
    const clash = await log.append({ events: [event(4), event(1, { data: { n: "other" } })] });
    assert.deepEqual(clash, { ok: false, conflict: "id", source: "urn:test", id: "1", position: 0 });
    assert.equal(log.size, 1);
    assert.equal(log.find("urn:test", "4"), undefined);
  });

  test("expected revisions: any, none, exists, exact", async ({ log }) => {
    const tried = async (n: number, expected: "any" | "none" | "exists" | number) =>
      (await log.append({ events: [event(n)], expected: [["tests/one", expected]] })).ok;
    assert.equal(await tried(1, "exists"), false);
    assert.equal(await tried(1, 0), false);
    assert.equal(await tried(1, "none"), true);
    assert.equal(await tried(2, "none"), false);
    assert.equal(await tried(2, "exists"), true);
    assert.equal(await tried(3, 0), false);
    assert.equal(await tried(3, 1), true);
    assert.equal(await tried(4, "any"), true);
    assert.equal(await tried(5, -1), false);
    assert.equal(log.size, 4);
  });

  test("of many that expect the same revision exactly one wins", async ({ log }) => {
    await appended(log, event(0));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => log.append({ events: [event(i + 1)], expected: [["tests/one", 0]] })),
    );
    assert.equal(answers.filter((answer) => answer.ok).length, 1);
    for (const answer of answers) {
      if (!answer.ok) assert.deepEqual([answer.conflict, "revision" in answer && answer.revision], ["revision", 1]);
    }
    assert.equal(log.size, 2);
  });

  test("the same source and id again returns the first receipt, also when the expectation is stale", async ({ log }) => {
    const first = await appended(log, event(1), event(2));
    await appended(log, event(3));
    const again = await log.append({ events: [event(1), event(2)], expected: [["tests/one", "none"]] });
    assert.ok(again.ok);
    assert.deepEqual([again.accepted, again.duplicates], [0, 2]);
    assert.deepEqual(again.receipts.map((r) => ({ ...r, duplicate: false })), first.receipts);
    const mixed = await appended(log, event(1), event(4));
    assert.deepEqual(mixed.receipts.map((r) => [r.position, r.duplicate]), [[0, true], [3, false]]);
  });

  test("the same event twice at the same time, or within one append, is one event", async ({ log }) => {
    const answers = await Promise.all([
      log.append({ events: [event(1)] }),
      log.append({ events: [event(1)] }),
      log.append({ events: [event(2), event(2)] }),
    ]);
    assert.ok(answers.every((answer) => answer.ok));
    assert.equal(log.size, 2);
    const clash = await log.append({ events: [event(3), event(3, { subject: "other" })] });
    assert.equal(clash.ok, false);
    assert.equal(log.size, 2);
  });

  test("a repeat is compared by what the sender said, not by what is ours", async ({ log }) => {
    const sent = event(1, { subject: "s", extensions: { zone: "z" } });
    await appended(log, sent);
    const same = async (more: Partial<NewEvent>) => (await log.append({ events: [{ ...sent, ...more }] })).ok;
    assert.equal(await same({}), true);
    assert.equal(await same({ authid: "somebody else", authtype: "user" }), true);
    assert.equal(await same({ time: "2027-01-01T00:00:00.000Z", timeGiven: false }), true);
    assert.equal(await same({ time: "2027-01-01T00:00:00.000Z" }), false);
    assert.equal(await same({ subject: "t" }), false);
    assert.equal(await same({ subject: undefined }), false);
    assert.equal(await same({ correlationid: "c" }), false);
    assert.equal(await same({ extensions: {} }), false);
    assert.equal(await same({ extensions: { zone: "z", more: 1 } }), false);
    assert.equal(await same({ data: { n: 1, m: 2 } }), false);
    assert.equal(await same({ data: undefined, data_base64: "AAAA" }), false);
    assert.equal(await same({ type: "tests.thing.other" }), false);
    assert.equal(log.size, 1);
  });

  test("recorded time never decreases, even if the clock does", async ({ log, clock }) => {
    await appended(log, event(1));
    clock.ms -= 3_600_000;
    await appended(log, event(2));
    clock.ms += 7_200_000;
    await appended(log, event(3));
    const times = all(log).map((e) => Date.parse(e.recordedat));
    assert.ok(times[0]! <= times[1]! && times[1]! < times[2]!, String(times));
    assert.equal(log.positionAt(new Date(times[2]!).toISOString()), 2);
    assert.equal(log.positionAt(new Date(times[2]! + 1).toISOString()), 3);
    assert.equal(log.positionAt("1970-01-01T00:00:00Z"), 0);
  });

  test("entries just over half a block, up to the bound of an append, are one commit", async ({ log }) => {
    const answer = await appended(log, ...Array.from({ length: 22 }, (_, i) => event(i, { data: "y".repeat(32_100) })));
    assert.equal(answer.accepted, 22);
    assert.deepEqual(all(log).map((e) => e.position), Array.from({ length: 22 }, (_, i) => i));
  });

  test("a thousand streams with the longest names fit one append", async ({ log }) => {
    const events = Array.from(
      { length: 1_000 },
      (_, i) => event(i, { stream: `tests/${String(i).padStart(400, "s")}` as StreamId }),
    );
    await appended(log, ...events);
    assert.equal(all(log, { stream: events[777]!.stream }).length, 1);
  });

  test("a read is a snapshot: what is appended meanwhile is not in it", async ({ log }) => {
    await appended(log, event(1), event(2));
    const reading = log.read({});
    await appended(log, event(3));
    assert.equal([...reading].flat().length, 2);
    assert.equal(all(log).length, 3);
  });

  test("follow catches up, goes on live, and neither skips nor repeats at the seam", async ({ log }) => {
    const stop = new AbortController();
    const seen: number[] = [];
    const writing = (async () => {
      for (let i = 0; i < 300; i += 3) await Promise.all([0, 1, 2].map((k) => appended(log, event(i + k))));
    })();
    for await (const batch of log.follow(0, stop.signal)) {
      for (const e of batch) seen.push(e.position);
      if (seen.length === 300) stop.abort();
    }
    await writing;
    assert.deepEqual(seen, Array.from({ length: 300 }, (_, i) => i));
  });

  test("what is heard is of those types only, caught up and live, and says how far it is complete", async ({ log }) => {
    const stop = new AbortController();
    const seen: number[] = [];
    const other = (i: number): NewEvent => event(i, { type: "tests.other.happened" });
    await appended(log, event(0), other(1), event(2), other(3));
    const writing = (async () => {
      for (let i = 4; i < 100; i += 2) await appended(log, event(i), other(i + 1));
      await appended(log, event(100));
    })();
    const sizes: number[] = [2];
    for await (const { events, size } of log.hear(["tests.other.happened"], 2, stop.signal)) {
      for (const { position } of events) if (position >= sizes.at(-1)! && position < size) seen.push(position);
      sizes.push(size);
      if (size === 101) stop.abort();
    }
    await writing;
    assert.deepEqual(sizes, [...new Set(sizes)].sort((a, b) => a - b));
    assert.deepEqual(seen, Array.from({ length: 49 }, (_, i) => 3 + 2 * i));
  });

  test("before the beginning is the beginning, also of a log that has none yet", async ({ log }) => {
    assert.deepEqual(all(log, { from: -5 }), []);
    const first = log.follow(-5, new AbortController().signal)[Symbol.asyncIterator]().next();
    const heard = log.hear(["tests.thing.happened"], -5, new AbortController().signal)[Symbol.asyncIterator]().next();
    await appended(log, event(1), event(2));
    for (const range of [{ from: -5 }, { from: -1, until: 2 }, { from: -0.5, limit: 2 }]) {
      assert.deepEqual(all(log, range).map(({ position }) => position), [0, 1]);
    }
    assert.equal((await first).value[0].position, 0);
    assert.equal((await heard).value.events[0].position, 0);
  });

  test("follow ends when the signal aborts while it waits, and when the log closes", async ({ log }) => {
    await appended(log, event(1));
    const stop = new AbortController();
    const ended: string[] = [];
    const one = (async () => {
      for await (const _ of log.follow(1, stop.signal));
      ended.push("aborted");
    })();
    const two = (async () => {
      for await (const _ of log.follow(1, new AbortController().signal));
      for await (const _ of log.hear(["tests.thing.happened"], 1, new AbortController().signal));
      ended.push("closed");
    })();
    stop.abort();
    await one;
    await log.close();
    await two;
    assert.deepEqual(ended, ["aborted", "closed"]);
  });

  test("pages of any size under concurrent writers, forward and backward, without a skip or a repeat", async ({ log }) => {
    let done = false;
    const writing = Promise.all([0, 1, 2, 3].map(async (w) => {
      for (let i = 0; i < 60; i++) {
        await appended(log, event(`${w}-${i}`, { stream: `tests/${i % 2 ? "one" : "two"}` }));
      }
    })).then(() => done = true);
    const paged = async (limit: number, stream?: StreamId) => {
      const seen: number[] = [];
      let next = 0;
      await until(
        "the last page",
        () => {
          const page = all(log, { from: next, limit, ...(stream ? { stream } : {}) });
          seen.push(...page.map((e) => e.position));
          if (page.length > 0) next = page.at(-1)!.position + 1;
          return done && page.length === 0;
        },
        Boolean,
        { every_ms: 0 },
      );
      return seen;
    };
    const [ones, sevens, streams] = await Promise.all([paged(1), paged(7), paged(5, "tests/one")]);
    await writing;
    const expected = Array.from({ length: 240 }, (_, i) => i);
    assert.deepEqual(ones, expected);
    assert.deepEqual(sevens, expected);
    assert.deepEqual(streams, all(log).filter((e) => e.stream === "tests/one").map((e) => e.position));
    const backward: number[] = [];
    let end = log.size;
    while (end > 0) {
      const page = all(log, { backward: true, limit: 13, until: end });
      backward.push(...page.map((e) => e.position));
      end = page.at(-1)!.position;
    }
    assert.deepEqual(backward, expected.toReversed());
  });

  test("a blob is there from when its put resolves, by the SHA-256 of its bytes, and survives", async (subject) => {
    let { log } = subject;
    const { chunk_bytes, commit_chunks_max } = BLOB_LIMITS;
    const lengths = [0, 1, chunk_bytes - 1, chunk_bytes, chunk_bytes + 1, chunk_bytes * commit_chunks_max * 2 + 7];
    const blobs = lengths.map((length, i) => Uint8Array.from({ length }, (_, at) => at * 7 + i));
    const refs = await Promise.all(blobs.map((bytes) => log.putBlob(bytes)));
    const look = () => {
      for (const [i, ref] of refs.entries()) {
        assert.deepEqual(ref, { sha256: createHash("sha256").update(blobs[i]!).digest("base64"), bytes: lengths[i] });
        const found = log.blob(ref.sha256)!;
        assert.deepEqual([found.sha256, found.bytes], [ref.sha256, ref.bytes]);
        assert.ok(Buffer.from(found.read()).equals(blobs[i]!));
        const chunks = [...found.chunks()];
        assert.deepEqual(chunks.map(({ length }) => length).filter((length) => length > chunk_bytes), []);
        assert.ok(Buffer.concat(chunks).equals(blobs[i]!));
      }
    };
    look();
    // What was put stays as it was, whatever becomes of the bytes handed in.
    const kept = blobs[1]![0]!;
    blobs[1]![0] = kept + 1;
    assert.equal(log.blob(refs[1]!.sha256)!.read()[0], kept);
    blobs[1]![0] = kept;
    if (subject.reopen) log = await subject.reopen();
    look();
    assert.equal(log.size, 0);
  });

  test("the same bytes again are the same blob, also side by side, and what was never put is not there", async ({ log }) => {
    const bytes = new Uint8Array(500_000).fill(1);
    const [first, beside] = await Promise.all([log.putBlob(bytes), log.putBlob(bytes.slice())]);
    assert.deepEqual(first, beside);
    assert.deepEqual(await log.putBlob(bytes), first);
    assert.equal(log.blob(createHash("sha256").update("never").digest("base64")), undefined);
    for (const name of ["", "no hash", first.sha256.slice(1), "a".repeat(44), "A".repeat(43) + "="]) {
      assert.equal(log.blob(name), undefined, name);
    }
  });

  test("events go on while a blob is put", async ({ log }) => {
    let done = false;
    const put = log.putBlob(new Uint8Array(BLOB_LIMITS.chunk_bytes * 40).fill(2)).finally(() => done = true);
    let appends = 0;
    for (; !done && appends < 1_000; appends++) await appended(log, event(appends));
    assert.equal(log.blob((await put).sha256)!.bytes, BLOB_LIMITS.chunk_bytes * 40);
    assert.equal(log.size, appends);
  });

  test("a blob has at most 64 MiB", async ({ log }) => {
    const bytes = new Uint8Array(BLOB_LIMITS.blob_bytes_max);
    bytes[12_345_678] = 1;
    const ref = await log.putBlob(bytes);
    let length = 0;
    for (const chunk of log.blob(ref.sha256)!.chunks()) length += chunk.length;
    assert.equal(length, BLOB_LIMITS.blob_bytes_max);
    await assert.rejects(log.putBlob(new Uint8Array(BLOB_LIMITS.blob_bytes_max + 1)), fault("too_large"));
  });

  test("a closed log takes no blobs; closing waits for those on their way", async (subject) => {
    const put = subject.log.putBlob(new Uint8Array(1_000_000).fill(3));
    const closed = subject.log.close();
    await assert.rejects(subject.log.putBlob(new Uint8Array(1)), fault("closed"));
    const [{ sha256 }] = await Promise.all([put, closed]);
    if (subject.reopen) assert.equal((await subject.reopen()).blob(sha256)!.read().length, 1_000_000);
  });

  test("an append that lost its race leaves no trace, not even of its time", async ({ log, clock }) => {
    clock.ms += 5_000;
    assert.ok(!(await log.append({ events: [event(1)], expected: [["tests/one", 7]] })).ok);
    clock.ms -= 5_000;
    await appended(log, event(2));
    assert.equal(all(log)[0]!.recordedat, new Date(clock.ms).toISOString());
  });

  test("does what the model does, over any run of appends and reads", async ({ log, reopen, clock }) => {
    let real = log;
    const model = new LogModel(() => clock.ms);
    const streams = ["tests/a", "tests/b", "tests/c"] as const;
    const stream = fc.constantFrom(...streams);
    const shape = (event: Event) => {
      const { id, stream, type, data, correlationid, revision, position, recordedat } = event;
      return JSON.parse(JSON.stringify({ id, stream, type, data, correlationid, revision, position, recordedat }));
    };
    const fresh = fc.record({
      id: fc.nat(60).map(String),
      stream,
      data: fc.oneof(fc.constant({ x: 1 }), fc.jsonValue({ maxDepth: 2 })),
      type: fc.constantFrom("tests.a.happened", "tests.b.happened"),
      correlationid: fc.option(fc.constantFrom("k1", "k2"), { nil: undefined }),
    });
    const operation = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          is: fc.constant("append" as const),
          events: fc.array(fresh, { minLength: 1, maxLength: 8 }),
          expected: fc.array(
            fc.tuple(stream, fc.oneof(fc.constantFrom("any" as const, "none" as const, "exists" as const), fc.nat(6))),
            { maxLength: 2 },
          ),
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          is: fc.constant("read" as const),
          from: fc.nat(40),
          until: fc.option(fc.nat(60), { nil: undefined }),
          stream: fc.option(stream, { nil: undefined }),
          revision: fc.nat(5),
          types: fc.option(fc.constant(["tests.a.happened"]), { nil: undefined }),
          correlation: fc.option(fc.constantFrom("k1", "k2", "7"), { nil: undefined }),
          backward: fc.boolean(),
          limit: fc.option(fc.nat(9), { nil: undefined }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ is: fc.constant("reopen" as const) }) },
      {
        weight: 1,
        arbitrary: fc.record({ is: fc.constant("clock" as const), by: fc.integer({ min: -9_999, max: 9_999 }) }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
        for (const step of operations) {
          if (step.is === "reopen") {
            if (reopen) real = await reopen();
          } else if (step.is === "append") {
            const batch = { events: step.events.map((e) => event(e.id, e)), expected: step.expected };
            assert.deepEqual(await real.append(batch), model.append(batch));
          } else if (step.is === "clock") {
            clock.ms += step.by;
          } else {
            const { is: _, ...range } = step;
            assert.deepEqual(all(real, range).map(shape), model.read(range).map(shape));
          }
        }
        for (const s of streams) assert.equal(real.head(s), model.head(s));
        assert.deepEqual(all(real).map(shape), model.read({}).map(shape));
      }),
      { numRuns: 40 },
    );
  });
};
