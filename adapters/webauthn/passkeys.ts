/**
 * Passkeys (WebAuthn Level 3): what a browser is asked, and whether what its authenticator answered holds. Nothing here is remembered:
 * whether a challenge was answered before and whether a counter grew is for others to say.
 */
import { Buffer } from "node:buffer";

/** Where a page stands: its origin, and the name that its passkeys are bound to (RP ID). */
export interface Site {
  readonly origin: string;
  readonly rp: string;
}

/** A public key as it is kept. */
export interface KeptPasskey {
  /** Of the credential, base64url, as the authenticator has named it. */
  readonly id: string;
  /** COSE, base64url. */
  readonly key: string;
  readonly rp: string;
  readonly transports: readonly string[];
}

interface Answer {
  readonly id: string;
  readonly rawId: string;
  readonly type: "public-key";
}

/** `RegistrationResponseJSON` (section 5.1), as far as it counts here. */
export interface Created extends Answer {
  readonly response: {
    readonly clientDataJSON: string;
    readonly attestationObject: string;
    readonly transports?: readonly string[];
  };
}

/** `AuthenticationResponseJSON` (section 5.1). */
export interface Asserted extends Answer {
  readonly response: {
    readonly clientDataJSON: string;
    readonly authenticatorData: string;
    readonly signature: string;
    readonly userHandle?: string | null;
  };
}

/** Ed25519, ECDSA with P-256, RSASSA-PKCS1-v1_5, as COSE names them. */
const ALGORITHMS = [-8, -7, -257];

/** A passkey that its authenticator finds by itself, and whose holder it verifies (section 5.4). */
export const creationOptions = (
  { site: { rp }, challenge, account, name, has, timeout }: {
    readonly site: Site;
    readonly challenge: string;
    /** The user handle: opaque, and no more than 64 bytes. */
    readonly account: string;
    readonly name: string;
    /** Those that the account has. */
    readonly has: readonly KeptPasskey[];
    readonly timeout: number;
  },
) => ({
  rp: { id: rp, name: "Daybook" },
  user: { id: Buffer.from(account).toString("base64url"), name, displayName: name },
  challenge,
  pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
  timeout,
  excludeCredentials: has.map(described),
  authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
  attestation: "none",
});

/** `allowed`: those of an account that is known; absent: whichever the authenticator has for us (section 5.5). */
export const requestOptions = (
  { site: { rp }, challenge, allowed, timeout }: {
    readonly site: Site;
    readonly challenge: string;
    readonly allowed?: readonly KeptPasskey[];
    readonly timeout: number;
  },
) => ({
  rpId: rp,
  challenge,
  timeout,
  userVerification: allowed ? "preferred" : "required",
  allowCredentials: (allowed ?? []).map(described),
});

const described = ({ id, transports }: KeptPasskey) => ({ id, type: "public-key", transports });

export type Fault = "wrong_origin" | "wrong_secret";

/** Section 7.1. */
export const verifyCreated = async (
  response: Created,
  { challenge, site }: { readonly challenge: string; readonly site: Site },
): Promise<{ readonly passkey: KeptPasskey; readonly counter: number } | Fault> => {
  if (!isOwn(response.response.clientDataJSON, site)) return "wrong_origin";
  const { verifyRegistrationResponse } = await import("@simplewebauthn/server");
  try {
    const { registrationInfo } = await verifyRegistrationResponse({
      response: { ...response, clientExtensionResults: {} } as never,
      expectedChallenge: challenge,
      expectedOrigin: site.origin,
      expectedRPID: site.rp,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    if (!registrationInfo) return "wrong_secret";
    const { id, publicKey, counter } = registrationInfo.credential;
    const key = Buffer.from(publicKey).toString("base64url");
    return { passkey: { id, key, rp: site.rp, transports: response.response.transports ?? [] }, counter };
  } catch {
    // Whatever the library could not read was no answer of an authenticator to us.
    return "wrong_secret";
  }
};

/** Section 7.2, but for the counter, which is answered. `verified`: whether its holder must have been. */
export const verifyAsserted = async (
  response: Asserted,
  { challenge, site, passkey, verified }: {
    readonly challenge: string;
    readonly site: Site;
    readonly passkey: KeptPasskey;
    readonly verified: boolean;
  },
): Promise<number | Fault> => {
  if (!isOwn(response.response.clientDataJSON, site)) return "wrong_origin";
  const { verifyAuthenticationResponse } = await import("@simplewebauthn/server");
  try {
    const { verified: holds, authenticationInfo } = await verifyAuthenticationResponse({
      response: { ...response, clientExtensionResults: {} } as never,
      expectedChallenge: challenge,
      expectedOrigin: site.origin,
      expectedRPID: site.rp,
      // A counter of 0 is never compared by the library.
      credential: { id: passkey.id, publicKey: new Uint8Array(Buffer.from(passkey.key, "base64url")), counter: 0 },
      requireUserVerification: verified,
    });
    return holds ? authenticationInfo.newCounter : "wrong_secret";
  } catch {
    return "wrong_secret";
  }
};

/** A page of ours asked, at the top of its window. What cannot be read is left to the library, which refuses it. */
const isOwn = (clientData: string, { origin }: Site): boolean => {
  try {
    const said = JSON.parse(Buffer.from(clientData, "base64url").toString()) as Record<string, unknown> | null;
    return said?.origin === origin && said.crossOrigin !== true;
  } catch {
    return true;
  }
};
