/**
 * What accounts need kept out of the log: which account a name leads to, hashes of passwords, keys that sign access tokens. Names lie
 * here as keyed hashes, all else sealed under a key of its own (AES-256-GCM), bound to its place.
 *
 * None of it counts by being here: facts say which hash or key counts, and name it by its id. A row is durable before the fact that
 * names it, so whatever instant a process dies at, the fact finds its row; a row that no fact names opens nothing.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";

/** Rows that no fact names may be left by a process that died; so many of one account are kept, the oldest go. */
export const VAULT_ROWS_MAX = 8;

const TABLES = [
  "CREATE TABLE IF NOT EXISTS account_names (lookup BLOB PRIMARY KEY, account TEXT NOT NULL) WITHOUT ROWID",
  "CREATE INDEX IF NOT EXISTS account_names_of ON account_names (account)",
  `CREATE TABLE IF NOT EXISTS vault (id TEXT PRIMARY KEY, owner TEXT NOT NULL, sealed BLOB NOT NULL, created INTEGER NOT NULL)
     WITHOUT ROWID`,
  "CREATE INDEX IF NOT EXISTS vault_of ON vault (owner, created)",
];
const NONCE = 12, TAG = 16;
const ID_BYTES = 15;

/** An id of random bytes, in base64url. The first bit is given up: it begins with a letter, so that no command takes it for an option. */
export const idOf = (random: Uint8Array): string => {
  const bytes = Buffer.from(random);
  bytes[0]! &= 0x7f;
  return bytes.toString("base64url");
};

export class Accounts {
  private ready = false;
  private sealing: Uint8Array | undefined;

  /** `secret`: a key of this part of the program, by name (`Keys.secret`). */
  constructor(private readonly db: KeyDatabase, private readonly secret: (name: string) => Uint8Array) {}

  /** The account that a name (in the form in which names are compared) leads to. Looks up without writing. */
  find(name: string): string | undefined {
    if (!this.there()) return undefined;
    const row = this.db.read("look up an account", () => this.db.get(FIND, this.lookup(name)));
    return row?.account as string | undefined;
  }

  /** Every account that a name leads to, whether or not it came to be. */
  all(): readonly string[] {
    if (!this.there()) return [];
    return this.db.read("list accounts", () => this.db.all("SELECT DISTINCT account FROM account_names")).map((row) =>
      row.account as string
    );
  }

  /** The account that this name leads to, from now on: a fresh id, `u_…`, unless it has one. Durable when it returns; may be repeated. */
  reserve(name: string): string {
    return this.write("reserve an account's name", () => {
      const known = this.db.get(FIND, this.lookup(name));
      if (known) return known.account as string;
      const account = `u_${this.id()}`;
      this.db.run("INSERT INTO account_names VALUES (?, ?)", this.lookup(name), account);
      return account;
    });
  }

  /** Leads there from now on, if it does not lead elsewhere; durable when it returns. */
  lead(name: string, account: string): boolean {
    return this.write("lead a name to an account", () => {
      const known = this.db.get(FIND, this.lookup(name));
      if (known) return known.account === account;
      this.db.run("INSERT INTO account_names VALUES (?, ?)", this.lookup(name), account);
      return true;
    });
  }

  /** Leads nowhere any more. May be repeated. */
  unlead(name: string, account: string): void {
    if (!this.there()) return;
    this.write("take a name from an account", () => {
      this.db.run("DELETE FROM account_names WHERE lookup = ? AND account = ?", this.lookup(name), account);
    });
  }

  /** Keeps a secret of this owner (an account, or `keys`), durable when it returns; the answer is its id. */
  keep(owner: string, secret: Uint8Array): string {
    const id = this.id();
    this.write("keep a secret of an account", () => {
      this.db.run(
        "INSERT INTO vault VALUES (?, ?, ?, ?)",
        id,
        owner,
        this.seal(id, owner, secret),
        this.db.clock.now(),
      );
    });
    return id;
  }

  /** `undefined` where there is none of this id and owner. Throws `KeysFault` `truncated` when it cannot be opened. */
  read(owner: string, id: string): Uint8Array | undefined {
    if (!this.there()) return undefined;
    const row = this.db.read("read a secret of an account", () => this.db.get(READ, id, owner));
    return row && this.open(id, owner, row.sealed as Uint8Array);
  }

  /**
   * Destroys what the owner has beside these, but for the newest `VAULT_ROWS_MAX`, which another call may be about to name. To be
   * called when a fact has said what counts.
   */
  keepOnly(owner: string, ids: readonly string[], replaced: readonly string[] = []): void {
    if (!this.there()) return;
    const gone = new Set(replaced);
    const rows = this.db.read("read secrets of an account", () => this.db.all(LIST, owner));
    rows.map(({ id }) => id as string).filter((id) => !ids.includes(id)).slice(VAULT_ROWS_MAX).forEach((id) =>
      gone.add(id)
    );
    this.drop(owner, [...gone].filter((id) => !ids.includes(id)));
  }

  /** Destroys these. May be repeated. */
  drop(owner: string, ids: readonly string[]): void {
    if (ids.length === 0 || !this.there()) return;
    this.write("destroy secrets of an account", () => {
      for (const id of ids) this.db.run("DELETE FROM vault WHERE id = ? AND owner = ?", id, owner);
    });
  }

  /** Nothing leads to these accounts any more, and they have no secret; durable when it returns. May be repeated. */
  erase(accounts: readonly string[]): void {
    if (!this.there()) return;
    this.db.write("erase an account", () => {
      for (const account of accounts) {
        this.db.run("DELETE FROM account_names WHERE account = ?", account);
        this.db.run("DELETE FROM vault WHERE owner = ?", account);
      }
    });
  }

  private lookup(name: string): Uint8Array {
    return this.db.wrapping.lookup(`account\n${name}`);
  }

  private id(): string {
    return idOf(this.db.random(ID_BYTES));
  }

  private there(): boolean {
    this.ready ||= this.db.read(
      "read the key database",
      () => this.db.get("SELECT 1 AS n FROM sqlite_master WHERE name = 'vault_of'") !== undefined,
    );
    return this.ready;
  }

  private write<T>(action: string, work: () => T): T {
    // What is sealed under may have to be made, in a transaction of its own.
    this.sealing ??= this.secret("accounts");
    return this.db.write(action, () => {
      if (!this.there()) { for (const table of TABLES) this.db.run(table); }
      return work();
    });
  }

  private seal(id: string, owner: string, secret: Uint8Array): Uint8Array {
    const nonce = this.db.random(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.sealing!, nonce);
    cipher.setAAD(placeOf(id, owner));
    return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  }

  private open(id: string, owner: string, sealed: Uint8Array): Uint8Array {
    this.sealing ??= this.secret("accounts");
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.sealing, sealed.subarray(0, NONCE));
      decipher.setAAD(placeOf(id, owner));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
    } catch (cause) {
      throw new KeysFault(
        "truncated",
        "Cannot open a secret of an account: the key database is damaged; restore it from a backup",
        { cause },
      );
    }
  }
}

const FIND = "SELECT account FROM account_names WHERE lookup = ?";
const READ = "SELECT sealed FROM vault WHERE id = ? AND owner = ?";
const LIST = "SELECT id FROM vault WHERE owner = ? ORDER BY created DESC, id";

const placeOf = (id: string, owner: string): Uint8Array => Buffer.from(`vault\n${owner}\n${id}`);
