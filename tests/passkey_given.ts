/** An authenticator made of software (WebAuthn Level 3 section 6): ES256, its holder always verified, unless a test says otherwise. */
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { type House, namedUrl } from "./identity_given.ts";

const sha256 = (bytes: Uint8Array | string): Buffer => createHash("sha256").update(bytes).digest();
const base64url = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64url");

/** What an answer may say that a browser of an honest person would not. */
export interface Lies {
  readonly origin?: string;
  readonly rp?: string;
  readonly crossOrigin?: boolean;
  readonly type?: string;
  readonly challenge?: string;
  readonly counter?: number;
  readonly verified?: boolean;
  readonly present?: boolean;
  /** The user handle. */
  readonly account?: string;
  readonly id?: string;
}

// deno-lint-ignore no-explicit-any -- options as a server has sent them
type Options = any;

export class Authenticator {
  private readonly id = randomBytes(32);
  private readonly keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  private handle = "";

  /** `counts`: whether it has a counter; those that are synchronised have none. */
  constructor(private readonly origin: string, private readonly counts = true, public counter = 0) {
    this.keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  }

  /** `RegistrationResponseJSON`. */
  make(options: Options, lies: Lies = {}) {
    this.handle = options.user.id;
    const { x, y } = this.keys.publicKey.export({ format: "jwk" });
    const key = Buffer.concat([
      Buffer.from("a5010203262001215820", "hex"),
      Buffer.from(x!, "base64url"),
      Buffer.from("225820", "hex"),
      Buffer.from(y!, "base64url"),
    ]);
    const length = Buffer.from([0, this.id.length]);
    const data = this.data(lies.rp ?? options.rp.id, 0x40, lies, [new Uint8Array(16), length, this.id, key]);
    const attestation = Buffer.concat([
      Buffer.from("a363666d74646e6f6e656761747453746d74a0686175746844617461", "hex"),
      Buffer.from([0x58, data.length]),
      data,
    ]);
    const clientDataJSON = base64url(this.client("webauthn.create", options, lies));
    return this.answer({ clientDataJSON, attestationObject: base64url(attestation), transports: ["internal"] }, lies);
  }

  /** `AuthenticationResponseJSON`. */
  show(options: Options, lies: Lies = {}) {
    if (this.counts) this.counter++;
    const data = this.data(lies.rp ?? options.rpId, 0, lies);
    const client = this.client("webauthn.get", options, lies);
    const signature = sign("sha256", Buffer.concat([data, sha256(client)]), this.keys.privateKey);
    const userHandle = lies.account === undefined ? this.handle : base64url(lies.account);
    return this.answer({
      clientDataJSON: base64url(client),
      authenticatorData: base64url(data),
      signature: base64url(signature),
      userHandle,
    }, lies);
  }

  private answer<R>(response: R, { id = base64url(this.id) }: Lies) {
    return { id, rawId: id, type: "public-key", clientExtensionResults: {}, response };
  }

  private client(type: string, { challenge }: Options, lies: Lies): string {
    const { origin, crossOrigin } = { origin: this.origin, crossOrigin: false, ...lies };
    return JSON.stringify({ type: lies.type ?? type, challenge: lies.challenge ?? challenge, origin, crossOrigin });
  }

  private data(rp: string, flags: number, lies: Lies, more: readonly Uint8Array[] = []): Buffer {
    const { present = true, verified = true, counter = this.counter } = lies;
    const counted = Buffer.alloc(4);
    counted.writeUInt32BE(counter);
    const flagged = Buffer.from([flags | (present ? 1 : 0) | (verified ? 4 : 0)]);
    return Buffer.concat([sha256(rp), flagged, counted, ...more]);
  }
}

/** Somebody with a passkey, set up over HTTP. */
export const withPasskey = async (
  house: House,
  name: string,
  { password, authenticator = new Authenticator(namedUrl(house.url)) }: {
    readonly password: string;
    readonly authenticator?: Authenticator;
  },
) => {
  const account = await house.person(name);
  const { body: { access_token: as } } = await house.signIn(name);
  const asked = await house.send("/auth/factors/passkeys/options", { as, method: "POST", by: "name" });
  const response = authenticator.make(asked.body.options);
  const body = { ticket: asked.body.ticket, response, label: "Laptop", password };
  const made = await house.send("/auth/factors/passkeys", { as, body, by: "name" });
  return { account, as, authenticator, made, codes: made.body.codes as readonly string[] };
};
