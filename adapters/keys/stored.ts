/**
 * Secrets of others that must be readable again, such as a provider's key: sealed (AES-256-GCM) under a key of this database, bound to their
 * name and version. Whoever uses one knows its name; nothing hands them out.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";

export const STORED_MAX = 1_000;
export const STORED_BYTES_MAX = 16_384;

const TABLE = `CREATE TABLE IF NOT EXISTS stored (name TEXT PRIMARY KEY, version INTEGER NOT NULL, sealed BLOB NOT NULL,
  changed INTEGER NOT NULL) WITHOUT ROWID`;
const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/;
const NONCE = 12, TAG = 16;

/** As listed; the secret itself is in no list. */
export interface StoredInfo {
  readonly name: string;
  /** From 1; each value has its own, and so has one that comes after a deletion. */
  readonly version: number;
  /** RFC 3339. */
  readonly changed: string;
}

export class StoredSecrets {
  private sealing: Uint8Array | undefined;

  /** `secret`: a key of this part of the program, by name (`Keys.secret`). */
  constructor(private readonly db: KeyDatabase, private readonly secret: (name: string) => Uint8Array) {}

  /**
   * Keeps a secret, durable when it returns; the answer is its version. `replace`: one of this name is there, or is not: the other is
   * `KeysFault` `invalid`, as are names and values that cannot be.
   */
  put(name: string, value: string, { replace }: { readonly replace: boolean }): number {
    const bytes = Buffer.byteLength(value);
    if (!NAME.test(name)) throw invalid("a secret's name is small letters, digits, - and _ within");
    if (bytes === 0 || bytes > STORED_BYTES_MAX) throw invalid(`a secret has 1 to ${STORED_BYTES_MAX} bytes`);
    this.sealing ??= this.secret("stored-secrets");
    return this.db.write("store a secret", () => {
      this.db.run(TABLE);
      const known = this.row(name);
      if (replace !== (known !== undefined && known.sealed !== null)) {
        throw invalid(replace ? `there is no secret "${name}"` : `there is a secret "${name}" already; rotate it`);
      }
      if (known === undefined && Number(this.db.get("SELECT count(*) AS n FROM stored")!.n) >= STORED_MAX) {
        throw invalid(`there are ${STORED_MAX} secrets already`);
      }
      const version = (known?.version ?? 0) + 1;
      const sealed = this.seal(name, version, value);
      this.db.run("INSERT OR REPLACE INTO stored VALUES (?, ?, ?, ?)", name, version, sealed, this.db.clock.now());
      return version;
    });
  }

  /** `undefined` where there is none. Throws `KeysFault` `truncated` when it cannot be opened. */
  read(name: string): string | undefined {
    if (!this.there()) return undefined;
    const row = this.db.read("read a secret", () => this.row(name));
    return row && row.sealed !== null ? this.open(name, row.version, row.sealed) : undefined;
  }

  /** Destroys it; its version is remembered, so that a value that was once kept here can be told from the next. False when there was none. */
  delete(name: string): boolean {
    if (!this.there()) return false;
    return this.db.write("delete a secret", () => {
      const known = this.row(name);
      if (known === undefined || known.sealed === null) return false;
      this.db.run("UPDATE stored SET sealed = zeroblob(0), changed = ? WHERE name = ?", this.db.clock.now(), name);
      return true;
    });
  }

  /** In order of name. */
  list(): readonly StoredInfo[] {
    if (!this.there()) return [];
    const rows = this.db.read(
      "list secrets",
      () => this.db.all("SELECT name, version, changed FROM stored WHERE length(sealed) > 0 ORDER BY name"),
    );
    return rows.map(({ name, version, changed }) => ({
      name: name as string,
      version: version as number,
      changed: new Date(changed as number).toISOString(),
    }));
  }

  private row(name: string): { readonly version: number; readonly sealed: Uint8Array | null } | undefined {
    const row = this.db.get("SELECT version, sealed FROM stored WHERE name = ?", name);
    if (!row) return undefined;
    const sealed = row.sealed as Uint8Array;
    return { version: row.version as number, sealed: sealed.length === 0 ? null : sealed };
  }

  private there(): boolean {
    return this.db.read(
      "read the key database",
      () => this.db.get("SELECT 1 AS n FROM sqlite_master WHERE name = 'stored'") !== undefined,
    );
  }

  private seal(name: string, version: number, value: string): Uint8Array {
    const nonce = this.db.random(NONCE);
    const cipher = createCipheriv("aes-256-gcm", this.sealing!, nonce);
    cipher.setAAD(placeOf(name, version));
    return Buffer.concat([nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()]);
  }

  private open(name: string, version: number, sealed: Uint8Array): string {
    this.sealing ??= this.secret("stored-secrets");
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.sealing, sealed.subarray(0, NONCE));
      decipher.setAAD(placeOf(name, version));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      const body = sealed.subarray(NONCE, sealed.length - TAG);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
    } catch (cause) {
      throw new KeysFault(
        "truncated",
        `Cannot open the secret "${name}": the key database is damaged; restore it from a backup`,
        { cause },
      );
    }
  }
}

const invalid = (because: string): KeysFault => new KeysFault("invalid", `Cannot store it: ${because}`);
const placeOf = (name: string, version: number): Uint8Array => Buffer.from(`stored\n${name}\n${version}`);
