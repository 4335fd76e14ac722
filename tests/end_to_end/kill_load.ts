/**
 * Clients of a program that is going to be killed: each sends one wish after another over HTTP, remembers what it was answered,
 * and what it was not. Later the whole history is held against both.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { SeededRandom } from "../../adapters/simulation/random.ts";
import { commands } from "../program_given.ts";
import type { Program } from "./program.ts";
import { until } from "../until.ts";

export type Server = Pick<Program, "url" | "token">;

/** Where a wish ended: the places of its events, none for a blob. */
interface Place {
  readonly id: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: number;
}

/** What a client wants; sent again it is the same wish. */
export interface Wish {
  readonly name: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
  places(answer: unknown): readonly Place[];
  /** Of a blob. */
  readonly sha256?: string;
}

/** What a kind of load sends, given a name that is used once. */
export type Kind = (name: string, client: number, random: SeededRandom) => Wish;

export const events = (most: number): Kind => (name, _, random) => ({
  name,
  path: "/events",
  headers: { "content-type": "application/cloudevents-batch+json" },
  body: JSON.stringify(Array.from({ length: most > 99 ? most : 1 + random.between(0, most) }, (_, i) => ({
    specversion: "1.0",
    id: `${name}.${i}`,
    source: `urn:kill:${name.length % 3}`,
    type: "test.kill.sent",
    time: "2026-01-01T00:00:00Z",
    data: { name, i, pad: "x".repeat(most > 99 ? 0 : (name.length * 37 + i * 11) % 400) },
  }))),
  places: (answer) => (answer as { receipts: readonly Place[] }).receipts,
});

const command = (type: string, id: string, name: string, data: unknown): Wish => ({
  name,
  path: `/commands/${type}/${id}`,
  headers: { "content-type": "application/json", "idempotency-key": name },
  body: JSON.stringify(data),
  places: (answer) => [{ ...(answer as Place), id: "" }],
});

/** Every client has a branch of its own in one repository, and moves it on. */
export const moves: Kind = (name, client) =>
  command("commits.branch.move", "shop", name, {
    branch: `c${client}`,
    to: createHash("sha1").update(name).digest("hex"),
  });

/** Timers that fall due at once or soon, of the domain in `kill_program.ts`. */
export const bells: Kind = (name, client, random) =>
  command("bells.bell.set", `b${client % 4}`, name, {
    name,
    at: 1_767_225_600_000 + (random.strikes(0.5) ? 0 : Date.now() - 1_767_225_600_000 + random.between(0, 60)),
  });

/** Blobs of several commits each. */
export const blobs: Kind = (name) => {
  const body = new Uint8Array(60_000 * 9 + 17);
  for (let at = 0; at < body.length; at += 32) {
    body.set(createHash("sha256").update(`${name}${at}`).digest().subarray(0, 16), at);
  }
  return {
    name,
    path: "/blobs",
    headers: { "content-type": "application/octet-stream" },
    body,
    places: () => [],
    sha256: createHash("sha256").update(body).digest("hex"),
  };
};

const send = async ({ url, token }: Server, client: Deno.HttpClient, wish: Wish): Promise<unknown> => {
  const response = await fetch(`${url}${wish.path}`, {
    method: "POST",
    client,
    headers: { ...wish.headers, authorization: `Bearer ${token}` },
    body: wish.body,
  });
  const text = await response.text();
  // While it drains, a program refuses what is new and breaks off bodies that have not arrived: nothing was done, and it may be repeated.
  assert.ok([200, 201, 408, 503].includes(response.status), `${response.status} ${text}`);
  if (response.status >= 400) throw new Error(text);
  return JSON.parse(text);
};

export class Book {
  /** By the name of a wish, in the order of its client. */
  readonly answered = new Map<string, readonly Place[]>();
  /** Sent and not answered, by name. */
  readonly unanswered = new Map<string, Wish>();
  private readonly blobs = new Map<string, string>();
  /** Names of one client in the order of sending. */
  private readonly orders: string[][] = [];

  /**
   * `clients` send until `end` resolves with the program dead, one wish each at a time. Answers how many were on their way at
   * the moment of death.
   */
  async load(
    server: Server,
    { name, kinds, random, dead, begun }: {
      readonly name: string;
      readonly kinds: readonly Kind[];
      readonly random: SeededRandom;
      /** Resolves when the program has died. */
      readonly dead: Promise<unknown>;
      /** Called when something was answered and everybody is sending. */
      readonly begun?: () => void;
    },
  ): Promise<number> {
    const http = Deno.createHttpClient({});
    let over = false;
    let answers = 0;
    const before = new Set(this.unanswered.keys());
    const clients = kinds.map(async (kind, c) => {
      const order: string[] = [];
      this.orders.push(order);
      for (let i = 0; !over; i++) {
        const wish = kind(`${name}.${c}.${i}`, c, random);
        this.unanswered.set(wish.name, wish);
        order.push(wish.name);
        try {
          this.note(wish, await send(server, http, wish));
          if (++answers === kinds.length) begun?.();
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          // Never sent: nobody waits for it.
          if (/refused|Connect/.test(String(error))) this.unanswered.delete(wish.name);
          return;
        }
      }
    });
    const ended = dead.then(() => {
      over = true;
      return new Set(this.unanswered.keys());
    });
    await Promise.all([ended, ...clients]);
    http.close();
    const waiting = await ended;
    return [...this.unanswered.keys()].filter((wish) => waiting.has(wish) && !before.has(wish)).length;
  }

  private note(wish: Wish, answer: unknown): void {
    this.answered.set(wish.name, wish.places(answer));
    if (wish.sha256 !== undefined) this.blobs.set(wish.name, wish.sha256);
    this.unanswered.delete(wish.name);
  }

  /** Sends again what was not answered. Answers how many of them were there already. */
  async repeat(server: Server): Promise<number> {
    const http = Deno.createHttpClient({});
    const size = (await history(server, http)).length;
    let durable = 0;
    for (const wish of [...this.unanswered.values()]) {
      const there = wish.sha256 !== undefined && await has(server, http, wish.sha256);
      this.note(wish, await send(server, http, wish));
      const places = this.answered.get(wish.name)!;
      const old = places.filter(({ position }) => position < size).length;
      assert.ok(old === 0 || old === places.length, `half of ${wish.name} was there`);
      if (there || old > 0) durable++;
    }
    http.close();
    return durable;
  }

  /** Holds the history against all that was ever answered. */
  async check(server: Server): Promise<void> {
    const http = Deno.createHttpClient({});
    const events = await history(server, http);
    for (const sha256 of this.blobs.values()) assert.ok(await has(server, http, sha256), `blob ${sha256} is not there`);
    http.close();
    whole(events);
    for (const [name, places] of this.answered) {
      for (const { id, stream, revision, position } of places) {
        const event = events[position];
        assert.deepEqual([event?.stream, event?.revision], [stream, revision], `${name} is not at ${position}`);
        if (id !== "") assert.equal(event!.id, id);
      }
    }
    for (const order of this.orders) {
      let last = -1;
      for (const name of order) {
        for (const { position } of this.answered.get(name) ?? []) {
          assert.ok(position > last, `${name} is before what its client sent first`);
          last = position;
        }
      }
    }
  }
}

const has = async ({ url, token }: Server, client: Deno.HttpClient, sha256: string): Promise<boolean> => {
  const response = await fetch(`${url}/blobs/${sha256}`, { client, headers: { authorization: `Bearer ${token}` } });
  const bytes = await response.bytes();
  if (response.status === 404) return false;
  assert.equal(response.status, 200);
  assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256, "a blob is there by half");
  return true;
};

export interface Recorded {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly position: number;
  readonly recordedat: string;
  readonly causationid?: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const history = async ({ url, token }: Server, client: Deno.HttpClient): Promise<readonly Recorded[]> => {
  const headers = { authorization: `Bearer ${token}`, accept: "application/x-ndjson" };
  const response = await fetch(`${url}/events`, { client, headers });
  const text = (await response.text()).trim();
  return text === "" ? [] : text.split("\n").map((line) => JSON.parse(line));
};

/** Positions and revisions without a gap, every event once, recorded times that never go back, branches that go on where they were. */
const whole = (events: readonly Recorded[]): void => {
  const ids = new Set<string>();
  const heads = new Map<string, number>();
  const branches = new Map<unknown, unknown>();
  let recorded = "";
  for (const [i, event] of events.entries()) {
    assert.equal(event.position, i, "positions have a gap");
    assert.equal(event.revision, (heads.get(event.stream) ?? -1) + 1, `revisions of ${event.stream} have a gap`);
    heads.set(event.stream, event.revision);
    const id = `${event.source}\n${event.id}`;
    assert.ok(!ids.has(id), `event ${event.id} is there twice`);
    ids.add(id);
    assert.ok(event.recordedat >= recorded, `recorded time goes back at ${i}`);
    recorded = event.recordedat;
    if (event.type !== "commits.branch.moved") continue;
    const { branch, from, to } = event.data;
    assert.equal(from, branches.get(branch) ?? null, `${branch} moved from where it was not, at ${i}`);
    branches.set(branch, to);
  }
};

/** What a program left in `data` of a folder verifies, and views that are folded anew are equal to those it kept. */
export const stands = async (dir: string): Promise<void> => {
  // Within this process, which the server's end leaves nothing in; the commands themselves are typed elsewhere.
  const say = commands(dir);
  for (const command of [["verify"], ["replay", "--check"]]) {
    const { code, out, err } = await say(...command, "--data", `${dir}/data`, "--json");
    assert.equal(code, 0, `${command}: ${out}${err}`);
  }
};

/** Resolves when every timer that was set has fired, once, with what it was to bring. */
export const timersFired = async (server: Server): Promise<void> => {
  const http = Deno.createHttpClient({});
  try {
    const open = async () => {
      const events = await history(server, http);
      const caused = Map.groupBy(events, ({ causationid }) => causationid);
      return events.filter(({ type, id }) => {
        if (type !== "kernel.timer.set") return false;
        const types = (caused.get(id) ?? []).map(({ type }) => type);
        assert.ok(types.length <= 2, `a timer fired more than once: ${types}`);
        return types.join() !== "kernel.timer.fired,bells.bell.rung";
      });
    };
    await until("every timer has fired", open, (open) => open.length === 0);
  } finally {
    http.close();
  }
};
