/** Locks of an account: what leads to one, what takes it back, and which others that leaves. */
import assert from "node:assert/strict";
import { isLocked } from "../actors/identity/account.ts";
import { identity } from "../actors/identity/actor.ts";
import type { IdentityFact } from "../events/identity/mod.ts";
import { given } from "./given.ts";

const AT = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;
const iso = (at: number) => new Date(at).toISOString();

const account = "u_aaaaaaaaaaaaaaaa";
const here = { id: account, at: AT };
const scheme = { algorithm: "argon2id", memory_kib: 19_456, passes: 2, lanes: 1 } as const;

const created: IdentityFact = {
  type: "identity.account.created",
  data: { account, tenant: "default", name: "alice", kind: "person" },
};
const set: IdentityFact = {
  type: "identity.password.set",
  data: { account, credential: "c".repeat(20), scheme, because: "chosen" },
};
const failed = (failures: number): IdentityFact => ({
  type: "identity.signin.failed",
  data: { account, method: "password", reason: "wrong_secret", failures },
});

Deno.test("each cause has a lock of its own, whose later end counts", () => {
  type Because = "asked" | "threat" | "failures";
  const by = (because: Because, until?: number): IdentityFact => ({
    type: "identity.account.locked",
    data: { account, because, failures: 3, ...(until === undefined ? {} : { until: iso(until) }) },
  });
  const before = failed(3);
  const lock = (because: "asked" | "threat", until?: number) => ({
    type: "identity.account.lock" as const,
    data: { because, ...(until === undefined ? {} : { until: iso(until) }) },
  });
  const standing = (...facts: IdentityFact[]) => given(identity, created, set, before, ...facts);
  const [sooner, later] = [AT + 10 * MINUTE, AT + 60 * MINUTE];
  standing(by("failures", later)).when(lock("threat", sooner), here).accepted(by("threat", sooner));
  standing(by("threat", later)).when(lock("threat", sooner), here).accepted();
  standing(by("threat", later)).when(lock("threat", later), here).accepted();
  standing(by("threat", sooner)).when(lock("threat", later), here).accepted(by("threat", later));
  standing(by("asked")).when(lock("threat", later), here).accepted(by("threat", later));
  standing(by("asked")).when(lock("asked", later), here).accepted();
  standing(by("threat", later)).when(lock("asked", sooner), here).accepted(by("asked", sooner));
  standing(by("threat", later)).when(lock("asked"), here).accepted(by("asked"));
  // One that is over is none.
  standing(by("threat", AT)).when(lock("threat", sooner), here).accepted(by("threat", sooner));
});

Deno.test("taking back what a threat led to leaves every other lock, and the count of wrong passwords", () => {
  const by = (because: "asked" | "threat" | "failures", until = AT + MINUTE): IdentityFact => ({
    type: "identity.account.locked",
    data: { account, because, failures: 3, until: iso(until) },
  });
  const unlock = { type: "identity.account.unlock" as const, data: { because: "threat" as const } };
  const back: IdentityFact = { type: "identity.account.unlocked", data: { account, because: "threat" } };
  for (const other of ["asked", "failures"] as const) {
    const { state } = given(identity, created, set, failed(3), by(other), by("threat")).when(unlock, here).accepted(
      back,
    );
    assert.deepEqual([state.locks, state.failures], [{ [other]: AT + MINUTE }, 3]);
    assert.ok(isLocked(state, AT));
    given(identity, created, set, failed(3), by(other)).when(unlock, here).accepted();
  }
  const alone = given(identity, created, set, failed(3), by("threat")).when(unlock, here).accepted(back);
  assert.ok(!isLocked(alone.state, AT));
  // One that is over needs no taking back; unlocking the account takes all of them.
  given(identity, created, set, by("threat", AT)).when(unlock, here).accepted();
  const all = given(identity, created, set, by("asked"), by("failures"), by("threat"))
    .when({ type: "identity.account.unlock", data: {} }, here)
    .accepted({ type: "identity.account.unlocked", data: { account, because: "asked" } });
  assert.deepEqual([all.state.locks, all.state.failures], [{}, 0]);
});

Deno.test("a lock without an end stands until somebody unlocks the account", () => {
  const lock = given(identity, created, set).when({ type: "identity.account.lock", data: { because: "asked" } }, here)
    .accepted({ type: "identity.account.locked", data: { account, because: "asked", failures: 0 } });
  assert.ok(isLocked(lock.state, Number.MAX_SAFE_INTEGER));
  const locked: IdentityFact = { type: "identity.account.locked", data: { account, because: "asked", failures: 0 } };
  const { state } = given(identity, created, set, locked).when({ type: "identity.account.unlock", data: {} }, here)
    .accepted({ type: "identity.account.unlocked", data: { account, because: "asked" } });
  assert.ok(!isLocked(state, AT));
});
