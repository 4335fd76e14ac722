/** Access: which policies counted when, and the tokens of programs. */
import { z } from "zod";
import { type AccessFact, accessFacts } from "../events/access.ts";
import type { Event } from "../events/event.ts";
import type { Computed } from "./computed.ts";
import type { Projection } from "./projection.ts";

type Told = Event<AccessFact>;
type Activated = Event<Extract<AccessFact, { type: "access.policies.activated" }>>;

const activated = accessFacts["access.policies.activated"];
const policiesRow = activated.extend({ since: z.string(), by: z.string() });
type PoliciesRow = z.output<typeof policiesRow>;

export const accessPolicies: Projection<PoliciesRow, Activated> = {
  name: "access.policies",
  version: 1,
  about: "Policies, roles and tenants by which it was decided who may do what, from when on. Key: the position.",
  hears: ["access.policies.activated"],
  row: policiesRow,
  initial: { digest: "", policies: "", roles: {}, tenants: {}, since: "", by: "" },
  indexes: ["digest"],
  columns: ["since", "digest", "replaced", "by"],
  appendOnly: true,
  keys: ({ position }) => [String(position)],
  apply: (_, { data, time, authid }): PoliciesRow => ({ ...data, since: time, by: authid }),
};

const tokenRow = z.strictObject({
  tenant: z.string(),
  scopes: z.array(z.string()),
  state: z.enum(["valid", "revoked"]),
  issued: z.string(),
  by: z.string(),
  /** It ends then by itself; absent: never. */
  until: z.string().optional(),
  revoked: z.string().optional(),
});
type TokenRow = z.output<typeof tokenRow>;

export const accessTokens: Projection<TokenRow, AccessFact> = {
  name: "access.tokens",
  version: 1,
  about: "Tokens of programs: whose, with which scopes, until when. Key: the token.",
  hears: ["access.token.issued", "access.token.revoked"],
  row: tokenRow,
  initial: { tenant: "", scopes: [], state: "valid", issued: "", by: "" },
  indexes: ["tenant", "state", "issued", "until"],
  keys: ({ data }) => "token" in data ? [data.token] : [],
  apply(row, event: Told): TokenRow | undefined {
    switch (event.type) {
      case "access.token.issued": {
        const { token: _, ...issued } = event.data;
        return { ...issued, state: "valid", issued: event.time, by: event.authid };
      }
      case "access.token.revoked":
        return row.issued === "" ? undefined : { ...row, state: "revoked", revoked: event.time };
      default:
        return row;
    }
  },
};

const secretRow = z.strictObject({
  version: z.int(),
  state: z.enum(["stored", "deleted"]),
  changed: z.string(),
  by: z.string(),
});
type SecretRow = z.output<typeof secretRow>;

export const accessSecrets: Projection<SecretRow, AccessFact> = {
  name: "access.secrets",
  version: 1,
  about: "Secrets that are stored, by name: which version, since when. Key: the name.",
  hears: ["access.secret.stored", "access.secret.deleted"],
  row: secretRow,
  initial: { version: 0, state: "stored", changed: "", by: "" },
  indexes: ["state", "changed"],
  keys: ({ data }) => "secret" in data ? [data.secret] : [],
  apply(row, event: Told): SecretRow | undefined {
    const when = { changed: event.time, by: event.authid };
    switch (event.type) {
      case "access.secret.stored":
        return { version: event.data.version, state: "stored", ...when };
      case "access.secret.deleted":
        return row.version === 0 ? undefined : { ...row, state: "deleted", ...when };
      default:
        return row;
    }
  },
};

export const accessViews = [accessPolicies, accessTokens, accessSecrets] as const;

const couldRow = z.strictObject({
  action: z.string(),
  resource: z.string(),
  principal: z.string(),
  type: z.enum(["User", "Key", "Token"]),
  tenant: z.string(),
  /** Whose key it is. */
  account: z.string().optional(),
  /** Only in a session begun with a second factor, which the account had. */
  second_factor: z.literal(true).optional(),
  /** Of the account, those that counted. */
  roles: z.array(z.string()).optional(),
  /** Of the token or key. */
  scopes: z.array(z.string()).optional(),
  /** That permitted it. */
  policies: z.array(z.string()),
  /** It could without a break from then on; absent: at any time. */
  since: z.string().optional(),
});
export type CouldRow = z.output<typeof couldRow>;

export const accessWhoCould: Computed = {
  name: "access.who_could",
  version: 1,
  about: "Who could do something to something: say where action=… and resource=…. Key: action, resource and principal.",
  row: couldRow,
  asks: ["action", "resource"],
  action: "access.explain",
  indexes: ["action", "resource", "principal", "type", "tenant", "account"],
  columns: ["principal", "type", "tenant", "second_factor", "roles", "scopes", "policies", "since"],
};
