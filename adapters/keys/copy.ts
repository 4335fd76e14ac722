/** The key database and its root key as bytes: what a backup takes along under a passphrase, and what a restore puts back. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { keysFault } from "./fault.ts";

const DATABASE = "keys.db";
const ROOT = "root.key";

/** One moment of the files in a data folder, by name; may be in use. Throws `KeysFault`. */
export const copyKeys = (folder: string): Readonly<Record<string, Uint8Array>> => {
  const path = join(folder, DATABASE);
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    try {
      // A read transaction keeps the file as it is: with a rollback journal, writers wait for readers before they touch it.
      db.exec("BEGIN");
      db.prepare("SELECT count(*) FROM sqlite_master").get();
      return { [DATABASE]: readFileSync(path), [ROOT]: readFileSync(join(folder, ROOT)) };
    } finally {
      db.close();
    }
  } catch (error) {
    throw keysFault(`copy the keys in ${folder}`, error);
  }
};

/**
 * Makes copied keys those of a log that was copied a moment earlier: checkpoints of a greater size than it has are forgotten, or it
 * would look cut off. What a witness keeps still tells.
 */
export const forgetBeyond = (folder: string, size: number): void => {
  const db = new DatabaseSync(join(folder, DATABASE));
  try {
    db.prepare("DELETE FROM checkpoints WHERE size > ?").run(size);
  } finally {
    db.close();
  }
};
