/**
 * What happened to an account that its holder should know of: sign-ins that were refused or stand out, and changes of what lets them in
 * (ASVS 5.0, 6.3.5 and 6.3.7). It is read from the log when it is asked for, the newest first.
 */
import type { Event, StreamId } from "../../../events/event.ts";
import type { IdentityFact } from "../../../events/identity/mod.ts";
import { type ThreatFact, threatStream } from "../../../events/threats.ts";
import type { Notice, OwnSession } from "../../http/identity/port.ts";
import type { Parts } from "./parts.ts";

export const NOTICES = {
  /**
   * Events that are looked at, of each kind by itself: refused sign-ins, locks and threats are what strangers can cause, so they must not
   * take the place of anything else.
   */
  changes_read_max: 200,
  refused_read_max: 200,
  locks_read_max: 50,
  threats_read_max: 200,
  /** Warnings are as many as there are kinds of them, new and older. */
  changes_shown_max: 30,
} as const;

type Fact = IdentityFact | Extract<ThreatFact, { type: "threats.threat.detected" }>;
type Told = Event<Fact>;

const CHANGES = [
  "identity.signin.succeeded",
  "identity.account.unlocked",
  "identity.clone.suspected",
  "identity.refresh.reused",
  "identity.invitation.issued",
  "identity.password.set",
  "identity.factor.enrolled",
  "identity.factor.removed",
  "identity.link.added",
  "identity.link.removed",
  "identity.role.granted",
  "identity.role.revoked",
  "identity.key.issued",
  "identity.key.rotated",
  "identity.key.revoked",
] as const;

export const noticesOf = (
  { newest }: Pick<Parts, "newest">,
  { account, session }: OwnSession,
): readonly Notice[] => {
  const read = (stream: StreamId, types: readonly string[], limit: number): readonly Found[] => {
    const events = newest({ stream, types, limit }) as Told[];
    return events.map((event) => ({ event, full: events.length === limit }));
  };
  const own: StreamId = `identity/${account}`;
  const changes = read(own, CHANGES, NOTICES.changes_read_max);
  const after = before(changes, session);
  const found = [
    ...changes,
    ...read(own, ["identity.signin.failed"], NOTICES.refused_read_max),
    ...read(own, ["identity.account.locked"], NOTICES.locks_read_max),
    ...read(threatStream({ kind: "account", id: account }), ["threats.threat.detected"], NOTICES.threats_read_max),
  ].sort((a, b) => b.event.position - a.event.position);
  const notices: Notice[] = [];
  for (const { event, full } of found) {
    const about = aboutOf(event);
    const mine = "session" in event.data && event.data.session === session;
    if (about === undefined || mine) continue;
    const fresh = event.position > after;
    const more = full && about.suspicious ? { more: true } : {};
    fold(notices, { time: event.time, type: event.type, ...about, times: 1, ...more, ...fromOf(event), fresh });
  }
  let changed = 0;
  return notices.filter(({ suspicious }) => suspicious || ++changed <= NOTICES.changes_shown_max);
};

/** `full`: as many were read as may be, so there may be more of before. */
interface Found {
  readonly event: Told;
  readonly full: boolean;
}

/**
 * Position of the sign-in before the one that began this session, whoever made it. It is below all that was read where it is too old for
 * that, and above all where there was none.
 */
const before = (newestFirst: readonly Found[], session: string): number => {
  const signIns = newestFirst.filter(({ event }) => event.type === "identity.signin.succeeded");
  const here = signIns.findIndex(({ event: { data } }) => "session" in data && data.session === session);
  const last = here < 0 ? undefined : signIns[here + 1];
  if (last) return last.event.position;
  return here < 0 || newestFirst[0]?.full ? -Infinity : Infinity;
};

/** Warnings of one kind are one, and so are equal changes in a row. */
const fold = (newestFirst: Notice[], notice: Notice): void => {
  const last = newestFirst.length - 1;
  const at = notice.suspicious
    ? newestFirst.findIndex(({ about, fresh }) => about === notice.about && fresh === notice.fresh)
    : last >= 0 && isSame(newestFirst[last]!, notice)
    ? last
    : -1;
  if (at < 0) newestFirst.push(notice);
  else newestFirst[at] = joined(newestFirst[at]!, notice);
};

/** Where they came from is told if it is the same for all. */
const joined = ({ address, agent, ...newer }: Notice, older: Notice): Notice => ({
  ...newer,
  since: older.time,
  times: newer.times + 1,
  ...(address !== undefined && address === older.address && { address }),
  ...(agent !== undefined && agent === older.agent && { agent }),
});

const fromOf = ({ data }: Told): Pick<Notice, "address" | "agent"> => ({
  ...("address" in data && data.address !== undefined && { address: data.address }),
  ...("agent" in data && data.agent !== undefined && { agent: data.agent }),
});

/** Of the same kind, from the same place. */
const isSame = (a: Notice, b: Notice): boolean =>
  a.about === b.about && a.address === b.address && a.agent === b.agent && a.fresh === b.fresh;

type About = Pick<Notice, "about" | "suspicious">;
const change = (about: string): About => ({ about, suspicious: false });
const warning = (about: string): About => ({ about, suspicious: true });

const LOCKS = { failures: "too many wrong passwords", threat: "what looked like an attack", asked: "an administrator" };
const SETS: Readonly<Partial<Record<string, string>>> = {
  chosen: "A password was chosen with a code",
  changed: "The password was changed",
  reset: "The password was set anew with a code",
};
const FACTORS = { totp: "One-time codes were", passkey: "A passkey was", backup_codes: "Backup codes were" };
const KEYS = { issued: "made", rotated: "replaced", revoked: "revoked" };
const SEEN: Readonly<Record<string, string>> = {
  brute_force: "Many wrong passwords were tried",
  token_reuse: "A refresh token was used twice: somebody has a copy",
  new_device: "A program signed in that had not this month",
  privilege_chain: "A privileged role was given by somebody who had just got one",
};

/** `undefined`: nobody needs to know. */
const aboutOf = (event: Told): About | undefined => {
  switch (event.type) {
    case "identity.signin.succeeded":
      return change(`A sign-in by ${event.data.methods.join(", ")}`);
    case "identity.signin.failed":
      return warning(`A sign-in by ${event.data.method} was refused`);
    case "identity.account.locked":
      return warning(`It was locked by ${LOCKS[event.data.because]}`);
    case "identity.account.unlocked":
      return change("It was unlocked");
    case "identity.clone.suspected":
      return warning("A passkey was refused: somebody may have a copy of it");
    case "identity.refresh.reused":
      return warning("A refresh token was used twice: its session has ended");
    case "identity.invitation.issued":
      return change("A code for a password was handed out");
    case "identity.password.set": {
      const about = SETS[event.data.because];
      return about === undefined ? undefined : change(about);
    }
    case "identity.factor.enrolled":
      return change(`${FACTORS[event.data.kind]} set up`);
    case "identity.factor.removed":
      return change(`${FACTORS[event.data.kind]} taken away`);
    case "identity.link.added":
      return change(`It was linked with ${event.data.provider}`);
    case "identity.link.removed":
      return change(`The link with ${event.data.provider} was taken away`);
    case "identity.role.granted":
      return change(`The role ${event.data.role} was given`);
    case "identity.role.revoked":
      return change(`The role ${event.data.role} was taken away`);
    case "identity.key.issued":
    case "identity.key.rotated":
    case "identity.key.revoked": {
      const verb = event.type.slice("identity.key.".length) as keyof typeof KEYS;
      return change(`A key of a program was ${KEYS[verb]}`);
    }
    case "threats.threat.detected":
      return warning(SEEN[event.data.rule] ?? "Something looked like an attack");
    default:
      return undefined;
  }
};
