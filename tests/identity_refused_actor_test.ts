/** What is refused to an account that is disabled, to a service, and beyond the bounds of what an account has. */
import assert from "node:assert/strict";
import { FACTORS_MAX } from "../actors/identity/factor.ts";
import { identity } from "../actors/identity/actor.ts";
import type { IdentityCommand } from "../actors/identity/commands.ts";
import type { IdentityFact } from "../events/identity/mod.ts";
import { IDENTITY_LIMITS } from "../events/identity/shape.ts";
import { given } from "./given.ts";

const AT = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;
const iso = (at: number) => new Date(at).toISOString();
const account = "u_aaaaaaaaaaaaaaaa";
const here = { id: account, at: AT };
const [session, one, two] = ["session-1-aaaaaaaa", "c".repeat(20), "d".repeat(20)] as const;
const scheme = { algorithm: "argon2id", memory_kib: 19_456, passes: 2, lanes: 1 } as const;

const created = (kind: "person" | "service"): IdentityFact => ({
  type: "identity.account.created",
  data: { account, tenant: "default", name: "alice", kind },
});
const person = created("person");
const disabled: IdentityFact = { type: "identity.account.disabled", data: { account } };
const enrolled = (factor: string): IdentityFact => ({
  type: "identity.factor.enrolled",
  data: { account, factor, kind: "totp" },
});
const linked: IdentityFact = {
  type: "identity.link.added",
  data: { account, link: one, provider: "corp", protocol: "oidc", because: "asked" },
};
const granted = (role: string): IdentityFact => ({
  type: "identity.role.granted",
  data: { account, tenant: "default", role, privileged: false, before: [], after: [role] },
});
const started = (kind: "program" | "browser"): IdentityFact => ({
  type: "identity.session.started",
  data: {
    account,
    session,
    tenant: "default",
    kind,
    factors: ["password"],
    privileged: false,
    roles: [],
    idle_until: iso(AT + MINUTE),
    until: iso(AT + 10 * MINUTE),
  },
});

const enroll = { type: "identity.factor.enroll", data: { factor: two, kind: "totp" } } as const;
const link = {
  type: "identity.link.add",
  data: { link: two, provider: "works", protocol: "oidc", because: "asked" },
} as const;
const invite = {
  type: "identity.invitation.issue",
  data: { invitation: session, purpose: "activation", valid_ms: MINUTE },
} as const;
const setPassword = { type: "identity.password.set", data: { credential: two, scheme, by: { is: "import" } } } as const;
const grant = { type: "identity.role.grant", data: { role: "operator", privileged: false } } as const;
const federate = (second?: { factor: string; kind: "totp"; counter: number }): IdentityCommand => ({
  type: "identity.signin.federate",
  data: {
    link: one,
    session,
    kind: "browser",
    idle_ms: MINUTE,
    absolute_ms: 10 * MINUTE,
    sessions_max: 2,
    ...(second && { second }),
  },
});

Deno.test("an account that is disabled is given nothing with which somebody could come in, or do more", () => {
  const sync: IdentityCommand = { type: "identity.role.sync", data: { managed: [], given: [grant.data] } };
  for (const command of [enroll, link, invite, setPassword, grant, sync, federate()]) {
    given(identity, person, linked, disabled).when(command, here).rejected("disabled");
  }
});

Deno.test("a service has keys and nothing else to sign in with", () => {
  const service = given(identity, created("service"));
  service.when(enroll, here).rejected("no_factors");
  service.when(link, here).rejected("no_links");
  service.when(invite, here).rejected("no_passwords");
  service.when(setPassword, here).rejected("no_passwords");
});

Deno.test("an account has so many factors and roles and no more, and only what it has has another name", () => {
  const factors = Array.from({ length: FACTORS_MAX }, (_, i) => enrolled(`totp-factor-${String(i).padStart(8, "0")}`));
  given(identity, person, ...factors.slice(1)).when(enroll, here).accepted(enrolled(two));
  given(identity, person, ...factors).when(enroll, here).rejected("too_many_factors");
  const rename = { type: "identity.factor.rename", data: { factor: two, label: "old one" } } as const;
  given(identity, person, enrolled(one)).when(rename, here).rejected("no_factor");
  const names = Array.from({ length: IDENTITY_LIMITS.roles_max }, (_, i) => `role${i}`);
  const role = granted(names[0]!);
  const full = { ...role, data: { ...role.data, after: names } } as IdentityFact;
  given(identity, person, full).when(grant, here).rejected("too_many_roles");
});

Deno.test("whose holder leaves is told once, and who was enabled already is enabled no more", () => {
  const leave = { type: "identity.account.offboard", data: { left: iso(AT + MINUTE) } } as const;
  const leaving: IdentityFact = { type: "identity.account.offboarded", data: { account, left: iso(AT + MINUTE) } };
  given(identity, person).when(leave, here).accepted(leaving);
  given(identity, person, leaving).when(leave, here).rejected("account_left");
  given(identity, person).when({ type: "identity.account.enable", data: {} }, here).accepted();
});

Deno.test("who comes by a provider shows a second factor that counts, and it counts once", () => {
  const shown: IdentityFact = {
    type: "identity.factor.verified",
    data: { account, factor: two, kind: "totp", counter: 7 },
  };
  const held = given(identity, person, linked, enrolled(two), shown);
  held.when(federate({ factor: two, kind: "totp", counter: 7 }), here).rejected("used_before");
  held.when(federate({ factor: one, kind: "totp", counter: 8 }), here).rejected("no_factor");
  const { state } = held.when(federate({ factor: two, kind: "totp", counter: 8 }), here);
  assert.deepEqual(state.sessions.map(({ factors }) => factors), [["oidc", "totp"]]);
  assert.deepEqual(state.factors.map(({ counter }) => counter), [8]);
});

Deno.test("a session that is over, or of an account that is disabled, goes on no more by being used", () => {
  const touch = { type: "identity.session.touch", data: { session, idle_ms: MINUTE } } as const;
  const over = (because: "idle" | "expired"): IdentityFact => ({
    type: "identity.session.ended",
    data: { account, session, because },
  });
  const open = given(identity, person, started("browser"));
  open.when(touch, { ...here, at: AT + MINUTE }).accepted(over("idle"));
  open.when(touch, { ...here, at: AT + 10 * MINUTE }).accepted(over("expired"));
  given(identity, person, started("browser"), over("idle")).when(touch, here).rejected("no_session");
  given(identity, person, started("browser"), disabled).when(touch, here).rejected("no_session");
});

Deno.test("of the keys that sign, those whose time is over go with the next change, and none replaces itself", () => {
  const keys = { id: "keys", at: AT };
  const issued = (key: string): IdentityFact => ({ type: "identity.key.issued", data: { key, kind: "access_token" } });
  const revoked = (key: string, because: "expired" | "compromised"): IdentityFact => ({
    type: "identity.key.revoked",
    data: { key, kind: "access_token", because },
  });
  const rotated = (key: string, by: string, until: number): IdentityFact => ({
    type: "identity.key.rotated",
    data: { key, kind: "access_token", by, until: iso(until) },
  });
  const rotate = (key: string, by: string) =>
    ({ type: "identity.key.rotate", data: { key, by, overlap_ms: MINUTE } }) as const;
  const three = "e".repeat(20);
  given(identity, issued(one)).when(rotate(one, one), keys).rejected("same_key");
  given(identity, issued(one), issued(two), rotated(one, two, AT)).when(rotate(two, three), keys)
    .accepted(revoked(one, "expired"), issued(three), rotated(two, three, AT + MINUTE));
  given(identity, issued(one), issued(two), rotated(one, two, AT + 1)).when(rotate(two, three), keys)
    .accepted(issued(three), rotated(two, three, AT + MINUTE));
  const revoke = (key: string) => ({ type: "identity.key.revoke", data: { key, because: "compromised" } }) as const;
  given(identity, issued(one)).when(revoke(one), keys).accepted(revoked(one, "compromised"));
  given(identity, issued(one)).when(revoke(two), keys).accepted();
});
