/** Accounts of an opened daybook, put together for its server. */
import { randomBytes } from "node:crypto";
import { isArchived } from "../../../actors/kernel/kept.ts";
import type { Event, StreamId } from "../../../events/event.ts";
import type { Range } from "../../../events/log.ts";
import type { Access, Grant } from "../../http/access.ts";
import { accountRoutes } from "../../http/identity/accounts.ts";
import { authRoutes } from "../../http/identity/auth.ts";
import { devicePages, deviceRoutes } from "../../http/identity/device.tsx";
import { factorPages } from "../../http/identity/factor_pages.tsx";
import { passkeyRoutes } from "../../http/identity/passkeys.ts";
import { keyPages } from "../../http/identity/key_pages.tsx";
import { keyRoutes, ownKeys } from "../../http/identity/keys.ts";
import { factorRoutes } from "../../http/identity/factors.ts";
import type { Identity } from "../../http/identity/port.ts";
import { passkeyPages } from "../../http/identity/passkey_pages.tsx";
import { accountPages } from "../../http/identity/pages.tsx";
import type { Route } from "../../http/route.ts";
import { signOnPages, signOnRoutes } from "../../http/identity/sign_on.tsx";
import { AccessTokens } from "../../jose/access_tokens.ts";
import type { Bearer } from "../../keys/keys.ts";
import { systemClock, systemRandom } from "../../system/world.ts";
import { crashInAccounts } from "../crash_points.ts";
import type { CedarAuthority } from "../access/authority.ts";
import type { Model } from "../access/model.ts";
import type { Opened } from "../opened.ts";
import { ApiKeys } from "./api_keys.ts";
import { AccountStates, notDone } from "./accounts.ts";
import { Hashing } from "./hashing.ts";
import { identityOf } from "./identity.ts";
import type { Parts, TryLimits } from "./parts.ts";
import type { Breached } from "./breached.ts";
import { Passwords } from "./passwords.ts";
import type { Provider } from "./providers.ts";
import { sessionQuota, type SessionQuotaOptions } from "./session_quota.ts";
import { type SessionPolicy, Sessions } from "./sessions.ts";
import { SigningKeys } from "./signing.ts";
import { isSessionTicket, Tickets } from "./tickets.ts";
import { tryLimits } from "./tries.ts";

export interface Wired {
  readonly identity: Identity;
  readonly sessions: Sessions;
  readonly states: AccountStates;
  /** Where people reach the server. */
  readonly url: () => string;
  readonly routes: readonly Route[];
  /** For accounts; every other token and cookie is somebody else's to know. */
  readonly access: Pick<Required<Access>, "check" | "session" | "end" | "prove" | "isCsrf" | "isFresh"> & {
    /** Whom the key of an account lets in. */
    ofKey(bearer: Bearer): Grant | undefined;
  };
  readonly hashing: Hashing;
}

/** What was wired for the server of a daybook: terminals that wait, and what was tried, are known to it alone. */
const served = new WeakMap<Opened["daybook"], Wired>();

export const wiredIn = ({ daybook }: Pick<Opened, "daybook">): Wired | undefined => served.get(daybook);

/** As `wireIdentity`, for the server of this daybook. */
export const serveIdentity = (opened: Opened, options: Parameters<typeof wireIdentity>[1]): Wired => {
  const wired = wireIdentity(opened, options);
  served.set(opened.daybook, wired);
  return wired;
};

export const wireIdentity = (
  { daybook, keys, config: { identity: config, server: { deadline_ms } }, entities, tree, supervision, crash }: Opened,
  { pages, url, model: { roles }, authority, providers = new Map(), limits = tryLimits(config.rate), quotas, breached }:
    {
      readonly pages: boolean;
      readonly providers?: ReadonlyMap<string, Provider>;
      /** Default: those of the configuration, known to this alone. */
      readonly limits?: TryLimits;
      /** Passwords that nobody may choose. */
      readonly breached?: Breached | undefined;
      /** Told of tenants that have all the sessions that they may. */
      readonly quotas?: SessionQuotaOptions["told"];
      /** Where people reach the server. */
      readonly url: () => string;
      readonly model: Model;
      readonly authority: CedarAuthority;
    },
): Wired => {
  const vault = crash ? crashInAccounts(keys.accounts, crash) : keys.accounts;
  const now = () => systemClock.now();
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes));
  const states = new AccountStates(entities);
  const tickets = new Tickets(() => keys.secret("tickets"));
  const issuer = () => config.issuer ?? keys.logKey.signer.name;
  const signing = new SigningKeys({ states, vault, overlap: config.key_overlap_ms, now });
  const lifetime = config.access_token_ms;
  const access = new AccessTokens({
    issuer,
    audience: config.audience,
    lifetime,
    now,
    signing: () => signing.signing(),
    verifying: (kid) => signing.verifying(kid),
  });
  const policy = (tenant: string): SessionPolicy => {
    const own = Object.hasOwn(config.tenants, tenant) ? config.tenants[tenant]! : {};
    const { idle_ms, absolute_ms, concurrent_max } = { ...config.sessions, ...own };
    return { idle_ms, absolute_ms, concurrent_max };
  };
  const erased = (account: string) => keys.isErased(account);
  const sessions = new Sessions({
    states,
    tickets,
    access,
    lifetime,
    policy,
    now,
    fresh: () => systemRandom.id(),
    erased,
    authority,
  });
  const { threads, waiting_max, memory_kib, passes, lanes } = config.passwords;
  const hashing = new Hashing({
    clock: systemClock,
    threads,
    waiting_max,
    waits_ms_max: deadline_ms * WAITS_PART,
    add: (child) => tree.add(child),
    spec: supervision.bounds,
    world: supervision.world,
  });
  const passwords = new Passwords({ vault, hashing, wanted: { memory_kib, passes, lanes }, random });
  /** As far as it lies here: nobody is kept from their account by what was archived. */
  const here = (range: Range): readonly Event[] => {
    const found: Event[] = [];
    try {
      for (const page of daybook.log.read(range)) found.push(...page);
    } catch (error) {
      if (!isArchived(error)) throw error;
    }
    return found;
  };
  const nameOf = (account: string): string | undefined => {
    const stream: StreamId = `identity/${account}`;
    const [first] = here({ stream, limit: 1 });
    const name = first?.type === "identity.account.created"
      ? (first.data as { readonly name: string }).name
      : undefined;
    return name === undefined ? undefined : daybook.unseal(name);
  };
  const newest: Parts["newest"] = (asked) => daybook.unseal(here({ ...asked, backward: true }));
  const clock = systemClock;
  const parts: Parts = {
    config,
    roles,
    states,
    vault,
    passwords,
    breached,
    sessions,
    signing,
    tickets,
    policy,
    clock,
    limits,
    withinQuota: sessionQuota({ daybook, tenants: config.tenants, clock, told: quotas }),
    random,
    nameOf,
    unseal: (text) => daybook.unseal(text),
    newest,
    backupSecret: () => keys.secret("backup-codes"),
    issuer,
    erased,
  };
  const apiKeys = new ApiKeys(parts, keys.tokens);
  const identity = identityOf(parts, providers, apiKeys);
  return {
    identity,
    sessions,
    states,
    url,
    hashing,
    routes: [
      ...authRoutes(identity),
      ...factorRoutes(identity),
      ...passkeyRoutes(identity),
      ...signOnRoutes(identity),
      ...deviceRoutes(identity, url),
      ...accountRoutes(identity, Object.keys(roles)),
      ...keyRoutes(identity, authority),
      ...(pages
        ? [
          ...accountPages(identity, { length_min: config.passwords.length_min }),
          ...factorPages(identity),
          ...keyPages(identity, ownKeys(identity, authority)),
          ...passkeyPages(identity),
          ...signOnPages(identity),
          ...devicePages(identity),
        ]
        : []),
    ],
    access: {
      check: (bearer): Grant | undefined => sessions.granted(bearer),
      session: (cookie, unused) => isSessionTicket(cookie) ? sessions.bearer(cookie, unused) : undefined,
      async end(cookie) {
        const own = isSessionTicket(cookie) ? sessions.bearer(cookie)?.own : undefined;
        const outcome = own && await identity.end(own, own.session);
        if (outcome && outcome.is !== "accepted" && outcome.is !== "rejected") throw notDone(outcome);
      },
      prove: (bearer) => isJwt(bearer) && !sessions.isProven(bearer) ? sessions.prove(bearer) : undefined,
      ofKey: (bearer) => apiKeys.granted(bearer),
      isCsrf: (own, text) => identity.isCsrf(own, text),
      isFresh: (own) => identity.isFresh(own),
    },
  };
};

/** Of the time that a request has: so much of it may pass before its password is hashed. */
const WAITS_PART = 2 / 3;

/** Three parts of base64url (RFC 7515 section 3.1); tokens of programs have none. */
const isJwt = (bearer: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(bearer);
