/** One thread of `threads.ts`: reads what it is told to, through a connection of its own. */
import { DatabaseSync } from "node:sqlite";
import { sameBytes } from "./block.ts";
import type { Reading } from "./index_check.ts";
import { readTables, type TablesFound } from "./index_tables.ts";
import { type Range, type RangeFound, type Rules, unknownSeam, walkRange } from "./range.ts";
import { Rows } from "./rows.ts";
import { openerOf } from "./sealed.ts";
import { hashWide } from "./tree.ts";

/** To a thread, the first one `open`. */
export type ToThread =
  | { readonly to: "open"; readonly path: string; readonly rules: Rules }
  | { readonly to: "read"; readonly reading: Reading }
  | { readonly to: "walk"; readonly range: Range; readonly whole: boolean }
  | { readonly to: "close" };

/**
 * From it: an answer to each reading and each range, in order, or that the file is closed. There is none where a writer has changed the
 * index since, or has let go of blocks that were archived: a thread sees the log a moment later, and only other blocks stay as they were.
 */
export type FromThread =
  | { readonly answer: TablesFound | RangeFound | undefined }
  | { readonly failed: string }
  | { readonly closed: true };

const port = self as unknown as {
  onmessage: ((event: MessageEvent<ToThread>) => void) | null;
  postMessage(message: FromThread, transfer?: Transferable[]): void;
};

let db: DatabaseSync;
let rows: Rows;
let rules: Rules;

const sameManifest = (): boolean => {
  const manifest = rows.get("manifest");
  const { index } = rules;
  return manifest instanceof Uint8Array && index.manifest !== undefined && sameBytes(manifest, index.manifest);
};

const sameBeginning = (): boolean => rules.begins === undefined || rows.first("log", 0) === rules.begins;

const take = (data: ToThread): void => {
  switch (data.to) {
    case "open":
      db = new DatabaseSync(data.path, { readOnly: true });
      db.exec("begin");
      rules = data.rules;
      if (rules.wide) hashWide();
      rows = new Rows(db, rules.sealedUnder && openerOf(rules.sealedUnder));
      return;
    case "read": {
      const { segment, part } = data.reading;
      if (!sameManifest()) return port.postMessage({ answer: undefined });
      const steps = readTables(rows, segment, part, rules.index);
      let step = steps.next();
      while (!step.done) step = steps.next();
      return port.postMessage({ answer: step.value });
    }
    case "walk": {
      if (!sameBeginning()) return port.postMessage({ answer: undefined });
      const found = walkRange(rows, data.range, unknownSeam(data.whole), rules);
      const { leaves, groups, history: { streams, names } } = found;
      const moved = [leaves, groups, streams, names].map(({ buffer }) => buffer as ArrayBuffer);
      return port.postMessage({ answer: found }, moved);
    }
    case "close":
      db.close();
      port.postMessage({ closed: true });
  }
};

port.onmessage = ({ data }) => {
  try {
    take(data);
  } catch (error) {
    port.postMessage({ failed: error instanceof Error ? error.message : String(error) });
  }
};
