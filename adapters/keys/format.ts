/** The format of the key database: its tables, and how a database of an older format becomes one of this. */
import { Hierarchy, insertRoot, type KnownRoot, type Rows } from "./hierarchy.ts";
import { rewrap, WRAPPED } from "./rewrap.ts";
import { rootCheck } from "./wrapping.ts";

/** "dbk1": tells our file from other people's (https://sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION = 0x64626b31;
/** 2 has tenants and secrets between the root key and all others; 3, tokens of tenants and accounts (`tokens.ts`), from the first such one on. */
export const FORMAT = 3;
const FOUNDED = 2;

const TABLES = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE subjects (subject TEXT PRIMARY KEY, key BLOB, created TEXT NOT NULL, erased TEXT) WITHOUT ROWID;
  CREATE TABLE identifiers (lookup BLOB PRIMARY KEY, subject TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX identifiers_of ON identifiers (subject);
  CREATE TABLE periods (period TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, scopes TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER, revoked INTEGER) WITHOUT ROWID;
  CREATE TABLE sessions (id TEXT PRIMARY KEY, token TEXT NOT NULL, hash BLOB NOT NULL, created INTEGER NOT NULL,
    expires INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX sessions_end ON sessions (expires);
  CREATE TABLE checkpoints (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, note TEXT NOT NULL)
    WITHOUT ROWID;
`;
const HIERARCHY_TABLES = `
  CREATE TABLE roots (version INTEGER PRIMARY KEY, mark BLOB NOT NULL, kdf TEXT, created TEXT NOT NULL, retired TEXT);
  CREATE TABLE tenants (tenant TEXT NOT NULL, version INTEGER NOT NULL, key BLOB NOT NULL,
    PRIMARY KEY (tenant, version)) WITHOUT ROWID;
  CREATE TABLE secrets (name TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID;
`;

export interface Founding extends Rows {
  exec(sql: string): void;
  readonly random: (bytes: number) => Uint8Array;
  /** RFC 3339. */
  readonly now: () => string;
}

/** Within a transaction: an empty file becomes a key database under this root key. */
export const create = (db: Founding, key: Uint8Array, kdf?: KnownRoot["kdf"]): void => {
  db.exec(TABLES);
  db.exec(HIERARCHY_TABLES);
  insertRoot(db, { version: 1, mark: rootCheck(key), ...(kdf && { kdf }) }, db.now());
  new Hierarchy(db, { key, version: 1 }, db.random).found();
  db.exec(`PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${FOUNDED}`);
};

/** Within a transaction: a database of the first format gets a tenant, under whose key its keys are wrapped anew. */
export const upgrade = (db: Founding, key: Uint8Array): void => {
  const before = new Hierarchy(db, { key, version: 0 }, db.random);
  db.exec(HIERARCHY_TABLES);
  insertRoot(db, { version: 1, mark: rootCheck(key) }, db.now());
  const after = new Hierarchy(db, { key, version: 1 }, db.random);
  after.found(before.lookupSecret);
  for (const table of WRAPPED) {
    for (let at: string | undefined = ""; at !== undefined;) {
      at = rewrap(db, table, { from: before, to: after, at }).next;
    }
  }
  db.run("DELETE FROM meta WHERE name = 'root'");
  db.exec(`PRAGMA user_version = ${FOUNDED}`);
};
