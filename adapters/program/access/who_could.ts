/**
 * Who could do something to something, at any time, and since when: the log is read up to then, and what was true by it is asked of the
 * policies that counted then. Nothing else is looked at, so the answer for a moment is the same whenever it is asked.
 */
import { type Account, evolve, nobody, rolesIn, wantsSecond } from "../../../actors/identity/account.ts";
import type { IdentityFact } from "../../../events/identity/mod.ts";
import type { AccessFact } from "../../../events/access.ts";
import type { Event, Millis } from "../../../events/event.ts";
import type { EventLog } from "../../../events/log.ts";
import { HOUSE, ownersOf } from "../../../events/tenants.ts";
import type { Could, WhoCould } from "../../cli/access.ts";
import { Usage } from "../../cli/call.ts";
import { type Action, ACTIONS } from "../../http/actions.ts";
import { type Asker, LOG, type Resource, streamOf, tenantOf } from "../../http/authority.ts";
import { OPERATOR } from "../operator.ts";
import { yielding } from "../yielding.ts";
import { CedarAuthority } from "./authority.ts";
import { type Model, shippedModel } from "./model.ts";

export interface Asking {
  readonly action: string;
  /** `log`, `domain/id`, `u_…`, `view:NAME`, `operation:NAME`, `tenant:NAME`. */
  readonly resource: string;
  /** So many events are read; default: all. */
  readonly size?: number;
  /** Time at which keys and tokens end or have not ended; default: when the last of these events was recorded. */
  readonly at?: Millis;
}

type Issued = Extract<AccessFact, { type: "access.token.issued" }>["data"];

/** How something was, from one event to the next that changed it; the oldest first. */
type Past<T> = { readonly position: number; readonly time: string; readonly was: T }[];

interface Counted {
  /** Absent: they cannot be read any more. */
  readonly authority?: CedarAuthority;
  readonly model: Model;
  /** `null`: of those that come with the program. */
  readonly digest: string | null;
}

/** What the log tells of access; `undefined`: gone. */
interface Known {
  readonly models: Past<Counted>;
  readonly accounts: Map<string, Past<Account | undefined>>;
  readonly tokens: Map<string, Past<Issued | undefined>>;
}

const NEVER: Past<never> = [];

const last = <T>(past: Past<T> | undefined): T | undefined => past?.at(-1)?.was;

/** Right after that event. */
const at = <T>(past: Past<T>, position: number): T | undefined => past.findLast((one) => one.position <= position)?.was;

/** Those that count must be readable; of earlier ones only those are asked that are. */
const ready = async ({ model, digest }: Counted, isNow: boolean): Promise<Counted> => {
  const authority = new CedarAuthority(model);
  try {
    await authority.ready();
    return { authority, model, digest };
  } catch (error) {
    if (isNow) throw error;
    return { model, digest };
  }
};

const TYPES = [
  "access.policies.activated",
  "access.token.issued",
  "access.token.revoked",
  "identity.account.created",
  "identity.account.disabled",
  "identity.account.enabled",
  "identity.account.offboarded",
  "identity.role.granted",
  "identity.role.revoked",
  "identity.factor.enrolled",
  "identity.factor.removed",
  "identity.key.issued",
  "identity.key.rotated",
  "identity.key.revoked",
  "privacy.subject.erased",
] as const;

const learn = (known: Known, event: Event): void => {
  const { position, recordedat: time } = event;
  const fact = event as unknown as
    | IdentityFact
    | Exclude<AccessFact, { type: `access.secret.${string}` | "access.requests.refused" }>
    | {
      type: "privacy.subject.erased";
      data: { subject: string };
    };
  const put = <T>(of: Map<string, Past<T>>, id: string, was: T): void => {
    const past = of.get(id);
    if (past) past.push({ position, time, was });
    else of.set(id, [{ position, time, was }]);
  };
  switch (fact.type) {
    case "access.policies.activated": {
      const { digest, policies, roles, tenants } = fact.data;
      known.models.push({ position, time, was: { model: { policies, roles, tenants }, digest } });
      return;
    }
    case "access.token.issued":
      return put(known.tokens, fact.data.token, fact.data);
    case "access.token.revoked":
      return put(known.tokens, fact.data.token, undefined);
    case "privacy.subject.erased":
      return put(known.accounts, fact.data.subject, undefined);
    default: {
      const account = event.stream.slice("identity/".length);
      put(known.accounts, account, evolve(last(known.accounts.get(account)) ?? nobody, fact));
    }
  }
};

/** Throws `Usage` for what is no action or resource. */
export const whoCould = async (
  log: Pick<EventLog, "read" | "size">,
  { action, resource, size = log.size, at: when }: Asking,
): Promise<WhoCould> => {
  if (!Object.hasOwn(ACTIONS, action)) {
    throw new Usage(`there is no action ${JSON.stringify(action)}; there are ${Object.keys(ACTIONS).join(", ")}`);
  }
  const shipped = { position: -1, time: "", was: { model: shippedModel(), digest: null } };
  const known: Known = { models: [shipped], accounts: new Map(), tokens: new Map() };
  const turn = yielding();
  let newest: Event | undefined;
  for (const page of log.read({ types: TYPES, until: size })) {
    for (const event of page) learn(known, event);
    await turn();
  }
  for (const page of log.read({ until: size, backward: true, limit: 1 })) newest = page[0];
  const { models } = known;
  for (const [i, one] of models.entries()) {
    models[i] = { ...one, was: await ready(one.was, i === models.length - 1) };
  }
  const time = when ?? (newest === undefined ? 0 : Date.parse(newest.recordedat));
  const now = last(models)!;
  const asks = { known, action: action as Action, to: (model: Model) => resourceOf(resource, model, known) };
  const { type, id, tenant } = asks.to(now.model);
  const operator = { type: "Token", id: OPERATOR.id, tenant: HOUSE, scopes: OPERATOR.scopes } as const;
  const principals = [
    ...await each(known.accounts, ([account, past]) => fromAccount(account, past, asks, time)),
    ...await each(known.tokens.values(), (past) => fromToken(past, asks, time)),
    ...could(operator, NEVER, asks, () => OPERATOR),
  ];
  return {
    action,
    resource: { type, id, tenant },
    size,
    at: new Date(time).toISOString(),
    policies: now.digest,
    principals: principals.sort((a, b) => (a.type + a.id < b.type + b.id ? -1 : 1)),
  };
};

/** What each comes to. */
const each = async <T>(all: Iterable<T>, of: (one: T) => readonly Could[]): Promise<readonly Could[]> => {
  const found: Could[] = [];
  const turn = yielding();
  for (const one of all) {
    found.push(...of(one));
    await turn();
  }
  return found;
};

interface Asks {
  readonly known: Known;
  readonly action: Action;
  readonly to: (model: Model) => Resource;
}
type Who = Omit<Could, "policies" | "since">;

/** `asker`: as who asked by what was true of it, if it could ask at all. */
const could = <T>(
  who: Who,
  past: Past<T>,
  { known: { models }, action, to }: Asks,
  asker: (was: T | undefined) => Asker | undefined,
): readonly Could[] => {
  const decided = (position: number) => {
    const asked = asker(at(past, position));
    const { authority, model } = at(models, position)!;
    return asked && authority?.decide(asked, action, to(model));
  };
  const now = decided(Infinity);
  if (now?.allowed !== true) return [];
  const changes = [...past, ...models].sort((a, b) => b.position - a.position);
  const refused = changes.findIndex(({ position }) => decided(position)?.allowed !== true);
  const { position, time } = changes.at(refused < 0 ? -1 : refused - 1)!;
  return [{ ...who, policies: now.policies, ...(position < 0 ? {} : { since: { position, time } }) }];
};

const rolesOf = (account: Account, factors: Parameters<typeof rolesIn>[1]): readonly string[] =>
  rolesIn(account, factors).map(({ role }) => role);

/** In a session begun with a password alone, else in one with a second factor, where there is one; and with keys. */
const fromAccount = (id: string, past: Past<Account | undefined>, asks: Asks, time: Millis): readonly Could[] => {
  const account = last(past);
  if (account?.is !== "active") return [];
  const { tenant } = account;
  const within = (factors: Parameters<typeof rolesIn>[1], second: { readonly second_factor?: true }) =>
    could(
      { type: "User", id, tenant, ...second, roles: rolesOf(account, factors) },
      past,
      asks,
      (was) =>
        was?.is !== "active" || second.second_factor && !wantsSecond(was) ? undefined : {
          id,
          tenant,
          scopes: [],
          roles: rolesOf(was, factors),
          own: { account: id, session: "" },
          principal: { authtype: "user", authid: id },
        },
    );
  const keys = fromKeys(id, account, past, asks, time);
  const alone = within(["password"], {});
  if (alone.length > 0 || !wantsSecond(account)) return [...alone, ...keys];
  return [...within(["password", "totp"], { second_factor: true }), ...keys];
};

const fromKeys = (
  account: string,
  { keys, roles, tenant }: Account,
  past: Past<Account | undefined>,
  asks: Asks,
  time: Millis,
): readonly Could[] =>
  keys.filter(({ kind, until }) => kind === "api" && (until === null || time < until)).flatMap(({ key, scopes }) => {
    const who = { type: "Key", id: key, tenant, account, roles: roles.map(({ role }) => role), scopes } as const;
    return could(
      who,
      past,
      asks,
      (was) =>
        was?.is !== "active" || !was.keys.some((one) => one.key === key) ? undefined : {
          id: key,
          tenant,
          scopes,
          roles: was.roles.map(({ role }) => role),
          account,
          principal: { authtype: "api_key", authid: key },
        },
    );
  });

const fromToken = (past: Past<Issued | undefined>, asks: Asks, time: Millis): readonly Could[] => {
  const issued = last(past);
  if (issued === undefined || issued.until !== undefined && Date.parse(issued.until) <= time) return [];
  const { token: id, tenant, scopes } = issued;
  return could(
    { type: "Token", id, tenant, scopes },
    past,
    asks,
    (was) => was && { id, tenant, scopes: was.scopes, principal: { authtype: "api_key", authid: id } },
  );
};

const resourceOf = (text: string, model: Model, { accounts }: Known): Resource => {
  const [, kind, id] = /^(view|operation|tenant):(.+)$/.exec(text) ?? [];
  if (kind === "view") return { ...LOG, type: "View", id: id! };
  if (kind === "operation") return { ...LOG, type: "Operation", id: id! };
  if (kind === "tenant") return tenantOf(id!);
  if (text === "log") return LOG;
  if (/^u_[\w-]{16,64}$/.test(text)) {
    return { type: "Account", id: text, tenant: last(accounts.get(text))?.tenant ?? HOUSE };
  }
  if (/^[a-z0-9_-]+\/./.test(text)) return streamOf(text as `${string}/${string}`, ownersOf(model.tenants));
  throw new Usage(
    `a resource is log, a stream (commits/shop), an account (u_…), view:NAME, operation:NAME or tenant:NAME, not ${
      JSON.stringify(text)
    }`,
  );
};
