/** The long runs of `deno task soak`, with numbers that take seconds: the same code, asserted. */
import assert from "node:assert/strict";
import { attested } from "./attested.ts";
import { audits } from "./audit.ts";
import { catchUp } from "./catch_up.ts";
import { coldStream } from "./cold_stream.ts";
import { growth } from "./growth.ts";
import { manyIds } from "./ids.ts";
import { verified } from "./verified.ts";

Deno.test("of 100,000 distinct ids every one is known, unknown ones cost no read, and filters stay within their bound", async () => {
  // Segments so small that three levels of them exist.
  const ids = await manyIds({ ids: 100_000, samples: 1_000, tuning: { segmentEvents: 1_000 } });
  assert.deepEqual([ids.found, ids.recognised], [ids.asked, ids.repeated]);
  assert.ok(ids.segments > 1, `${ids.segments} segments`);
  assert.ok(ids.reads_per_unknown < 0.1, `${ids.reads_per_unknown} reads for an id that was never seen`);
});

Deno.test("filters stay within their bound when there are more ids than it was made for", async () => {
  const filter_bytes_max = 16 * 1024;
  const ids = await manyIds({
    ids: 50_000,
    samples: 1_000,
    tuning: { segmentEvents: 2_000, bounds: { filter_bytes_max } },
  });
  assert.deepEqual([ids.found, ids.recognised], [ids.asked, ids.repeated]);
  assert.ok(ids.filter_bytes <= filter_bytes_max, `${ids.filter_bytes} bytes of filters`);
});

Deno.test("a thin stream among 100,000 events is read from pages of its own, not from all blocks", async () => {
  const { events, bytes, reads } = await coldStream({ among: 100_000, every: 100, rounds: 1 });
  assert.equal(events, 1_000);
  // Its entries lie on shared pages of at most 60,000 bytes; beside them the index is read: fences, filters, a page for each segment.
  assert.ok(reads.bytes <= 3 * bytes, `${reads.bytes} bytes were read for ${bytes}`);
  assert.ok(reads.blocks <= 10, `${reads.blocks} blocks`);
});

Deno.test("views that are new to a log catch up while appends go on", async () => {
  const { seconds, during, rows, size } = await catchUp({ events: 10_000, writers: 4, beside_ms: 200 });
  assert.equal(rows, size);
  assert.ok(during.appends >= 20, `${during.appends} appends in ${seconds} s`);
});

Deno.test("a log that grows is verified at each size", async () => {
  const [small, large] = await verified([5_000, 20_000]);
  assert.deepEqual([small!.size, large!.size], [5_000, 20_000]);
  assert.ok(small!.rss > 0 && large!.rss > 0);
});

Deno.test("a history whose views were attested on the way is replayed: every attestation and view is equal, and all can be read as of then", async () => {
  const { replay, reads } = await attested({ events: 3_000, rounds: 1, each: 500 });
  assert.ok(replay.ok, JSON.stringify(replay));
  assert.deepEqual([replay.equal, replay.views_equal], [replay.attestations, replay.views]);
  assert.ok(replay.attestations >= replay.views / 2 && reads.length > 100, `${replay.attestations}, ${reads.length}`);
});

Deno.test("an audit folder of some thousand events is written and checked in processes of their own, and its states are equal", async () => {
  const { ok, attested, events, bytes } = await audits(3_000);
  assert.deepEqual([ok, attested > 10, events > 3_000], [true, true, true]);
  assert.ok(bytes / events < 1_000, `${bytes} bytes`);
});

Deno.test("a log opens after a clean stop and after a kill with what it had", async () => {
  const [life] = await growth([6_000], 1);
  assert.equal(life!.size, 6_000);
  assert.ok(life!.open_clean_ms > 0 && life!.open_killed_ms > 0);
});
