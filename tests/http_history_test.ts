import assert from "node:assert/strict";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { Streams } from "../adapters/http/outflow.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { systemRandom } from "../adapters/system/world.ts";
import { LogFault } from "../events/log.ts";
import { cloudEvent, type Site, structured, withSite } from "./http_given.ts";
import { heard, within } from "./until.ts";

const send = async (site: Site, id: string, more: Record<string, unknown> = {}): Promise<void> => {
  const response = await site.send("/events", { method: "POST", headers: structured, body: cloudEvent(id, more) });
  assert.ok(response.ok, await response.text());
};
const fill = async (site: Site, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) {
    const name = i % 2 === 0 ? "lamp" : "chair";
    await send(site, `e${i}`, { data: { name }, ...(i % 3 === 0 && { correlationid: "c" }) });
  }
};
const positions = (events: readonly { position: number }[]): number[] => events.map(({ position }) => position);
const page = async (site: Site, query: string) => await (await site.send(`/events${query}`)).json();

Deno.test("GET /events gives pages that together are the log, forward and backward", () =>
  withSite(async (site) => {
    assert.deepEqual(await page(site, ""), { events: [], size: 0 });
    await fill(site, 7);
    const all = await page(site, "");
    assert.deepEqual([positions(all.events), all.size, all.next], [[0, 1, 2, 3, 4, 5, 6], 7, undefined]);
    assert.deepEqual(Object.keys(all.events[0]).includes("recordedat"), true);
    for (const order of ["asc", "desc"]) {
      let next: string | undefined = `/events?limit=3&order=${order}`;
      const seen: number[] = [];
      while (next) {
        const body: { events: { position: number }[]; next?: string } = await (await site.send(next)).json();
        seen.push(...positions(body.events));
        next = body.next;
      }
      assert.deepEqual(seen, order === "asc" ? [0, 1, 2, 3, 4, 5, 6] : [6, 5, 4, 3, 2, 1, 0]);
    }
    assert.deepEqual(positions((await page(site, "?from=2&until=4")).events), [2, 3]);
    assert.deepEqual(positions((await page(site, "?stream=things/chair")).events), [1, 3, 5]);
    assert.deepEqual(positions((await page(site, "?type=a.b.c,things.thing.seen&limit=1")).events), [0]);
    assert.deepEqual(positions((await page(site, "?correlation=c&from=1")).events), [3, 6]);
    assert.deepEqual((await page(site, "?from=99")).events, []);
  }));

Deno.test("GET /events cuts a page at 4 MiB and says where to go on", () =>
  withSite(async (site) => {
    for (let i = 0; i < 80; i++) await send(site, `big${i}`, { type: "a.b.c", data: "x".repeat(58_000) });
    const response = await site.send("/events?limit=1000");
    const text = await response.text();
    assert.ok(text.length <= HTTP_LIMITS.page_bytes_max + 1_000);
    const { events, next } = JSON.parse(text);
    assert.equal(events.length, 71);
    const rest = await (await site.send(next)).json();
    assert.deepEqual([positions(rest.events)[0], rest.events.length, rest.next], [71, 9, undefined]);
  }));

Deno.test("GET /events refuses parameters that do not fit, by name", () =>
  withSite(async (site) => {
    for (
      const [query, name] of [
        ["from=-1", "?from"],
        ["from=1e3", "?from"],
        ["from=9007199254740992", "?from"],
        ["from=99999999999999999999", "?from"],
        ["from=01", "?from"],
        ["limit=0", "?limit"],
        ["limit=1001", "?limit"],
        ["limit=", "?limit"],
        ["order=up", "?order"],
        ["stream=", "?stream"],
        ["until=x", "?until"],
        ["colour=red", "?colour"],
        ["__proto__=1", "?__proto__"],
        ["from=1&from=2", "?from"],
      ] as const
    ) {
      const response = await site.send(`/events?${query}`);
      assert.equal(response.status, 400, query);
      const body = await response.json();
      assert.deepEqual([body.type, body.errors[0].path], ["urn:daybook:problem:invalid_query", name], query);
    }
    assert.equal((await site.send("/events?stream=%ff")).status, 400);
    assert.equal((await site.send("/events?type=%00")).status, 200);
  }));

Deno.test("GET /events streams all as NDJSON when asked, and refuses what it cannot make", () =>
  withSite(async (site) => {
    await fill(site, 300);
    const response = await site.send("/events?from=10", { headers: { accept: "application/x-ndjson" } });
    assert.equal(response.headers.get("content-type"), "application/x-ndjson");
    const lines = (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(positions(lines), Array.from({ length: 290 }, (_, i) => i + 10));
    assert.equal((await site.send("/events", { headers: { accept: "image/png" } })).status, 406);
    assert.equal((await site.send("/events", { headers: { accept: "image/png, */*;q=0.1" } })).status, 200);
    assert.equal(
      (await site.send("/events", { headers: { accept: "application/json;q=0, application/*" } })).headers.get(
        "content-type",
      ),
      "application/x-ndjson",
    );
    await (await site.send("/events", { headers: { accept: "application/x-ndjson" } })).body?.cancel();
  }));

Deno.test("what a newer version has recorded is told to be newer, wherever events are read", () =>
  withSite(async (site) => {
    await fill(site, 2);
    const newer = new LogFault("newer", 'position 1: "things.thing.seen" has version 2, this program knows 1');
    (site.daybook as { read: unknown }).read = () =>
      ReadableStream.from([]).pipeThrough(
        new TransformStream({ flush: (controller) => controller.error(newer) }),
      );
    for (const path of ["/events", "/events?type=things.thing.seen", "/events/1"]) {
      const response = await site.send(path);
      const { type, detail } = await response.json();
      assert.deepEqual([response.status, type], [501, "urn:daybook:problem:newer"], path);
      assert.match(detail, /A newer version wrote/);
    }
    const page = await site.send("/events", { headers: { accept: "text/html" } });
    assert.deepEqual([page.status, page.headers.get("content-type")], [501, "text/html; charset=utf-8"]);
    await page.body?.cancel();
  }));

Deno.test("GET /events/{position} gives the event, or the exact bytes of its entry", () =>
  withSite(async (site) => {
    await fill(site, 2);
    const event = await (await site.send("/events/1")).json();
    assert.equal(event.position, 1);
    const bytes = await site.send("/events/1", { headers: { accept: "application/octet-stream" } });
    assert.deepEqual(await bytes.bytes(), site.log.entry(1));
    for (const none of ["2", "-1", "1.0", "x", "%00", "00", "9".repeat(30)]) {
      for (const accept of ["application/json", "application/octet-stream"]) {
        assert.equal((await site.send(`/events/${none}`, { headers: { accept } })).status, 404, none);
      }
    }
    assert.equal((await site.send("/events/%ff")).status, 400);
    assert.equal((await site.send("/events/1?a=b")).status, 400);
  }));

Deno.test("personal values are plain for scope personal alone, in events, pages, streams and views", () =>
  withSite(async (site) => {
    await send(site, "a", { data: { name: "lamp", who: "Ada Lovelace", owner: "u_1" } });
    for (const path of ["/events/0", "/events", "/views/things.seen", "/views/things.seen/lamp"]) {
      const shown = await (await site.send(path, { as: "read" })).text();
      assert.match(shown, /\[sealed\]/, path);
      assert.doesNotMatch(shown, /Ada|ecalevoL/, path);
      assert.match(await (await site.send(path, { as: "read+personal" })).text(), /Ada Lovelace/, path);
      assert.doesNotMatch(await (await site.send(path, { as: "admin" })).text(), /Ada/, path);
    }
    const lines = await (await site.send("/events", { as: "read", headers: { accept: "application/x-ndjson" } }))
      .text();
    assert.match(lines, /\[sealed\]/);
    const followed = await site.send("/follow", { as: "read+personal" });
    const reader = followed.body!.pipeThrough(new TextDecoderStream()).getReader();
    await heard("her name", reader, (text) => text.includes("Ada Lovelace"));
    await reader.cancel();
  }));

/** The messages of an event stream, until so many have come. */
const messages = async (
  response: Response,
  count: number,
): Promise<{ id: number; data: { position: number; stream: string } }[]> => {
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const found: { id: number; data: { position: number; stream: string } }[] = [];
  let rest = "";
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (found.length < count) {
    const { value, done } = await within(`${count} messages`, reader.read(), { seen: () => found });
    if (done) break;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop()!;
    for (const block of blocks) {
      const parsed = /^id: (\d+)\ndata: (.*)$/.exec(block);
      if (parsed) found.push({ id: Number(parsed[1]), data: JSON.parse(parsed[2]!) });
      else assert.match(block, /^(:.*|retry: \d+)$/);
    }
  }
  await reader.cancel();
  return found;
};

Deno.test("GET /follow gives what is there and what comes, without a gap at the seam", () =>
  withSite(async (site) => {
    await fill(site, 400);
    const response = await site.send("/follow?from=5");
    const writing = (async () => {
      for (let i = 0; i < 400; i++) await send(site, `late${i}`);
    })();
    const found = await messages(response, 795);
    await writing;
    assert.deepEqual(found.map(({ id }) => id), Array.from({ length: 795 }, (_, i) => i + 5));
    assert.ok(found.every(({ id, data }) => data.position === id));
  }));

Deno.test("GET /follow resumes after Last-Event-ID, whatever from says", () =>
  withSite(async (site) => {
    await fill(site, 6);
    const found = await messages(await site.send("/follow?from=0", { headers: { "last-event-id": "3" } }), 2);
    assert.deepEqual(found.map(({ id }) => id), [4, 5]);
    for (const id of ["x", "-1", "1.5", "99999999999999999999"]) {
      assert.equal((await site.send("/follow", { headers: { "last-event-id": id } })).status, 400, id);
    }
    const ahead = await site.send("/follow?from=7");
    const found2 = messages(ahead, 1);
    await fill(site, 8);
    assert.deepEqual((await found2).map(({ id }) => id), [7]);
  }));

Deno.test("GET /follow filters by stream, type and correlation, before and after the seam", () =>
  withSite(async (site) => {
    await fill(site, 6);
    const response = await site.send("/follow?stream=things/chair&type=things.thing.seen");
    const found = messages(response, 4);
    await send(site, "x", { data: { name: "lamp" } });
    await send(site, "y", { data: { name: "chair" } });
    assert.deepEqual((await found).map(({ id }) => id), [1, 3, 5, 7]);
    assert.deepEqual((await messages(await site.send("/follow?correlation=c&from=1"), 1)).map(({ id }) => id), [3]);
  }));

Deno.test("a follower who takes nothing holds at most 256 KiB and the store is read no further", () =>
  withSite(async (site) => {
    for (let i = 0; i < 60; i++) await send(site, `big${i}`, { type: "a.b.c", data: "ü".repeat(29_000) });
    let read = 0;
    const follow = site.daybook.follow;
    (site.daybook as { follow: typeof follow }).follow = async function* (from, signal) {
      for await (const batch of follow(from, signal)) {
        for (const event of batch) {
          yield [event];
          read++;
        }
      }
    };
    const response = await site.send("/follow");
    const reader = response.body!.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(read < 4, `${read} events of 58 KB were read ahead`);
    let largest = 0;
    for (let i = 0; i < 20; i++) largest = Math.max(largest, (await reader.read()).value!.length);
    assert.ok(largest <= HTTP_LIMITS.unsent_bytes_max, `${largest} bytes in one frame`);
    await reader.cancel();
  }));

Deno.test("a frame of events has at most 256 KiB, whatever they are written in", () =>
  withSite(async (site) => {
    // As full as it may be before the last one, which is as long as an event may be.
    for (let i = 0; i < 40; i++) await send(site, `some${i}`, { type: "a.b.c", data: "€".repeat(1_270) });
    for (let i = 0; i < 40; i++) await send(site, `long${i}`, { type: "a.b.c", data: "€".repeat(19_800) });
    for (const [path, accept] of [["/follow?type=a.b.c", "text/event-stream"], ["/events", "application/x-ndjson"]]) {
      const response = await site.send(path!, { headers: { accept: accept! } });
      const reader = response.body!.getReader();
      let largest = 0;
      for (let i = 0; i < 5; i++) largest = Math.max(largest, (await reader.read()).value!.length);
      await reader.cancel();
      assert.ok(largest > 200_000 && largest <= HTTP_LIMITS.unsent_bytes_max, `${largest} bytes in a frame of ${path}`);
    }
  }));

Deno.test("a stream comments every 15 s, ends when nothing is taken for 30 s, and when its token is revoked", async () => {
  const clock = new SimulatedClock(systemRandom);
  const streams = new Streams(clock);
  let stopped = false;
  const source = async function* (signal: AbortSignal): AsyncGenerator<string> {
    try {
      yield "first";
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    } finally {
      stopped = true;
    }
  };
  let granted = true;
  const reader = streams.start(source, { comment: ":\n\n", granted: () => granted }).pipeThrough(
    new TextDecoderStream(),
    { preventCancel: false },
  ).getReader();
  const take = () => clock.until(reader.read());
  assert.equal((await take()).value, "first");
  const before = clock.monotonic();
  assert.equal((await take()).value, ":\n\n");
  assert.equal(clock.monotonic() - before, HTTP_LIMITS.comment_every_ms);
  granted = false;
  assert.equal((await take()).done, true);
  assert.deepEqual([stopped, streams.count], [true, 0]);

  const stalled = streams.start(source, { comment: ":\n\n" });
  const slow = stalled.getReader();
  await slow.read();
  const pending = slow.read();
  await clock.advance(HTTP_LIMITS.comment_every_ms);
  await pending;
  await clock.advance(HTTP_LIMITS.stall_ms_max - 1);
  assert.equal(streams.count, 1);
  await clock.advance(1);
  assert.equal(streams.count, 0);
  await assert.rejects(slow.read(), /nothing was taken/);
});

Deno.test("at most 512 streams are open, and stopping ends them all", async () => {
  const clock = new SimulatedClock(systemRandom);
  const streams = new Streams(clock);
  const source = async function* (signal: AbortSignal): AsyncGenerator<string> {
    yield "first";
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  };
  const readers = Array.from({ length: HTTP_LIMITS.streams_max }, () => streams.start(source).getReader());
  assert.throws(() => streams.start(source), /too_many_requests/);
  await readers[0]!.cancel();
  readers[0] = streams.start(source).getReader();
  for (const reader of readers) assert.equal((await reader.read()).done, false);
  const ends = readers.map((reader) => reader.read());
  streams.stop();
  for (const end of ends) assert.equal((await end).done, true);
  assert.equal(streams.count, 0);
  assert.throws(() => streams.start(source), /stopping/);
});

Deno.test("a source that fails ends its stream with the fault, not the server", () =>
  withSite(async (site) => {
    await fill(site, 1);
    (site.daybook as { follow: unknown }).follow = () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error("the disk is gone")) }),
    });
    const response = await site.send("/follow");
    const reader = response.body!.getReader();
    await reader.read();
    await assert.rejects(reader.read());
    assert.match(String(site.faultsSeen[0]), /the disk is gone/);
    assert.match(await (await site.send("/metrics")).text(), /^daybook_http_streams 0$/m);
  }));
