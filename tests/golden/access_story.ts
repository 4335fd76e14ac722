/** Policies that count, then others, and tokens that are made and revoked. */
import type { AccessFact } from "../../events/access.ts";
import type { NewEvent } from "../../events/log.ts";

type Told = (at: number) => NewEvent;

const TOKEN = "t_aaaaaaaaaaaaaaaa";

let facts = 0;
const fact = (stream: `access/${string}`, of: AccessFact): Told => {
  const id = `access:access-${facts++}/0`;
  return (at) => ({
    ...of,
    id,
    source: stream,
    stream,
    time: new Date(at).toISOString(),
    version: 1,
    authtype: "system",
    authid: "access",
  });
};

const policies = (digest: string, text: string, replaced?: string): Told =>
  fact("access/policies", {
    type: "access.policies.activated",
    data: {
      digest: digest.repeat(64),
      policies: text,
      roles: { viewer: { includes: [], privileged: false }, operator: { includes: ["viewer"], privileged: false } },
      tenants: { acme: { streams: ["commits/acme-"], sources: ["/acme/"] } },
      ...(replaced === undefined ? {} : { replaced: replaced.repeat(64) }),
    },
  });

const STORY: readonly (readonly Told[])[] = [
  [policies("a", '@id("all")\npermit (principal, action, resource);\n')],
  [
    fact(`access/${TOKEN}`, {
      type: "access.token.issued",
      data: { token: TOKEN, tenant: "acme", scopes: ["ingest"], until: "2027-01-01T00:00:00.000Z" },
    }),
  ],
  [policies("b", '@id("none")\nforbid (principal, action, resource);\n', "a")],
  [
    fact("access/secret.siem", { type: "access.secret.stored", data: { secret: "siem", version: 1 } }),
    fact("access/secret.mail", { type: "access.secret.stored", data: { secret: "mail", version: 3 } }),
  ],
  [
    fact("access/requests", {
      type: "access.requests.refused",
      data: {
        since: "2026-01-01T00:00:00.000Z",
        until: "2026-01-01T00:01:00.000Z",
        refusals: [{ action: "accounts.create", because: "forbidden", principal: TOKEN, count: 3 }],
        others: 1,
      },
    }),
  ],
  [fact("access/secret.siem", { type: "access.secret.deleted", data: { secret: "siem" } })],
  [fact(`access/${TOKEN}`, { type: "access.token.revoked", data: { token: TOKEN } })],
];

/** One step each. */
export const accessStory = (): readonly (readonly Told[])[] => STORY;
