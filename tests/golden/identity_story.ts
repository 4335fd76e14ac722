/** Accounts, sign-ins, sessions, factors, roles and keys, in every form that readers tell apart. */
import type { StreamId } from "../../events/event.ts";
import type { IdentityFact } from "../../events/identity/mod.ts";
import type { NewEvent } from "../../events/log.ts";

type Told = (at: number) => NewEvent;

const ADA = "u_golden-ada-golden", BOB = "u_golden-bob-golden", ROBOT = "u_golden-robot-gold";
const id = (name: string): string => `golden-${name}`.padEnd(20, "-");
const argon2id = { algorithm: "argon2id", memory_kib: 19_456, passes: 2, lanes: 1 } as const;
const FROM = { address: "192.0.2.7", agent: "Mozilla/5.0 (golden)" };
const MORNING = "2026-01-02T08:00:00.000Z", EVENING = "2026-01-02T20:00:00.000Z";

const started = (account: string, session: string, more: object = {}): IdentityFact => ({
  type: "identity.session.started",
  data: {
    account,
    session: id(session),
    tenant: "default",
    kind: "program",
    factors: ["password"],
    privileged: false,
    roles: [],
    idle_until: MORNING,
    until: EVENING,
    ...more,
  },
});
const ended = (session: string, because: "too_many" | "refresh_reused" | "account_disabled"): IdentityFact => ({
  type: "identity.session.ended",
  data: { account: session.startsWith("bob") ? BOB : ADA, session: id(session), because },
});
const totp = { account: ADA, factor: id("totp"), kind: "totp" } as const;
const role = (before: string[], after: string[], privileged: boolean) => ({
  account: ADA,
  tenant: "default",
  role: [...before, ...after].find((name) => before.includes(name) !== after.includes(name))!,
  privileged,
  before,
  after,
});
const key = (name: string) => ({ key: id(name), kind: "access_token" }) as const;

const FACTS: readonly (readonly IdentityFact[])[] = [
  [{
    type: "identity.account.created",
    data: { account: ADA, tenant: "default", name: "ada", email: "ada@example.com", kind: "person" },
  }],
  [{
    type: "identity.invitation.issued",
    data: { account: ADA, invitation: id("code"), purpose: "activation", until: MORNING },
  }],
  [
    { type: "identity.invitation.used", data: { account: ADA, invitation: id("code") } },
    {
      type: "identity.password.set",
      data: { account: ADA, credential: id("first"), scheme: argon2id, because: "chosen" },
    },
  ],
  [{ type: "identity.key.issued", data: key("one") }],
  [
    { type: "identity.signin.succeeded", data: { account: ADA, session: id("ada-1"), methods: ["password"], ...FROM } },
    started(ADA, "ada-1", FROM),
  ],
  [{ type: "identity.factor.enrolled", data: totp }, {
    type: "identity.factor.verified",
    data: { ...totp, counter: 7 },
  }],
  [{ type: "identity.factor.enrolled", data: { account: ADA, factor: id("backup"), kind: "backup_codes" } }],
  [{
    type: "identity.factor.enrolled",
    data: { account: ADA, factor: id("passkey"), kind: "passkey", label: "Laptop" },
  }, {
    type: "identity.factor.verified",
    data: { account: ADA, factor: id("passkey"), kind: "passkey", counter: 4 },
  }],
  [{ type: "identity.factor.renamed", data: { account: ADA, factor: id("passkey"), label: "Key ring" } }],
  [{
    type: "identity.clone.suspected",
    data: { account: ADA, factor: id("passkey"), counter: 4, held: 4, ...FROM },
  }],
  [{
    type: "identity.link.added",
    data: { account: ADA, link: id("link"), provider: "corp", protocol: "oidc", because: "asked" },
  }],
  [{
    type: "identity.signin.failed",
    data: { method: "saml", provider: "works", reason: "wrong_audience", ...FROM },
  }],
  [{ type: "identity.link.removed", data: { account: ADA, link: id("link"), provider: "corp", protocol: "oidc" } }],
  [{ type: "identity.role.granted", data: role([], ["operator"], false) }],
  [{
    type: "identity.role.granted",
    data: { ...role(["operator"], ["administrator", "operator"], true), approvedby: BOB },
  }],
  [
    {
      type: "identity.factor.verified",
      data: { account: ADA, factor: id("backup"), kind: "backup_codes", counter: 3 },
    },
    {
      type: "identity.signin.succeeded",
      data: { account: ADA, session: id("ada-2"), methods: ["password", "backup_code"] },
    },
    started(ADA, "ada-2", {
      kind: "browser",
      factors: ["password", "backup_code"],
      privileged: true,
      roles: ["administrator", "operator"],
    }),
    ended("ada-1", "too_many"),
  ],
  [{
    type: "identity.factor.verified",
    data: { ...totp, counter: 9, session: id("ada-2"), fresh_until: "2026-01-01T10:05:00.000Z" },
  }],
  [
    { type: "identity.signin.succeeded", data: { account: ADA, session: id("ada-3"), methods: ["device"] } },
    started(ADA, "ada-3", { kind: "terminal", factors: ["password", "backup_code"] }),
  ],
  [{
    type: "identity.session.refreshed",
    data: { account: ADA, session: id("ada-3"), generation: 1, idle_until: EVENING, address: "2001:db8::7" },
  }],
  [
    {
      type: "identity.refresh.reused",
      data: { account: ADA, session: id("ada-3"), generation: 0, current: 1, ...FROM },
    },
    ended("ada-3", "refresh_reused"),
  ],
  [{ type: "identity.role.revoked", data: role(["administrator", "operator"], ["administrator"], false) }],
  [{ type: "identity.factor.removed", data: { ...totp, because: "asked" } }],
  [{
    type: "identity.account.created",
    data: { account: BOB, tenant: "acme", name: "bob@example.com", kind: "person" },
  }],
  [{
    type: "identity.password.set",
    data: { account: BOB, credential: id("brought"), scheme: { algorithm: "bcrypt", cost: 12 }, because: "imported" },
  }],
  [
    {
      type: "identity.signin.failed",
      data: {
        account: BOB,
        name: "bob@example.com",
        method: "password",
        reason: "wrong_secret",
        failures: 10,
        tried: "00ff",
      },
    },
    { type: "identity.account.locked", data: { account: BOB, because: "failures", failures: 10, until: MORNING } },
  ],
  [{ type: "identity.account.unlocked", data: { account: BOB, because: "asked" } }],
  [{ type: "identity.account.locked", data: { account: BOB, because: "threat", failures: 0 } }],
  [{
    type: "identity.password.set",
    data: { account: BOB, credential: id("ours"), scheme: argon2id, because: "upgraded", replaced: id("brought") },
  }],
  [started(BOB, "bob-1", { tenant: "acme" })],
  [
    { type: "identity.account.offboarded", data: { account: BOB, left: MORNING, reason: "moves on" } },
    { type: "identity.account.disabled", data: { account: BOB, reason: "moves on" } },
    ended("bob-1", "account_disabled"),
  ],
  [{ type: "identity.account.created", data: { account: ROBOT, tenant: "acme", name: "robot", kind: "service" } }],
  [{ type: "identity.account.disabled", data: { account: ROBOT } }],
  [{ type: "identity.account.enabled", data: { account: ROBOT, approvedby: ADA } }],
  [{
    type: "identity.key.issued",
    data: { key: id("api"), kind: "api", account: ROBOT, prefix: "dbk_gold", scopes: ["read"], until: EVENING },
  }],
  [{ type: "identity.key.revoked", data: { key: id("api"), kind: "api", account: ROBOT, because: "asked" } }],
  [
    { type: "identity.key.issued", data: key("two") },
    { type: "identity.key.rotated", data: { ...key("one"), by: id("two"), until: EVENING } },
  ],
  [{
    type: "identity.signin.failed",
    data: { name: "mallory", method: "password", reason: "unknown_account", address: "198.51.100.9" },
  }],
  [{
    type: "identity.signin.observed",
    data: {
      service: "sshd",
      outcome: "failed",
      method: "password",
      name: "root",
      unknown_name: true,
      address: "203.0.113.5",
      port: 51_000,
      times: 3,
    },
  }],
];

const streamOf = ({ type, data }: IdentityFact): StreamId => {
  if (type === "identity.signin.observed") return "identity/observed";
  if ("account" in data && data.account !== undefined) return `identity/${data.account}`;
  return type.startsWith("identity.key.") ? "identity/keys" : "identity/nobody";
};

/** One step after the other; a decision's facts stand together. */
export const identityStory = (): readonly (readonly Told[])[] =>
  FACTS.map((facts, n) =>
    facts.map((fact, i): Told => (at) => ({
      ...fact,
      id: `identity:golden-${n}/${i}`,
      source: streamOf(fact),
      stream: streamOf(fact),
      authtype: fact.type === "identity.signin.observed" ? "api_key" : "system",
      authid: "identity",
      time: new Date(at).toISOString(),
      version: fact.type === "identity.signin.observed" ? 2 : 1,
    }))
  );
