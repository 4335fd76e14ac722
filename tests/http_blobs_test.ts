import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readBody } from "../adapters/http/body.ts";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { systemRandom } from "../adapters/system/world.ts";
import { BLOB_LIMITS } from "../events/blobs.ts";
import { type Site, withSite } from "./http_given.ts";

const bytes = (length: number): Uint8Array<ArrayBuffer> => Uint8Array.from({ length }, (_, at) => at * 11);
const post = (site: Site, body: BodyInit, headers: HeadersInit = { "content-type": "application/octet-stream" }) =>
  site.send("/blobs", { method: "POST", headers, body });
const problem = async (response: Response, status: number, code: string) => {
  const { type } = await response.json();
  assert.deepEqual([response.status, type], [status, `urn:daybook:problem:${code}`]);
};

Deno.test("POST /blobs stores bytes once, and GET /blobs gives them back by either form of their hash", () =>
  withSite(async (site) => {
    const body = bytes(BLOB_LIMITS.chunk_bytes * 2 + 5);
    const sha256 = createHash("sha256").update(body);
    const [hex, name] = [sha256.copy().digest("hex"), sha256.digest("base64")];
    const first = await post(site, body);
    assert.deepEqual([first.status, await first.json()], [201, { sha256: name, bytes: body.length }]);
    assert.equal(first.headers.get("location"), `/blobs/${hex}`);
    const again = await post(site, body, { "content-type": "Application/Octet-Stream; x=y" });
    assert.deepEqual([again.status, await again.json()], [200, { sha256: name, bytes: body.length }]);
    for (const path of [hex, hex.toUpperCase(), name, encodeURIComponent(name)]) {
      const got = await site.send(`/blobs/${path}`);
      assert.deepEqual([got.status, got.headers.get("content-type")], [200, "application/octet-stream"], path);
      assert.equal(got.headers.get("content-length"), String(body.length));
      assert.match(got.headers.get("cache-control")!, /private.*immutable/);
      assert.deepEqual(await got.bytes(), body);
    }
    const etag = `"${name}"`;
    for (const tag of [etag, `W/${etag}, "b"`, "*"]) {
      const unchanged = await site.send(`/blobs/${hex}`, { headers: { "if-none-match": tag } });
      assert.deepEqual([unchanged.status, unchanged.headers.get("etag"), unchanged.body], [304, etag, null], tag);
    }
    const empty = await post(site, "");
    assert.deepEqual([empty.status, (await empty.json()).bytes], [201, 0]);
    const none = await site.send(`/blobs/${createHash("sha256").digest("hex")}`);
    assert.deepEqual([none.status, (await none.bytes()).length], [200, 0]);
  }));

Deno.test("what is no blob, or is none of ours, is said so", () =>
  withSite(async (site) => {
    await problem(await site.send(`/blobs/${"0".repeat(64)}`), 404, "no_blob");
    for (const path of ["x", "0".repeat(63), "a".repeat(44), "a/b", "%00"]) {
      await problem(await site.send(`/blobs/${path}`), 404, "no_blob");
    }
    await problem(await site.send("/blobs/%ff"), 400, "invalid_path");
    await problem(await post(site, "{}", { "content-type": "application/json" }), 415, "unsupported_media_type");
    await problem(await post(site, new Uint8Array(1), {}), 415, "unsupported_media_type");
    const coded = { "content-type": "application/octet-stream", "content-encoding": "gzip" };
    await problem(await post(site, "x", coded), 415, "unsupported_media_type");
    await problem(await site.send("/blobs", { method: "POST", as: "read", body: "x" }), 403, "forbidden");
    await problem(await site.send(`/blobs/${"0".repeat(64)}`, { as: "ingest" }), 403, "forbidden");
    const { sha256 } = await (await post(site, "x")).json();
    const accept = { accept: "application/json" };
    await problem(await site.send(`/blobs/${sha256}`, { headers: accept }), 406, "not_acceptable");
  }));

Deno.test("a blob over the bound is refused, by its length and without one", () =>
  withSite(async (site) => {
    const { blob_body_bytes_max } = HTTP_LIMITS;
    const stated = { "content-type": "application/octet-stream", "content-length": String(blob_body_bytes_max + 1) };
    await problem(await post(site, new Uint8Array(), stated), 413, "too_large");
    let left = blob_body_bytes_max + 1;
    const piece = new Uint8Array(1_048_576);
    const endless = new ReadableStream<Uint8Array>({
      pull(out) {
        out.enqueue(piece.subarray(0, Math.min(left, piece.length)));
        if ((left -= piece.length) <= 0) out.close();
      },
    });
    await problem(await post(site, endless), 413, "too_large");
  }));

Deno.test("a body may be as long as its bound, stated or in pieces, and no longer", async () => {
  const whole = bytes(100);
  const pieces = () => ReadableStream.from([whole.slice(0, 30), whole.slice(30, 60), whole.slice(60)]);
  for (const body of [() => whole, pieces]) {
    for (const headers of [{ "content-length": "100" }, {}] as HeadersInit[]) {
      const read = (bytesMax: number) =>
        readBody({
          request: new Request("http://localhost/", { method: "POST", body: body(), headers }),
          reading: undefined,
        }, bytesMax);
      assert.deepEqual(await read(100), whole);
      await assert.rejects(read(99), { code: "too_large" });
    }
  }
});

Deno.test("few blobs are received at a time; one more is told to come again", () =>
  withSite(async (site) => {
    const open: ReadableStreamDefaultController<Uint8Array>[] = [];
    const slow = () => new ReadableStream<Uint8Array>({ start: (out) => void open.push(out) });
    const waiting = Array.from({ length: HTTP_LIMITS.blobs_receiving_max }, () => post(site, slow()));
    const refused = await post(site, "x");
    assert.equal(refused.headers.get("retry-after"), "1");
    await problem(refused, 503, "overloaded");
    for (const [i, out] of open.entries()) {
      out.enqueue(new Uint8Array([i]));
      out.close();
    }
    for (const response of await Promise.all(waiting)) assert.equal(response.status, 201, await response.text());
    assert.equal((await post(site, "x")).status, 201);
  }));

Deno.test("a blob that trickles in holds its place no longer than a request may take, however long its sender goes on", () => {
  const clock = new SimulatedClock(systemRandom);
  return withSite(async (site) => {
    const type = { "content-type": "application/octet-stream" };
    for (const headers of [type, { ...type, "content-length": "100000" }]) {
      let given = 0;
      const endless = () =>
        new ReadableStream<Uint8Array>({
          start: (out) => out.enqueue(new Uint8Array(1)),
          cancel: () => void given++,
        });
      const waiting = Array.from({ length: HTTP_LIMITS.blobs_receiving_max }, () => post(site, endless(), headers));
      await problem(await post(site, "x"), 503, "overloaded");
      await clock.advance(HTTP_LIMITS.request_ms_max);
      for (const response of await Promise.all(waiting)) await problem(response, 408, "slow_request");
      assert.equal(given, HTTP_LIMITS.blobs_receiving_max, "nothing more of them is taken");
      const again = await post(site, "x");
      assert.deepEqual([again.ok, (await again.json()).bytes], [true, 1]);
    }
  }, { clock });
});
