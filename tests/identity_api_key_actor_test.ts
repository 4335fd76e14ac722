/** Keys of an account, decided: which count, for how long, and how many there are. */
import assert from "node:assert/strict";
import { apiKeyOf } from "../actors/identity/account.ts";
import { identity } from "../actors/identity/actor.ts";
import type { IdentityFact } from "../events/identity/mod.ts";
import { given } from "./given.ts";

const AT = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;
const iso = (at: number) => new Date(at).toISOString();

const account = "u_aaaaaaaaaaaaaaaa";
const [one, two, three] = ["c".repeat(20), "d".repeat(20), "e".repeat(20)] as const;
const here = { id: account, at: AT };
const prefix = "dbk_cccc";
const scopes = ["read" as const];

const created: IdentityFact = {
  type: "identity.account.created",
  data: { account, tenant: "default", name: "robot", kind: "service" },
};
const issued = (key: string, until = AT + MINUTE): IdentityFact => ({
  type: "identity.key.issued",
  data: { key, kind: "api", account, prefix, scopes, until: iso(until) },
});
const rotated = (key: string, by: string, until: number): IdentityFact => ({
  type: "identity.key.rotated",
  data: { key, kind: "api", account, by, until: iso(until) },
});
const revoked = (key: string, because: "asked" | "expired"): IdentityFact => ({
  type: "identity.key.revoked",
  data: { key, kind: "api", account, because },
});
const signing: IdentityFact = { type: "identity.key.issued", data: { key: three, kind: "access_token" } };
const issue = (key: string, each_max: number) =>
  ({ type: "identity.api_key.issue", data: { key, prefix, scopes, valid_ms: MINUTE, each_max } }) as const;
const rotate = (more: { by?: string; valid_ms?: number; overlap_ms?: number } = {}) =>
  ({
    type: "identity.api_key.rotate",
    data: { key: one, by: two, prefix, valid_ms: 5 * MINUTE, overlap_ms: 1_000, each_max: 1, ...more },
  }) as const;

Deno.test("a key counts until its time is over, for its own id, and while the account is active", () => {
  const { state } = given(identity, created, issued(one), issued(two, AT + 2 * MINUTE), signing);
  const counts = (key: string, at = AT) => apiKeyOf(state, key, at)?.key;
  assert.deepEqual([counts(one), counts(two), counts(three), counts("f".repeat(20))], [one, two, undefined, undefined]);
  assert.deepEqual([counts(one, AT + MINUTE - 1), counts(one, AT + MINUTE)], [one, undefined]);
  const disabled: IdentityFact = { type: "identity.account.disabled", data: { account } };
  assert.equal(apiKeyOf(given(identity, created, issued(one), disabled).state, one, AT), undefined);
});

Deno.test("an account has so many keys that count; those whose time is over go with the next one", () => {
  given(identity, created).when(issue(one, 1), here).accepted(issued(one));
  given(identity, created, issued(one)).when(issue(two, 1), here).rejected("too_many_keys");
  given(identity, created, issued(one)).when(issue(two, 2), here).accepted(issued(two));
  given(identity, created, signing).when(issue(one, 1), here).accepted(issued(one));
  given(identity, created, issued(one, AT + 1)).when(issue(two, 1), here).rejected("too_many_keys");
  given(identity, created, issued(one, AT)).when(issue(two, 1), here).accepted(revoked(one, "expired"), issued(two));
  const disabled: IdentityFact = { type: "identity.account.disabled", data: { account } };
  given(identity, created, disabled).when(issue(one, 1), here).rejected("disabled");
});

Deno.test("a key that is replaced counts for the overlap, never longer than it would have, and is replaced once", () => {
  const held = given(identity, created, issued(one));
  const next = issued(two, AT + 5 * MINUTE);
  held.when(rotate(), here).accepted(next, rotated(one, two, AT + 1_000));
  held.when(rotate({ overlap_ms: 2 * MINUTE }), here).accepted(next, rotated(one, two, AT + MINUTE));
  held.when(rotate({ by: one }), here).rejected("same_key");
  held.when(rotate(), { ...here, at: AT + MINUTE }).rejected("no_key");
  const replaced = given(identity, created, issued(one), next, rotated(one, two, AT + 1_000));
  replaced.when(rotate({ by: three }), here).rejected("replaced_already");
  const end = (key: string) => apiKeyOf(replaced.state, key, AT)?.until;
  assert.deepEqual([end(one), end(two)], [AT + 1_000, AT + 5 * MINUTE]);
  const more = given(identity, created, issued(one), issued(three));
  more.when(rotate(), here).rejected("too_many_keys");
});

Deno.test("a key is revoked by its own id, and nothing else is", () => {
  const revoke = (key: string) => ({ type: "identity.api_key.revoke", data: { key, because: "asked" } }) as const;
  const held = given(identity, created, issued(one), issued(two), signing);
  const { state } = held.when(revoke(one), here).accepted(revoked(one, "asked"));
  assert.deepEqual([apiKeyOf(state, one, AT), apiKeyOf(state, two, AT)?.key], [undefined, two]);
  held.when(revoke(three), here).accepted();
  held.when(revoke("f".repeat(20)), here).accepted();
});
