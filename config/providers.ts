/** Providers of sign-ins: where people are vouched for by somebody else, over OpenID Connect or SAML 2.0. */
import { z } from "zod";
import { secret } from "./secret.ts";

/** Providers of one server. */
export const PROVIDERS_MAX = 20;

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/** Over TLS, or on this machine. */
const url = z.url({ protocol: /^https?$/ }).max(2_048).refine((text) => {
  const { protocol, hostname = "" } = URL.parse(text) ?? {};
  return protocol === "https:" || LOOPBACK.includes(hostname);
}, { error: "https, or a loopback address" });

const slug = z.string().max(32).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/).meta({
  expected: "lower-case letters, digits, - and _ within",
});

const common = {
  name: slug.meta({ description: "What it is called in addresses and events" }),
  title: z.string().min(1).max(60).nullable().default(null).meta({ description: "What people read; null: its name" }),
  groups: z.string().min(1).max(200).default("groups").meta({
    description: "The claim or attribute that lists the groups of who signs in",
  }),
  roles: z.record(z.string().min(1).max(200), slug).default({}).meta({
    description: "Roles by group: { platform: operator }; of the roles named here an account has those of its groups",
  }),
  create: z.boolean().default(false).meta({
    description: "Whether who is not known here gets an account; else an account is linked by its holder",
  }),
  tenant: slug.default("default").meta({ description: "Whose such accounts are" }),
};

const KINDS = "one of oidc, saml";

const oidc = z.strictObject({
  ...common,
  kind: z.literal("oidc").meta({ expected: KINDS }),
  issuer: url.meta({ description: "Its issuer; discovery is below it", expected: "a URL of https, or a loopback one" }),
  client_id: z.string().min(1).max(255).meta({ description: "What we are called there" }),
  client_secret: secret.meta({ description: "Its secret: { env: NAME } or { file: PATH }; null for a public client" }),
  scopes: z.array(z.string().min(1).max(100).regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/)).max(20).default([
    "openid",
    "profile",
    "email",
  ]).refine((scopes) => scopes.includes("openid"), { error: "openid is one of them" }).meta({
    description: "What is asked for",
  }),
  hosts: z.array(
    z.string().min(1).max(260).regex(/^[a-z0-9._-]+(?::\d{1,5})?$/).meta({ expected: "host or host:port" }),
  )
    .max(10).default([]).meta({
      description: "Hosts of its endpoints, where they lie elsewhere than the issuer; nothing else is asked",
    }),
  ca: secret.meta({ description: "Certificates of the authorities to trust, PEM: { file: PATH }" }),
});

const saml = z.strictObject({
  ...common,
  kind: z.literal("saml").meta({ expected: KINDS }),
  entry_point: url.meta({
    description: "Where it takes requests, by redirect",
    expected: "a URL of https, or a loopback one",
  }),
  issuer: z.string().min(1).max(1_024).meta({ description: "What it calls itself (entity id)" }),
  certificate: secret.meta({ description: "What it signs with, PEM: { file: PATH }; two while it changes keys" }),
  entity_id: z.string().min(1).max(1_024).nullable().default(null).meta({
    description: "What we call ourselves there; null: where our metadata lies",
  }),
  username: z.string().min(1).max(200).nullable().default(null).meta({
    description: "The attribute with a name for an account that is made; null: the name of the subject",
  }),
});

export const providers = z.array(z.discriminatedUnion("kind", [oidc, saml])).max(PROVIDERS_MAX).default([])
  .superRefine((all, context) => {
    const seen = new Set<string>();
    for (const [i, { name }] of all.entries()) {
      if (seen.has(name)) {
        context.addIssue({ code: "custom", path: [i, "name"], message: "no two providers have the same" });
      }
      seen.add(name);
      const provider = all[i]!;
      if (provider.kind === "saml" && provider.certificate === null) {
        const message = "what a provider says is signed; say where its certificate is";
        context.addIssue({ code: "custom", path: [i, "certificate"], message });
      }
    }
  });

export type ProviderConfig = z.output<typeof providers>[number];
