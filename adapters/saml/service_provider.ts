/**
 * A service provider of SAML 2.0, Web Browser SSO: the request goes by redirect, the answer comes by POST. Assertions are signed, answer a
 * request of ours, are for us and for now; who they are about keeps one name (no transient ids).
 */
import { Buffer } from "node:buffer";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Assertion } from "./assertion.ts";
import { metadataOf, requestOf } from "./request.ts";
import type { Misshapen } from "./structure.ts";

export interface ServiceProviderOptions {
  /** Where the provider takes requests. */
  readonly entry_point: string;
  /** What the provider calls itself. */
  readonly issuer: string;
  /** What it signs with: certificates, PEM; two while it changes keys. */
  readonly certificate: string;
  /** What we call ourselves, where that is not where metadata lies. */
  readonly entity_id?: string;
  /** The attribute that lists groups. */
  readonly groups: string;
  /** The attribute with a name for a new account; absent: the name of the subject. */
  readonly username?: string;
  readonly clock: Pick<Clock, "now">;
}

/** Where we stand: addresses of our own. */
export interface Place {
  readonly metadata: string;
  readonly back: string;
}

export type SamlFault = Misshapen | "wrong_issuer" | "expired";

export type SamlVouched =
  | {
    readonly is: "vouched";
    readonly subject: string;
    /** What an account may be called that is made for them. */
    readonly name?: string;
    readonly groups: readonly string[];
  }
  | { readonly is: "refused"; readonly reason: SamlFault };

const TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
/** Clocks differ. */
const SKEW_MS = 30_000;
const SUBJECT_CHARS_MAX = 1_024;

export class ServiceProvider {
  private readonly certificates: readonly string[];

  constructor(private readonly options: ServiceProviderOptions) {
    this.certificates = options.certificate.match(CERTIFICATE) ?? [];
  }

  /** Where the browser goes. `request` is the id of what is asked, `state` comes back with the answer. */
  async begin({ request, state }: { readonly request: string; readonly state: string }, place: Place): Promise<string> {
    const { entry_point, clock } = this.options;
    const asked = { id: request, at: clock.now(), to: entry_point, back: place.back, from: this.us(place) };
    const url = new URL(entry_point);
    url.searchParams.set("SAMLRequest", await requestOf(asked));
    url.searchParams.set("RelayState", state);
    return url.href;
  }

  /** For the provider: where answers go, and what we want. */
  metadata(place: Place): string {
    return metadataOf({ from: this.us(place), back: place.back });
  }

  /** Whom a response (base64) vouches for. */
  async finish(response: string, request: string, place: Place): Promise<SamlVouched> {
    const { faultOf, SAML_LIMITS } = await import("./structure.ts");
    const { assertionIn, signedBy } = await import("./assertion.ts");
    const bytes = Buffer.from(response, "base64");
    if (bytes.length === 0 || bytes.length > SAML_LIMITS.response_bytes_max) return refused("provider_refused");
    const xml = bytes.toString();
    const fault = faultOf(xml, { request, back: place.back });
    if (fault) return refused(fault);
    const covered = signedBy(xml, this.certificates);
    if (covered === undefined) return refused("wrong_signature");
    const assertion = assertionIn(covered);
    return assertion ? this.judged(assertion, this.us(place)) : refused("provider_refused");
  }

  private judged(assertion: Assertion, us: string): SamlVouched {
    const { issuer, subject, format, qualifier, audiences, from, until, attributes } = assertion;
    const now = this.options.clock.now();
    if (issuer !== this.options.issuer) return refused("wrong_issuer");
    if (from.some((time) => now < time - SKEW_MS) || until.some((time) => now >= time + SKEW_MS)) {
      return refused("expired");
    }
    if (audiences.length === 0 || !audiences.every((some) => some.includes(us))) return refused("wrong_audience");
    if (subject === "" || subject.length > SUBJECT_CHARS_MAX || format === TRANSIENT) {
      return refused("provider_refused");
    }
    const { groups, username } = this.options;
    const of = (name: string) => Object.hasOwn(attributes, name) ? attributes[name]! : [];
    const name = username === undefined ? subject : of(username)[0];
    return {
      is: "vouched",
      subject: qualifier === undefined ? subject : `${qualifier}\n${subject}`,
      groups: of(groups),
      ...(name !== undefined && { name }),
    };
  }

  private us({ metadata }: Place): string {
    return this.options.entity_id ?? metadata;
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

const refused = (reason: SamlFault): SamlVouched => ({ is: "refused", reason });
