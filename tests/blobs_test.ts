/** Blobs from the front door to erasure: named where a schema says so, durable before the event, sealed when they are personal. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Daybook, Principal } from "../actors/kernel/daybook.ts";
import { openKeys } from "../adapters/keys/keys.ts";
import { systemClock } from "../adapters/system/world.ts";
import { blob, BLOB_LIMITS, BlobNames, blobsIn } from "../events/blobs.ts";
import { catalogue } from "../events/catalogue.ts";
import { kernelDomain } from "../events/kernel.ts";
import { LogFault } from "../events/log.ts";
import { openDaybook } from "../main.ts";
import { bytesOf, reports, shelf } from "./blobs_given.ts";
import { playground } from "./kernel/toy.ts";

const by: Principal = { authtype: "system", authid: "test" };
const never = { sha256: createHash("sha256").update("never put").digest("base64"), bytes: 9 };

const withDaybook = async (body: (daybook: Daybook) => Promise<void>): Promise<void> => {
  const daybook = await openDaybook({ data: ":memory:", domains: [reports], actors: [shelf] });
  try {
    await body(daybook);
  } finally {
    await daybook.close();
  }
};

Deno.test("a schema's blobs are found wherever they sit, and named by where they are in the data", () => {
  const schema = z.strictObject({
    one: blob(),
    maybe: blob().optional(),
    many: z.array(z.strictObject({ file: blob() })),
    by: z.record(z.string(), blob()),
    either: z.union([z.string(), blob()]),
    pair: z.tuple([z.string(), blob()]),
    alike: z.strictObject({ sha256: z.string(), bytes: z.int() }),
  });
  const pointers = blobsIn(schema).map((path) => `/${path.join("/")}`);
  assert.deepEqual(pointers, ["/one", "/maybe", "/many/*/file", "/by/*", "/either", "/pair/1"]);
  const names = new BlobNames(catalogue({
    name: "tests",
    facts: { "tests.thing.seen": { schema, kind: "observed", about: "" } },
  }));
  const data = {
    one: never,
    many: [{ file: never }, { file: never }],
    by: { "a/b~": never },
    either: "none",
    pair: ["x", never],
    alike: never,
  };
  assert.deepEqual(
    names.in("tests.thing.seen", schema.parse(data)).map(({ pointer }) => pointer),
    ["/one", "/many/0/file", "/many/1/file", "/by/a~1b~0", "/pair/1"],
  );
  assert.deepEqual(names.in("tests.thing.unheard", data), []);
  type Family = { file: unknown; within?: Family };
  const family: z.ZodType<Family> = z.lazy(() => z.object({ file: blob(), within: family.optional() }));
  assert.throws(() => blobsIn(family), { name: "TypeError", message: /blobs within a recursive schema/ });
});

Deno.test("the name of a blob is the base64 of 32 bytes, and its length is bounded", () => {
  const good = (value: unknown) => blob().safeParse(value).success;
  assert.ok(good(never) && good({ ...never, bytes: 0 }) && good({ ...never, bytes: BLOB_LIMITS.blob_bytes_max }));
  assert.equal(good({ ...never, bytes: BLOB_LIMITS.blob_bytes_max + 1 }), false);
  for (const sha256 of ["", Buffer.from(never.sha256, "base64").toString("hex"), "A".repeat(42) + "B="]) {
    assert.equal(good({ sha256, bytes: 9 }), false, sha256);
  }
});

Deno.test("an event that names a blob which is not there is refused, with its path, and nothing of its batch is kept", () =>
  withDaybook(async (daybook) => {
    const file = await daybook.putBlob(bytesOf(1, 100_000));
    const filed = (id: string, data: unknown) => ({ id, source: "urn:test", type: "reports.report.filed", data });
    const refused = async (data: unknown, path: string, message: RegExp) => {
      const done = await daybook.ingest([filed("fine", { name: "a", file }), filed("not", data)], by);
      assert.ok(!done.ok && done.conflict === "invalid", JSON.stringify(done));
      assert.deepEqual([done.index, done.code, done.issues.map((issue) => issue.path)], [1, "invalid_data", [path]]);
      assert.match(done.issues[0]!.message, message);
      assert.equal(daybook.log.find("urn:test", "fine"), undefined);
      assert.equal(daybook.log.head("reports/a"), -1);
      const event = {
        ...filed("x", data),
        stream: "reports/a",
        version: 2,
        time: "2026-01-01T00:00:00Z",
        ...by,
      } as const;
      await assert.rejects(
        daybook.append({ events: [event] }),
        (fault) => fault instanceof LogFault && fault.kind === "invalid" && fault.message.includes(path),
      );
    };
    await refused({ name: "a", file: never }, "/file", /names a blob that is not there/);
    await refused({ name: "a", file, pages: [null, file, never] }, "/pages/2", /names a blob that is not there/);
    await refused({ name: "a", file: { ...file, bytes: 7 } }, "/file/bytes", /has 100000 bytes, not 7/);
    const done = await daybook.ingest([filed("1", { name: "a", file, pages: [file, null] })], by);
    assert.ok(done.ok && done.accepted === 1);
    // Whatever looks like one in a type that nobody knows is no business of ours.
    const unknown = await daybook.ingest([{ ...filed("2", { file: never }), type: "a.b.c" }], by);
    assert.ok(unknown.ok, JSON.stringify(unknown));
  }));

Deno.test("a command whose fact names a blob which is not there is invalid, and records nothing", () =>
  withDaybook(async (daybook) => {
    const stock = (file: unknown) => daybook.ask({ type: "reports.shelf.stock", id: "s", data: { file }, by });
    const refused = await stock(never);
    assert.deepEqual(refused, {
      is: "invalid",
      issues: [{ path: "/file", message: "names a blob that is not there" }],
    });
    assert.equal(daybook.log.head("reports/s"), -1);
    const done = await stock(await daybook.putBlob(bytesOf(2, 10)));
    assert.ok(done.is === "accepted" && done.revision === 0);
    // Others in the same turn go on.
    const file = await daybook.putBlob(bytesOf(3, 10));
    const outcomes = await Promise.all([stock(file), stock(never), stock(file)]);
    assert.deepEqual(outcomes.map(({ is }) => is), ["accepted", "invalid", "accepted"]);
  }));

Deno.test("a timer whose command comes to name a blob that is not there fails its decider, for nobody hears the answer", async () => {
  const house = playground({ actors: [shelf], catalogue: catalogue(reports, kernelDomain) });
  const command = { type: "reports.shelf.stock", data: { file: never } } as const;
  const set = {
    id: "set",
    source: "reports/s",
    stream: "reports/s",
    type: "kernel.timer.set",
    version: 1,
    time: "2026-01-01T00:00:00Z",
    data: { name: "t", at: "2026-01-01T00:00:01.000Z", command },
    ...by,
  } as const;
  await house.log.append({ events: [set] });
  const due = { stream: set.stream, name: "t", set: 0, position: 0, command, causationid: "set", correlationid: "set" };
  const fire = (undeliverable: boolean) => house.clock.until(house.entities.fire({ ...due, undeliverable }));
  await assert.rejects(fire(false), (error: Error) => /names a blob that is not there/.test(String(error.cause)));
  assert.equal(house.log.head("reports/s"), 0);
  assert.equal((await fire(true)).is, "accepted");
  assert.equal(house.log.head("reports/s"), 1);
  await house.stop();
});

/** Whose a sealed blob says it is. */
const subjectOf = (stored: Uint8Array): string =>
  /^sealed-blob:1:([\w-]+)\n/.exec(Buffer.from(stored).toString("latin1"))![1]!;

Deno.test("a personal blob is stored sealed, the same bytes of the same person once, and opens whole or not at all", () =>
  withDaybook(async (daybook) => {
    const plain = bytesOf(4, 200_000);
    const ref = await daybook.putBlob(plain, { subject: "ada@example.com" });
    assert.notEqual(ref.sha256, createHash("sha256").update(plain).digest("base64"));
    assert.deepEqual(await daybook.putBlob(plain, { subject: " Ada@Example.com" }), ref);
    const others = await daybook.putBlob(plain, { subject: "grace@example.com" });
    assert.notEqual(others.sha256, ref.sha256);
    const stored = Buffer.from(daybook.log.blob(ref.sha256)!.read());
    assert.equal(stored.length, ref.bytes);
    assert.ok(!stored.includes(Buffer.from(plain.subarray(0, 32))) && !stored.includes("example.com"));
    assert.deepEqual(await daybook.unsealBlob(stored), plain);
    assert.deepEqual(await daybook.unsealBlob(plain), plain);
    const head = `sealed-blob:1:${subjectOf(stored)}\n`.length;
    for (const at of [head, head + 12, stored.length >> 1, stored.length - 1]) {
      const touched = Uint8Array.from(stored);
      touched[at]! ^= 1;
      assert.equal(await daybook.unsealBlob(touched), undefined, `byte ${at} counts`);
    }
    assert.equal(await daybook.unsealBlob(stored.subarray(0, head + 20)), undefined);
    const claimed = Buffer.from(stored);
    claimed.write(subjectOf(daybook.log.blob(others.sha256)!.read()), "sealed-blob:1:".length);
    assert.equal(await daybook.unsealBlob(claimed), undefined, "whose it is counts");
    const empty = await daybook.putBlob(new Uint8Array(), { subject: "ada@example.com" });
    assert.deepEqual(await daybook.unsealBlob(daybook.log.blob(empty.sha256)!.read()), new Uint8Array());
  }));

Deno.test("once its key is erased a personal blob cannot be read, and nothing more is kept of that person", async () => {
  const keys = openKeys({ path: ":memory:", clock: systemClock, catalogue: catalogue() });
  try {
    const plain = bytesOf(5, 1_000);
    const sealed = await keys.sealer.sealBlob(plain, "ada@example.com");
    assert.deepEqual(await keys.sealer.unsealBlob(sealed), plain);
    const subject = subjectOf(sealed);
    assert.equal(subject, keys.subject("ada@example.com"));
    assert.equal(keys.eraseKey(subject), true);
    assert.equal(await keys.sealer.unsealBlob(sealed), undefined);
    const late = await keys.sealer.sealBlob(plain, subject);
    assert.equal(Buffer.from(late).toString(), `sealed-blob:1:${subject}\n`);
    assert.equal(await keys.sealer.unsealBlob(late), undefined);
    assert.deepEqual(await keys.sealer.unsealBlob(bytesOf(6, 30)), bytesOf(6, 30));
  } finally {
    keys.close();
  }
});
