/** Lives of the program on one folder: two at a time, one that is asked to end while it works, a clock set back, a full disk. */
import assert from "node:assert/strict";
import { CRASH_VARIABLE } from "../../adapters/process/crash.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";
import { onSmallDisk } from "../small_disk_given.ts";
import { blobs, Book, events, moves } from "./kill_load.ts";
import { Program, run } from "./program.ts";

const KINDS = [...Array(8).fill(events(4)), moves, moves, blobs];

const withFolder = async (body: (data: string) => Promise<void>) => {
  const data = await Deno.makeTempDir();
  try {
    await body(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
};

const intact = async (data: string) => {
  for (const command of [["verify"], ["replay", "--check"]]) {
    const ran = await run(...command, "--data", data, "--json");
    assert.equal(ran.code, 0, ran.out + ran.err);
  }
};

const headers = ({ token }: Program) => ({ authorization: `Bearer ${token}` });
const asJson = async (response: Response) => await response.json();

Deno.test("of two that start on one folder at once exactly one serves, and the other says why it does not and ends with 3", () =>
  withFolder(async (data) => {
    const starts = await Promise.allSettled([Program.start(data), Program.start(data), Program.start(data)]);
    const served = starts.filter((start) => start.status === "fulfilled");
    assert.equal(served.length, 1);
    for (const start of starts) {
      if (start.status === "rejected") {
        assert.match(String(start.reason), /listened \(3\): [^\n]*daybook: [^\n]*another process/);
      }
    }
    const [{ value: program }] = served as [PromiseFulfilledResult<Program>];
    // One that comes later, and one that comes after it has gone.
    await assert.rejects(Program.start(data), /listened \(3\)/);
    assert.equal((await program.end("SIGTERM")).code, 0);
    const next = await Program.start(data);
    assert.equal((await next.end("SIGTERM")).code, 0);
    await intact(data);
  }));

// Each a step further: of the folder, the log, the first facts, the first token, the first checkpoint.
const FIRST_STEPS = [
  "lock.taken",
  "append.begun",
  "append.durable",
  "lock.opened",
  "append.begun:2",
  "checkpoint.signed",
];

for (const point of FIRST_STEPS) {
  Deno.test(`a first start that dies at ${point} leaves a folder that the next one serves, first token and all`, () =>
    withFolder(async (data) => {
      const first = await Program.start(data, { [CRASH_VARIABLE]: point }).catch((error) => {
        assert.match(String(error), /ended before it listened \(SIGKILL\)/);
      });
      if (first) assert.equal((await first.died).signal, "SIGKILL");
      const next = await Program.start(data);
      const asked = await fetch(`${next.url}/status`, { headers: headers(next) });
      await asked.body?.cancel();
      assert.equal(asked.status, 200);
      assert.equal((await next.end("SIGTERM")).code, 0);
      await intact(data);
    }));
}

Deno.test("asked to end while it works it answers what it has taken, ends with 0, and the next life finds a clean stop", () =>
  withFolder(async (data) => {
    const random = seededRandom(3);
    const book = new Book();
    for (let life = 0; life < 3; life++) {
      const program = await Program.start(data);
      const begun = () => setTimeout(() => void program.end("SIGTERM"), random.between(0, 200));
      await book.load(program, { name: `t${life}`, kinds: KINDS, random, dead: program.died, begun });
      const { code, err } = await program.end("SIGTERM");
      assert.deepEqual([code, /draining/.test(err)], [0, true], err);
      const after = await Program.start(data);
      await book.repeat(after);
      await book.check(after);
      const kinds = "type=kernel.process.started&limit=1000";
      const starts = (await asJson(await fetch(`${after.url}/events?${kinds}`, { headers: headers(after) }))).events;
      assert.deepEqual(starts.filter(({ data }: { data: { clean: boolean } }) => !data.clean), []);
      assert.equal((await after.end("SIGTERM")).code, 0);
    }
    await intact(data);
  }));

Deno.test("when the clock is set back an hour between two lives, recorded time stands still and never goes back", () =>
  withFolder(async (data) => {
    const random = seededRandom(4);
    const book = new Book();
    const recorded: string[] = [];
    for (const preload of [new URL("./clock_ahead.ts", import.meta.url), undefined]) {
      const program = await Program.start(data, {}, { preload });
      const begun = () => setTimeout(() => void program.end("SIGKILL"), 100);
      await book.load(program, { name: `${!preload}`, kinds: KINDS, random, dead: program.died, begun });
      const after = await Program.start(data, {}, { preload });
      await book.repeat(after);
      await book.check(after); // recorded times among the rest
      const { size } = await asJson(await fetch(`${after.url}/events?limit=1`, { headers: headers(after) }));
      const last = await asJson(await fetch(`${after.url}/events/${size - 1}`, { headers: headers(after) }));
      recorded.push(last.recordedat);
      assert.equal((await after.end("SIGTERM")).code, 0);
    }
    assert.ok(recorded[1]! >= recorded[0]!, recorded.join(" then "));
    assert.ok(Date.parse(recorded[1]!) > Date.now(), "the log has been ahead of the clock");
    await intact(data);
  }));

Deno.test("on a full disk it refuses, goes on reading, loses nothing, and takes events again when there is room", (t) =>
  onSmallDisk(t, "6m", async (disk, run_) => {
    const data = `${disk}/data`;
    const program = await Program.start(data);
    const post = async (id: string, pad = 40_000) => {
      const response = await fetch(`${program.url}/events`, {
        method: "POST",
        headers: { ...headers(program), "content-type": "application/cloudevents+json" },
        body: JSON.stringify({
          specversion: "1.0",
          id,
          source: "urn:full",
          type: "test.full.sent",
          data: { pad: "x".repeat(pad) },
        }),
      });
      await response.body?.cancel();
      return response.status;
    };
    let taken = 0;
    let status = 201;
    for (; status === 201 && taken < 1_000; taken++) status = await post(`e${taken}`);
    assert.equal(status, 503, `${taken} were taken`);
    // Where a large event has no room a small one of the program's own may have some still.
    let small = 0;
    for (status = 201; status === 201 && small < 1_000; small++) status = await post(`small${small}`, 1);
    assert.equal(status, 503, `${small} small ones were taken`);
    const ready = await fetch(`${program.url}/readyz`);
    await ready.body?.cancel();
    assert.equal(ready.status, 503);
    const page = await asJson(
      await fetch(`${program.url}/events?type=test.full.sent&limit=1000`, { headers: headers(program) }),
    );
    assert.equal(page.events.length, taken - 1 + small - 1);
    await run_("mount", "-o", "remount,size=64m", disk);
    assert.equal(await post("after"), 201);
    assert.equal(await post(`e${taken - 1}`), 201);
    assert.equal(await post("e0"), 200);
    const { code, err } = await program.end("SIGTERM");
    assert.equal(code, 0, err);
    await intact(data);
  }));
