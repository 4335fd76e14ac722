import assert from "node:assert/strict";
import { type Account, sessionOf } from "../actors/identity/account.ts";
import { identity } from "../actors/identity/actor.ts";
import type { CommandData, IdentityCommand } from "../actors/identity/commands.ts";
import { SESSIONS_HELD_MAX } from "../actors/identity/signin.ts";
import { SIGNING_KEYS_MAX, signingKey, verifyingKeys } from "../actors/identity/signing_keys.ts";
import type { IdentityFact } from "../events/identity/mod.ts";
import { LIMITS } from "../events/log.ts";
import { given } from "./given.ts";

const AT = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;
const iso = (at: number) => new Date(at).toISOString();

const account = "u_aaaaaaaaaaaaaaaa";
const [one, two, three] = ["c".repeat(20), "d".repeat(20), "e".repeat(20)] as const;
const [s1, s2, s3] = ["session-1-aaaaaaaa", "session-2-aaaaaaaa", "session-3-aaaaaaaa"] as const;
const scheme = { algorithm: "argon2id", memory_kib: 19_456, passes: 2, lanes: 1 } as const;
const here = { id: account, at: AT };

const created: IdentityFact = {
  type: "identity.account.created",
  data: { account, tenant: "default", name: "alice", kind: "person" },
};
const set: IdentityFact = {
  type: "identity.password.set",
  data: { account, credential: one, scheme, because: "chosen" },
};
const policy = { idle_ms: 30 * MINUTE, absolute_ms: 600 * MINUTE, sessions_max: 2 };
const complete = (
  session: string,
  more: Partial<CommandData<"identity.signin.complete">> = {},
): IdentityCommand => ({
  type: "identity.signin.complete",
  data: { credential: one, session, kind: "program", ...policy, ...more },
});
const started = (session: string, more: object = {}): IdentityFact => ({
  type: "identity.session.started",
  data: {
    account,
    session,
    tenant: "default",
    kind: "program",
    factors: ["password"],
    privileged: false,
    roles: [],
    idle_until: iso(AT + 30 * MINUTE),
    until: iso(AT + 600 * MINUTE),
    ...more,
  },
});
const signedIn = (session: string, more: object = {}): IdentityFact => ({
  type: "identity.signin.succeeded",
  data: { account, session, methods: ["password"], ...more },
});
const over = (session: string, because: string): IdentityFact =>
  ({ type: "identity.session.ended", data: { account, session, because } }) as IdentityFact;
const fail = (more: Partial<CommandData<"identity.signin.fail">> = {}): IdentityCommand => ({
  type: "identity.signin.fail",
  data: {
    method: "password",
    reason: "wrong_secret",
    failures_max: 3,
    lock_ms: MINUTE,
    lock_ms_max: 60 * MINUTE,
    ...more,
  },
});
const failed = (failures: number): IdentityFact => ({
  type: "identity.signin.failed",
  data: { account, method: "password", reason: "wrong_secret", failures },
});
const locked = (failures: number, until: number): IdentityFact => ({
  type: "identity.account.locked",
  data: { account, because: "failures", failures, until: iso(until) },
});
const invited = (until = AT + MINUTE): IdentityFact => ({
  type: "identity.invitation.issued",
  data: { account, invitation: s1, purpose: "activation", until: iso(until) },
});
const byInvitation = {
  type: "identity.password.set",
  data: { credential: two, scheme, by: { is: "invitation", invitation: s1 } },
} as const;

Deno.test("identity.account.create makes an account once, under the id of its stream", () => {
  const create = {
    type: "identity.account.create",
    data: { tenant: "default", name: "alice", kind: "person" },
  } as const;
  given(identity).when(create, here).accepted(created);
  given(identity, created).when(create, here).rejected("account_exists");
  given(identity).when(create, { id: "nobody" }).rejected("not_an_account");
});

Deno.test("nothing but being made can happen to an account that is not there", () => {
  given(identity).when(complete(s1), here).rejected("unknown_account");
  given(identity).when({ type: "identity.role.grant", data: { role: "admin", privileged: true } }, here).rejected(
    "unknown_account",
  );
});

Deno.test("identity.signin.complete begins a session that ends when idle, and in any case", () => {
  given(identity, created, set).when(complete(s1, { address: "192.0.2.1" }), here).accepted(
    signedIn(s1, { address: "192.0.2.1" }),
    started(s1, { address: "192.0.2.1" }),
  );
});

const totp = "totp-factor-aaaaaaaa";
const enrolled: IdentityFact = { type: "identity.factor.enrolled", data: { account, factor: totp, kind: "totp" } };
const shown = (counter: number): IdentityFact => ({
  type: "identity.factor.verified",
  data: { account, factor: totp, kind: "totp", counter },
});
const granted = (role: string, privileged: boolean, before: string[]): IdentityFact => ({
  type: "identity.role.granted",
  data: { account, tenant: "default", role, privileged, before, after: [...before, role].sort() },
});

Deno.test("a privileged role counts only in a session with a second factor", () => {
  const roles = [granted("administrator", true, []), granted("operator", false, ["administrator"])];
  given(identity, created, set, ...roles).when(complete(s1), here).accepted(
    signedIn(s1),
    started(s1, { privileged: false, roles: ["operator"] }),
  );
  const second = { factor: totp, kind: "totp", counter: 7 } as const;
  given(identity, created, set, ...roles, enrolled).when(complete(s1, { second }), here).accepted(
    shown(7),
    signedIn(s1, { methods: ["password", "totp"] }),
    started(s1, { privileged: true, roles: ["administrator", "operator"], factors: ["password", "totp"] }),
  );
});

Deno.test("where a second factor is set up a password alone opens nothing, and a code is taken once", () => {
  const account = given(identity, created, set, enrolled, shown(7));
  const second = (counter: number) => complete(s1, { second: { factor: totp, kind: "totp", counter } });
  account.when(complete(s1), here).rejected("factor_wanted");
  account.when(second(7), here).rejected("used_before");
  account.when(second(6), here).rejected("used_before");
  account.when(complete(s1, { second: { factor: "another-factor-aaaa", kind: "totp", counter: 9 } }), here)
    .rejected("no_factor");
  account.when(complete(s1, { second: { factor: totp, kind: "backup_codes", counter: 9 } }), here).rejected(
    "no_factor",
  );
  given(identity, created, set, enrolled, locked(3, AT + 1)).when(second(8), here).rejected("locked");
});

Deno.test("each backup code is taken once, in any order, and new ones replace the old", () => {
  const codes = "backup-codes-aaaaaaa";
  const kept: IdentityFact = {
    type: "identity.factor.enrolled",
    data: { account, factor: codes, kind: "backup_codes" },
  };
  const used = (counter: number): IdentityFact => ({
    type: "identity.factor.verified",
    data: { account, factor: codes, kind: "backup_codes", counter },
  });
  const second = (counter: number) => complete(s1, { second: { factor: codes, kind: "backup_codes", counter } });
  const held = given(identity, created, set, enrolled, kept, used(5));
  held.when(second(5), here).rejected("used_before");
  held.when(second(2), here).accepted(
    used(2),
    signedIn(s1, { methods: ["password", "backup_code"] }),
    started(s1, { factors: ["password", "backup_code"] }),
  );
  held.when({ type: "identity.factor.enroll", data: { factor: two, kind: "backup_codes" } }, here).accepted(
    { type: "identity.factor.removed", data: { account, factor: codes, kind: "backup_codes", because: "replaced" } },
    { type: "identity.factor.enrolled", data: { account, factor: two, kind: "backup_codes" } },
  );
  const removed = (factor: string, kind: "totp" | "backup_codes"): IdentityFact => ({
    type: "identity.factor.removed",
    data: { account, factor, kind, because: "asked" },
  });
  given(identity, created, set, enrolled, kept, started(s1), started(s2))
    .when({ type: "identity.factor.remove", data: { factor: totp, because: "asked", session: s1 } }, here)
    .accepted(removed(totp, "totp"), removed(codes, "backup_codes"), over(s2, "factor_removed"));
});

Deno.test("a session that another one allows has what was proven there, and no more", () => {
  const second = started(s1, { factors: ["password", "totp"], privileged: true, roles: ["administrator"] });
  const allow = (by: string): IdentityCommand => ({
    type: "identity.signin.allow",
    data: { by, session: s3, kind: "terminal", ...policy },
  });
  const open = given(identity, created, set, enrolled, granted("administrator", true, []), second, started(s2));
  const strong = { kind: "terminal", factors: ["password", "totp"], privileged: true, roles: ["administrator"] };
  open.when(allow(s1), here).accepted(over(s1, "too_many"), signedIn(s3, { methods: ["device"] }), started(s3, strong));
  open.when(allow(s2), here).accepted(
    over(s1, "too_many"),
    signedIn(s3, { methods: ["device"] }),
    started(s3, { kind: "terminal" }),
  );
  open.when(allow("no-such-session-aa"), here).rejected("no_session");
  open.when(allow(s1), { ...here, at: AT + 30 * MINUTE }).rejected("no_session");
});

Deno.test("a factor that is proven within a session is fresh for a while", () => {
  const verify = (counter: number): IdentityCommand => ({
    type: "identity.factor.verify",
    data: { session: s1, second: { factor: totp, kind: "totp", counter }, fresh_ms: MINUTE },
  });
  const open = given(identity, created, set, enrolled, started(s1));
  const { state } = open.when(verify(3), here).accepted({
    type: "identity.factor.verified",
    data: { account, factor: totp, kind: "totp", counter: 3, session: s1, fresh_until: iso(AT + MINUTE) },
  });
  assert.equal(state.sessions[0]!.fresh_until, AT + MINUTE);
  given(identity, created, set, enrolled).when(verify(3), here).rejected("no_session");
  given(identity, created, set, enrolled, shown(3), started(s1)).when(verify(3), here).rejected("used_before");
});

Deno.test("identity.signin.complete opens nothing for a disabled or locked account, or with a password that was replaced", () => {
  const disabled: IdentityFact = { type: "identity.account.disabled", data: { account } };
  given(identity, created, set, disabled).when(complete(s1), here).rejected("disabled");
  given(identity, created, set, locked(3, AT + 1)).when(complete(s1), here).rejected("locked");
  given(identity, created, set, locked(3, AT)).when(complete(s1), here).accepted(signedIn(s1), started(s1));
  given(identity, created, set).when(complete(s1, { credential: two }), here).rejected("changed_meanwhile");
  given(identity, created).when(complete(s1), here).rejected("changed_meanwhile");
});

Deno.test("identity.signin.complete ends the oldest session when there would be too many, and those whose time is over", () => {
  given(identity, created, set, started(s1), started(s2)).when(complete(s3), here).accepted(
    over(s1, "too_many"),
    signedIn(s3),
    started(s3),
  );
  const idle = started(s2, { idle_until: iso(AT) });
  given(identity, created, set, started(s1), idle).when(complete(s3), here).accepted(
    over(s2, "idle"),
    signedIn(s3),
    started(s3),
  );
  given(identity, created, set, started(s1)).when(complete(s1), here).rejected("session_exists");
});

Deno.test("identity.signin.fail locks after so many wrong ones in a row, each further one for twice as long", () => {
  given(identity, created, set).when(fail(), here).accepted(failed(1));
  given(identity, created, set, failed(1)).when(fail(), here).accepted(failed(2));
  given(identity, created, set, failed(2)).when(fail(), here).accepted(failed(3), locked(3, AT + MINUTE));
  given(identity, created, set, failed(3), locked(3, AT)).when(fail(), here)
    .accepted(failed(4), locked(4, AT + 2 * MINUTE));
  given(identity, created, set, failed(40), locked(40, AT)).when(fail(), here)
    .accepted(failed(41), locked(41, AT + 60 * MINUTE));
});

Deno.test("identity.signin.fail counts nothing while a lock stands, and a success begins anew", () => {
  const refused: IdentityFact = {
    type: "identity.signin.failed",
    data: { account, method: "password", reason: "locked" },
  };
  given(identity, created, set, locked(3, AT + 1)).when(fail(), here).accepted(refused);
  given(identity, created, set, failed(2), signedIn(s1)).when(fail(), here).accepted(failed(1));
});

Deno.test("identity.signin.fail never lets more than ten wrong passwords in a row go without a lock", () => {
  given(identity, created, set).when(fail({ failures_max: 11 }), here).invalid("/failures_max");
});

Deno.test("identity.signin.fail on a name that nobody has is recorded, and counts nowhere", () => {
  given(identity).when(fail({ name: "mallory" }), { id: "nobody" }).accepted({
    type: "identity.signin.failed",
    data: { method: "password", reason: "unknown_account", name: "mallory" },
  });
});

Deno.test("identity.session.refresh goes on one generation at a time, and never beyond the session's end", () => {
  const refresh = (generation: number): IdentityCommand => ({
    type: "identity.session.refresh",
    data: { session: s1, generation, idle_ms: 1_000 * MINUTE },
  });
  const refreshed: IdentityFact = {
    type: "identity.session.refreshed",
    data: { account, session: s1, generation: 1, idle_until: iso(AT + 600 * MINUTE) },
  };
  const open = given(identity, created, set, started(s1));
  open.when(refresh(0), here).accepted(refreshed);
  open.when(refresh(1), here).rejected("not_issued");
  open.when(refresh(0), { ...here, at: AT + 30 * MINUTE }).accepted(over(s1, "idle"));
  open.when(refresh(0), { ...here, at: AT + 600 * MINUTE }).accepted(over(s1, "expired"));
  given(identity, created, set, started(s1), over(s1, "revoked")).when(refresh(0), here).rejected("no_session");
});

Deno.test("identity.session.refresh with a token that had been exchanged ends its session, and says that it was reused", () => {
  const refreshed: IdentityFact = {
    type: "identity.session.refreshed",
    data: { account, session: s1, generation: 1, idle_until: iso(AT + MINUTE) },
  };
  given(identity, created, set, started(s1), started(s2), refreshed)
    .when({ type: "identity.session.refresh", data: { session: s1, generation: 0, idle_ms: 1 } }, here)
    .accepted(
      { type: "identity.refresh.reused", data: { account, session: s1, generation: 0, current: 1 } },
      over(s1, "refresh_reused"),
    );
});

Deno.test("what a session is refreshed with, or a factor shown in it, is its own", () => {
  const idle_until = iso(AT + MINUTE);
  const { state } = given(
    identity,
    ...[created, set, enrolled, started(s1), started(s2)],
    { type: "identity.factor.enrolled", data: { account, factor: two, kind: "backup_codes" } },
    { type: "identity.session.refreshed", data: { account, session: s1, generation: 1, idle_until } },
    { ...shown(7), data: { ...shown(7).data, session: s1, fresh_until: iso(AT + 5 * MINUTE) } } as IdentityFact,
  );
  const seen = ({ idle_until, generation, fresh_until }: Account["sessions"][number]) =>
    [idle_until, generation, fresh_until] as const;
  assert.deepEqual(state.sessions.map(seen), [[AT + MINUTE, 1, AT + 5 * MINUTE], [AT + 30 * MINUTE, 0, 0]]);
  assert.deepEqual(state.factors.map(({ counter }) => counter), [7, -1]);
});

Deno.test("a page's session is touched and never refreshed", () => {
  const page = given(identity, created, set, started(s1, { kind: "browser" }));
  page.when({ type: "identity.session.refresh", data: { session: s1, generation: 0, idle_ms: 1 } }, here)
    .rejected("no_refresh");
  page.when({ type: "identity.session.touch", data: { session: s1, idle_ms: 60 * MINUTE } }, here).accepted({
    type: "identity.session.refreshed",
    data: { account, session: s1, generation: 0, idle_until: iso(AT + 60 * MINUTE) },
  });
});

Deno.test("sessions end one by one, or all but one", () => {
  const open = given(identity, created, set, started(s1), started(s2));
  open.when({ type: "identity.session.end", data: { session: s1, because: "signed_out" } }, here)
    .accepted(over(s1, "signed_out"));
  open.when({ type: "identity.session.end", data: { session: s3, because: "signed_out" } }, here).accepted();
  const all = { type: "identity.session.end_all", data: { because: "signed_out_everywhere" } } as const;
  open.when(all, here).accepted(over(s1, "signed_out_everywhere"), over(s2, "signed_out_everywhere"));
  open.when({ ...all, data: { ...all.data, keep: s2 } }, here).accepted(over(s1, "signed_out_everywhere"));
});

Deno.test("identity.password.set takes the code of an invitation once, in its time, and ends what stood", () => {
  const chosen: IdentityFact = {
    type: "identity.password.set",
    data: { account, credential: two, scheme, because: "chosen" },
  };
  const used: IdentityFact = { type: "identity.invitation.used", data: { account, invitation: s1 } };
  given(identity, created, invited()).when(byInvitation, here).accepted(used, chosen);
  given(identity, created, invited(), used).when(byInvitation, here).rejected("no_invitation");
  given(identity, created, invited(AT)).when(byInvitation, here).rejected("invitation_over");
  given(identity, created, set, started(s2), locked(3, AT + 1), invited()).when(byInvitation, here).accepted(
    used,
    { type: "identity.password.set", data: { account, credential: two, scheme, because: "reset", replaced: one } },
    { type: "identity.account.unlocked", data: { account, because: "password_reset" } },
    over(s2, "password_set"),
  );
});

Deno.test("identity.password.set with the password of now ends the other sessions; hashing it anew ends none", () => {
  const change = (because: "changed" | "raised", credential = one): IdentityCommand => ({
    type: "identity.password.set",
    data: { credential: two, scheme, by: { is: "password", credential, because, session: s1 } },
  });
  const fact = (because: "changed" | "raised"): IdentityFact => ({
    type: "identity.password.set",
    data: { account, credential: two, scheme, because, replaced: one },
  });
  const open = given(identity, created, set, started(s1), started(s2));
  open.when(change("changed"), here).accepted(fact("changed"), over(s2, "password_set"));
  open.when(change("raised"), here).accepted(fact("raised"));
  open.when(change("raised", three), here).rejected("changed_meanwhile");
});

Deno.test("identity.password.set imports a hash where there is no password, and never for a service", () => {
  const bcrypt = { algorithm: "bcrypt", cost: 10 } as const;
  const bring = {
    type: "identity.password.set",
    data: { credential: two, scheme: bcrypt, by: { is: "import" } },
  } as const;
  given(identity, created).when(bring, here).accepted({
    type: "identity.password.set",
    data: { account, credential: two, scheme: bcrypt, because: "imported" },
  });
  given(identity, created, set).when(bring, here).rejected("password_exists");
  const service: IdentityFact = {
    type: "identity.account.created",
    data: { account, tenant: "default", name: "robot", kind: "service" },
  };
  given(identity, service).when(bring, here).rejected("no_passwords");
});

Deno.test("a disabled account has no session left, and may be enabled again", () => {
  const off = given(identity, created, set, started(s1)).when({ type: "identity.account.disable", data: {} }, here)
    .accepted({ type: "identity.account.disabled", data: { account } }, over(s1, "account_disabled"));
  assert.equal(sessionOf(off.state, s1, AT), undefined);
  const disabled: IdentityFact = { type: "identity.account.disabled", data: { account } };
  given(identity, created, disabled).when({ type: "identity.account.enable", data: {} }, here)
    .accepted({ type: "identity.account.enabled", data: { account } });
});

Deno.test("who leaves now loses everything with the same decision; who leaves later, then", () => {
  const leave = (left?: string): IdentityCommand => ({
    type: "identity.account.offboard",
    data: left === undefined ? {} : { left },
  });
  const notice = (left: string): IdentityFact => ({ type: "identity.account.offboarded", data: { account, left } });
  const disabled: IdentityFact = { type: "identity.account.disabled", data: { account } };
  given(identity, created, set, started(s1)).when(leave(), here)
    .accepted(notice(iso(AT)), disabled, over(s1, "account_disabled"));
  const left = iso(AT + MINUTE);
  given(identity, created, set, started(s1)).when(leave(left), here).accepted(notice(left)).sets({
    set: "leave",
    at: AT + MINUTE,
    command: { type: "identity.account.disable", data: {} },
  });
  given(identity, created, notice(left), disabled).when({ type: "identity.account.enable", data: {} }, here)
    .rejected("account_left");
});

Deno.test("a change of roles records them before and after, ends the sessions, and is not approved by who makes it", () => {
  const grant = (approvedby?: string): IdentityCommand => ({
    type: "identity.role.grant",
    data: { role: "auditor", privileged: true, ...(approvedby === undefined ? {} : { approvedby }) },
  });
  const operator: IdentityFact = {
    type: "identity.role.granted",
    data: { account, tenant: "default", role: "operator", privileged: false, before: [], after: ["operator"] },
  };
  const open = given(identity, created, operator, started(s1));
  open.when(grant("u_bbbbbbbbbbbbbbbb"), { ...here, by: account }).accepted(
    {
      type: "identity.role.granted",
      data: {
        account,
        tenant: "default",
        role: "auditor",
        privileged: true,
        before: ["operator"],
        after: ["auditor", "operator"],
        approvedby: "u_bbbbbbbbbbbbbbbb",
      },
    },
    over(s1, "roles_changed"),
  );
  open.when(grant("u_tester"), here).rejected("own_approval");
  open.when(grant("u_tester"), { ...here, by: "t_of_the_tester", account: "u_tester" }).rejected("own_approval");
  open.when({ type: "identity.role.grant", data: { role: "operator", privileged: false } }, here).accepted();
});

Deno.test("of the keys that sign, one signs; what it replaced counts for the overlap, and goes when that is over", () => {
  const keys = { id: "keys", at: AT };
  const issue = { type: "identity.key.issue", data: { key: one } } as const;
  const issued = (key: string): IdentityFact => ({ type: "identity.key.issued", data: { key, kind: "access_token" } });
  given(identity).when(issue, keys).accepted(issued(one));
  given(identity, issued(one)).when(issue, keys).rejected("key_exists");
  given(identity).when(issue, here).rejected("wrong_stream");
  const rotate = { type: "identity.key.rotate", data: { key: one, by: two, overlap_ms: MINUTE } } as const;
  const { state } = given(identity, issued(one)).when(rotate, keys).accepted(
    issued(two),
    { type: "identity.key.rotated", data: { key: one, kind: "access_token", by: two, until: iso(AT + MINUTE) } },
  );
  assert.equal(signingKey(state)?.key, two);
  assert.deepEqual(verifyingKeys(state, AT + MINUTE - 1).map(({ key }) => key), [one, two]);
  assert.deepEqual(verifyingKeys(state, AT + MINUTE).map(({ key }) => key), [two]);
  given(identity, issued(one)).when({ ...rotate, data: { ...rotate.data, key: three } }, keys).rejected("not_signing");
  const many = Array.from(
    { length: SIGNING_KEYS_MAX - 1 },
    (_, i) => issued(`old-key-number-${String(i).padStart(4, "0")}`),
  );
  given(identity, ...many, issued(one)).when(rotate, keys).rejected("too_many_keys");
});

Deno.test("an account has no more sessions than end in one decision, whatever is configured", () => {
  const name = (i: number) => `session-${String(i).padStart(8, "0")}`;
  const context = { id: account, at: AT, revision: 0, by: "x", commandId: "c" } as never;
  const decided = (state: Account, command: IdentityCommand): readonly IdentityFact[] => {
    const decision = identity.decide(state, command, context);
    assert.ok(decision.ok);
    assert.ok(decision.facts.length <= LIMITS.append_events_max, `${decision.facts.length} facts`);
    return decision.facts;
  };
  const grown = (state: Account, facts: readonly IdentityFact[]) => facts.reduce(identity.evolve, state);
  let state = grown(identity.initial, [created, set]);
  for (let i = 0; i <= 1_000; i++) state = grown(state, decided(state, complete(name(i), { sessions_max: 1_000 })));
  assert.equal(state.sessions.length, SESSIONS_HELD_MAX);
  assert.equal(state.sessions.at(-1)!.session, name(1_000));
  const disabled = grown(state, decided(state, { type: "identity.account.disable", data: {} }));
  assert.equal(disabled.sessions.length, 0);
  // As an earlier version let them be: they end little by little.
  const many = Array.from({ length: 1_000 }, (_, i) => started(name(i), { idle_until: iso(AT - 1) }));
  let before = grown(identity.initial, [created, set, ...many]);
  for (const session of [s1, s2]) before = grown(before, decided(before, complete(session)));
  assert.deepEqual(before.sessions.map(({ session }) => session), [s1, s2]);
});
