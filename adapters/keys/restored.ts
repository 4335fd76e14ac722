/**
 * Makes the keys of a backup those of the log beside them. The keys were copied a moment after the log, so they may remember a
 * checkpoint of a greater size than it has, and it would look cut off.
 */
import { DatabaseSync } from "node:sqlite";
import { keysFault } from "./fault.ts";

/** Forgets the checkpoints in `path` that cover more than `size` events; what a witness keeps still tells. Throws `KeysFault`. */
export const forgetBeyond = (path: string, size: number): void => {
  try {
    const db = new DatabaseSync(path);
    try {
      db.prepare("DELETE FROM checkpoints WHERE size > ?").run(size);
    } finally {
      db.close();
    }
  } catch (error) {
    throw keysFault(`put ${path} beside the log it belongs to`, error);
  }
};
