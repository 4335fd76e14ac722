import assert from "node:assert/strict";
import { Hashing, HashingBusy, type HashingOptions } from "../adapters/program/identity/hashing.ts";
import type { Child } from "../actors/kernel/child.ts";
import { systemClock, systemRandom } from "../adapters/system/world.ts";
import { bcryptCost, seenWhole } from "../adapters/hash_wasm/formats.ts";
import { hashed } from "../adapters/hash_wasm/hashing.ts";

const LITTLE = { memory_kib: 7_168, passes: 1, lanes: 1 };
const task = (password: string) =>
  ({ is: "argon2id", password, salt: new Uint8Array(16).fill(1), with: LITTLE }) as const;
const hex = (made: Uint8Array | boolean) => (made as Uint8Array).toHex();

/** Threads of its own, and a supervisor that the test stops. */
const withHashing = async (
  options: Partial<HashingOptions>,
  test: (hashing: Hashing) => Promise<void>,
): Promise<void> => {
  const stopping = new AbortController();
  const running: Promise<void>[] = [];
  const hashing = new Hashing({
    clock: systemClock,
    threads: 2,
    waiting_max: 100,
    waits_ms_max: 60_000,
    add: (child: Child) => {
      running.push(child.run(stopping.signal, { path: "passwords", ready() {} }).catch(() => {}));
      return Promise.resolve();
    },
    spec: { restarts: { max: 5, within: 60_000 } },
    world: { clock: systemClock, random: systemRandom, recorder: { record() {}, flush: () => Promise.resolve() } },
    ...options,
  });
  try {
    await test(hashing);
  } finally {
    stopping.abort();
    await Promise.all(running);
  }
};

Deno.test("Argon2id is that of RFC 9106", async () => {
  // https://github.com/P-H-C/phc-winner-argon2/blob/master/src/test.c, version 0x13, Argon2id: t=2, m=2^16, p=1.
  const made = await hashed({
    is: "argon2id",
    password: "password",
    salt: new TextEncoder().encode("somesalt"),
    with: { memory_kib: 65_536, passes: 2, lanes: 1 },
  });
  assert.equal(hex(made), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
});

Deno.test("bcrypt hashes are known by their form, and by what they can tell", async () => {
  // The vectors of Openwall's crypt_blowfish.
  const known = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  assert.equal(bcryptCost(known), 5);
  assert.equal(await hashed({ is: "bcrypt", password: "U*U", encoded: known }), true);
  assert.equal(await hashed({ is: "bcrypt", password: "U*U*", encoded: known }), false);
  assert.equal(await hashed({ is: "bcrypt", password: "", encoded: known }), false);
  assert.ok(seenWhole("é".repeat(36)) && !seenWhole("é".repeat(36) + "x"));
});

Deno.test("hashing happens beside the event loop, and the same password gives the same hash in every thread", () =>
  withHashing({}, async (hashing) => {
    let turns = 0;
    const turning = setInterval(() => turns++, 1);
    const made: string[] = [];
    // On one core that the threads take for themselves it may be their turn first.
    while (turns < 8 && made.length < 800) {
      const these = Array.from({ length: 8 }, () => hashing.hash({ ...task("a"), with: { ...LITTLE, passes: 8 } }));
      made.push(...(await Promise.all(these)).map(hex));
    }
    clearInterval(turning);
    assert.equal(new Set(made).size, 1);
    assert.ok(turns >= 8, `the event loop turned ${turns} times meanwhile`);
    assert.equal(hashing.counts.hashed, made.length);
  }));

Deno.test("so many may wait and no more, and who is refused is told at once", () =>
  withHashing({ waiting_max: 3 }, async (hashing) => {
    const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => hashing.hash(task(String(i)))));
    const refused = results.filter((result) => result.status === "rejected");
    assert.ok(refused.length >= 5 && refused.every(({ reason }) => reason instanceof HashingBusy));
    assert.equal(hashing.counts.refused, refused.length);
    assert.equal(hashing.depth, 0);
    assert.equal(hex(await hashing.hash(task("0"))).length, 64, "and then there is room again");
  }));

Deno.test("who has waited too long is refused, and nothing is hashed for them", () => {
  let now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  return withHashing({ threads: 1, clock, waits_ms_max: 1_000 }, async (hashing) => {
    const first = hashing.hash(task("first"));
    const late = Array.from({ length: 3 }, () => hashing.hash(task("late")));
    const refused = late.map((one) => assert.rejects(one, HashingBusy));
    now = 1_001;
    await first.catch(() => {}); // it was taken before, or has waited as long
    await Promise.all(refused);
    assert.ok(hashing.counts.hashed <= 1);
    assert.equal(hex(await hashing.hash(task("next"))).length, 64);
  });
});

Deno.test("what cannot be hashed fails alone, and the thread goes on", () =>
  withHashing({ threads: 1 }, async (hashing) => {
    const impossible = hashing.hash({ ...task("a"), with: { ...LITTLE, passes: 0 } });
    await assert.rejects(impossible, /cannot hash a password/);
    assert.equal(hex(await hashing.hash(task("a"))).length, 64);
  }));

Deno.test("when a thread dies over a password its asker is told to come again, and another thread takes its place", () =>
  withHashing({ threads: 1, url: new URL("./identity_troubled_worker.ts", import.meta.url) }, async (hashing) => {
    await assert.rejects(hashing.hash(task("die")), HashingBusy);
    assert.equal(hex(await hashing.hash(task("live"))).length, 64);
  }));

Deno.test("who waits when it stops is told so", async () => {
  let waiting: Promise<unknown> | undefined;
  await withHashing({ threads: 1 }, async (hashing) => {
    await hashing.hash(task("first"));
    const all = Array.from(
      { length: 20 },
      (_, i) => hashing.hash({ ...task(String(i)), with: { ...LITTLE, passes: 20 } }),
    );
    waiting = Promise.allSettled(all).then((results) => {
      assert.ok(results.some((result) => result.status === "rejected" && result.reason instanceof HashingBusy));
    });
  });
  await waiting;
});
