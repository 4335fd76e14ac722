/**
 * Who wraps whom: the root key wraps the keys of tenants and the secrets of parts of the program; a tenant's key wraps those of
 * subjects and periods. So a new root key costs what there are of tenants and secrets, and a new tenant key what it has wrapped.
 *
 * There is one tenant. A database of the first format has none: there the root key wraps everything itself.
 */
import { createHmac } from "node:crypto";
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { KeysFault } from "./fault.ts";
import { type Kdf, parseKdf } from "./passphrase.ts";
import { derived, Ring, Wrapping } from "./wrapping.ts";

/** The one tenant. */
export const TENANT = "default";

export type Row = { readonly [column: string]: SQLOutputValue };

/** What of a database this needs. */
export interface Rows {
  get(sql: string, ...values: SQLInputValue[]): Row | undefined;
  all(sql: string, ...values: SQLInputValue[]): Row[];
  run(sql: string, ...values: SQLInputValue[]): number;
}

/** A root key that the database has known; `mark` tells whether a key is it. */
export interface KnownRoot {
  readonly version: number;
  readonly mark: Uint8Array;
  /** Of a root key out of a passphrase. */
  readonly kdf?: Kdf;
  /** RFC 3339: it was replaced then. */
  readonly retired?: string;
}

/** Newest last; a database of the first format has one, of version 0. */
export const rootsIn = (db: Rows, format: number): readonly KnownRoot[] => {
  if (format === 1) {
    const mark = db.get("SELECT value FROM meta WHERE name = 'root'")?.value;
    return mark instanceof Uint8Array ? [{ version: 0, mark }] : [];
  }
  return db.all("SELECT version, mark, kdf, retired FROM roots ORDER BY version").map((row) => ({
    version: Number(row.version),
    mark: row.mark as Uint8Array,
    ...(row.kdf === null ? {} : { kdf: parseKdf(row.kdf as string) }),
    ...(row.retired === null ? {} : { retired: row.retired as string }),
  }));
};

export const insertRoot = (db: Rows, { version, mark, kdf }: KnownRoot, created: string): void => {
  db.run(
    "INSERT INTO roots (version, mark, kdf, created) VALUES (?, ?, ?, ?)",
    version,
    mark,
    kdf ? JSON.stringify(kdf) : null,
    created,
  );
};

const SECRET_NAME = /^[a-z][a-z0-9 _-]{0,63}$/;
/** HMAC key of identifiers, which cannot be hashed again: it stays the same for the life of the database. */
const LOOKUP = "lookup";
const SECRET_BYTES = 32;

export class Hierarchy {
  private readonly root: Ring;
  private readonly tenant: Ring;
  /** Of the first format. */
  private readonly flat: Wrapping | undefined;
  private lookupKey: Uint8Array | undefined;

  /** `version`: of the root key. */
  constructor(
    private readonly db: Rows,
    { key, version }: { readonly key: Uint8Array; readonly version: number },
    private readonly random: (bytes: number) => Uint8Array,
  ) {
    this.root = new Ring(random);
    this.tenant = new Ring(random);
    if (version > 0) this.root.add(version, key);
    else {
      this.flat = new Wrapping(key, random);
      this.lookupKey = derived(key, "daybook lookup 1");
    }
  }

  /** Reads what the root key has wrapped. Throws `KeysFault` `truncated` when it cannot be unwrapped. */
  load(): this {
    if (this.flat) return this;
    const rows = this.db.all("SELECT version, key FROM tenants WHERE tenant = ? ORDER BY version", TENANT);
    for (const { version, key } of rows) this.tenant.add(Number(version), this.tenantKey(Number(version), key));
    this.lookupKey = this.secret(LOOKUP);
    if (rows.length === 0 || !this.lookupKey) {
      throw new KeysFault("truncated", "The key database is damaged: it has no tenant; restore it from a backup");
    }
    return this;
  }

  private tenantKey(version: number, wrapped: SQLOutputValue | undefined): Uint8Array {
    return this.root.unwrap(tenantPlace(version), wrapped as Uint8Array);
  }

  /** Within the caller's transaction: a new version of the tenant's key, under which is wrapped from now on. */
  addTenantKey(version: number): void {
    const key = this.random(SECRET_BYTES);
    this.db.run("INSERT INTO tenants VALUES (?, ?, ?)", TENANT, version, this.root.wrap(tenantPlace(version), key));
    this.tenant.add(version, key);
  }

  /** A key of a subject or a period, under the tenant's. */
  wrap(what: string, secret: Uint8Array): Uint8Array {
    return (this.flat ?? this.tenant).wrap(what, secret);
  }

  unwrap(what: string, wrapped: Uint8Array): Uint8Array {
    return (this.flat ?? this.tenant).unwrap(what, wrapped);
  }

  /** What a part of the program keeps under the root key; `undefined` where there is none of this name. */
  secret(name: string): Uint8Array | undefined {
    if (this.flat) return undefined;
    const row = this.db.get("SELECT key FROM secrets WHERE name = ?", name);
    return row && this.root.unwrap(secretPlace(name), row.key as Uint8Array);
  }

  /** Of all there are; a database of the first format has none. */
  secretNames(): readonly string[] {
    return this.flat ? [] : this.db.all("SELECT name FROM secrets").map(({ name }) => name as string);
  }

  /** Within the caller's transaction; there is none of this name yet. */
  addSecret(name: string, secret: Uint8Array = this.random(SECRET_BYTES)): Uint8Array {
    if (!SECRET_NAME.test(name)) throw new TypeError(`"${name}" is no name of a secret`);
    this.db.run("INSERT INTO secrets VALUES (?, ?)", name, this.root.wrap(secretPlace(name), secret));
    if (name === LOOKUP) this.lookupKey = secret;
    return secret;
  }

  /** Within the caller's transaction: what makes a new database one. `lookup`: of an older one. */
  found(lookup?: Uint8Array): void {
    this.addTenantKey(1);
    this.addSecret(LOOKUP, lookup);
  }

  /** HMAC-SHA-256 of an identifier, to find it by. */
  lookup(text: string): Uint8Array {
    return createHmac("sha256", this.lookupKey!).update(text).digest();
  }

  /** The key that identifiers are hashed with, for a database that takes it over. */
  get lookupSecret(): Uint8Array {
    return this.lookupKey!;
  }

  /**
   * Within the caller's transaction: wraps the keys of tenants and all secrets under another root key. Answers what to use from then
   * on.
   */
  underRoot(root: { readonly key: Uint8Array; readonly version: number }): Hierarchy {
    const next = new Hierarchy(this.db, root, this.random);
    for (const { version, key } of this.db.all("SELECT version, key FROM tenants WHERE tenant = ?", TENANT)) {
      const plain = this.tenantKey(Number(version), key);
      const wrapped = next.root.wrap(tenantPlace(Number(version)), plain);
      this.db.run("UPDATE tenants SET key = ? WHERE tenant = ? AND version = ?", wrapped, TENANT, version!);
    }
    for (const { name, key } of this.db.all("SELECT name, key FROM secrets")) {
      const plain = this.root.unwrap(secretPlace(name as string), key as Uint8Array);
      const wrapped = next.root.wrap(secretPlace(name as string), plain);
      this.db.run("UPDATE secrets SET key = ? WHERE name = ?", wrapped, name!);
    }
    return next.load();
  }
}

const tenantPlace = (version: number): string => `tenant ${TENANT} ${version}`;
const secretPlace = (name: string): string => `secret ${name}`;
