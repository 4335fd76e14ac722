/** Providers of sign-ins as the configuration names them: their secrets read, their roles known, nothing asked of them yet. */
import type { SecretReference } from "../../../config/config.ts";
import type { ProviderConfig } from "../../../config/providers.ts";
import { Usage } from "../../cli/call.ts";
import type { Io } from "../../cli/io.ts";
import type { Settings } from "../../cli/settings.ts";
import { notOfWhoSignsIn, RelyingParty, type Vouched as OpenIdVouched } from "../../openid/relying_party.ts";
import { type SamlVouched, ServiceProvider } from "../../saml/service_provider.ts";
import type { Secrets } from "../secrets.ts";
import { systemClock } from "../../system/world.ts";

/** What goes with one sign-in. */
export interface Drawn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export type Vouched = OpenIdVouched | SamlVouched | { readonly is: "unavailable" };

/** Where the browser comes back to: `origin` of our own pages. */
interface Site {
  readonly origin: string;
}

interface Speaking {
  /** Where the browser goes; `undefined` where the provider cannot be asked. */
  begin(drawn: Drawn, site: Site): Promise<string | undefined>;
  /** What an answer (`a=b&c=d`) says it is for. */
  stateOf(answer: string): string | undefined;
  finish(answer: string, drawn: Drawn, site: Site): Promise<Vouched>;
  /** What the provider wants to know of us, where it wants it as a document. */
  metadata?(site: Site): Promise<string>;
  close(): void;
}

export interface Provider extends Speaking {
  readonly name: string;
  readonly title: string;
  readonly protocol: "oidc" | "saml";
  readonly roles: Readonly<Record<string, string>>;
  readonly create: boolean;
  readonly tenant: string;
}

/** Throws `Usage` for a secret that is not there and a role that is none. */
export const providersOf = async (
  settings: Settings,
  roles: readonly string[],
  secrets: Secrets,
  io: Io,
): Promise<ReadonlyMap<string, Provider>> => {
  const all = new Map<string, Provider>();
  for (const config of settings.config.identity.providers) {
    for (const role of Object.values(config.roles)) {
      if (!roles.includes(role)) {
        throw new Usage(`provider ${config.name}: ${role} is no role; there are ${roles.join(", ")}`);
      }
    }
    const { name, title, create, tenant, kind } = config;
    const text = (reference: SecretReference | null, what: string) => textOf(reference, { name, what, secrets });
    const speaking = config.kind === "oidc" ? await oidcOf(config, text, io) : await samlOf(config, text);
    all.set(name, { name, title: title ?? name, protocol: kind, roles: config.roles, create, tenant, ...speaking });
  }
  return all;
};

type Text = (reference: SecretReference | null, what: string) => Promise<string | undefined>;

const textOf = async (
  reference: SecretReference | null,
  { name, what, secrets }: { readonly name: string; readonly what: string; readonly secrets: Secrets },
): Promise<string | undefined> => {
  if (reference === null) return undefined;
  const found = await secrets(reference);
  if (found === undefined || found.trim() === "") throw new Usage(`provider ${name}: its ${what} is not there`);
  return found.trim();
};

const oidcOf = async (
  { name, issuer, client_id, scopes, hosts, groups, ...config }: Extract<ProviderConfig, { kind: "oidc" }>,
  text: Text,
  io: Io,
): Promise<Speaking> => {
  const client_secret = await text(config.client_secret, "client_secret");
  const ca = await text(config.ca, "ca");
  const party = new RelyingParty({ issuer, client_id, client_secret, scopes, hosts, ca, groups, clock: systemClock });
  const redirect = ({ origin }: Site) => `${origin}/sign-in/oidc/${name}/callback`;
  /** The operator is told why; who signs in is told to try again. */
  const tried = async <T>(asked: Promise<T>): Promise<T | undefined> => {
    try {
      return await asked;
    } catch (error) {
      const said = [error, (error as Error).cause].flatMap((each) => each instanceof Error ? [each.message] : []);
      io.err(`provider ${name} cannot be asked: ${notOfWhoSignsIn(error) ?? said.join(": ")}\n`);
      return undefined;
    }
  };
  return {
    begin: (drawn, site) => tried(party.begin({ ...drawn, redirect: redirect(site) })),
    stateOf: (answer) => new URLSearchParams(answer).get("state") ?? undefined,
    async finish(answer, drawn, site) {
      return await tried<Vouched>(party.finish(answer, { ...drawn, redirect: redirect(site) })) ??
        { is: "unavailable" };
    },
    close: () => party.close(),
  };
};

const samlOf = async (
  { name, entry_point, issuer, groups, ...config }: Extract<ProviderConfig, { kind: "saml" }>,
  text: Text,
): Promise<Speaking> => {
  const certificate = (await text(config.certificate, "certificate"))!;
  if (!certificate.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Usage(`provider ${name}: its certificate is not PEM`);
  }
  const provider = new ServiceProvider({
    entry_point,
    issuer,
    certificate,
    groups,
    clock: systemClock,
    ...(config.entity_id !== null && { entity_id: config.entity_id }),
    ...(config.username !== null && { username: config.username }),
  });
  const place = ({ origin }: Site) => {
    const ours = `${origin}/sign-in/saml/${name}`;
    return { metadata: `${ours}/metadata`, back: `${ours}/callback` };
  };
  // The id of a request is a name of XML, which begins with no digit.
  const request = ({ nonce }: Drawn) => `_${nonce}`;
  return {
    begin: (drawn, site) => provider.begin({ request: request(drawn), state: drawn.state }, place(site)),
    stateOf: (answer) => new URLSearchParams(answer).get("RelayState") ?? undefined,
    finish: (answer, drawn, site) =>
      provider.finish(new URLSearchParams(answer).get("SAMLResponse") ?? "", request(drawn), place(site)),
    metadata: (site) => Promise.resolve(provider.metadata(place(site))),
    close() {},
  };
};
