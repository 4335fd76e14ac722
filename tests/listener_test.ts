/** The server as a child of the tree: when it is started again, and when it listens again by itself. */
import assert from "node:assert/strict";
import { LISTENER, listener, unheard } from "../adapters/program/listener.ts";
import type { Server } from "../adapters/http/server.ts";
import { SimulatedClock } from "../adapters/simulation/clock.ts";
import { seededRandom } from "../adapters/simulation/random.ts";

/** Ends of its listeners, one after the other; the last is never lost. */
const listeningUntil = (...causes: readonly string[]) => {
  const clock = new SimulatedClock(seededRandom(1));
  const told: string[] = [];
  let [listens, stops, at] = [0, 0, 0];
  const create = () => {
    const cause = causes[at++];
    const lost = cause === undefined ? new Promise<never>(() => {}) : Promise.reject(new Error(cause));
    lost.catch(() => {});
    return { lost, stop: () => Promise.resolve(void stops++) } as Partial<Server> as Server;
  };
  const child = listener(create, () => Promise.resolve(void listens++), { clock, report: (line) => told.push(line) });
  const stopping = new AbortController();
  const run = Promise.resolve(child.run(stopping.signal, { path: "daybook:http", ready() {} }));
  return { clock, told, run, stop: () => stopping.abort(), counts: () => ({ listens, stops }) };
};

const CROWDED = "a listener was lost: Error: Too many open files (os error 24)";

Deno.test("a listener that connections crowd out listens again after them, however often, and ends when it is told to", async () => {
  const site = listeningUntil(...Array<string>(20).fill(CROWDED));
  await site.clock.advance(19 * LISTENER.crowded_ms);
  assert.deepEqual(site.counts(), { listens: 20, stops: 20 });
  await site.clock.advance(LISTENER.crowded_ms);
  assert.deepEqual(site.counts(), { listens: 21, stops: 20 });
  assert.equal(site.told.length, 20);
  site.stop();
  await site.clock.until(site.run);
  assert.deepEqual(site.counts(), { listens: 21, stops: 21 });
});

Deno.test("it is looked now and then whether the server is still found where it listens, also after that failed", async () => {
  const clock = new SimulatedClock(seededRandom(1));
  let lose = (_: Error) => {};
  const create = () => {
    const lost = new Promise<never>((_, reject) => lose = reject);
    return { lost, stop: () => Promise.resolve() } as Partial<Server> as Server;
  };
  let looks = 0;
  const keep = () => ++looks === 1 ? Promise.reject(new Error("the folder is not there")) : Promise.resolve();
  const child = listener(create, () => Promise.resolve(), { clock, report: () => {}, keep });
  const stopping = new AbortController();
  const run = Promise.resolve(child.run(stopping.signal, { path: "daybook:http", ready() {} }));
  await clock.advance(3 * LISTENER.look_ms);
  assert.equal(looks, 3);
  lose(new Error(CROWDED));
  await clock.advance(LISTENER.crowded_ms + 2 * LISTENER.look_ms);
  assert.equal(looks, 5, "nobody looks after the server that was lost");
  stopping.abort();
  await clock.until(run);
});

Deno.test("a listener over TLS that found out by itself listens again after it", async () => {
  const site = listeningUntil("a listener was lost: it takes no connections any more, as after EMFILE");
  await site.clock.advance(LISTENER.crowded_ms);
  assert.deepEqual(site.counts(), { listens: 2, stops: 1 });
  site.stop();
  await site.clock.until(site.run);
});

Deno.test("a listener that is lost for another cause is for its supervisor to start again", async () => {
  const site = listeningUntil("a listener was lost: it ended by itself");
  await assert.rejects(site.clock.until(site.run), /it ended by itself/);
  assert.deepEqual(site.counts(), { listens: 1, stops: 1 });
});

Deno.test("why nobody can listen at an address is told with the address, and what else to choose", () => {
  const coded = (code: string) => Object.assign(new Error("in the platform's words"), { code });
  for (
    const [error, name, because] of [
      [new Deno.errors.AddrInUse("in use"), "AddrInUse", "another program does; give another --port"],
      [coded("EACCES"), "PermissionDenied", "this user may not; give another --port"],
      [coded("EADDRNOTAVAIL"), "AddrNotAvailable", "there is no such address on this machine; give another --host"],
      [coded("EINVAL"), "AddrNotAvailable", "there is no such address on this machine; give another --host"],
      [coded("ENOTFOUND"), "AddrNotAvailable", "no address is known for that name; give another --host"],
      [
        new Error("failed to lookup address information: Name or service not known"),
        "AddrNotAvailable",
        "no address is known for that name; give another --host",
      ],
    ] as const
  ) {
    const told = unheard(error, { hostname: "192.0.2.1", port: 80 }) as Error;
    assert.deepEqual([told.name, told.message], [name, `cannot listen on 192.0.2.1:80: ${because}`]);
  }
  const other = new Error(CROWDED);
  assert.equal(unheard(other, { hostname: "192.0.2.1", port: 80 }), other, "the listener itself sees to that");
  const taken = unheard(new Deno.errors.AddrInUse(), { hostname: "2001:db8::1", port: 80 }) as Error;
  assert.match(taken.message, /^cannot listen on \[2001:db8::1\]:80: /);
});
