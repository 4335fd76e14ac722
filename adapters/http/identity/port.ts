/** What signing in needs of whoever keeps accounts: the port of `/auth`, `/accounts` and the pages of an account. */
import type { Scope } from "../../../events/scopes.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Json, Millis } from "../../../events/event.ts";
import type { Asserted, Made, Site } from "./passkey_bodies.ts";
import type { Limited } from "../too_many.ts";

/** Whence a request came. */
export interface From {
  readonly address?: string;
  readonly agent?: string;
}

/** What a program is given for a session. */
export interface TokenPair {
  readonly access_token: string;
  readonly refresh_token: string;
  /** Seconds until the access token is over. */
  readonly expires_in: number;
}

/** The same `refused` for a name that nobody has, a wrong password, an account that is locked or cannot be used. */
export type SignedIn =
  | { readonly is: "in"; readonly account: string; readonly session: string; readonly tokens: TokenPair }
  | {
    readonly is: "in_page";
    readonly account: string;
    readonly session: string;
    readonly cookie: string;
    readonly until: Millis;
  }
  /** The password was right, and the account asks for a code as well; the ticket goes with it, for some minutes. */
  | { readonly is: "factor_wanted"; readonly ticket: string }
  /** It is known by the first 72 bytes of a longer password alone; with the code it can be set, and then used. */
  | { readonly is: "password_wanted"; readonly code: string }
  | { readonly is: "refused" }
  | Wait;

/** Tried too often, or more is asked than can be hashed: again after so long. */
export type Wait =
  & { readonly is: "wait"; readonly ms: Millis }
  & ({ readonly because: "busy" } | {
    /** `quota`: the tenant has all the sessions that it may. */
    readonly because: "rate" | "quota";
    readonly limit: Limited;
  });

export type Refreshed = { readonly is: "refreshed"; readonly session: string; readonly tokens: TokenPair } | {
  readonly is: "refused";
};

export type PasswordSet =
  | { readonly is: "set" }
  /** The password of now is wrong, or the code does not count. */
  | { readonly is: "refused" }
  /** The new one cannot be taken; why, as the rest of a sentence. */
  | { readonly is: "weak"; readonly because: string }
  | Wait;

/** A one-time code that is being set up. */
export interface Enrolling {
  readonly is: "enrolling";
  readonly factor: string;
  /** For who types it, base32. */
  readonly secret: string;
  /** For who opens it, `otpauth://…`, and the same as a picture. */
  readonly uri: string;
  readonly svg: string;
}

/** `codes`: backup codes, shown once. */
export type Proof = { readonly is: "proven"; readonly codes?: readonly string[] } | { readonly is: "refused" } | Wait;

/** What a page asks a browser's authenticator, and the ticket that goes back with its answer. */
export interface PasskeyAsking {
  readonly ticket: string;
  /** `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON`. */
  readonly options: Json;
}

interface PasskeyShown {
  readonly ticket: string;
  readonly response: Asserted;
}

export interface PasskeyPort {
  /** Of whoever it is. */
  asking(site: Site): PasskeyAsking;
  /** Of whom a ticket after the password is for; `undefined` where there is none that could answer. */
  askingSecond(step: string, site: Site): PasskeyAsking | undefined;
  askingProof(own: OwnSession, site: Site): PasskeyAsking | undefined;
  askingNew(own: OwnSession, site: Site): PasskeyAsking;
  signIn(shown: PasskeyShown & { readonly kind: "browser" | "program" }, site: Site, from: From): Promise<SignedIn>;
  /** `step`: the ticket of `factor_wanted`. */
  second(shown: PasskeyShown & { readonly step: string }, site: Site, from: From): Promise<SignedIn>;
  /** Within the session; for a while nobody asks again. */
  verify(own: OwnSession, shown: PasskeyShown, site: Site, from: From): Promise<Proof>;
  /** For who shows the password again, where there is one. */
  enroll(
    own: OwnSession,
    made: { readonly ticket: string; readonly response: Made; readonly label: string; readonly password?: string },
    site: Site,
    from: From,
  ): Promise<Proof>;
  rename(own: OwnSession, factor: string, label: string): Promise<Outcome>;
}

/** Where somebody stands who is sent to a provider: the origin of our own pages. */
interface Standing {
  readonly origin: string;
}
export interface Outset extends Standing {
  /** Where to go on to, a path of our own. */
  readonly next?: string;
  /** To link the account of this session. */
  readonly own?: OwnSession;
}
export interface Back extends Standing {
  /** What the browser was given when it was sent away. */
  readonly ticket: string | undefined;
  /** What the provider has sent with it. */
  readonly answer: string;
}
export type SignOnBegun =
  | { readonly is: "away"; readonly location: string; readonly ticket: string }
  | { readonly is: "unavailable" }
  | Wait;
export type SignedOn =
  | (Extract<SignedIn, { is: "in_page" }> & { readonly next: string })
  | (Extract<SignedIn, { is: "factor_wanted" }> & { readonly next: string })
  | { readonly is: "linked" }
  /** `reason` as the event has it. */
  | { readonly is: "not_signed_on"; readonly reason: string }
  | { readonly is: "unavailable" }
  | Wait;

export interface LinkShown {
  readonly link: string;
  readonly provider: string;
  readonly protocol: "oidc" | "saml";
}

export interface SignOnPort {
  readonly providers: readonly {
    readonly name: string;
    readonly title: string;
    readonly protocol: "oidc" | "saml";
  }[];
  begin(provider: string, outset: Outset, from: From): Promise<SignOnBegun>;
  finish(provider: string, back: Back, from: From): Promise<SignedOn>;
  /** What a provider wants to know of us; `undefined` where it wants none. */
  metadata(provider: string, site: Standing): Promise<string | undefined>;
  links(account: string): readonly LinkShown[];
  unlink(own: OwnSession, link: string): Promise<Outcome>;
}

export interface FactorShown {
  readonly factor: string;
  readonly kind: "totp" | "passkey" | "backup_codes";
  /** What its holder calls it. */
  readonly label?: string;
  /** Backup codes that were not used. */
  readonly left?: number;
}

/** A terminal that wants to be signed in by somebody who is (RFC 8628). */
export interface DeviceAsked {
  readonly is: "asked";
  /** For the terminal alone. */
  readonly device_code: string;
  /** For a person to type. */
  readonly user_code: string;
  /** Seconds. */
  readonly expires_in: number;
  readonly interval: number;
}
export interface DeviceWaiting {
  readonly from: From;
  /** As the terminal shows it. */
  readonly user_code: string;
}
export type DevicePolled =
  | { readonly is: "in"; readonly account: string; readonly session: string; readonly tokens: TokenPair }
  | { readonly is: "pending" }
  /** Refused, too late, or its tokens were handed out. */
  | { readonly is: "refused" }
  | Wait;

/** The session somebody is in. */
export interface OwnSession {
  readonly account: string;
  readonly session: string;
}

export interface SessionShown {
  readonly session: string;
  readonly kind: "browser" | "program" | "terminal";
  readonly factors: readonly string[];
  readonly privileged: boolean;
  readonly roles: readonly string[];
  /** RFC 3339. */
  readonly idle_until: string;
  readonly until: string;
}

/** An account to be made. */
export interface NewAccount {
  readonly name: string;
  readonly tenant: string;
  readonly email?: string;
  readonly kind: "person" | "service";
  /** Modular crypt form; taken as the account's password and hashed anew when it is first used. */
  readonly bcrypt?: string;
}

export type Created =
  | { readonly is: "created"; readonly account: string; readonly code?: string }
  | { readonly is: "invalid"; readonly path: string; readonly message: string }
  | { readonly is: "not_done"; readonly outcome: Outcome };

/** A code that is shown once. */
export interface Issued {
  readonly is: "issued";
  readonly code: string;
}

/** What happened to an account; several that are alike are one. */
export interface Notice {
  /** RFC 3339; of several the newest. */
  readonly time: string;
  /** Of several the oldest. */
  readonly since?: string;
  /** Of what is recorded. */
  readonly type: string;
  /** For people. */
  readonly about: string;
  /** So many. */
  readonly times: number;
  /** There may be more of before `since`. */
  readonly more?: boolean;
  readonly address?: string;
  readonly agent?: string;
  /** It may have been somebody else. */
  readonly suspicious: boolean;
  /** It came since the sign-in before the one that began this session. */
  readonly fresh: boolean;
}

export interface KeyShown {
  readonly key: string;
  /** What it begins with. */
  readonly prefix: string;
  readonly name: string;
  readonly scopes: readonly string[];
  /** RFC 3339. */
  readonly created: string;
  readonly until?: string;
  /** When it was last shown, some seconds ago at most. */
  readonly used?: string;
  /** The one that has taken its place. */
  readonly by?: string;
}

export interface NewKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly valid_ms?: Millis;
}

/** The key, which is shown this once. */
export interface KeyMade {
  readonly is: "made";
  readonly key: string;
  readonly token: string;
  readonly until: string;
}

export interface Identity {
  /** Keys of an account that count. */
  apiKeys(account: string): readonly KeyShown[];
  issueKey(account: string, asked: NewKey, by: Principal): Promise<KeyMade | Outcome>;
  /** Another takes its place, with its name and scopes; it counts for a while. */
  rotateKeyOf(account: string, key: string, by: Principal): Promise<KeyMade | Outcome>;
  revokeKeyOf(account: string, key: string, because: "asked" | "compromised", by: Principal): Promise<Outcome>;
  /** Whether it is a program's, which nobody signs in to. */
  isService(account: string): boolean;
  readonly passkeys: PasskeyPort;
  readonly signOn: SignOnPort;
  /** Whether the account has a password. */
  hasPassword(account: string): boolean;
  signIn(
    asked: { readonly name: string; readonly password: string; readonly kind: "browser" | "program" | "terminal" },
    from: From,
  ): Promise<SignedIn>;
  /** The code that was asked for. */
  second(asked: { readonly ticket: string; readonly code: string }, from: From): Promise<SignedIn>;
  device(from: From): DeviceAsked | Wait;
  pollDevice(device_code: string): Promise<DevicePolled>;
  /** The terminal that has shown this code, however that was typed; `undefined` where none waits with it. */
  waiting(own: OwnSession, user_code: string, from: From): DeviceWaiting | Wait | undefined;
  /** False where none waits with this code. */
  answerDevice(own: OwnSession, user_code: string, allowed: boolean): Promise<boolean>;
  factors(account: string): readonly FactorShown[];
  /** Begins to set up one-time codes, for who shows the password again. */
  enroll(own: OwnSession, password: string, from: From): Promise<Enrolling | { readonly is: "refused" } | Wait>;
  /** With the first code it counts; the answer has backup codes. */
  confirm(own: OwnSession, asked: { readonly factor: string; readonly code: string }, from: From): Promise<Proof>;
  /** Whether it is the password of now; a wrong one is recorded, as one in a sign-in is. */
  showPassword(own: OwnSession, password: string, from: From): Promise<"right" | "refused" | Wait>;
  /** Shows a code within the session; for a while nobody asks again. */
  prove(own: OwnSession, code: string, from: From): Promise<Proof>;
  /** Whether a code was shown a short while ago, or the account has none to show. */
  isFresh(own: OwnSession): boolean;
  backupCodes(own: OwnSession): Promise<Proof>;
  removeFactor(own: OwnSession, factor: string): Promise<Outcome>;
  /** By an administrator, for who has lost theirs. */
  resetFactors(account: string, by: Principal): Promise<Outcome>;
  /** The account that a refresh token was made for, whether or not it still counts. */
  refreshing(token: string): string | undefined;
  /** `key`: the caller's own id for this wish; the same again gives the same tokens, while they are the newest. */
  refresh(token: string, from: From, key?: string): Promise<Refreshed>;
  /** Of the session itself (`signed_out`), or of another of the same account. */
  end(own: OwnSession, session: string): Promise<Outcome>;
  endAll(own: OwnSession, options: { readonly keep: boolean }): Promise<Outcome>;
  sessions(account: string): readonly SessionShown[];
  /** What happened to the account that its holder should know of, the newest first; not what this session did. */
  notices(own: OwnSession): readonly Notice[];
  /** Absent where there is no such account. */
  tenantOf(account: string): string | undefined;
  changePassword(
    own: OwnSession,
    password: { readonly current: string; readonly next: string },
    from: From,
  ): Promise<PasswordSet>;
  /** With the code of an invitation. */
  choosePassword(code: string, password: string, from: From): Promise<PasswordSet>;
  /** Whether a code would count now; says nothing of whose it is. */
  countsAsCode(code: string): boolean;
  /** A text that goes with a form or a request of this session, and with no other's. */
  csrf(own: OwnSession): string;
  isCsrf(own: OwnSession, text: string): boolean;
  /** Keys that access tokens can be checked by, as a JWK Set (RFC 7517). */
  keys(): Promise<Json>;
  rotateKey(by: Principal): Promise<Outcome>;
  create(account: NewAccount, by: Principal): Promise<Created>;
  /** A code to set a password with; it replaces one that was handed out before. */
  invite(account: string, purpose: "activation" | "reset", by: Principal): Promise<Issued | Outcome>;
  change(account: string, change: AccountChange, by: Principal): Promise<Outcome>;
}

export type AccountChange =
  | { readonly is: "disable" | "enable"; readonly reason?: string }
  | { readonly is: "offboard"; readonly left?: string; readonly reason?: string }
  | { readonly is: "unlock" | "sign_out" }
  | { readonly is: "grant" | "revoke"; readonly role: string; readonly approvedby?: string };
