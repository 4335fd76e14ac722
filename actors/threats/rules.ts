/**
 * Rules that see attacks in events. Each is a process manager: what it remembers is kept per account, address, name or password, and what
 * it sees becomes a command to `threat.ts`. Times are those at which things happened, as the events say.
 */
import { type Event, type Millis, millis } from "../../events/event.ts";
import type { IdentityFact } from "../../events/identity/mod.ts";
import { type Subject, type ThreatResponse, type ThreatRule, threatStream } from "../../events/threats.ts";
import type { Effect, ProcessManager } from "../types.ts";
import { different, type Hit, seenIn, slid, weighed } from "./window.ts";

/** As the section `threats` of the configuration has them. */
export interface Thresholds {
  readonly window_ms: Millis;
  readonly account_failures: number;
  readonly address_failures: number;
  readonly address_names: number;
  readonly credential_accounts: number;
  /** `null`: what is seen is told, and nothing done. */
  readonly respond: { readonly first_ms: Millis; readonly most_ms: Millis } | null;
}

type IdentityEvent = Event<IdentityFact>;
type Rule<S> = ProcessManager<S, IdentityFact>;

const SCORES: Readonly<Record<ThreatRule, number>> = {
  brute_force: 60,
  guessing: 50,
  spraying: 70,
  stuffing: 70,
  impossible_travel: 60,
  token_reuse: 90,
  new_device: 20,
  privilege_chain: 80,
};

interface Sighting {
  readonly rule: ThreatRule;
  readonly subject: Subject;
  readonly hits: readonly Hit[];
  readonly count: number;
  readonly response?: ThreatResponse;
}

const detect = ({ rule, subject, hits, count, response }: Sighting, { respond }: Thresholds): Effect => ({
  type: "command",
  stream: threatStream(subject),
  command: {
    type: "threats.threat.detect",
    data: {
      rule,
      score: SCORES[rule],
      ...seenIn(hits, count),
      ...(response && respond && { response: { is: response, ...respond } }),
    },
  },
});

/** A try that was refused, here or elsewhere. */
interface Failure {
  readonly account?: string;
  readonly name?: string;
  readonly address?: string;
  readonly tried?: string;
  readonly times: number;
  /** What was tried can be guessed. */
  readonly guessed: boolean;
}

const FAILURES = ["identity.signin.failed", "identity.signin.observed"] as const;

/**
 * What counts as a failure. A key that was not taken does not, unless nobody has the name: clients show every key that they have. What was
 * refused for reasons of our own (too late, changed meanwhile) does not either.
 */
const failureIn = (event: IdentityEvent): Failure | undefined => {
  switch (event.type) {
    case "identity.signin.failed": {
      const { account, name_pseudonym, address_pseudonym, tried, reason, method } = event.data;
      if (reason === "expired" || reason === "changed_meanwhile") return undefined;
      const guessed = method === "password" || method === "totp" || method === "backup_code";
      return { account, name: name_pseudonym, address: address_pseudonym, tried, times: 1, guessed };
    }
    case "identity.signin.observed": {
      const { outcome, method, unknown_name, name_pseudonym, address_pseudonym, times = 1 } = event.data;
      if (outcome !== "failed" || (method === "publickey" && unknown_name === undefined)) return undefined;
      return { name: name_pseudonym, address: address_pseudonym, times, guessed: true };
    }
    default:
      return undefined;
  }
};

/** A rule that waits until so much has been counted of one subject, and then begins anew. */
const counting = (
  { rule, subject, what = () => "", distinct = false, most, response }: {
    readonly rule: ThreatRule;
    readonly subject: (failure: Failure) => Subject | undefined;
    readonly what?: (failure: Failure) => string | undefined;
    readonly distinct?: boolean;
    readonly most: number;
    readonly response?: (subject: Subject) => ThreatResponse | undefined;
  },
  thresholds: Thresholds,
): Rule<readonly Hit[]> => ({
  name: `threats.${rule}`,
  version: 1,
  hears: FAILURES,
  initial: [],
  key(event) {
    const failure = failureIn(event);
    const about = failure && subject(failure);
    return about ? `${about.kind}:${about.id}` : "";
  },
  react(hits, event) {
    const failure = failureIn(event);
    const about = failure && subject(failure);
    const which = failure && what(failure);
    if (!about || which === undefined) return { state: hits, effects: [] };
    const state = slid(hits, [millis(event.time), event.position, failure.times, which], thresholds.window_ms);
    const count = distinct ? different(state) : weighed(state);
    if (count < most) return { state, effects: [] };
    const seen = { rule, subject: about, hits: state, count, response: response?.(about) };
    return { state: [], effects: [detect(seen, thresholds)] };
  },
});

const ofAddress = ({ address }: Failure): Subject | undefined =>
  address === undefined ? undefined : { kind: "address", id: address };
const ofWhom = ({ account, name }: Failure): string | undefined => account ?? name;

/** The first, and every further one that begins a new count. */
export const countingRules = (thresholds: Thresholds): readonly Rule<readonly Hit[]>[] => [
  counting({
    rule: "brute_force",
    // A passkey that is refused, or what a provider says, locks nobody's password.
    subject: ({ account, name, guessed }) => {
      if (!guessed) return undefined;
      if (account !== undefined) return { kind: "account", id: account };
      return name === undefined ? undefined : { kind: "name", id: name };
    },
    most: thresholds.account_failures,
    response: ({ kind }) => kind === "account" ? "lockout" : undefined,
  }, thresholds),
  counting({
    rule: "guessing",
    subject: ofAddress,
    most: thresholds.address_failures,
    response: () => "block",
  }, thresholds),
  counting({
    rule: "spraying",
    subject: ofAddress,
    what: ofWhom,
    distinct: true,
    most: thresholds.address_names,
    response: () => "block",
  }, thresholds),
  counting({
    rule: "stuffing",
    subject: ({ tried }) => tried === undefined ? undefined : { kind: "credential", id: tried },
    what: ofWhom,
    distinct: true,
    most: thresholds.credential_accounts,
  }, thresholds),
];

const accountIn = ({ data }: IdentityEvent): string =>
  "account" in data && data.account !== undefined ? data.account : "";
const hitOf = ({ time, position }: IdentityEvent): Hit => [millis(time), position, 1, ""];

/** A refresh token came twice: somebody has a copy. */
const tokenReuse = (thresholds: Thresholds): Rule<null> => ({
  name: "threats.token_reuse",
  version: 1,
  hears: ["identity.refresh.reused"],
  initial: null,
  key: accountIn,
  react: (state, event) => ({
    state,
    effects: [detect({
      rule: "token_reuse",
      subject: { kind: "account", id: accountIn(event) },
      hits: [hitOf(event)],
      count: 1,
      response: "step_up",
    }, thresholds)],
  }),
});

/** `p_202611`: pseudonyms of one month are equal for equal agents, those of two are not. */
const MONTH_CHARS = 8;
const AGENTS_MAX = 50;

/** An account is used by a program that it was not used by this month; the first of a month, or ever, is only learned. */
const newDevice = (thresholds: Thresholds): Rule<readonly string[]> => ({
  name: "threats.new_device",
  version: 1,
  hears: ["identity.signin.succeeded"],
  initial: [],
  key: accountIn,
  react(known, event) {
    const agent = event.type === "identity.signin.succeeded" ? event.data.agent_pseudonym : undefined;
    if (agent === undefined || known.includes(agent)) return { state: known, effects: [] };
    const month = agent.slice(0, MONTH_CHARS);
    const same = known.filter((each) => each.startsWith(month));
    const state = [...same, agent].slice(-AGENTS_MAX);
    if (same.length === 0) return { state, effects: [] };
    const subject = { kind: "account", id: accountIn(event) } as const;
    return { state, effects: [detect({ rule: "new_device", subject, hits: [hitOf(event)], count: 1 }, thresholds)] };
  },
});

interface Grants {
  /** Accounts that have a privileged role since lately: which, when, and the position of the grant. */
  readonly given: readonly (readonly [account: string, at: Millis, position: number])[];
  /** Whose keys are: who acts with one acts as its account. */
  readonly keys: readonly (readonly [key: string, account: string])[];
}

const CHAIN_MS = 86_400_000;
const GIVEN_MAX = 500;
/** The newest that were not revoked. */
const KEYS_MAX = 5_000;

/** Absent: what happened is about no key of an account. */
const keysAfter = ({ keys }: Grants, event: IdentityEvent): Grants["keys"] | undefined => {
  switch (event.type) {
    case "identity.key.issued":
    case "identity.key.rotated":
    case "identity.key.revoked": {
      const { data: { account, key }, type } = event;
      if (account === undefined) return keys;
      if (type === "identity.key.revoked") return keys.filter(([id]) => id !== key);
      const made = type === "identity.key.rotated" ? event.data.by : key;
      return [...keys.filter(([id]) => id !== made), [made, account] as const].slice(-KEYS_MAX);
    }
    default:
      return undefined;
  }
};

/** Within a day of being given a privileged role somebody gives one, to others or to themselves. */
const privilegeChain = (thresholds: Thresholds): Rule<Grants> => ({
  name: "threats.privilege_chain",
  version: 2,
  hears: ["identity.role.granted", "identity.key.issued", "identity.key.rotated", "identity.key.revoked"],
  initial: { given: [], keys: [] },
  key: () => "all",
  react(grants, event) {
    const { given, keys } = grants;
    const changed = keysAfter(grants, event);
    if (changed) return { state: { given, keys: changed }, effects: [] };
    if (event.type !== "identity.role.granted" || !event.data.privileged) return { state: grants, effects: [] };
    const { account } = event.data;
    const by = keys.find(([key]) => key === event.authid)?.[1] ?? event.authid;
    const at = millis(event.time);
    const lately = given.filter(([, when]) => when > at - CHAIN_MS);
    const before = lately.find(([whose]) => whose === by);
    const state = { given: [...lately, [account, at, event.position] as const].slice(-GIVEN_MAX), keys };
    if (!before && account !== by) return { state, effects: [] };
    const hits: readonly Hit[] = [...(before ? [[before[1], before[2], 1, ""] as const] : []), hitOf(event)];
    const subject = { kind: "account", id: account } as const;
    const seen = { rule: "privilege_chain", subject, hits, count: hits.length, response: "step_up" } as const;
    return { state, effects: [detect(seen, thresholds)] };
  },
});

interface Stay {
  readonly place: string;
  readonly at: Millis;
  readonly position: number;
}

/**
 * Two places of one name in a row. Where they are lies sealed, so how far apart is for whoever may read it: the effect is to measure, and
 * what is measured comes back as a command.
 */
const impossibleTravel = (): Rule<Stay | null> => ({
  name: "threats.impossible_travel",
  version: 1,
  hears: ["identity.signin.observed"],
  initial: null,
  key: (event) => event.type === "identity.signin.observed" ? event.data.name_pseudonym ?? "" : "",
  react(before, event) {
    if (event.type !== "identity.signin.observed") return { state: before, effects: [] };
    const { outcome, place, name_pseudonym } = event.data;
    if (outcome !== "accepted" || place === undefined || name_pseudonym === undefined) {
      return { state: before, effects: [] };
    }
    const here: Stay = { place, at: millis(event.time), position: event.position };
    if (before === null) return { state: here, effects: [] };
    return {
      state: here,
      effects: [{
        type: "threats.journey.measure",
        data: { name: name_pseudonym, from: { ...before }, to: { ...here }, score: SCORES.impossible_travel },
      }],
    };
  },
});

/** What the effect `threats.journey.measure` carries. */
export interface Journey {
  readonly name: string;
  readonly from: Stay;
  readonly to: Stay;
  readonly score: number;
}

export const threatRules = (thresholds: Thresholds): readonly ProcessManager<never, never>[] =>
  [
    ...countingRules(thresholds),
    impossibleTravel(),
    tokenReuse(thresholds),
    newDevice(thresholds),
    privilegeChain(thresholds),
  ] as unknown as readonly ProcessManager<never, never>[];
