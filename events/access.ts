/**
 * Access: by what it is decided who may do what. Streams: `access/policies` for the policies, roles and tenants that counted from when
 * on; `access/{token}` for each token of a program; `access/secret.{name}` for each secret that is stored; `access/requests` for requests that were turned away. Accounts, their roles and keys are `identity`'s.
 */
import { z } from "zod";
import type { Domain } from "./catalogue.ts";
import type { Facts, FactSchemas } from "./event.ts";
import { principalId, slug, time } from "./identity/shape.ts";

export const ACCESS_LIMITS = {
  /** Of all policies together. With roles and tenants they are one event. */
  policies_chars_max: 32_000,
  roles_max: 50,
  /** Kinds of refusals that one fact tells apart. */
  refusals_max: 100,
  /** Characters of roles and tenants as JSON. */
  others_chars_max: 12_000,
  /** Of all of it as JSON, so that the event is an entry: characters may be several bytes. */
  bytes_max: 59_000,
} as const;

const digest = z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 in hexadecimal");
const token = z.string().regex(/^t_[a-z2-7]{16}$/, "the id of a token: t_…");
const beginnings = z.array(z.string().max(200)).max(100);

export const accessFacts = {
  "access.policies.activated": z.strictObject({
    /** SHA-256 of the three below, canonical (RFC 8785). */
    digest,
    /** In Cedar, as they were read. */
    policies: z.string().max(ACCESS_LIMITS.policies_chars_max),
    roles: z.record(
      slug,
      z.strictObject({ includes: z.array(slug).max(ACCESS_LIMITS.roles_max), privileged: z.boolean() }),
    ),
    /** What belongs to tenants by how its name begins. */
    tenants: z.record(slug, z.strictObject({ streams: beginnings, sources: beginnings })),
    /** Of what counted before. */
    replaced: digest.optional(),
  }),
  /** It lets in whoever shows it. The token itself is nowhere kept. */
  "access.token.issued": z.strictObject({
    token,
    tenant: slug,
    scopes: z.array(slug).min(1).max(10),
    until: time.optional(),
  }),
  "access.token.revoked": z.strictObject({ token }),
  /** Under this name a secret is kept, the first or another in its place; the value is nowhere but in the key database. */
  "access.secret.stored": z.strictObject({ secret: slug, version: z.int().min(1) }),
  "access.secret.deleted": z.strictObject({ secret: slug }),
  /** Requests that were turned away, counted: for which action, why, and whose; nothing else of them is kept. */
  "access.requests.refused": z.strictObject({
    since: time,
    until: time,
    refusals: z.array(z.strictObject({
      /** Empty where no route has the path. */
      action: z.string().max(64),
      /** Code of the problem, as docs/problems.md lists them. */
      because: slug,
      /** Who had been let in, if anybody. */
      principal: principalId.optional(),
      count: z.int().min(1),
    })).max(ACCESS_LIMITS.refusals_max),
    /** Those of further kinds. */
    others: z.int().nonnegative(),
  }),
} satisfies FactSchemas;

export type AccessFact = Facts<typeof accessFacts>;
export type AccessFactType = AccessFact["type"];

const about: Readonly<Record<AccessFactType, string>> = {
  "access.policies.activated": "Other policies, roles or tenants count from here on: their text and its digest.",
  "access.token.issued": "A token for a program was made: whose it is, what it may, until when.",
  "access.requests.refused": "Requests were turned away: how many, for which actions, why, and whose they were.",
  "access.secret.stored": "A secret was stored under a name, or another in its place.",
  "access.secret.deleted": "A secret that was stored was destroyed.",
  "access.token.revoked": "A token lets nobody in any more.",
};

export const access: Domain = {
  name: "access",
  facts: Object.fromEntries(
    (Object.keys(accessFacts) as AccessFactType[]).map((type) => [type, {
      schema: accessFacts[type],
      kind: "decided" as const,
      about: about[type],
    }]),
  ),
};
