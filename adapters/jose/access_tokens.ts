/**
 * Access tokens: JSON Web Tokens (RFC 7519) as RFC 9068 profiles them, signed with Ed25519 (`EdDSA`, RFC 8037), and the keys to check them
 * by as a JWK Set (RFC 7517). Short-lived and readable by whom they are for; what they say beyond who and until when is only a hint.
 */
import { generateKeyPairSync } from "node:crypto";
import type { JWK } from "jose";
import type { Millis } from "../../events/event.ts";
import { LogFault } from "../../events/log.ts";

/** A private key, `d` and all. It lies sealed in the key database and nowhere else. */
export interface SigningKey {
  readonly kid: string;
  readonly jwk: JWK;
}

/** What a token says. */
export interface AccessClaims {
  /** Whose it is: the account. */
  readonly sub: string;
  /** Within which session. */
  readonly sid: string;
  readonly jti: string;
  /** Scopes, separated by blanks (RFC 8693 section 4.2). */
  readonly scope: string;
  /** How it was proven (RFC 8176). */
  readonly amr: readonly string[];
}
export interface Proven extends AccessClaims {
  readonly until: Millis;
}

export interface AccessTokensOptions {
  readonly issuer: () => string;
  readonly audience: string;
  readonly lifetime: Millis;
  readonly now: () => Millis;
  /** The key that signs. */
  readonly signing: () => Promise<SigningKey>;
  /** The key of this name, if it still counts. */
  readonly verifying: (kid: string) => SigningKey | undefined;
}

const TYPE = "at+jwt";
const KID = /^[\w-]{16,64}$/;

/** A fresh key, as the bytes that are to be kept. */
export const newSigningKey = (): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })));

export const signingKeyOf = (kid: string, kept: Uint8Array): SigningKey => ({
  kid,
  jwk: JSON.parse(new TextDecoder().decode(kept)) as JWK,
});

/** What others may see of it. */
export const publicJwk = ({ kid, jwk: { kty, crv, x } }: SigningKey): JWK => ({
  kty,
  crv,
  x,
  kid,
  alg: "EdDSA",
  use: "sig",
});

export class AccessTokens {
  constructor(private readonly options: AccessTokensOptions) {}

  async sign({ sub, ...claims }: AccessClaims): Promise<string> {
    const { issuer, audience, lifetime, now, signing } = this.options;
    // Most starts sign in nobody.
    const { importJWK, SignJWT } = await import("jose");
    const { kid, jwk } = await signing();
    const at = Math.floor(now() / 1000);
    return await new SignJWT({ ...claims, client_id: audience })
      .setProtectedHeader({ alg: "EdDSA", typ: TYPE, kid })
      .setSubject(sub)
      .setIssuer(issuer())
      .setAudience(audience)
      .setIssuedAt(at)
      .setExpirationTime(at + Math.floor(lifetime / 1000))
      .sign(await importJWK(jwk, "EdDSA"));
  }

  /**
   * What it says, if it is one of ours and still counts; else `undefined`, whatever is wrong with it. The algorithm and type are ours to
   * say, not the token's; its `kid` only chooses among keys that are known here (RFC 8725 sections 3.1, 3.10, 3.11). Throws `LogFault`
   * where the log does not tell them.
   */
  async verify(token: string): Promise<Proven | undefined> {
    const { issuer, audience, now, verifying } = this.options;
    const { importJWK, jwtVerify } = await import("jose");
    try {
      const { payload } = await jwtVerify(token, ({ kid }) => {
        const key = typeof kid === "string" && KID.test(kid) ? verifying(kid) : undefined;
        if (!key) throw new TypeError("no such key");
        return importJWK(publicJwk(key), "EdDSA");
      }, {
        algorithms: ["EdDSA"],
        typ: TYPE,
        issuer: issuer(),
        audience,
        currentDate: new Date(now()),
        requiredClaims: ["sub", "sid", "jti", "exp", "iat"],
      });
      const { sub, sid, jti, scope, amr, exp } = payload;
      if (typeof sub !== "string" || typeof sid !== "string" || typeof jti !== "string") return undefined;
      return {
        sub,
        sid,
        jti,
        scope: typeof scope === "string" ? scope : "",
        amr: Array.isArray(amr) ? amr.map(String) : [],
        until: exp! * 1000,
      };
    } catch (error) {
      if (error instanceof LogFault) throw error;
      return undefined;
    }
  }
}
