/**
 * A relying party of OpenID Connect Core 1.0: authorisation code with PKCE (RFC 7636), discovery, nonce, `iss` in the answer (RFC 9207),
 * signatures of ID tokens always checked. It remembers what discovery told, and nothing of those who sign in.
 */
import type { ClientAuth, Configuration, TokenEndpointResponse, TokenEndpointResponseHelpers } from "openid-client";
import type { Clock } from "../../actors/kernel/world.ts";
import { outward, OutwardFault } from "./outward.ts";

/** What was told by discovery is asked for again after so long. */
const DISCOVERED_MS = 60 * 60_000;

export interface RelyingPartyOptions {
  readonly issuer: string;
  readonly client_id: string;
  /** Absent: a public client. */
  readonly client_secret?: string;
  readonly scopes: readonly string[];
  /** Hosts beside the issuer's that may be asked. */
  readonly hosts: readonly string[];
  /** Certificates of authorities, PEM. */
  readonly ca?: string;
  /** The claim that lists groups. */
  readonly groups: string;
  readonly clock: Clock;
}

/** What goes with one sign-in, each drawn for it. */
export interface Begun {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirect: string;
}

export type Fault =
  | "provider_refused"
  | "mixed_up"
  | "wrong_issuer"
  | "wrong_audience"
  | "wrong_nonce"
  | "wrong_signature"
  | "expired";

export type Vouched =
  | {
    readonly is: "vouched";
    readonly subject: string;
    /** What an account may be called that is made for them. */
    readonly name?: string;
    readonly groups: readonly string[];
  }
  | { readonly is: "refused"; readonly reason: Fault };

type OpenId = typeof import("openid-client");

export class RelyingParty {
  private known: { readonly config: Promise<Configuration>; readonly until: number } | undefined;
  private client: Deno.HttpClient | undefined;

  constructor(private readonly options: RelyingPartyOptions) {}

  /** Where the browser goes. Throws where the provider cannot be asked. */
  async begin({ state, nonce, verifier, redirect }: Begun): Promise<string> {
    const openid = await import("openid-client");
    const url = openid.buildAuthorizationUrl(await this.config(openid), {
      redirect_uri: redirect,
      scope: this.options.scopes.join(" "),
      state,
      nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    return url.href;
  }

  /** Who it is, by what the browser has brought back in `query`. Throws where the provider cannot be asked. */
  async finish(query: string, { state, nonce, verifier, redirect }: Begun): Promise<Vouched> {
    const openid = await import("openid-client");
    const config = await this.config(openid);
    const answer = new URL(`${redirect}?${query}`);
    const issuer = answer.searchParams.get("iss");
    if (issuer !== null && issuer !== config.serverMetadata().issuer) return { is: "refused", reason: "mixed_up" };
    try {
      const tokens = await openid.authorizationCodeGrant(config, answer, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      return await this.claimed(openid, config, tokens);
    } catch (error) {
      const reason = faultOf(error);
      if (reason === undefined) throw error;
      // Keys of the provider may have changed since.
      if (reason === "wrong_signature") this.known = undefined;
      return { is: "refused", reason };
    }
  }

  close(): void {
    this.client?.close();
    this.client = undefined;
    this.known = undefined;
  }

  /** The ID token; groups that it does not have are asked for. */
  private async claimed(
    openid: OpenId,
    config: Configuration,
    tokens: TokenEndpointResponse & TokenEndpointResponseHelpers,
  ): Promise<Vouched> {
    let claims: Record<string, unknown> = tokens.claims()!;
    const subject = claims.sub as string;
    if (claims[this.options.groups] === undefined && config.serverMetadata().userinfo_endpoint !== undefined) {
      claims = { ...await openid.fetchUserInfo(config, tokens.access_token, subject), ...claims };
    }
    const name = [claims.preferred_username, claims.email_verified === true ? claims.email : undefined]
      .find((each) => typeof each === "string");
    return {
      is: "vouched",
      subject,
      groups: textsOf(claims[this.options.groups]),
      ...(name !== undefined && { name }),
    };
  }

  private config(openid: OpenId): Promise<Configuration> {
    const now = this.options.clock.monotonic();
    if (!this.known || now >= this.known.until) {
      const config = this.discover(openid);
      this.known = { config, until: now + DISCOVERED_MS };
      // What failed is tried again with the next one who asks.
      config.catch(() => {
        if (this.known?.config === config) this.known = undefined;
      });
    }
    return this.known.config;
  }

  private async discover(openid: OpenId): Promise<Configuration> {
    const { issuer, client_id, client_secret, hosts, ca } = this.options;
    const server = new URL(issuer);
    if (ca !== undefined) this.client ??= Deno.createHttpClient({ caCerts: [ca] });
    const fetch = outward([server.host, ...hosts], this.client);
    const auth: ClientAuth = client_secret === undefined ? openid.None() : openid.ClientSecretBasic(client_secret);
    const insecure = server.protocol === "http:" ? [openid.allowInsecureRequests] : [];
    const metadata = { id_token_signed_response_alg: undefined };
    const config = await openid.discovery(server, client_id, metadata, auth, {
      [openid.customFetch]: fetch as never,
      execute: [...insecure, openid.enableNonRepudiationChecks],
    });
    return config;
  }
}

const textsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");

/** What a library calls an answer that is none of a provider: one that is down, or leads on to somewhere else. */
const NO_ANSWER: readonly unknown[] = ["OAUTH_RESPONSE_IS_NOT_CONFORM", "OAUTH_RESPONSE_IS_NOT_JSON"];
/** What a provider says of us, whoever signs in (RFC 6749 section 5.2). */
const OF_US: readonly unknown[] = ["invalid_client", "unauthorized_client"];
/** Too many requests; and a challenge, without what it says beside: where a code is exchanged nobody but we authenticate. */
const STATUS_OF_US: readonly unknown[] = [401, 429];

/** What is the matter between the provider and us, for the operator; `undefined` for what is about who signs in. */
export const notOfWhoSignsIn = (error: unknown): string | undefined => {
  const { code, error: refusal, status, message, cause } = error as Readonly<Record<string, unknown>>;
  if (NO_ANSWER.includes(code)) return `${message}${cause instanceof Response ? `, ${cause.status}` : ""}`;
  if (OF_US.includes(refusal)) return `it says ${refusal}`;
  return STATUS_OF_US.includes(status) ? `it answered ${status}` : undefined;
};

/** Which promise was broken; `undefined` where the provider could not be asked. */
const faultOf = (error: unknown): Fault | undefined => {
  if (causesOf(error).some((each) => each instanceof OutwardFault)) return undefined;
  if (notOfWhoSignsIn(error) !== undefined) return undefined;
  const said = causesOf(error).map((each) => each instanceof Error ? each.message : "").join(" ");
  // A claim of another value is named among the causes, one that is missing in the message.
  const claim = causesOf(error).map((each) => (each as { readonly claim?: unknown }).claim).find(isText) ??
    /JWT "(\w+)" .*claim missing/.exec(said)?.[1];
  if (claim !== undefined) return CLAIMS[claim] ?? "provider_refused";
  const code = (error as { readonly code?: unknown }).code;
  if (code === "OAUTH_JWT_TIMESTAMP_CHECK_FAILED") return "expired";
  if (code === "OAUTH_TIMEOUT" || code === "OAUTH_ABORT") return undefined;
  if (/signature|key|"alg"/i.test(said)) return "wrong_signature";
  return code === undefined ? undefined : "provider_refused";
};

const CLAIMS: Readonly<Record<string, Fault>> = {
  iss: "wrong_issuer",
  aud: "wrong_audience",
  azp: "wrong_audience",
  nonce: "wrong_nonce",
  exp: "expired",
  iat: "expired",
  nbf: "expired",
};

const isText = (value: unknown): value is string => typeof value === "string";

/** What the library says of a claim lies in the causes of its errors. */
const causesOf = (error: unknown): readonly object[] => {
  const all: object[] = [];
  for (let at = error; typeof at === "object" && at !== null; at = (at as { readonly cause?: unknown }).cause) {
    all.push(at);
  }
  return all;
};
