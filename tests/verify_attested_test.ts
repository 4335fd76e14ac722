/** What `verify` holds attestations to, without folding anything. */
import assert from "node:assert/strict";
import { inlineBackground } from "../adapters/kv/background.ts";
import { KvLog } from "../adapters/kv/log.ts";
import { KvStore } from "../adapters/kv/store.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { Attested, AttestedSpan } from "../adapters/verify/attested.ts";
import { Failures } from "../adapters/verify/failures.ts";
import { verifyLog } from "../adapters/verify/verify.ts";
import { catalogue } from "../events/catalogue.ts";
import type { Event } from "../events/event.ts";
import { inFolder } from "./folder_given.ts";
import { newEvent } from "./projections_given.ts";
import { event } from "./verify_given.ts";

const said = (size: unknown, changes: object = {}) => ({
  projection: "tests.counts",
  version: 1,
  size,
  rows: 1,
  digest: "5aAKqZkayKXuMQmETYSlVYO9IFcq0//NQnkvPDaxg60=",
  method: "lthash16/sha256+chacha20",
  ...changes,
});

/** A log of ten events and then these attestations. */
const verified = (attestations: readonly unknown[]) =>
  inFolder(async (folder) => {
    const path = `${folder}/log.db`;
    const store = await KvStore.open(path, { clock: systemClock, random: systemRandom });
    const background = inlineBackground(store, systemClock);
    const log = await KvLog.open(store, { catalogue: catalogue(), clock: systemClock, background });
    await log.append({ events: Array.from({ length: 10 }, (_, n) => event(n)) });
    for (const data of attestations) {
      await log.append({ events: [newEvent("kernel.projection.attested", data, "kernel/projection:tests.counts")] });
    }
    await log.close();
    const { ok, failures } = await verifyLog({ path });
    return { ok, failures: failures.map(({ position, kind, expected, found }) => [position, kind, expected, found]) };
  });

Deno.test("attestations that never go back, each of what came before it, are fine", async () => {
  const other = { projection: "tests.others" };
  const next = { version: 2 };
  assert.deepEqual(await verified([said(0), said(11), said(11), said(3, other), said(2, next), said(15)]), {
    ok: true,
    failures: [],
  });
});

Deno.test("an attestation of more than there was, of less than before, or that is none is named", async () => {
  const wrong = await verified([said(11), said(10), said(9), said(13), said(13, { version: 2 }), "nothing", said(-1)]);
  const shape = "what a view holds, as a digest";
  assert.deepEqual(wrong, {
    ok: false,
    failures: [
      [10, "attestation", "a size of at most 10", "size 11"],
      [12, "attestation", "a size of at least 10, as was attested before", "size 9"],
      [15, "attestation", shape, "projection undefined"],
      [16, "attestation", shape, "size -1"],
    ],
  });
  const { failures } = await verified([
    said(1, { digest: "5aAKqZkayKXuMQmETYSlVYO9IFcq0//NQnkvPDaxg61=" }),
    said(1, { rows: 0.5 }),
    said(1, { method: "" }),
    said(1, { version: "1" }),
  ]);
  assert.deepEqual(failures.map(([position, , , found]) => [position, String(found).split(" ")[0]]), [
    [10, "digest"],
    [11, "rows"],
    [12, "method"],
    [13, "version"],
  ]);
});

Deno.test("ranges that are read apart are joined: what goes back from one to the next is found", () => {
  const at = (position: number, size: number) =>
    ({ type: "kernel.projection.attested", position, data: said(size) }) as unknown as Event;
  const found = (...ranges: readonly (readonly Event[])[]) => {
    const failures = new Failures();
    const all = new Attested(failures);
    for (const events of ranges) {
      const span = new AttestedSpan(failures);
      for (const event of events) span.add(event);
      all.join(structuredClone(span.found));
    }
    return failures.list.map(({ position }) => position);
  };
  assert.deepEqual(found([at(10, 5), at(20, 15)], [at(30, 15), at(40, 35)], [], [at(50, 36)]), []);
  assert.deepEqual(found([at(10, 5), at(20, 15)], [at(30, 14), at(40, 35)], [at(50, 34)]), [30, 50]);
});
