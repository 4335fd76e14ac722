/** For each shipped control an ordinary life with near misses, and the ways in which it is broken. */
import type { Event } from "../events/event.ts";
import { BEGAN, DAY, DAYS, ENDS, HOUR, MINUTE, SECOND, type Story } from "./controls_given.ts";

export interface Sowing {
  /** Nothing here breaks any rule; some of it nearly does. */
  clean(story: Story): void;
  /** Each breaks this rule and no other. */
  readonly broken: readonly ((story: Story) => void)[];
}

const SHA = (story: Story): string => story.name("").padStart(40, "a").replaceAll("0", "c");
const ROOT = `${"A".repeat(43)}=`;
const MS = 1;
/** Late enough to count as lately, early enough for what follows. */
const lately = (story: Story, before = 2) => ENDS - story.random.between(before + 1, 25) * DAY;

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
const succeeded = (story: Story, at: number, account: string, more: object = {}) =>
  story.say(at, "identity.signin.succeeded", { account, session: story.name("s"), methods: ["password"], ...more });
const locked = (story: Story, at: number, account: string) =>
  story.say(at, "identity.account.locked", { account, because: "failures", failures: 10 });

const address = (story: Story) => `p_202601_${story.name("").slice(-12).padStart(22, "A")}`;

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

const issued = (story: Story, at: number, key = story.name("k")) => {
  story.say(at, "identity.key.issued", { key, kind: "api" });
  return key;
};
const revoked = (story: Story, at: number, key: string) =>
  story.say(at, "identity.key.revoked", { key, kind: "api", because: "asked" });
const rotated = (story: Story, at: number, key: string) => {
  const by = story.name("k");
  story.say(at, "identity.key.rotated", { key, kind: "api", by, until: new Date(at + DAY).toISOString() });
  return by;
};

const password = (story: Story, at: number, scheme: object, because = "chosen") =>
  story.say(at, "identity.password.set", {
    account: story.name("u_"),
    credential: story.name("c"),
    scheme,
    because,
  });
const argon2id = (memory_kib: number) => ({ algorithm: "argon2id", memory_kib, passes: 2, lanes: 1 });

const erasure = (story: Story, asked: number, erased?: number, subject = story.name("s_")) => {
  story.say(asked, "privacy.subject.erasure_requested", { subject });
  if (erased !== undefined) {
    story.say(erased, "privacy.subject.erased", { subject, key: "destroyed" });
    certified(story, erased + HOUR, subject);
  }
  return subject;
};
const certified = (story: Story, at: number, subject: string, found = 0) =>
  story.say(at, "privacy.erasure.certified", {
    subject,
    certificate: "b".repeat(64),
    size: 1,
    root: ROOT,
    unreadable: 1,
    files: 9,
    found,
  });

const gate = (story: Story, at: number, commit: string, { passed = true, gate = "tests" } = {}) =>
  story.say(at, passed ? "releases.gate.passed" : "releases.gate.failed", { commit, gate });

/** With all that every rule of releases wants, unless something else is said. */
const deployed = (
  story: Story,
  at: number,
  { commit, finished = at + HOUR, published = true, ...more }: {
    readonly commit?: string;
    readonly finished?: number;
    readonly published?: boolean;
    readonly [name: string]: unknown;
  } = {},
) => {
  const sha = commit ?? SHA(story);
  const deployment = story.name("d");
  const version = story.name("v");
  const { sowing } = story;
  story.sowing = false;
  if (commit === undefined) gate(story, at - HOUR, sha);
  if (published) story.say(at - HOUR, "releases.release.published", { version, commit: sha });
  story.sowing = sowing;
  story.say(at, "releases.deployment.started", {
    deployment,
    commit: sha,
    environment: "production",
    version,
    by_pseudonym: address(story),
    approvedby_pseudonym: address(story),
    ...more,
  });
  story.sowing = false;
  if (finished !== Infinity) {
    story.say(finished, "releases.deployment.finished", { deployment, outcome: "succeeded" });
  }
  story.sowing = sowing;
};

const verified = (story: Story, at: number, ok = true) =>
  story.say(at, "kernel.log.verified", {
    size: 1,
    root: ROOT,
    ok,
    failures: ok ? 0 : 1,
    anchored: 0,
    because: "schedule",
  }, { authid: "kernel", source: "kernel" });

/** Something again and again, each time after a span. */
const everySo = (span: () => number, say: (at: number) => void, { from = BEGAN, until = ENDS } = {}) => {
  let at = from;
  for (;;) {
    const next = at + span();
    if (next > until) break;
    say(at = next);
  }
  // The end is no gap either.
  if (until - at > HOUR) say(until - MINUTE);
};

/** A day on which no one verifies; kept by both stories of verification. */
const pair = (story: Story, first: string, second: string, { at, after, data, data2 = data }: {
  readonly at: number;
  readonly after?: number;
  readonly data: object;
  readonly data2?: object;
}) => {
  story.say(at, first, data);
  if (after !== undefined) story.say(at + after, second, data2);
};

const sinkFailed = (sink: string) => ({ sink, cause: "refused", size: 1 });
const sinkBack = (sink: string) => ({ sink, failed_ms: 1, attempts: 1, size: 1 });
const letter = (name: string) => ({ letter: name, target: "t", cause: "c", bytes: 1 });
const started = (story: Story, at: number, clean = true) =>
  story.say(at, "kernel.process.started", { version: "1", root: "daybook", clean });
const suppressed = (story: Story, at: number) =>
  story.say(at, "kernel.facts.suppressed", {
    child: "daybook:http",
    cause: "c",
    count: 3,
    first: new Date(at).toISOString(),
    last: new Date(at).toISOString(),
  });
const exception = (story: Story, at: number, days: number, approvedby?: string) =>
  story.say(at, "controls.exception.granted", {
    until: new Date(Math.round(at + days * DAY)).toISOString(),
    why: "A migration",
    ...(approvedby === undefined ? {} : { approvedby }),
  }, { stream: "controls/of-nothing" });

const counting = (story: Story, at: number, number: number, source: string) =>
  story.say(at, "releases.gate.passed", { commit: "d".repeat(40), gate: "lint" }, {
    source,
    ...{ sequence: String(number), sequencetype: "Integer" },
  });

export const SOWINGS: Readonly<Record<string, Sowing>> = {
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
  "keys-replaced-in-time": {
    clean(story) {
      const at = story.when(90, 100);
      revoked(story, at + 90 * DAY, issued(story, at));
      issued(story, ENDS - 90 * DAY + MINUTE);
      issued(story, story.when(DAYS - 80));
    },
    broken: [
      (story) => issued(story, ENDS - 90 * DAY - MINUTE),
      (story) => {
        const at = ENDS - 100 * DAY;
        const key = issued(story, at);
        story.sowing = false;
        revoked(story, at + 90 * DAY + MS, key);
      },
    ],
  },
  "replacing-keys-replaced-in-time": {
    clean(story) {
      const at = ENDS - 100 * DAY;
      const second = rotated(story, at, issued(story, at - 50 * DAY));
      revoked(story, at + 90 * DAY, second);
    },
    broken: [
      (story) => {
        const at = ENDS - 100 * DAY;
        story.sowing = false;
        const key = issued(story, at - DAY);
        story.sowing = true;
        const by = rotated(story, at, key);
        story.sowing = false;
        revoked(story, at + 90 * DAY + MS, by);
      },
      (story) => {
        const at = ENDS - 95 * DAY;
        story.sowing = false;
        const key = issued(story, at - DAY);
        story.sowing = true;
        rotated(story, at, key);
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
  "erasure-within-30-days": {
    clean(story) {
      const at = story.when(150, 160);
      erasure(story, at, at + 30 * DAY);
      erasure(story, ENDS - 30 * DAY + MINUTE);
    },
    broken: [
      (story) => erasure(story, ENDS - 30 * DAY - MINUTE),
      (story) => {
        const subject = erasure(story, ENDS - 40 * DAY);
        story.sowing = false;
        story.say(ENDS - 10 * DAY + MS, "privacy.subject.erased", { subject, key: "destroyed" });
        certified(story, ENDS - 10 * DAY + HOUR, subject);
      },
    ],
  },
  "erasure-within-45-days": {
    clean: (story) => void erasure(story, ENDS - 10 * DAY),
    // Later than 45 days is later than 30.
    broken: [(story) => erasure(story, ENDS - 45 * DAY - MINUTE)],
  },
  "erasures-certified": {
    clean(story) {
      const [subject, at] = [story.name("s_"), lately(story)];
      story.say(at - HOUR, "privacy.subject.erasure_requested", { subject });
      story.say(at, "privacy.subject.erased", { subject, key: "destroyed" });
      certified(story, at + 24 * HOUR, subject);
    },
    broken: [
      (story) => story.say(lately(story), "privacy.subject.erased", { subject: story.name("s_"), key: "none" }),
      (story) => {
        const [subject, at] = [story.name("s_"), lately(story)];
        story.say(at, "privacy.subject.erased", { subject, key: "destroyed" });
        story.sowing = false;
        certified(story, at + 24 * HOUR + MS, subject);
      },
    ],
  },
  "erasures-leave-nothing": {
    clean: (story) => certified(story, story.when(), story.name("s_")),
    broken: [(story) => certified(story, lately(story), story.name("s_"), 1)],
  },
  "root-key-rotated-yearly": {
    clean: (story) => story.say(BEGAN + 150 * DAY, "privacy.root_key.rotated", ROTATED),
    broken: [],
  },
  "deployment-after-gates": {
    clean(story) {
      const [sha, at] = [SHA(story), lately(story, 5)];
      gate(story, at - 3 * HOUR, sha, { passed: false });
      gate(story, at - 2 * HOUR, sha);
      gate(story, at - 2 * HOUR, sha, { passed: false, gate: "lint" });
      deployed(story, at, { commit: sha });
      deployed(story, at + HOUR, { commit: SHA(story), environment: "staging" });
      const old = SHA(story);
      gate(story, at - 90 * DAY, old);
      deployed(story, at, { commit: old });
    },
    broken: [
      (story) => deployed(story, lately(story), { commit: SHA(story) }),
      (story) => {
        const [sha, at] = [SHA(story), lately(story)];
        story.sowing = false;
        gate(story, at - HOUR, sha);
        gate(story, at - MS, sha, { passed: false });
        story.sowing = true;
        deployed(story, at, { commit: sha });
      },
      (story) => {
        const [sha, at] = [SHA(story), lately(story)];
        story.sowing = false;
        gate(story, at - HOUR, sha, { gate: "lint" });
        gate(story, at - 90 * DAY - MS, sha);
        story.sowing = true;
        deployed(story, at, { commit: sha });
      },
      (story) => {
        const [sha, at] = [SHA(story), lately(story)];
        deployed(story, at, { commit: sha });
        story.sowing = false;
        gate(story, at + MS, sha);
      },
    ],
  },
  "deployment-approved": {
    clean(story) {
      deployed(story, lately(story));
      deployed(story, lately(story), { environment: "staging", approvedby_pseudonym: undefined });
    },
    broken: [
      (story) => deployed(story, lately(story), { approvedby_pseudonym: undefined }),
      (story) => {
        const who = address(story);
        deployed(story, lately(story), { by_pseudonym: who, approvedby_pseudonym: who });
      },
    ],
  },
  "deployments-finish": {
    clean(story) {
      const at = lately(story);
      deployed(story, at, { finished: at + 4 * HOUR });
      deployed(story, ENDS - 3 * HOUR, { finished: Infinity });
    },
    broken: [
      (story) => deployed(story, lately(story), { finished: Infinity }),
      (story) => {
        const at = lately(story);
        deployed(story, at, { finished: at + 4 * HOUR + MS });
      },
    ],
  },
  "deployed-versions-published": {
    clean: (story) => deployed(story, lately(story), { published: false, version: undefined }),
    broken: [
      (story) => deployed(story, lately(story), { published: false }),
      (story) => {
        // The version is there, and is another commit's.
        const [at, version] = [lately(story), story.name("v")];
        story.sowing = false;
        story.say(at - HOUR, "releases.release.published", { version, commit: SHA(story) });
        story.sowing = true;
        deployed(story, at, { published: false, version });
      },
    ],
  },
  "log-verified-daily": {
    clean(story) {
      everySo(() => story.random.pick([24 * HOUR, 26 * HOUR]), (at) => verified(story, at));
    },
    broken: [],
  },
  "log-verifications-hold": {
    clean() {},
    broken: [(story) => verified(story, lately(story), false)],
  },
  "views-attested": {
    clean(story) {
      everySo(() => story.random.pick([7 * DAY, 8 * DAY]), (at) =>
        story.say(at, "kernel.projection.attested", {
          projection: "audit.trail",
          version: 1,
          size: 1,
          rows: 1,
          digest: ROOT,
          method: "lthash",
        }, { source: "kernel" }));
    },
    broken: [],
  },
  "sources-complete": {
    clean(story) {
      // Out of order, one of them nearly a day late; then a source that says when it lives.
      const [source, at] = [story.name("urn:counting:"), lately(story, 4)];
      for (const [number, hours] of [[1, 0], [2, 1], [4, 2], [6, 3], [5, 4], [7, 5]] as const) {
        counting(story, at + hours * HOUR, number, source);
      }
      counting(story, at + 26 * HOUR, 3, source);
      const beating = { source: story.name("urn:beating:") };
      story.say(ENDS - 10 * HOUR, "sources.source.declared", { heartbeat_s: 3_600 }, beating);
      for (let hour = 9; hour > 0; hour -= 2) {
        story.say(ENDS - hour * HOUR, "sources.heartbeat.sent", {}, beating);
      }
    },
    broken: [
      (story) => {
        const [source, at] = [story.name("urn:counting:"), lately(story)];
        story.sowing = false;
        counting(story, at, 1, source);
        story.sowing = true;
        counting(story, at + HOUR, 3, source);
      },
      (story) => {
        // It comes, a moment too late.
        const [source, at] = [story.name("urn:counting:"), lately(story)];
        story.sowing = false;
        counting(story, at, 1, source);
        counting(story, at + HOUR, 3, source);
        story.sowing = true;
        counting(story, at + 25 * HOUR + MS, 2, source);
      },
      (story) => {
        const [beating, at] = [{ source: story.name("urn:beating:") }, lately(story)];
        story.sowing = false;
        story.say(at, "sources.source.declared", { heartbeat_s: 3_600 }, beating);
        story.sowing = true;
        story.say(at + HOUR, "sources.heartbeat.sent", {}, beating);
      },
      (story) => {
        const [beating, at] = [{ source: story.name("urn:beating:") }, lately(story)];
        story.sowing = false;
        story.say(ENDS - 3 * HOUR - MS, "sources.source.declared", { heartbeat_s: 3_600 }, beating);
        story.sowing = true;
        story.say(ENDS - HOUR, "sources.heartbeat.sent", { last: at % 7 }, beating);
      },
      (story) => {
        // The tail is lost: only its own word tells.
        const [source, at] = [story.name("urn:counting:"), lately(story)];
        story.sowing = false;
        counting(story, at, 1, source);
        story.sowing = true;
        story.say(at + HOUR, "sources.heartbeat.sent", { last: 2 }, { source });
      },
    ],
  },
  "sinks-recover": {
    clean(story) {
      story.say(BEGAN + DAY, "kernel.sink.added", { sink: "siem", from: 0 });
      const at = lately(story);
      pair(story, "kernel.sink.failed", "kernel.sink.recovered", {
        at,
        after: HOUR,
        data: sinkFailed("siem"),
        data2: sinkBack("siem"),
      });
      story.say(ENDS - HOUR + MINUTE, "kernel.sink.failed", sinkFailed(story.name("late")));
    },
    broken: [
      (story) => {
        const [at, sink] = [lately(story), story.name("sink")];
        story.say(at, "kernel.sink.failed", sinkFailed(sink));
        story.sowing = false;
        story.say(at + HOUR + MS, "kernel.sink.recovered", sinkBack(sink));
      },
      (story) => {
        const [at, sink] = [lately(story), story.name("sink")];
        story.say(at, "kernel.sink.failed", sinkFailed(sink));
        story.sowing = false;
        story.say(at + MINUTE, "kernel.sink.recovered", sinkBack("another"));
      },
    ],
  },
  "dead-letters-redriven": {
    clean(story) {
      const name = story.name("l");
      const data2 = { letter: name, target: "t" };
      pair(story, "kernel.message.dead_lettered", "kernel.message.redriven", {
        at: lately(story),
        after: DAY,
        data: letter(name),
        data2,
      });
    },
    broken: [
      (story) => story.say(lately(story), "kernel.message.dead_lettered", letter(story.name("l"))),
      (story) => {
        const [at, name] = [lately(story), story.name("l")];
        story.say(at, "kernel.message.dead_lettered", letter(name));
        story.sowing = false;
        story.say(at + DAY + MS, "kernel.message.redriven", { letter: name, target: "t" });
      },
    ],
  },
  "given-up-is-restarted": {
    clean(story) {
      const at = story.when(190, 195);
      story.say(at, "kernel.child.gave_up", GAVE_UP);
      started(story, at + HOUR);
    },
    broken: [
      (story) => story.say(story.when(196, 198), "kernel.child.gave_up", GAVE_UP),
      (story) => {
        const at = story.when(196, 198);
        story.say(at, "kernel.child.gave_up", GAVE_UP);
        story.sowing = false;
        started(story, at + HOUR + MS);
      },
    ],
  },
  "clean-stops": {
    clean(story) {
      const at = BEGAN + 175 * DAY;
      for (const hours of [0, 8, 16]) started(story, at + hours * HOUR, false);
      started(story, at + 24 * HOUR + MS, false);
      for (let i = 0; i < 9; i++) started(story, at + i * HOUR);
    },
    broken: [
      (story) => {
        const at = ENDS - 10 * DAY;
        story.sowing = false;
        for (const hours of [0, 8, 16]) started(story, at + hours * HOUR, false);
        story.sowing = true;
        started(story, at + 24 * HOUR, false);
      },
    ],
  },
  "history-not-suppressed": {
    clean(story) {
      const at = story.when(188, 190);
      for (let i = 0; i < 10; i++) suppressed(story, at + i * HOUR);
      suppressed(story, at + 24 * HOUR + MS);
    },
    broken: [
      (story) => {
        const at = BEGAN + 175 * DAY;
        story.sowing = false;
        for (let i = 0; i < 10; i++) suppressed(story, at + i);
        story.sowing = true;
        suppressed(story, at + DAY);
      },
    ],
  },
  "exceptions-approved": {
    clean(story) {
      exception(story, lately(story), 90, "u_second");
      exception(story, story.when(), 1, "u_second");
    },
    broken: [
      (story) => exception(story, lately(story), 10),
      (story) => exception(story, lately(story), 10, "u_operator"),
      (story) => exception(story, lately(story), 90 + MS / DAY, "u_second"),
    ],
  },
};

const GAVE_UP = { child: "daybook", because: "daybook:http", cause: "c", max: 5, within_ms: 60_000 };
const ROTATED = { from: 1, to: 2, keys: { tenants: 1, subjects: 1, periods: 1, secrets: 1 } };

/** Rules about what does not come are broken by leaving it out. */
export const LEFT_OUT: Readonly<Record<string, (event: Event) => boolean>> = {
  "log-verified-daily": ({ type, recordedat }) =>
    type === "kernel.log.verified" && Math.abs(Date.parse(recordedat) - (ENDS - 15 * DAY)) < 13 * HOUR,
  "views-attested": ({ type, recordedat }) =>
    type === "kernel.projection.attested" && Math.abs(Date.parse(recordedat) - (ENDS - 15 * DAY)) < 4.5 * DAY,
};

/** What breaks another rule as well, for who breaks the one cannot but break the other. */
export const ALSO: Readonly<Record<string, readonly string[]>> = {
  "erasure-within-45-days": ["erasure-within-30-days"],
};
