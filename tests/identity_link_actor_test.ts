import assert from "node:assert/strict";
import { identity } from "../actors/identity/actor.ts";
import type { IdentityCommand } from "../actors/identity/commands.ts";
import { LINKS_MAX } from "../actors/identity/link.ts";
import type { IdentityFact } from "../events/identity/mod.ts";
import { IDENTITY_LIMITS } from "../events/identity/shape.ts";
import { given } from "./given.ts";

const AT = Date.UTC(2026, 0, 5, 9);
const account = "u_aaaaaaaaaaaaaaaa";
const here = { id: account, at: AT };
const session = "session-1-aaaaaaaa";
const policy = { idle_ms: 60_000, absolute_ms: 600_000, sessions_max: 2 };

const created: IdentityFact = {
  type: "identity.account.created",
  data: { account, tenant: "default", name: "alice", kind: "person" },
};
const idOf = (provider: string): string => `link-of-${provider}`.padEnd(16, "-");
const link = (provider: string) => ({ link: idOf(provider), provider, protocol: "oidc" }) as const;
const added = (provider: string): IdentityFact => ({
  type: "identity.link.added",
  data: { account, ...link(provider), because: "asked" },
});
const add = (provider: string): IdentityCommand => ({
  type: "identity.link.add",
  data: { ...link(provider), because: "asked" },
});
const remove = (provider: string): IdentityCommand => ({
  type: "identity.link.remove",
  data: { link: idOf(provider), session },
});
const sync = (managed: readonly string[], roles: readonly string[]): IdentityCommand => ({
  type: "identity.role.sync",
  data: { managed: [...managed], given: roles.map((role) => ({ role, privileged: false })) },
});

Deno.test("identity.link.add links an account once with each provider, up to a bound", () => {
  given(identity, created).when(add("corp"), here).accepted(added("corp"));
  given(identity, created, added("corp")).when(add("corp"), here).rejected("linked_already");
  const many = Array.from({ length: LINKS_MAX }, (_, i) => added(`corp${i}`));
  given(identity, created, ...many).when(add("corp"), here).rejected("too_many_links");
  given(identity).when(add("corp"), here).rejected("unknown_account");
});

Deno.test("identity.link.remove leaves a way in", () => {
  given(identity, created, added("corp")).when(remove("corp"), here).rejected("last_way_in");
  given(identity, created, added("corp"), added("works")).when(remove("corp"), here)
    .accepted({ type: "identity.link.removed", data: { account, ...link("corp") } });
  given(identity, created).when(remove("corp"), here).rejected("no_link");
});

Deno.test("identity.signin.federate begins a session by a link that the account has, and asks for a second factor where there is one", () => {
  const federate = (of = "corp"): IdentityCommand => ({
    type: "identity.signin.federate",
    data: { link: idOf(of), session, kind: "browser", ...policy },
  });
  const { state } = given(identity, created, added("corp")).when(federate(), here);
  assert.deepEqual(state.sessions.map(({ factors }) => factors), [["oidc"]]);
  given(identity, created, added("corp")).when(federate("works"), here).rejected("changed_meanwhile");
  const factor: IdentityFact = {
    type: "identity.factor.enrolled",
    data: { account, factor: "factor-1-aaaaaaaa", kind: "totp" },
  };
  given(identity, created, added("corp"), factor).when(federate(), here).rejected("factor_wanted");
  const locked = (because: "failures" | "asked"): IdentityFact => ({
    type: "identity.account.locked",
    data: { account, because, failures: 10 },
  });
  given(identity, created, added("corp"), locked("asked")).when(federate(), here).rejected("locked");
  const kept = given(identity, created, added("corp"), locked("failures")).when(federate(), here).state;
  assert.deepEqual([kept.sessions.length, kept.failures], [1, 10]);
});

Deno.test("identity.role.sync gives and takes what it may, and leaves the rest", () => {
  const granted = (before: string[], role: string): IdentityFact => ({
    type: "identity.role.granted",
    data: { account, tenant: "default", role, privileged: false, before, after: [...before, role].sort() },
  });
  const history = [created, granted([], "viewer"), granted(["viewer"], "operator")] as const;
  given(identity, ...history).when(sync(["operator", "auditor"], ["auditor"]), here).accepted(
    {
      type: "identity.role.revoked",
      data: {
        account,
        tenant: "default",
        role: "operator",
        privileged: false,
        before: ["operator", "viewer"],
        after: ["viewer"],
      },
    },
    granted(["viewer"], "auditor"),
  );
  given(identity, ...history).when(sync(["operator"], ["operator"]), here).accepted();
  const names = Array.from({ length: IDENTITY_LIMITS.roles_max }, (_, i) => `role${i}`);
  given(identity, ...history).when(sync(names, names), here).rejected("too_many_roles");
});
