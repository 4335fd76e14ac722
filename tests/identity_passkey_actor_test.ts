import assert from "node:assert/strict";
import { isLocked } from "../actors/identity/account.ts";
import { identity } from "../actors/identity/actor.ts";
import type { CommandData, IdentityCommand } from "../actors/identity/commands.ts";
import { parseRules } from "../config/alerting.ts";
import { parse } from "yaml";
import type { IdentityFact } from "../events/identity/mod.ts";
import { ConditionsFold, type EventRule } from "../projections/alerts/mod.ts";
import { given } from "./given.ts";
import { eventOf } from "./siem_given.ts";

const AT = Date.UTC(2026, 0, 5, 9);
const MINUTE = 60_000;
const iso = (at: number) => new Date(at).toISOString();
const account = "u_aaaaaaaaaaaaaaaa";
const credential = "c".repeat(20);
const session = "session-1-aaaaaaaa";
const here = { id: account, at: AT };
const policy = { idle_ms: 30 * MINUTE, absolute_ms: 600 * MINUTE, sessions_max: 2 };
const scheme = { algorithm: "argon2id", memory_kib: 19_456, passes: 2, lanes: 1 } as const;

const created: IdentityFact = {
  type: "identity.account.created",
  data: { account, tenant: "default", name: "alice", kind: "person" },
};
const set: IdentityFact = { type: "identity.password.set", data: { account, credential, scheme, because: "chosen" } };
const entered: readonly IdentityFact[] = [
  { type: "identity.signin.succeeded", data: { account, session, methods: ["passkey"] } },
  {
    type: "identity.session.started",
    data: {
      account,
      session,
      tenant: "default",
      kind: "program",
      factors: ["passkey"],
      privileged: false,
      roles: [],
      idle_until: iso(AT + 30 * MINUTE),
      until: iso(AT + 600 * MINUTE),
    },
  },
];
const fail = (more: Partial<CommandData<"identity.signin.fail">>): IdentityCommand => ({
  type: "identity.signin.fail",
  data: {
    method: "passkey",
    reason: "wrong_secret",
    failures_max: 1,
    lock_ms: MINUTE,
    lock_ms_max: 60 * MINUTE,
    ...more,
  },
});

const passkey = { factor: "passkey-1-aaaaaaaa", kind: "passkey" } as const;
const shownAt = (counter: number): IdentityFact => ({
  type: "identity.factor.verified",
  data: { account, ...passkey, counter },
});
const withPasskey = [created, set, { type: "identity.factor.enrolled", data: { account, ...passkey } }] as const;
const present = (counter: number): IdentityCommand => ({
  type: "identity.signin.present",
  data: { passkey: { ...passkey, counter }, session, kind: "program", ...policy },
});

Deno.test("identity.signin.present begins a session of its own kind, and neither clears a password's lock nor minds it", () => {
  const locked: IdentityFact = {
    type: "identity.account.locked",
    data: { account, because: "failures", failures: 10, until: iso(AT + MINUTE) },
  };
  const { state } = given(identity, ...withPasskey, locked).when(present(3), here).accepted(
    shownAt(3),
    ...entered,
  );
  assert.ok(isLocked(state, AT));
  assert.equal(state.failures, 10);
  const shut = (because: "threat" | "asked"): IdentityFact => ({
    type: "identity.account.locked",
    data: { account, because, failures: 0 },
  });
  given(identity, ...withPasskey, shut("asked")).when(present(3), here).rejected("locked");
  const seen = given(identity, ...withPasskey, shut("threat")).when(present(3), here).state;
  assert.ok(seen.sessions.length === 1 && isLocked(seen, AT), "who guesses passwords does not keep out who needs none");
});

Deno.test("the counter of a passkey grows, unless it has none", () => {
  given(identity, ...withPasskey, shownAt(4)).when(present(4), here).rejected("clone_suspected");
  given(identity, ...withPasskey, shownAt(4)).when(present(0), here).rejected("clone_suspected");
  given(identity, ...withPasskey, shownAt(0), shownAt(0)).when(present(0), here)
    .accepted(shownAt(0), ...entered);
  const complete = {
    type: "identity.signin.complete",
    data: { credential, session, kind: "program", ...policy },
  } as const;
  given(identity, ...withPasskey).when(complete, here).rejected("factor_wanted");
  given(identity, created, set).when(present(1), here).rejected("no_factor");
});

Deno.test("identity.signin.fail of a passkey is recorded and counts nowhere, and a suspected clone is told", () => {
  const clone = { factor: passkey.factor, counter: 2 };
  given(identity, ...withPasskey, shownAt(4))
    .when(fail({ reason: "clone_suspected", clone }), here).accepted(
      { type: "identity.clone.suspected", data: { account, ...clone, held: 4 } },
      { type: "identity.signin.failed", data: { account, reason: "clone_suspected", method: "passkey" } },
    );
  const { state } = given(identity, ...withPasskey)
    .when(fail({}), here).accepted({
      type: "identity.signin.failed",
      data: { account, reason: "wrong_secret", method: "passkey" },
    });
  assert.equal(state.failures, 0);
});

Deno.test("identity.signin.allow hands on for how long nobody asks again, and no longer", () => {
  const terminal = "session-2-aaaaaaaa";
  const allow: IdentityCommand = {
    type: "identity.signin.allow",
    data: { by: session, session: terminal, kind: "terminal", ...policy },
  };
  const until = (fresh: number): IdentityFact => ({
    type: "identity.factor.verified",
    data: { account, ...passkey, counter: 5, session, fresh_until: iso(fresh) },
  });
  const freshIn = (...history: readonly IdentityFact[]) =>
    given(identity, ...withPasskey, ...entered, ...history).when(allow, here).state.sessions[1]!.fresh_until;
  assert.deepEqual([freshIn(), freshIn(until(AT + MINUTE)), freshIn(until(AT))], [0, AT + MINUTE, 0]);
});

Deno.test("a suspected clone is an alert until the passkey is removed", async () => {
  const { rules } = parse(await Deno.readTextFile(new URL("../config/alerts.yaml", import.meta.url)));
  const parsed = parseRules(JSON.stringify({ it: rules["passkey-suspected"] }), { file: "alerts.yaml", path: [] });
  assert.ok(parsed.ok);
  const fold = new ConditionsFold(parsed.rules as readonly EventRule[], (text) => text);
  fold.begin(AT);
  let position = 0;
  const say = (fact: IdentityFact) =>
    fold.apply(eventOf(fact.type, fact.data, { position: position++, recordedat: iso(AT) } as never));
  const standing = () => fold.holding(AT + MINUTE)[0]!.cases.length;
  const { factor, kind } = passkey;
  say({ type: "identity.clone.suspected", data: { account, factor, counter: 4, held: 4 } });
  say({ type: "identity.clone.suspected", data: { account, factor, counter: 3, held: 4 } });
  assert.equal(standing(), 1);
  say({ type: "identity.factor.removed", data: { account, factor: "another-factor-aaaa", kind, because: "asked" } });
  assert.equal(standing(), 1);
  say({ type: "identity.factor.removed", data: { account, factor, kind, because: "asked" } });
  assert.equal(standing(), 0);
});
