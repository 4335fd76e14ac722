/** Providers of sign-ins as the configuration names them: their secrets read, their roles known, nothing asked of them yet. */
import type { ProviderConfig } from "../../../config/providers.ts";
import type { SecretReference } from "../../../config/config.ts";
import { Usage } from "../../cli/call.ts";
import type { Io } from "../../cli/runtime.ts";
import { inFolderOf, type Settings } from "../../cli/settings.ts";
import { type Fault, RelyingParty } from "../../openid/relying_party.ts";
import { systemClock } from "../../system/world.ts";

/** What goes with one sign-in. */
export interface Drawn {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export type Vouched =
  | {
    readonly is: "vouched";
    readonly subject: string;
    /** What an account may be called that is made for them. */
    readonly name?: string;
    readonly groups: readonly string[];
  }
  | { readonly is: "refused"; readonly reason: Fault }
  | { readonly is: "unavailable" };

/** Where the browser comes back to: `origin` of our own pages. */
interface Site {
  readonly origin: string;
}

export interface Provider {
  readonly name: string;
  readonly title: string;
  readonly protocol: "oidc" | "saml";
  readonly roles: Readonly<Record<string, string>>;
  readonly create: boolean;
  readonly tenant: string;
  /** Where the browser goes; `undefined` where the provider cannot be asked. */
  begin(drawn: Drawn, site: Site): Promise<string | undefined>;
  /** What an answer says it is for. */
  stateOf(answer: string): string | undefined;
  finish(answer: string, drawn: Drawn, site: Site): Promise<Vouched>;
  close(): void;
}

/** Throws `Usage` for a secret that is not there and a role that is none. */
export const providersOf = async (
  settings: Settings,
  roles: readonly string[],
  io: Io,
): Promise<ReadonlyMap<string, Provider>> => {
  const all = new Map<string, Provider>();
  for (const config of settings.config.identity.providers) {
    for (const role of Object.values(config.roles)) {
      if (!roles.includes(role)) {
        throw new Usage(`provider ${config.name}: ${role} is no role; there are ${roles.join(", ")}`);
      }
    }
    all.set(config.name, await providerOf(config, settings, io));
  }
  return all;
};

const providerOf = async (config: ProviderConfig, settings: Settings, io: Io): Promise<Provider> => {
  const { name, title, roles, create, tenant, kind } = config;
  const text = async (reference: SecretReference | null, what: string): Promise<string | undefined> => {
    if (reference === null) return undefined;
    const found = "env" in reference
      ? io.env(reference.env)
      : await io.readText(inFolderOf(settings.file, reference.file)).catch(() => undefined);
    if (found === undefined || found.trim() === "") throw new Usage(`provider ${name}: its ${what} is not there`);
    return found.trim();
  };
  const { issuer, client_id, scopes, hosts, groups } = config;
  const secret = await text(config.client_secret, "client_secret");
  const ca = await text(config.ca, "ca");
  const party = new RelyingParty({
    issuer,
    client_id,
    ...(secret !== undefined && { client_secret: secret }),
    scopes,
    hosts,
    ...(ca !== undefined && { ca }),
    groups,
    clock: systemClock,
  });
  const back = (origin: string) => `${origin}/sign-in/oidc/${name}/callback`;
  return {
    name,
    title: title ?? name,
    protocol: kind,
    roles,
    create,
    tenant,
    begin: (drawn, { origin }) =>
      orUndefined(party.begin({ ...drawn, redirect: back(origin) }), `provider ${name} cannot be asked`, io),
    stateOf: (answer) => new URLSearchParams(answer).get("state") ?? undefined,
    async finish(answer, drawn, { origin }) {
      const finished = party.finish(answer, { ...drawn, redirect: back(origin) });
      return await orUndefined<Vouched>(finished, `provider ${name} cannot be asked`, io) ?? { is: "unavailable" };
    },
    close: () => party.close(),
  };
};

/** The operator is told why; who signs in is told to try again. */
const orUndefined = async <T>(asked: Promise<T>, what: string, io: Io): Promise<T | undefined> => {
  try {
    return await asked;
  } catch (error) {
    io.err(
      `${what}: ${
        error instanceof Error
          ? [error, error.cause].map((each) => each instanceof Error ? each.message : "").filter((each) => each !== "")
            .join(": ")
          : "no reason"
      }\n`,
    );
    return undefined;
  }
};
