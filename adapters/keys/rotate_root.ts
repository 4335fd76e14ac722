/**
 * Another root key: every key there is gets wrapped anew, so that whoever has the old root key, and a copy of the database as it
 * was, can read nothing that comes later.
 *
 * In this order, each step durable before the next: the new root key waits beside the old one's file; one transaction wraps
 * what the root key has wrapped under the new one, with a new key for the tenant; the new root key takes the old one's place;
 * what the tenant's old key has wrapped is wrapped under its new one, some at a time; all is unwrapped once, and the tenant's old key
 * is destroyed. Wherever it is cut off the database opens, with the old key before the transaction and with the new one from then on.
 */
import type { KeyDatabase } from "./database.ts";
import { KeysFault } from "./fault.ts";
import { insertRoot, TENANT } from "./hierarchy.ts";
import type { Kdf } from "./passphrase.ts";
import { anyOlder, rewrap, unwrapAll, WRAPPED } from "./rewrap.ts";
import { ROOT_BYTES, writeNextRoot } from "./root.ts";
import { rootCheck } from "./wrapping.ts";

/** What has happened when it is passed. */
export type RotationStep = "waiting" | "wrapped" | "replaced" | "batch" | "rewrapped";

export interface RotationOptions {
  /** The new root key, which the caller keeps; it is durable already. Default: fresh bytes, in the file of the old one. */
  readonly to?: { readonly key: Uint8Array; readonly kdf?: Kdf };
  /** Told as each step is passed; to die there. */
  readonly passed?: (step: RotationStep) => void;
}

/** Versions of the root key, and so many keys were found under the new one, each unwrapped once; none is left under another. */
export interface Rotated {
  readonly from: number;
  readonly to: number;
  readonly keys: {
    readonly tenants: number;
    readonly subjects: number;
    readonly periods: number;
    readonly secrets: number;
  };
}

interface Versions {
  readonly from: number;
  readonly to: number;
}

const UNFINISHED = "rotation";

/** A rotation that was begun and is not recorded. */
export const unfinished = (db: KeyDatabase): Versions | undefined => {
  const row = db.read("read the key database", () => db.get("SELECT value FROM meta WHERE name = ?", UNFINISHED));
  return row && JSON.parse(new TextDecoder().decode(row.value as Uint8Array));
};

/** To be called when the rotation is recorded. */
export const recorded = (db: KeyDatabase): void => {
  db.write("end a rotation", () => db.run("DELETE FROM meta WHERE name = ?", UNFINISHED));
};

/**
 * Goes on with one that was cut off, or begins one; says how far it has come, so that others get their turn between. Throws
 * `KeysFault`: `invalid` when the key is no new one, or there is no file to put one into.
 */
export function* rotateRoot(
  db: KeyDatabase,
  options: RotationOptions,
): Generator<{ readonly done: number; readonly total: number }, Rotated> {
  const { passed = () => {} } = options;
  const versions = unfinished(db) ?? begin(db, options);
  if (options.to === undefined && db.rootFile !== undefined) {
    db.settle();
    passed("replaced");
  }
  // Each is wrapped, and then unwrapped.
  const total = 2 * WRAPPED.reduce((sum, { table }) => sum + countIn(db, table), 0);
  let done = 0;
  for (const table of WRAPPED) {
    for (let at: string | undefined = ""; at !== undefined;) {
      const from: string = at;
      const { wrapping } = db;
      const batch = db.write("wrap keys anew", () => rewrap(db, table, { from: wrapping, to: wrapping, at: from }));
      passed("batch");
      at = batch.next;
      yield { done: done += batch.done, total };
    }
  }
  const keys = yield* finish(db, (keys) => ({ done: done += keys, total }));
  passed("rewrapped");
  return { ...versions, keys };
}

const countIn = (db: KeyDatabase, table: string): number => Number(db.get(`SELECT count(*) AS n FROM ${table}`)!.n);

/** The transaction after which the new root key counts. */
const begin = (db: KeyDatabase, { to, passed = () => {} }: RotationOptions): Versions => {
  const file = db.rootFile;
  if (!to && file === undefined) {
    throw new KeysFault("invalid", "Cannot replace the root key: it lies in no file here; say where the new one is");
  }
  if (to && to.key.length !== ROOT_BYTES) {
    throw new KeysFault("invalid", `Cannot replace the root key: a root key has ${ROOT_BYTES} bytes`);
  }
  const from = db.rootVersion;
  const root = { key: to?.key ?? db.random(ROOT_BYTES), version: from + 1 };
  const keys = db.write("replace the root key", () => {
    const mark = rootCheck(root.key);
    if (db.get("SELECT 1 AS known FROM roots WHERE mark = ?", mark)) {
      throw new KeysFault("invalid", "Cannot replace the root key: this one was used before");
    }
    if (!to) writeNextRoot(file!, root.key);
    passed("waiting");
    const now = new Date(db.clock.now()).toISOString();
    const next = db.wrapping.underRoot(root);
    next.addTenantKey(newestTenant(db) + 1);
    db.run("UPDATE roots SET retired = ? WHERE retired IS NULL", now);
    insertRoot(db, { version: root.version, mark, ...(to?.kdf && { kdf: to.kdf }) }, now);
    const versions = new TextEncoder().encode(JSON.stringify({ from, to: root.version }));
    db.run("INSERT INTO meta VALUES (?, ?)", UNFINISHED, versions);
    return next;
  });
  db.underKeys(root, keys);
  passed("wrapped");
  return { from, to: root.version };
};

const newestTenant = (db: KeyDatabase): number =>
  Number(db.get("SELECT max(version) AS newest FROM tenants WHERE tenant = ?", TENANT)!.newest);

/** Unwraps all, so that it is known that all can be; then the tenant's older keys go. */
function* finish(db: KeyDatabase, checked: (keys: number) => { readonly done: number; readonly total: number }) {
  const counts: number[] = [];
  for (const table of WRAPPED) {
    const unwrapping = unwrapAll(db, table, () => db.wrapping);
    let step = unwrapping.next();
    for (; !step.done; step = unwrapping.next()) yield checked(step.value);
    counts.push([...step.value.values()].reduce((sum, count) => sum + count, 0));
  }
  const names = db.all("SELECT name FROM secrets").map(({ name }) => name as string);
  for (const name of names) db.wrapping.secret(name);
  db.write("end a rotation", () => {
    const newest = newestTenant(db);
    if (WRAPPED.some((table) => anyOlder(db, table, newest))) {
      throw new KeysFault("io", "Cannot end the rotation: keys are left under an older version; rotate again");
    }
    db.run("DELETE FROM tenants WHERE tenant = ? AND version < ?", TENANT, newest);
  });
  const [subjects = 0, periods = 0, others = 0] = counts;
  return { tenants: 1, subjects, periods, secrets: names.length + others };
}
