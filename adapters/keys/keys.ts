/**
 * The key database: what seals personal data, lets people and programs in, and signs for the log. One file,
 * `keys.db`, apart from the log, with its root key beside it or handed in.
 */
import { Buffer } from "node:buffer";
import { Accounts } from "./accounts.ts";
import { type DatabaseOptions, KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";
import { LogKey } from "./log_key.ts";
import { periodOf, Pseudonyms } from "./pseudonyms.ts";
import { RetentionPeriods } from "./retention_periods.ts";
import { type WrongKey, wrongKeys } from "./check.ts";
import { recorded, type Rotated, rotateRoot, type RotationOptions, unfinished } from "./rotate_root.ts";
import { Sealer, type SealerOptions } from "./sealer.ts";
import { Subjects } from "./subjects.ts";
import { StoredSecrets } from "./stored.ts";
import { Tokens } from "./tokens.ts";

export interface KeysOptions extends DatabaseOptions, SealerOptions {
  /**
   * The log's name in its checkpoints, e.g. `example.com/daybook`. Fixed on first start; default `daybook/` and a
   * random part.
   */
  readonly origin?: string;
}

const SETTLED = "erasures settled";
const AGAIN = "erased again";

export class Keys {
  readonly sealer: Sealer;
  readonly tokens: Tokens;
  readonly logKey: LogKey;
  readonly accounts: Accounts;
  readonly stored: StoredSecrets;
  private readonly subjects: Subjects;
  private readonly pseudonyms: Pseudonyms;
  /** Of types that are kept for a shorter time. */
  readonly periods: RetentionPeriods;
  private readonly secrets = new Map<string, Uint8Array>();

  constructor(private readonly db: KeyDatabase, options: KeysOptions) {
    this.subjects = new Subjects(db);
    this.pseudonyms = new Pseudonyms(db);
    this.periods = new RetentionPeriods(db);
    this.sealer = new Sealer(db, this.subjects, this.pseudonyms, this.periods, options);
    this.tokens = new Tokens(db);
    this.logKey = new LogKey(db, options.origin);
    this.accounts = new Accounts(db, (name) => this.secret(name));
    this.stored = new StoredSecrets(db, (name) => this.secret(name));
  }

  /**
   * Destroys the key of a subject (`s_…`, `u_…`): from now on everything sealed under it reads `[erased]`, here at
   * once, in other processes within `SEEN_WITHIN_MS`. Durable when it returns; may be repeated. True when there was a
   * key.
   */
  eraseKey(subject: string): boolean {
    return this.eraseKeys([subject]).has(subject);
  }

  /** The same for many, with few flushes. Answers which of them had a key. */
  eraseKeys(subjects: readonly string[]): ReadonlySet<string> {
    // An account's id is its subject's: nobody finds it, or gets in through it, any more.
    this.accounts.erase(subjects);
    this.tokens.eraseOf(subjects);
    return this.subjects.erase(subjects);
  }

  /** Size of the log up to which all erasures in it were seen to; 0 for a new database. */
  get erasuresSettled(): number {
    const row = this.db.read(
      "read the key database",
      () => this.db.get("SELECT value FROM meta WHERE name = ?", SETTLED),
    );
    return row ? Number(new TextDecoder().decode(row.value as Uint8Array)) : 0;
  }

  settleErasures(size: number): void {
    const value = new TextEncoder().encode(String(size));
    this.db.write("settle erasures", () => this.db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", SETTLED, value));
  }

  /**
   * Destroys keys that came back with a backup, of persons who are known to be erased. Which of them had one is kept until it is
   * recorded. Answers how many had.
   */
  eraseAgain(subjects: readonly string[]): number {
    const had = subjects.filter((subject) => this.known(subject)?.erased === false);
    const value = new TextEncoder().encode(JSON.stringify([...new Set([...this.erasedAgain, ...had])]));
    this.db.write("apply erasures again", () => this.db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", AGAIN, value));
    this.eraseKeys(subjects);
    return had.length;
  }

  /** Persons whose keys came back and were destroyed again, which is not recorded. */
  get erasedAgain(): readonly string[] {
    const row = this.db.read(
      "read the key database",
      () => this.db.get("SELECT value FROM meta WHERE name = ?", AGAIN),
    );
    return row ? JSON.parse(new TextDecoder().decode(row.value as Uint8Array)) : [];
  }

  erasedAgainRecorded(): void {
    this.db.write("end an erasure", () => this.db.run("DELETE FROM meta WHERE name = ?", AGAIN));
  }

  /** What is known of a person, by an opaque id or an identifier; an identifier leads nowhere once they are erased. */
  known(who: string): { readonly subject: string; readonly erased: boolean } | undefined {
    this.db.refresh();
    const found = this.subjects.find(who);
    return found && { subject: found.id, erased: found.keys === undefined };
  }

  /** Whether there is a key of a subject, or was one that was erased. */
  has(subject: string): boolean {
    return this.subjects.has(subject);
  }

  /** Whether the key of a subject was erased. */
  isErased(subject: string): boolean {
    this.db.refresh();
    const known = this.subjects.byOpaque(subject);
    return known !== undefined && known.keys === undefined;
  }

  /** Opaque ids of all erased subjects: what a restored copy has to erase again. */
  erased(): readonly string[] {
    return this.subjects.erased();
  }

  /**
   * The opaque id an identifier (an address, an account) leads to; `undefined` when nothing is known of it, or no
   * longer.
   */
  subject(identifier: string): string | undefined {
    this.db.refresh();
    return this.subjects.find(identifier)?.id;
  }

  /** HMAC-SHA-256 of a text under a key that never leaves this database, base64url: equal texts, equal digests, and nothing to guess by. */
  digest(text: string): string {
    return Buffer.from(this.db.wrapping.lookup(`digest\n${text}`)).toString("base64url");
  }

  /** What stands for a text in the month of that time; `undefined` where nothing of that month has a pseudonym. */
  pseudonym(text: string, time: string): string | undefined {
    const period = periodOf(time);
    return period !== undefined && this.pseudonyms.has(period) ? this.pseudonyms.of(period, text) : undefined;
  }

  /**
   * A key for a part of the program, 32 random bytes under a name of its own, such as `blocks`: lower-case words, digits, `_` and
   * `-`, at most 64. Made and durable on first use; wrapped by the root key where it lies, and the same for ever, also after the root
   * key was replaced. What is sealed under it can be read by whoever has the root key, and is lost with it.
   *
   * A copy of the bytes may be handed to a worker; they go into no file, log or message. For many small secrets take one key, and
   * `node:crypto` with a place as associated data.
   *
   * `first`: makes what is kept where 32 random bytes are not what is wanted, such as a private key; it need not win.
   *
   * Throws `KeysFault`: `missing` when the database is open for reading only and there is none yet.
   */
  secret(name: string, first?: () => Uint8Array): Uint8Array {
    const known = this.secrets.get(name);
    if (known) return known;
    this.db.refresh();
    const secret = this.db.read("read a secret", () => this.db.wrapping.secret(name)) ??
      this.newSecret(name, first);
    this.secrets.set(name, secret);
    return secret;
  }

  private newSecret(name: string, first?: () => Uint8Array): Uint8Array {
    if (this.db.readOnly) throw new KeysFault("missing", `Cannot use the key "${name}": it was never made`);
    // Another process may have been first.
    return this.db.write(
      "create a secret",
      () => this.db.wrapping.secret(name) ?? this.db.wrapping.addSecret(name, first?.()),
    );
  }

  /** See `check.ts`. */
  wrong(): Generator<void, readonly WrongKey[]> {
    return wrongKeys(this.db, this.logKey);
  }

  /** See `rotate_root.ts`. Ends when every key is wrapped anew; to be recorded then, and `rotationRecorded` to be called. */
  rotate(options: RotationOptions = {}): Generator<{ readonly done: number; readonly total: number }, Rotated> {
    return rotateRoot(this.db, options);
  }

  /** Versions of the root key in a rotation that was begun and is not recorded. */
  get unfinishedRotation(): { readonly from: number; readonly to: number } | undefined {
    return unfinished(this.db);
  }

  rotationRecorded(): void {
    recorded(this.db);
  }

  /** Version of the root key, from 1; 0 in a database of the first format that is open for reading only. */
  get rootVersion(): number {
    return this.db.rootVersion;
  }

  /** Drops what is held in memory and closes the file. May be repeated. */
  close(): void {
    this.secrets.clear();
    this.db.close();
  }
}

/**
 * Opens the key database, or makes it on first start, with its root key and the log's.
 *
 * Throws `KeysFault`: `missing` when there is a log (`existing`) or `readOnly` and no database; `root_missing`,
 * `root_wrong` when it cannot be opened with the root key there is (a new one is never made in its place); `foreign`,
 * `truncated`, `newer`, `read_only`, `locked`, `full`.
 */
export const openKeys = (options: KeysOptions): Keys => {
  const db = new KeyDatabase(options);
  try {
    return new Keys(db, options);
  } catch (error) {
    db.close();
    throw error;
  }
};

export type { KeysFaultKind } from "./fault.ts";
export { KeysFault } from "./fault.ts";
export type { RootSource } from "./root.ts";
export type { Rotated, RotationOptions, RotationStep } from "./rotate_root.ts";
export type { Sealing, SealOptions, Unsealed } from "./sealer.ts";
export type { Bearer, TokenInfo } from "./tokens.ts";
export type { NoteSigner } from "./note.ts";
