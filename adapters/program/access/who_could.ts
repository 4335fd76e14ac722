/**
 * Who could do something to something, at any time: the log is read up to then, and what was true by it is asked of the policies that
 * counted then. Nothing else is looked at, so the answer for a moment is the same whenever it is asked.
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

/** What the log tells of access. */
interface Known {
  model: Model;
  digest: string | null;
  readonly accounts: Map<string, Account>;
  readonly tokens: Map<string, Issued>;
}

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
  const fact = event as unknown as
    | IdentityFact
    | Exclude<AccessFact, { type: `access.secret.${string}` | "access.requests.refused" }>
    | {
      type: "privacy.subject.erased";
      data: { subject: string };
    };
  switch (fact.type) {
    case "access.policies.activated": {
      const { digest, policies, roles, tenants } = fact.data;
      known.model = { policies, roles, tenants };
      known.digest = digest;
      return;
    }
    case "access.token.issued":
      return void known.tokens.set(fact.data.token, fact.data);
    case "access.token.revoked":
      return void known.tokens.delete(fact.data.token);
    case "privacy.subject.erased":
      return void known.accounts.delete(fact.data.subject);
    default: {
      const account = event.stream.slice("identity/".length);
      known.accounts.set(account, evolve(known.accounts.get(account) ?? nobody, fact));
    }
  }
};

/** Throws `Usage` for what is no action or resource. */
export const whoCould = async (
  log: Pick<EventLog, "read" | "size">,
  { action, resource, size = log.size, at }: Asking,
): Promise<WhoCould> => {
  if (!Object.hasOwn(ACTIONS, action)) {
    throw new Usage(`there is no action ${JSON.stringify(action)}; there are ${Object.keys(ACTIONS).join(", ")}`);
  }
  const known: Known = { model: shippedModel(), digest: null, accounts: new Map(), tokens: new Map() };
  let last: Event | undefined;
  for (const page of log.read({ types: TYPES, until: size })) for (const event of page) learn(known, event);
  for (const page of log.read({ until: size, backward: true, limit: 1 })) last = page[0];
  const when = at ?? (last === undefined ? 0 : Date.parse(last.recordedat));
  const authority = new CedarAuthority(known.model);
  await authority.ready();
  const to = resourceOf(resource, known);
  const asks = { authority, action: action as Action, to };
  const principals = [
    ...fromAccounts(known, asks, when),
    ...[...known.tokens.values()].flatMap((token) => fromToken(token, asks, when)),
    ...could(OPERATOR, asks, { type: "Token", id: OPERATOR.id, tenant: HOUSE }),
  ];
  const { type, id, tenant } = to;
  return {
    action,
    resource: { type, id, tenant },
    size,
    at: new Date(when).toISOString(),
    policies: known.digest,
    principals: principals.sort((a, b) => (a.type + a.id < b.type + b.id ? -1 : 1)),
  };
};

interface Asks {
  readonly authority: CedarAuthority;
  readonly action: Action;
  readonly to: Resource;
}
type Who = Omit<Could, "policies">;

const could = (asker: Asker, { authority, action, to }: Asks, who: Who): readonly Could[] => {
  const { allowed, policies } = authority.decide(asker, action, to);
  return allowed ? [{ ...who, policies }] : [];
};

/** In a session begun with a password alone, else in one with a second factor, where there is one; and with keys. */
const fromAccounts = ({ accounts }: Known, asks: Asks, at: Millis): readonly Could[] =>
  [...accounts].filter(([, { is }]) => is === "active").flatMap(([id, account]) => {
    const { tenant } = account;
    const user = (factors: Parameters<typeof rolesIn>[1]): Asker => ({
      id,
      tenant,
      scopes: [],
      roles: rolesIn(account, factors).map(({ role }) => role),
      own: { account: id, session: "" },
      principal: { authtype: "user", authid: id },
    });
    const who = { type: "User", id, tenant } as const;
    const keys = fromKeys(id, account, asks, at);
    const alone = could(user(["password"]), asks, who);
    if (alone.length > 0 || !wantsSecond(account)) return [...alone, ...keys];
    return [...could(user(["password", "totp"]), asks, { ...who, second_factor: true }), ...keys];
  });

const fromKeys = (account: string, { keys, roles, tenant }: Account, asks: Asks, at: Millis): readonly Could[] =>
  keys.filter(({ kind, until }) => kind === "api" && (until === null || at < until)).flatMap(({ key, scopes }) => {
    const principal = { authtype: "api_key", authid: key } as const;
    const asker = { id: key, tenant, scopes, roles: roles.map(({ role }) => role), account, principal };
    return could(asker, asks, { type: "Key", id: key, tenant, account });
  });

const fromToken = ({ token, tenant, scopes, until }: Issued, asks: Asks, at: Millis): readonly Could[] => {
  if (until !== undefined && Date.parse(until) <= at) return [];
  const asker = { id: token, tenant, scopes, principal: { authtype: "api_key", authid: token } } as const;
  return could(asker, asks, { type: "Token", id: token, tenant });
};

const resourceOf = (text: string, { model, accounts }: Known): Resource => {
  const [, kind, id] = /^(view|operation|tenant):(.+)$/.exec(text) ?? [];
  if (kind === "view") return { ...LOG, type: "View", id: id! };
  if (kind === "operation") return { ...LOG, type: "Operation", id: id! };
  if (kind === "tenant") return tenantOf(id!);
  if (text === "log") return LOG;
  if (/^u_[\w-]{16,64}$/.test(text)) return { type: "Account", id: text, tenant: accounts.get(text)?.tenant ?? HOUSE };
  if (/^[a-z0-9_-]+\/./.test(text)) return streamOf(text as `${string}/${string}`, ownersOf(model.tenants));
  throw new Usage(
    `a resource is log, a stream (commits/shop), an account (u_…), view:NAME, operation:NAME or tenant:NAME, not ${
      JSON.stringify(text)
    }`,
  );
};
