/** Passwords of accounts: kept as hashes in the key database, checked in threads of their own. */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { type Account, isLocked } from "../../../actors/identity/account.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Scheme } from "../../../events/identity/password.ts";
import { type Argon2id, bcryptCost, HASHING, seenWhole } from "../../hash_wasm/formats.ts";
import type { Accounts } from "../../keys/accounts.ts";
import type { Hashing } from "./hashing.ts";

export interface PasswordsOptions {
  readonly vault: Accounts;
  readonly hashing: Pick<Hashing, "hash">;
  /** How passwords are hashed from now on. */
  readonly wanted: Argon2id;
  readonly random: (bytes: number) => Uint8Array;
}

/** A hash that is kept and that no fact names yet. */
export interface Kept {
  readonly credential: string;
  readonly scheme: Scheme;
}

export type Checked =
  | { readonly fits: false }
  /** `weaker`: it is to be hashed anew. `cut`: only the first 72 bytes of it were compared. */
  | { readonly fits: true; readonly credential: string; readonly weaker: boolean; readonly cut: boolean };

/** In the key database: salt and hash, or what another program made of it. */
type Stored =
  | { readonly is: "argon2id"; readonly salt: string; readonly hash: string }
  | { readonly is: "bcrypt"; readonly encoded: string };

/** Whether a password of this account may be right now. */
export const takesPasswords = (state: Account, clock: Pick<Clock, "now">): boolean =>
  state.is === "active" && !isLocked(state, clock.now());

export class Passwords {
  private readonly decoy: { readonly salt: Uint8Array; readonly hash: Uint8Array };

  constructor(private readonly options: PasswordsOptions) {
    const { random } = options;
    this.decoy = { salt: random(HASHING.salt_bytes), hash: random(HASHING.hash_bytes) };
  }

  /** Rejects with `HashingBusy`. */
  async keep(account: string, password: string): Promise<Kept> {
    const { hashing, random, vault, wanted } = this.options;
    const salt = random(HASHING.salt_bytes);
    const hash = await hashing.hash({ is: "argon2id", password, salt, with: wanted }) as Uint8Array;
    const stored: Stored = { is: "argon2id", salt: text(salt), hash: text(hash) };
    return { credential: vault.keep(account, json(stored)), scheme: { algorithm: "argon2id", ...wanted } };
  }

  /** A bcrypt hash from elsewhere; `undefined` for what is none. */
  bring(account: string, encoded: string): Kept | undefined {
    const cost = bcryptCost(encoded);
    if (cost === undefined) return undefined;
    const stored: Stored = { is: "bcrypt", encoded };
    return { credential: this.options.vault.keep(account, json(stored)), scheme: { algorithm: "bcrypt", cost } };
  }

  /**
   * Whether it is the password of this account. Where there is nothing to compare with, as much is computed as if there were. Rejects
   * with `HashingBusy`.
   */
  async check(account: string, { password: counts }: Pick<Account, "password">, password: string): Promise<Checked> {
    const { vault, hashing, wanted } = this.options;
    const kept = counts && vault.read(account, counts.credential);
    const stored = kept ? JSON.parse(new TextDecoder().decode(kept)) as Stored : undefined;
    if (stored?.is === "bcrypt") {
      const fits = await hashing.hash({ is: "bcrypt", password, encoded: stored.encoded }) as boolean;
      return fits ? { fits, credential: counts!.credential, weaker: true, cut: !seenWhole(password) } : { fits };
    }
    const scheme = stored && counts!.scheme.algorithm === "argon2id" ? counts!.scheme : wanted;
    const { salt, hash } = stored ? { salt: bytes(stored.salt), hash: bytes(stored.hash) } : this.decoy;
    const { memory_kib, passes, lanes } = scheme;
    const made = await hashing.hash({
      is: "argon2id",
      password,
      salt,
      with: { memory_kib, passes, lanes },
    }) as Uint8Array;
    const same = hash.length === made.length && timingSafeEqual(hash, made);
    if (!same || !stored) return { fits: false };
    return { fits: true, credential: counts!.credential, weaker: isWeaker(scheme, wanted), cut: false };
  }

  /** A fact says that this one counts now. `named`: what else of the account facts name. */
  settled(
    account: string,
    { credential }: Kept,
    { named, replaced }: { readonly named: readonly string[]; readonly replaced: string | undefined },
  ): void {
    this.options.vault.keepOnly(account, [credential, ...named], replaced === undefined ? [] : [replaced]);
  }

  /** No fact will ever name it. */
  forget(account: string, { credential }: Kept): void {
    this.options.vault.drop(account, [credential]);
  }
}

/** Whether one was made with less than is wanted in any way. */
const isWeaker = (made: Argon2id, wanted: Argon2id): boolean =>
  made.memory_kib < wanted.memory_kib || made.passes < wanted.passes || made.lanes < wanted.lanes;

const text = (made: Uint8Array): string => Buffer.from(made).toString("base64url");
const bytes = (kept: string): Uint8Array => Buffer.from(kept, "base64url");
const json = (stored: Stored): Uint8Array => new TextEncoder().encode(JSON.stringify(stored));
