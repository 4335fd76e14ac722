/** Limits of a running server: who is counted how, what is told of it, and which addresses may ask. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Addresses, addressOf, callerOf } from "../adapters/http/addresses.ts";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { Problem } from "../adapters/http/problem.ts";
import type { Parts } from "../adapters/program/identity/parts.ts";
import { Tries, tryLimits } from "../adapters/program/identity/tries.ts";
import { Connections, CONNECTIONS_MAX } from "../adapters/program/limits/connections.ts";
import { DOOR_FACTS, DoorFacts } from "../adapters/program/limits/door_facts.ts";
import { readSnapshot } from "../adapters/program/limits/snapshot.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { DEFAULTS } from "../config/shipped.ts";
import { LogFault } from "../events/log.ts";
import { isSealed } from "../events/personal.ts";
import { inFolder } from "./folder_given.ts";
import { type House, PASSWORD, withHouse } from "./identity_given.ts";
import { ratesOf, withSite } from "./http_given.ts";
import { givenLimits, USER } from "./limits_given.ts";
import { until } from "./until.ts";

Deno.test("a file that cannot be written ends nothing: it is told once, what was crossed goes to the log, and the next round tries again", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    await Deno.mkdir(`${file}.new`);
    const stage = givenLimits({ ...USER, SERVER__RATE__USER__REQUESTS_MAX: "1" }, file);
    for (const _ of [1, 2]) stage.limits.user.take("u_ada", stage.now.monotonic);
    const stopping = new AbortController();
    const running = stage.limits.child.run(stopping.signal, { path: "limits", ready() {} });
    await until("a fact", () => stage.told.length > 0);
    stopping.abort();
    await running;
    assert.equal(stage.lines.length, 1);
    assert.match(stage.lines[0]!, /^limits are not kept for a restart: /);
    assert.deepEqual(stage.told.map(({ type }) => type), ["kernel.limit.crossed"]);
    await Deno.remove(`${file}.new`);
    await stage.stop();
    assert.equal(readSnapshot(await Deno.readTextFile(file))?.clean, true);
    assert.equal(stage.lines.length, 1);
  });
});

Deno.test("of many crossings a bounded number is told, and how many were not", async () => {
  const stage = givenLimits({ ...USER, SERVER__RATE__USER__REQUESTS_MAX: "1" });
  const crowd = DOOR_FACTS.minute_max + 40;
  for (let i = 0; i < crowd; i++) for (const _ of [1, 2, 3]) stage.limits.user.take(`u_${i}`, stage.now.monotonic);
  stage.pass(120_000);
  for (const _ of [1, 2]) stage.limits.user.take("u_late", stage.now.monotonic);
  await stage.stop();
  assert.equal(stage.told.length, DOOR_FACTS.minute_max + 1);
  assert.deepEqual(stage.told[0]!.data, { limit: "user", max: 1, window_ms: 60_000, principal: "u_0" });
  assert.equal(stage.told.at(-1)!.data.untold, 40);
});

Deno.test("what cannot be told waits, up to a bound, and goes when the log takes it; what it never takes is a fault", async () => {
  const told: unknown[] = [];
  let fault: LogFault | undefined = new LogFault("full", "no room");
  const now = { ms: 0 };
  const facts = new DoorFacts(({ events }) => {
    if (fault) return Promise.reject(fault);
    return Promise.resolve(told.push(...events));
  }, { clock: { ...systemClock, now: () => now.ms, monotonic: () => now.ms }, random: systemRandom });
  for (let i = 0; i < DOOR_FACTS.waiting_max + 100; i++, now.ms += 2_000) {
    facts.tell({ type: "kernel.quota.reached", data: { tenant: "acme", quota: "events", max: i } });
  }
  await facts.flush();
  fault = undefined;
  await facts.flush();
  assert.equal(told.length, DOOR_FACTS.waiting_max);
  fault = new LogFault("invalid", "never");
  facts.tell({ type: "kernel.quota.reached", data: { tenant: "acme", quota: "events", max: 1 } });
  await assert.rejects(facts.flush(), /never/);
  fault = undefined;
  await facts.flush();
  assert.equal(told.length, DOOR_FACTS.waiting_max);
});

Deno.test("a fact that may be in the log although it was not acknowledged is told again as the same", async () => {
  const ids: string[] = [];
  const facts = new DoorFacts(({ events }) => {
    ids.push(...events.map(({ id }) => id));
    return ids.length === 1 ? Promise.reject(new LogFault("io", "what became of it is not known")) : Promise.resolve();
  }, { clock: systemClock, random: systemRandom });
  facts.tell({ type: "kernel.quota.reached", data: { tenant: "acme", quota: "events", max: 1 } });
  await facts.flush();
  await facts.flush();
  assert.deepEqual([ids.length, new Set(ids).size], [2, 1]);
});

Deno.test("connections are counted in one fact for many, refused addresses with their rule, once a minute", async () => {
  const stage = givenLimits({}, undefined, 1_800_000_000_000, ["192.0.2.0/24"]);
  for (let i = 0; i < 1_000; i++) stage.limits.connected(`192.0.2.${i % 5}`, 40_000 + i % 50);
  for (let i = 0; i < 20; i++) assert.throws(() => stage.limits.addresses.check(() => "198.51.100.7"), Problem);
  stage.limits.addresses.check(() => "192.0.2.9");
  await stage.stop();
  assert.deepEqual(stage.told.map(({ type, data: { from: _, until: __, ...data } }) => ({ type, data })), [
    { type: "kernel.address.refused", data: { rule: "not_listed", address: "198.51.100.7" } },
    { type: "kernel.connection.counted", data: { connections: 50, addresses: 5, refused: 20 } },
  ]);
});

Deno.test("a connection is counted once as long as it is used, and again when so many others came since", () => {
  const connections = new Connections();
  const others = (count: number, from: number) => {
    for (let i = from; i < from + count; i++) connections.request(`2001:db8::${i.toString(16)}`, 40_000);
  };
  for (let n = 0; n < 6; n++) {
    connections.request("192.0.2.1", 40_000);
    others(CONNECTIONS_MAX / 2, n * CONNECTIONS_MAX / 2);
  }
  assert.equal(connections.take().connections, 3 * CONNECTIONS_MAX + 1);
  others(2 * CONNECTIONS_MAX, 3 * CONNECTIONS_MAX);
  connections.request("192.0.2.1", 40_000);
  connections.request("192.0.2.1", 40_001);
  assert.equal(connections.take().connections, 2 * CONNECTIONS_MAX + 2);
});

Deno.test("so many addresses are told apart in one count, and connections of more are counted all the same", () => {
  const connections = new Connections();
  for (let i = 0; i <= 10_000; i++) connections.request(`2001:db8::${i.toString(16)}`, 40_000);
  assert.deepEqual(connections.take(), { connections: 10_001, addresses: 10_000, refused: 0 });
  assert.deepEqual(connections.take(), { connections: 0, addresses: 0, refused: 0 });
});

Deno.test("a list of networks takes addresses of both families, however they are written", () => {
  const addresses = new Addresses({ allow: ["192.0.2.0/24", "2001:db8::/32", "203.0.113.7"] });
  for (
    const fine of ["192.0.2.1", "::ffff:192.0.2.1", "[2001:db8::1]:443", "2001:DB8::2", "203.0.113.7", "192.0.2.3:80"]
  ) {
    addresses.check(() => fine);
  }
  for (const not of ["192.0.3.1", "2001:db9::1", "203.0.113.8", "", "unknown", "_hidden", "192.0.2.1.example"]) {
    assert.throws(
      () => addresses.check(() => not),
      (error) => error instanceof Problem && error.code === "address_refused",
    );
  }
  assert.equal(addressOf("fe80::1%eth0"), "fe80::1");
});

const tokensOf = async (house: House): Promise<string> => {
  const signed = await house.signIn("ada");
  assert.equal(signed.status, 200, JSON.stringify(signed.body));
  return signed.body.access_token;
};

Deno.test("an account has its requests over all its sessions, is told what is left, and its crossing is on record once", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    const [one, two] = [await tokensOf(house), await tokensOf(house)];
    const left: string[] = [];
    const began = performance.now();
    for (let i = 0; i < 6; i++) {
      const answer = await house.send("/auth/sessions", { as: i % 2 ? one : two });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("ratelimit-policy"), '"user";q=6;w=60');
      left.push(answer.headers.get("ratelimit")!.replace(/t=\d+$/, "t"));
    }
    assert.deepEqual(left, [5, 4, 3, 2, 1, 0].map((left) => `"user";r=${left};t`));
    for (let i = 0; i < 3; i++) {
      const refused = await house.send("/auth/sessions", { as: i % 2 ? one : two });
      assert.deepEqual([refused.status, refused.body.type], [429, "urn:daybook:problem:too_many_requests"]);
      const passed = (performance.now() - began) / 1_000;
      assert.ok(Number(refused.headers.get("retry-after")) >= 60 - passed, "what is left of a minute since the first");
      assert.match(refused.headers.get("ratelimit")!, /^"user";r=0;t=\d+$/);
    }
    // A token of a program has its own, far higher; the crossing is there within a second or two.
    const crossed = await eventually(house, "kernel.limit.crossed");
    assert.deepEqual(crossed.map(({ data }) => data), [{
      limit: "user",
      max: 6,
      window_ms: 60_000,
      principal: account,
    }]);
    const metrics = await house.send("/metrics", { as: house.token });
    assert.match(metrics.body, /daybook_limit_refused_total\{limit="user"\} 3/);
    assert.match(metrics.body, /daybook_limit_shared_total\{limit="user"\} 0/);
  }, { said: { SERVER__RATE__USER__REQUESTS_MAX: "6" } }));

Deno.test("requests that policies refuse and refreshes count for the account as all others do", () =>
  withHouse(async (house) => {
    await house.person("ada");
    await house.person("bob");
    const { body: ada } = await house.signIn("ada");
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) {
      statuses.push((await house.send("/accounts", { as: ada.access_token, body: { name: "x" } })).status);
    }
    assert.deepEqual(statuses, [403, 403, 403, 403, 403, 403, 429, 429]);
    let { refresh_token } = (await house.signIn("bob")).body;
    for (let i = 0; i < 6; i++) {
      const { status, body } = await house.send("/auth/refresh", { body: { refresh_token } });
      assert.equal(status, 200);
      ({ refresh_token } = body);
    }
    const over = await house.send("/auth/refresh", { body: { refresh_token } });
    assert.deepEqual([over.status, over.body.type], [429, "urn:daybook:problem:too_many_requests"]);
    assert.match(over.headers.get("ratelimit")!, /^"user";r=0;t=\d+$/);
    assert.equal(house.told("identity.session.refreshed").length, 6);
  }, { said: { SERVER__RATE__USER__REQUESTS_MAX: "6" } }));

const eventually = (house: House, type: string, count = 1) =>
  until(`${count} of ${type}`, () => house.told(type), (told) => told.length >= count);

Deno.test("one password on many accounts, one account and one address are each stopped, and the facts are sealed", () =>
  withHouse(async (house) => {
    const wrong = "a password that somebody has a list for";
    for (const name of ["ada", "bob", "eve"]) assert.equal((await house.signIn(name, wrong)).status, 401);
    assert.equal((await house.signIn("mallory", wrong)).status, 429);
    // Another password, a fresh name: it goes on, until the address has had enough.
    assert.equal((await house.signIn("trent", `${PASSWORD}!`)).status, 401);
    for (const _ of [1, 2, 3, 4]) await house.signIn("peggy", `${PASSWORD} ${_}`);
    assert.equal((await house.signIn("victor", "whatever comes")).status, 429);
    await eventually(house, "kernel.limit.crossed", 3);
    const told = house.told("kernel.limit.crossed").map(({ data }) => data);
    assert.deepEqual(told.map(({ limit, name }) => [limit, name]), [
      ["signin_credential", undefined],
      ["signin_name", "peggy"],
      ["signin_address", undefined],
    ]);
    assert.match(told[2].address_pseudonym, /^p_/);
    assert.equal(told[2].address, "127.0.0.1");
  }, {
    said: {
      IDENTITY__RATE__CREDENTIAL_MAX: "3",
      IDENTITY__RATE__NAME_MAX: "3",
      IDENTITY__RATE__ADDRESS_MAX: "9",
    },
  }));

Deno.test("what is told of an address or a name lies sealed", async () => {
  await inFolder(async (folder) => {
    await withHouse(async (house) => {
      for (const _ of [1, 2, 3]) await house.signIn("ada", "no such thing");
      await eventually(house, "kernel.limit.crossed");
    }, { said: { IDENTITY__RATE__NAME_MAX: "1" }, data: folder });
    const { openDaybook } = await import("../main.ts");
    const daybook = await openDaybook({ data: folder });
    try {
      for (const { data } of [...daybook.log.read({ types: ["kernel.limit.crossed"] })].flat()) {
        assert.ok(isSealed((data as { name: string }).name));
      }
    } finally {
      await daybook.close();
    }
  });
});

Deno.test("a running server that lets nobody in says so on every route, to everybody but its own socket", () =>
  withHouse(async (house) => {
    for (const path of ["/livez", "/sign-in", "/events", "/nothing", "/metrics"]) {
      const refused = await house.send(path, { as: house.token });
      assert.deepEqual([refused.status, refused.body.type], [403, "urn:daybook:problem:address_refused"]);
    }
  }, { said: { SERVER__ALLOW: "[192.0.2.0/24]" } }));

Deno.test("a tenant has its events and bytes of a day, in requests that come in whole or not at all, and its sessions", () =>
  withHouse(async (house) => {
    await house.person("ada");
    await house.person("bob");
    const post = (n: number, id: string, text = "x") =>
      house.send("/events", {
        as: house.token,
        headers: { "content-type": "application/cloudevents-batch+json" },
        body: JSON.stringify(Array.from({ length: n }, (_, i) => ({
          specversion: "1.0",
          type: "meter.reading.taken",
          source: "/meters/1",
          id: `${id}-${i}`,
          data: { text },
        }))),
      });
    assert.equal((await post(3, "a")).status, 201);
    const size = (await house.send("/events?limit=1", { as: house.token })).body.size;
    const refused = await post(3, "b");
    assert.deepEqual([refused.status, refused.body.type, refused.body.quota, refused.body.max], [
      429,
      "urn:daybook:problem:quota_exceeded",
      "events",
      5,
    ]);
    assert.ok(Number(refused.headers.get("retry-after")) > 86_000);
    assert.equal((await post(1, "c", "x".repeat(3_000))).body.quota, "bytes");
    assert.equal((await house.send("/events?limit=1", { as: house.token })).body.size, size);
    assert.equal((await post(2, "d")).status, 201);
    // Two sessions, whosesoever, however many try at once.
    const tries = await Promise.all(["ada", "bob", "ada", "bob", "ada"].map((name) => house.signIn(name)));
    assert.deepEqual(tries.map(({ status }) => status).sort(), [200, 200, 429, 429, 429]);
    const over = tries.find(({ status }) => status === 429)!;
    assert.equal(over.body.type, "urn:daybook:problem:quota_exceeded");
    const one = tries.find(({ status }) => status === 200)!;
    assert.equal((await house.send("/auth/sign-out", { as: one.body.access_token, method: "POST" })).status, 204);
    assert.equal((await house.signIn("ada")).status, 200);
    await eventually(house, "kernel.quota.reached", 3);
    assert.deepEqual(house.told("kernel.quota.reached").map(({ data }) => data), [
      { tenant: "default", quota: "events", max: 5 },
      { tenant: "default", quota: "bytes", max: 3_000 },
      { tenant: "default", quota: "sessions", max: 2 },
    ]);
  }, {
    said: {
      IDENTITY__TENANTS: "{ default: { quota: { events_max: 5, bytes_max: 3000, sessions_max: 2 } } }",
    },
  }));

Deno.test("blobs count among the bytes of a tenant, and not among its events", () =>
  withHouse(async (house) => {
    const post = (path: string, type: string, body: string) =>
      house.send(path, { as: house.token, headers: { "content-type": type }, body });
    const blob = (bytes: number) => post("/blobs", "application/octet-stream", "x".repeat(bytes));
    const event = { specversion: "1.0", type: "meter.reading.taken", source: "/meters/1", id: "a" };
    assert.equal((await post("/events", "application/cloudevents+json", JSON.stringify(event))).status, 201);
    assert.equal((await blob(2_000)).status, 201);
    const over = await blob(1_001);
    assert.deepEqual([over.status, over.body.type, over.body.quota], [
      429,
      "urn:daybook:problem:quota_exceeded",
      "bytes",
    ]);
    const name = createHash("sha256").update("x".repeat(1_001)).digest("base64");
    assert.equal(house.log.blob(name), undefined);
    assert.equal((await blob(0)).status, 201);
  }, { said: { IDENTITY__TENANTS: "{ default: { quota: { events_max: 1, bytes_max: 3000 } } }" } }));

Deno.test("an address that has had enough fills no windows of names or passwords: others sign in, however many names it tries", () => {
  const { identity: { rate, lockout } } = DEFAULTS;
  const limits = tryLimits(rate);
  const parts = { config: { rate, lockout }, limits, clock: { ...systemClock, monotonic: () => 0 } };
  const tries = new Tries({ ...parts, random: (n: number) => new Uint8Array(n) } as unknown as Parts);
  for (let i = 0; i < HTTP_LIMITS.callers_max + 1; i++) {
    const wait = tries.wait(`nobody ${i}`, { address: "198.51.100.9" }, `guess ${i}`);
    const limit = wait?.because === "rate" ? wait.limit.name : undefined;
    assert.equal(limit, i < rate.address_max ? undefined : "signin_address");
  }
  assert.deepEqual([limits.name.keys, limits.credential.keys], [rate.address_max, rate.address_max]);
  // More than the window that callers share would let in.
  for (let i = 0; i < rate.name_max; i++) {
    assert.equal(tries.wait(`somebody ${i}`, { address: `192.0.2.${i}` }, `password ${i}`), undefined);
  }
  assert.deepEqual([limits.name.counts.shared, limits.credential.counts.shared], [0, 0]);
});

Deno.test("a network of IPv6, out of which one site asks from another address each time, is one caller to limits", async () => {
  const { identity: { rate, lockout } } = DEFAULTS;
  const limits = tryLimits(rate);
  const parts = { config: { rate, lockout }, limits, clock: { ...systemClock, monotonic: () => 0 } };
  const tries = new Tries({ ...parts, random: (n: number) => new Uint8Array(n) } as unknown as Parts);
  const many = 2 * rate.address_max;
  const waits = Array.from({ length: many }, (_, i) => {
    const address = `2001:db8:0:7:${i.toString(16)}::1`;
    return tries.wait(`nobody ${i}`, { address }, `guess ${i}`);
  });
  assert.deepEqual([waits.filter((wait) => wait === undefined).length, limits.address.keys], [rate.address_max, 1]);
  assert.equal(tries.wait("somebody", { address: "2001:db8:0:8::1" }, "password"), undefined);

  await withSite(async ({ server }) => {
    const ask = async (hostname: string) => {
      const wrong = new Request("http://localhost/views", {
        headers: { host: "localhost", authorization: "Bearer x!" },
      });
      return (await server.fetch(wrong, { remoteAddr: { transport: "tcp", hostname } })).status;
    };
    assert.deepEqual([await ask("2001:db8::1"), await ask("2001:db8::2"), await ask("2001:db8::3")], [401, 401, 429]);
    assert.equal(await ask("2001:db8:0:1::1"), 401);
  }, { rates: ratesOf({ window_ms: 60_000, requests_max: 5, denied_max: 2 }) });
});

Deno.test("an address of IPv4 is its own caller, one of IPv6 its network, however it is written", () => {
  const whose = {
    "192.0.2.1": "192.0.2.1",
    "[::ffff:192.0.2.1]:80": "192.0.2.1",
    "2001:DB8::1": "2001:db8:0:0::/64",
    "2001:0db8:0:0:1:2:3:4": "2001:db8:0:0::/64",
    "[2001:db8:1::7:0]:443": "2001:db8:1:0::/64",
    "fe80::1%eth0": "fe80:0:0:0::/64",
    "::1": "0:0:0:0::/64",
    "1:2:3:4::192.0.2.1": "1:2:3:4::/64",
    "1:2::3:4:5:192.0.2.1": "1:2:0:3::/64",
    "1::2:3:4:5:6": "1:0:0:2::/64",
    "::": "0:0:0:0::/64",
    "": "",
    "_hidden": "_hidden",
  };
  assert.deepEqual(Object.fromEntries(Object.keys(whose).map((text) => [text, callerOf(text)])), whose);
});
