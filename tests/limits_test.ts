/** Limits of a running server: who is counted how, what is told of it, what a restart and a crash leave, and which addresses may ask. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { Clock } from "../actors/kernel/world.ts";
import { Addresses, addressOf } from "../adapters/http/addresses.ts";
import { Problem } from "../adapters/http/problem.ts";
import { Limits } from "../adapters/program/limits/limits.ts";
import { DOOR_FACTS, DoorFacts } from "../adapters/program/limits/door_facts.ts";
import { LogFault } from "../events/log.ts";
import { readSnapshot } from "../adapters/program/limits/snapshot.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import type { Config } from "../config/config.ts";
import { plainConfig } from "../config/plain.ts";
import { isSealed } from "../events/personal.ts";
import { Program } from "./end_to_end/program.ts";
import { inFolder } from "./folder_given.ts";
import { type House, PASSWORD, type Said, withHouse } from "./identity_given.ts";
import { until } from "./until.ts";

type Told = { readonly type: string; readonly data: Readonly<Record<string, unknown>> };

const allowing = (allow: readonly string[]) => (config: Config): Config => ({
  ...config,
  server: { ...config.server, allow: [...allow] },
});

/** Limits that stand still until the clock is turned; `wall` and `monotonic` go together but for a restart. */
const givenLimits = (said: Said, file?: string, begins = 1_800_000_000_000, allow: readonly string[] = []) => {
  const now = { wall: begins, monotonic: 5_000.5 };
  const clock: Clock = { ...systemClock, now: () => now.wall, monotonic: () => now.monotonic };
  const told: Told[] = [];
  const lines: string[] = [];
  const plain = plainConfig(Object.fromEntries(Object.entries(said).map(([key, text]) => [`DAYBOOK__${key}`, text])))!;
  const config = allowing(allow)(plain);
  const limits = new Limits({
    config,
    append: ({ events }) => Promise.resolve(told.push(...events as unknown as readonly Told[])),
    clock,
    random: systemRandom,
    secret: () => new Uint8Array(32).fill(7),
    file,
    report: (line) => void lines.push(line),
  });
  return {
    limits,
    told,
    lines,
    now,
    pass(ms: number) {
      now.wall += ms;
      now.monotonic += ms;
    },
    /** One round of the child, and its end. */
    async stop() {
      const stopping = AbortSignal.abort();
      await limits.child.run(stopping, { path: "limits", ready() {} });
    },
  };
};

const USER: Said = { SERVER__RATE__USER__REQUESTS_MAX: "10", SERVER__RATE__USER__WINDOW_MS: "60000" };
const takes = (limits: Limits, caller: string, now: number): number => {
  let taken = 0;
  while (limits.user.take(caller, now) === 0) taken++;
  return taken;
};

Deno.test("after an orderly stop a caller has what was left; the file tells of nobody", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const before = givenLimits(USER, file);
    for (let i = 0; i < 7; i++) before.limits.user.take("u_ada", before.now.monotonic);
    before.limits.signin.name.take("ada", before.now.monotonic);
    await before.stop();
    const text = await Deno.readTextFile(file);
    assert.ok(!text.includes("ada"));
    assert.equal(readSnapshot(text)?.clean, true);
    // Another process: its monotonic clock begins elsewhere.
    const after = givenLimits(USER, file, before.now.wall + 20_000);
    after.now.monotonic = 17;
    await after.limits.resume();
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 3);
    assert.equal(takes(after.limits, "u_bob", after.now.monotonic), 10);
    after.pass(42_000);
    assert.equal(after.limits.user.left("u_ada", after.now.monotonic).left, 7);
  });
});

Deno.test("after a crash a caller has what it had left but for a step, who did not come has all, and who nothing is known of has nothing", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const said = { ...USER, SERVER__RATE__USER__REQUESTS_MAX: "100" };
    const before = givenLimits(said, file);
    const { user, signin } = before.limits;
    await before.limits.resume();
    for (let i = 0; i < 50; i++) user.take("u_ada", before.now.monotonic);
    await before.limits.keep(false);
    // Between two snapshots.
    for (let i = 0; i < 3; i++) user.take("u_ada", before.now.monotonic);
    for (const caller of ["one", "two", "two", "two"]) signin.credential.take(caller, before.now.monotonic);
    const told = [0, 1].map((turn) => Deno.readTextFileSync(`${file}.ahead${turn}`)).join("");
    assert.ok(!/ada|one|two/.test(told));
    const after = givenLimits(said, file, before.now.wall + 5_000);
    await after.limits.resume();
    // A hundredth is told in pairs.
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 46);
    assert.equal(takes(after.limits, "u_bob", after.now.monotonic), 100);
    assert.equal(
      after.limits.signin.credential.left("any", after.now.monotonic).left,
      17,
      "as the one that was used most",
    );
    after.pass(60_000);
    assert.equal(takes(after.limits, "u_ada", after.now.monotonic), 100);
    await Deno.writeTextFile(file, "{");
    const damaged = givenLimits(said, file);
    await damaged.limits.resume();
    assert.equal(takes(damaged.limits, "u_ada", damaged.now.monotonic), 0);
    damaged.pass(60_000);
    assert.equal(takes(damaged.limits, "u_ada", damaged.now.monotonic), 100);
  });
});

Deno.test("however often it is killed or stopped, and wherever between snapshots, no window has more than is allowed, and nobody pays for others", async () => {
  const WINDOW = 60_000;
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ is: fc.constant("come"), who: fc.nat(2), times: fc.integer({ min: 1, max: 8 }) }),
    },
    { weight: 4, arbitrary: fc.record({ is: fc.constant("pass"), ms: fc.nat(30_000) }) },
    { weight: 4, arbitrary: fc.record({ is: fc.constantFrom("keep", "fail", "kill", "kill while writing", "stop") }) },
  ) as fc.Arbitrary<{ is: string; who?: number; times?: number; ms?: number }>;
  await inFolder(async (folder) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 120 }), fc.array(step, { maxLength: 40 }), async (max, steps) => {
        const file = `${folder}/${++run}.json`;
        const said = {
          SERVER__RATE__USER__REQUESTS_MAX: `${max}`,
          SERVER__RATE__USER__WINDOW_MS: `${WINDOW}`,
          IDENTITY__RATE__CREDENTIAL_MAX: `${max}`,
        };
        const begun = async (wall: number) => {
          const stage = givenLimits(said, file, wall);
          stage.now.monotonic = wall % 977 + 0.25;
          await stage.limits.resume();
          return stage;
        };
        let stage = await begun(1_800_000_000_000);
        const admitted = new Map<string, number[]>();
        for (const { is, who, times = 0, ms = 0 } of steps) {
          if (is === "pass") stage.pass(ms);
          for (let i = 0; i < times; i++) {
            for (
              const [name, limiter] of [["user", stage.limits.user], [
                "credential",
                stage.limits.signin.credential,
              ]] as const
            ) {
              const caller = `${name} ${who}`;
              const times = (admitted.get(caller) ?? []).filter((time) => time > stage.now.wall - WINDOW);
              admitted.set(caller, times);
              if (limiter.take(caller, stage.now.monotonic) > 0) continue;
              times.push(stage.now.wall);
              assert.ok(times.length <= max, `${caller} was let in ${times.length} times within ${max}`);
            }
          }
          if (is === "keep") await stage.limits.keep(false);
          if (is === "fail" || is === "kill while writing") {
            await Deno.mkdir(`${file}.new`);
            await stage.limits.keep(false).catch(() => {});
            await Deno.remove(`${file}.new`);
          }
          if (is === "stop") await stage.stop();
          if (is.startsWith("kill") || is === "stop") stage = await begun(stage.now.wall + 300);
        }
        assert.equal(stage.limits.user.left("user nobody", stage.now.monotonic).left, max);
      }),
      {
        numRuns: 150,
        examples: [[1, [{ is: "come", who: 0, times: 1 }, { is: "fail" }, { is: "fail" }, { is: "kill" }, {
          is: "come",
          who: 0,
          times: 1,
        }]]],
      },
    );
  });
});

Deno.test("a snapshot is written only when somebody came", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    const { limits, now } = givenLimits(USER, file);
    limits.user.take("u_ada", now.monotonic);
    await limits.keep(false);
    await Deno.remove(file);
    await limits.keep(false);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
    limits.user.take("u_ada", now.monotonic);
    await limits.keep(false);
    assert.equal(readSnapshot(await Deno.readTextFile(file))?.clean, false);
  });
});

Deno.test("a file that cannot be written ends nothing: it is told once, what was crossed goes to the log, and the next round tries again", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/limits.json`;
    await Deno.mkdir(`${file}.new`);
    const stage = givenLimits({ ...USER, SERVER__RATE__USER__REQUESTS_MAX: "1" }, file);
    for (const _ of [1, 2]) stage.limits.user.take("u_ada", stage.now.monotonic);
    const stopping = new AbortController();
    const running = stage.limits.child.run(stopping.signal, { path: "limits", ready() {} });
    for (let i = 0; i < ROUNDS_MAX && stage.told.length === 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
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

const tokensOf = async (house: House, name = "ada"): Promise<string> => {
  const signed = await house.signIn(name);
  assert.equal(signed.status, 200, JSON.stringify(signed.body));
  return signed.body.access_token;
};

Deno.test("an account has its requests over all its sessions, is told what is left, and its crossing is on record once", () =>
  withHouse(async (house) => {
    const account = await house.person("ada");
    const [one, two] = [await tokensOf(house), await tokensOf(house)];
    const left: string[] = [];
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
      assert.ok(Number(refused.headers.get("retry-after")) >= 55);
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

const ROUNDS_MAX = 600;

const eventually = async (house: House, type: string, times = 1) => {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const told = house.told(type);
    if (told.length >= times) return told;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${type}: there were ${house.told(type).length} of ${times}`);
};

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

Deno.test("kill -9 gives nobody a new budget", async () => {
  await inFolder(async (folder) => {
    const said = { DAYBOOK__IDENTITY__RATE__NAME_MAX: "5", DAYBOOK__IDENTITY__RATE__WINDOW_MS: "3600000" };
    const tries = async (url: string, times: number): Promise<readonly number[]> => {
      const statuses: number[] = [];
      for (let i = 0; i < times; i++) {
        const answer = await fetch(`${url}/auth/sign-in`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ name: "ada", password: `guess number ${i}` }),
        });
        await answer.body?.cancel();
        statuses.push(answer.status);
      }
      return statuses;
    };
    const first = await Program.start(folder, said);
    assert.deepEqual(await tries(first.url, 3), [401, 401, 401]);
    await first.end("SIGKILL");
    const second = await Program.start(folder, said);
    assert.deepEqual(await tries(second.url, 3), [401, 401, 429]);
    await second.end("SIGTERM");
  });
});
