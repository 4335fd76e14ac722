/** Lives of the controls over accounts, sessions and roles, and the ways in which they are broken. */
import type { Event } from "../../events/event.ts";
import { DAY, DAYS, ENDS, HOUR, MINUTE, SECOND, type Sowing, type Story } from "../controls_given.ts";
import { address, lately, MS } from "./told.ts";

const session = (story: Story, at: number, more: object = {}) => {
  const account = story.name("u_");
  const data = {
    account,
    session: story.name("s"),
    tenant: "main",
    kind: "browser",
    factors: ["password"],
    privileged: false,
    roles: [],
    idle_until: new Date(at + HOUR).toISOString(),
    until: new Date(at + 12 * HOUR).toISOString(),
    ...more,
  };
  story.say(at, "identity.session.started", data);
  return data;
};

const failures = (story: Story, count: number, { at, account, reason = "wrong_secret", every = MINUTE }: {
  readonly at: number;
  readonly account?: string;
  readonly reason?: string;
  readonly every?: number;
}, more: object = {}) => {
  for (let i = 0; i < count; i++) {
    story.say(Math.round(at + i * every), "identity.signin.failed", {
      ...(account === undefined ? {} : { account }),
      method: "password",
      reason,
      ...more,
    });
  }
};
const succeeded = (story: Story, at: number, account: string) =>
  story.say(at, "identity.signin.succeeded", { account, session: story.name("s"), methods: ["password"] });
const locked = (story: Story, at: number, account: string) =>
  story.say(at, "identity.account.locked", { account, because: "failures", failures: 10 });

const granted = (story: Story, at: number, more: object = {}, extra: Partial<Event> = {}) =>
  story.say(at, "identity.role.granted", {
    account: story.name("u_"),
    tenant: "main",
    role: "admin",
    privileged: true,
    before: [],
    after: ["admin"],
    approvedby: "u_second",
    ...more,
  }, extra);

const offboarded = (story: Story, at: number, { left = at, removed, enabled }: {
  readonly left?: number;
  readonly removed?: number;
  readonly enabled?: number;
}) => {
  const account = story.name("u_");
  if (removed !== undefined) story.say(removed, "identity.account.disabled", { account });
  if (enabled !== undefined) story.say(enabled, "identity.account.enabled", { account });
  story.say(at, "identity.account.offboarded", { account, left: new Date(left).toISOString() });
};

const password = (story: Story, at: number, scheme: object, because = "chosen") =>
  story.say(at, "identity.password.set", {
    account: story.name("u_"),
    credential: story.name("c"),
    scheme,
    because,
  });
const argon2id = (memory_kib: number) => ({ algorithm: "argon2id", memory_kib, passes: 2, lanes: 1 });

export const ACCOUNTS: Readonly<Record<string, Sowing>> = {
  "privileged-sessions-two-factors": {
    clean(story) {
      for (let i = 0; i < 5; i++) session(story, story.when(DAYS - 25));
      session(story, lately(story), { privileged: true, factors: ["password", "totp"] });
      session(story, story.when(), { privileged: true, factors: ["passkey"] });
      session(story, story.when(), { factors: ["invitation"] });
    },
    broken: [
      (story) => session(story, lately(story), { privileged: true }),
      // The same one twice is not two.
      (story) => session(story, lately(story), { privileged: true, factors: ["oidc", "oidc"] }),
    ],
  },
  "lockout-after-failures": {
    clean(story) {
      succeeded(story, ENDS - 10 * DAY, story.name("u_"));
      // Ten and locked; then ten more, which were refused without being looked at; ten, right, ten.
      const [one, two, three] = [story.name("u_"), story.name("u_"), story.name("u_")];
      failures(story, 10, { at: lately(story), account: one });
      const at = lately(story);
      failures(story, 10, { at, account: two });
      locked(story, at + 10 * MINUTE, two);
      failures(story, 30, { at: at + 11 * MINUTE, account: two, reason: "locked" });
      failures(story, 10, { at: at + DAY, account: two });
      failures(story, 10, { at, account: three });
      succeeded(story, at + HOUR, three);
      failures(story, 10, { at: at + 2 * HOUR, account: three });
      // Names that nobody has are nobody's to lock.
      failures(story, 40, { at, reason: "unknown_account" });
    },
    broken: [
      (story) => {
        const [account, at] = [story.name("u_"), lately(story)];
        story.sowing = false;
        failures(story, 10, { at, account });
        story.sowing = true;
        failures(story, 1, { at: at + HOUR, account });
      },
    ],
  },
  "password-guessing": {
    clean(story) {
      const [one, two] = [address(story), address(story)];
      failures(story, 100, { at: lately(story), reason: "unknown_account", every: SECOND }, { address_pseudonym: one });
      // A hundred and one, the first an hour and a moment before the last.
      const at = lately(story);
      const whence = { address_pseudonym: two };
      failures(story, 100, { at, reason: "unknown_account", every: 36 * SECOND }, whence);
      failures(story, 1, { at: at + HOUR + MS, reason: "unknown_account" }, whence);
    },
    broken: [
      (story) => {
        const [whence, at] = [{ address_pseudonym: address(story) }, lately(story)];
        story.sowing = false;
        failures(story, 100, { at, reason: "unknown_account", every: 36 * SECOND }, whence);
        story.sowing = true;
        failures(story, 1, { at: at + HOUR, reason: "unknown_account" }, whence);
      },
    ],
  },
  "no-session-of-a-disabled-account": {
    clean(story) {
      const [account, at] = [story.name("u_"), lately(story)];
      session(story, at, { account });
      story.say(at + MS, "identity.account.disabled", { account });
      story.say(at + HOUR, "identity.account.enabled", { account });
      session(story, at + HOUR + MS, { account });
    },
    broken: [
      (story) => {
        const [account, at] = [story.name("u_"), lately(story)];
        story.sowing = false;
        story.say(at, "identity.account.disabled", { account });
        story.sowing = true;
        session(story, at + MS, { account });
      },
    ],
  },
  "sessions-bounded": {
    clean(story) {
      const at = lately(story);
      session(story, at, { until: new Date(at + 24 * HOUR).toISOString() });
      session(story, at, { kind: "program", until: new Date(at + 90 * DAY).toISOString() });
    },
    broken: [
      (story) => {
        const at = lately(story);
        session(story, at, { until: new Date(at + 24 * HOUR + MS).toISOString() });
      },
      (story) => {
        const at = lately(story);
        session(story, at, { kind: "program", until: new Date(at + 90 * DAY + MS).toISOString() });
      },
      (story) => {
        const at = lately(story);
        session(story, at, {
          kind: "program",
          privileged: true,
          factors: ["passkey"],
          until: new Date(at + 25 * HOUR).toISOString(),
        });
      },
    ],
  },
  "reused-refresh-token-ends-session": {
    clean(story) {
      const at = lately(story);
      const { account, session: id } = session(story, at);
      story.say(at + HOUR, "identity.refresh.reused", { account, session: id, generation: 1, current: 3 });
      story.say(at + HOUR + MINUTE, "identity.session.ended", { account, session: id, because: "refresh_reused" });
    },
    broken: [
      (story) => {
        const [at, account, id] = [lately(story), story.name("u_"), story.name("s")];
        story.say(at, "identity.refresh.reused", { account, session: id, generation: 1, current: 3 });
        story.sowing = false;
        story.say(at + MINUTE + MS, "identity.session.ended", { account, session: id, because: "refresh_reused" });
      },
      (story) => {
        const [at, account] = [lately(story), story.name("u_")];
        story.say(at, "identity.refresh.reused", { account, session: story.name("s"), generation: 1, current: 3 });
        story.sowing = false;
        // Another one of the same account is not that one.
        story.say(at + 1, "identity.session.ended", { account, session: story.name("s"), because: "revoked" });
      },
    ],
  },
  "privileged-roles-approved": {
    clean(story) {
      granted(story, story.when());
      granted(story, story.when(), { privileged: false, approvedby: undefined });
      granted(story, story.when(), { privileged: false, approvedby: "u_operator" });
    },
    broken: [
      (story) => granted(story, lately(story), { approvedby: undefined }),
      (story) => granted(story, lately(story), { approvedby: "u_operator" }),
      (story) => {
        const account = story.name("u_");
        granted(story, lately(story), { account, approvedby: account });
      },
      (story) => {
        const account = story.name("u_");
        granted(story, lately(story), { account }, { authid: account });
      },
    ],
  },
  "access-removed-after-offboarding": {
    clean(story) {
      const at = story.when(175, DAYS - 3);
      offboarded(story, at, { removed: at + 24 * HOUR - MS });
      offboarded(story, at, { removed: at + 24 * HOUR });
      offboarded(story, at, { removed: at - 10 * DAY });
      // Who leaves in a month has access for a month.
      const soon = story.when(145, DAYS - 40);
      offboarded(story, soon, { left: soon + 30 * DAY, removed: soon + 31 * DAY });
      offboarded(story, ENDS - 23 * HOUR, {});
    },
    broken: [
      (story) => offboarded(story, lately(story), {}),
      (story) => {
        const [account, at] = [story.name("u_"), lately(story)];
        story.say(at, "identity.account.offboarded", { account, left: new Date(at).toISOString() });
        story.sowing = false;
        story.say(at + 24 * HOUR + MS, "identity.account.disabled", { account });
      },
      (story) => {
        const [account, at] = [story.name("u_"), lately(story)];
        story.sowing = false;
        story.say(at - 2 * DAY, "identity.account.disabled", { account });
        story.say(at - DAY, "identity.account.enabled", { account });
        story.sowing = true;
        story.say(at, "identity.account.offboarded", { account, left: new Date(at).toISOString() });
      },
    ],
  },
  "passwords-hashed-strongly": {
    clean(story) {
      password(story, lately(story), argon2id(19_456));
      password(story, story.when(), { algorithm: "bcrypt", cost: 10 }, "imported");
      password(story, story.when(), argon2id(8), "imported");
    },
    broken: [
      (story) => password(story, lately(story), argon2id(19_455)),
      (story) => password(story, lately(story), { algorithm: "bcrypt", cost: 14 }, "changed"),
    ],
  },
};
