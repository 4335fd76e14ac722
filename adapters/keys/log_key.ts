/**
 * The log's name and the keys that sign its checkpoints, and the newest checkpoint that is known: what a log is held
 * against that was cut short or put back.
 *
 * There is one key, and while it is being changed another: `next` from before the change is recorded in the log until it is, `before`
 * from then until the overlap ends. Whatever is there signs checkpoints.
 */
import { Buffer } from "node:buffer";
import type { Checkpoint } from "../../events/log.ts";
import { KeysFault } from "./fault.ts";
import type { KeyDatabase } from "./database.ts";
import {
  checkpointOf,
  checkpointText,
  isKeyName,
  type NoteSigner,
  noteSigner,
  noteVerifier,
  openNote,
} from "./note.ts";
import { WRAPPED_LOG_KEYS } from "./rewrap.ts";

/**
 * `kept`: it is the newest now. `older`: a newer one is known. `fork`: the same size with another root is known; that
 * one stays.
 */
export type Remembered = "kept" | "older" | "fork";

type Row = typeof WRAPPED_LOG_KEYS[number] | "origin" | "log keys past";

interface Signing {
  readonly now: NoteSigner;
  readonly next: NoteSigner | undefined;
  /** `until`: ms since 1970. */
  readonly before: { readonly signer: NoteSigner; readonly until: number } | undefined;
}

export class LogKey {
  private made: Signing | undefined;

  /** `origin`: the log's name, fixed on first start. Default: `daybook/` and a random part. */
  constructor(private readonly db: KeyDatabase, private readonly wanted: string | undefined) {
    if (wanted !== undefined && !isKeyName(wanted)) {
      throw new KeysFault("invalid", "Cannot name the log: an origin has no spaces, plus signs or control characters");
    }
    const origin = this.text("origin");
    if (origin === undefined && !db.readOnly) this.create();
    else if (wanted !== undefined && origin !== undefined && wanted !== origin) {
      throw new KeysFault("invalid", `Cannot call this log "${wanted}": it is known as "${origin}" already`);
    }
  }

  private row(name: Row): Uint8Array | undefined {
    const row = this.db.read(`read the ${name}`, () => this.db.get("SELECT value FROM meta WHERE name = ?", name));
    return row?.value as Uint8Array | undefined;
  }

  private text(name: Row): string | undefined {
    const value = this.row(name);
    return value && Buffer.from(value).toString();
  }

  private put(name: Row, value: Uint8Array | undefined): void {
    if (value === undefined) this.db.run("DELETE FROM meta WHERE name = ?", name);
    else this.db.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value);
  }

  private create(): void {
    this.db.write("create the log key", () => {
      // Another process may have been first.
      if (this.text("origin") !== undefined) return;
      const origin = this.wanted ?? `daybook/${Buffer.from(this.db.random(10)).toString("hex")}`;
      this.put("origin", Buffer.from(origin));
      this.put("log key", this.db.wrapping.wrap("log key", this.db.random(32)));
    });
  }

  private unwrapped(name: typeof WRAPPED_LOG_KEYS[number]): Uint8Array | undefined {
    const wrapped = this.row(name);
    return wrapped && this.db.wrapping.unwrap(name, wrapped);
  }

  private get signing(): Signing {
    if (this.made) return this.made;
    const origin = this.text("origin");
    const seed = this.unwrapped("log key");
    if (origin === undefined || !seed) {
      throw new KeysFault("missing", "Cannot sign for the log: its key was never made");
    }
    const next = this.unwrapped("log key next");
    const before = this.unwrapped("log key before");
    return this.made = {
      now: noteSigner(origin, seed),
      next: next && noteSigner(origin, next),
      before: before && {
        until: Number(Buffer.from(before).readBigUInt64BE()),
        signer: noteSigner(origin, before.subarray(8)),
      },
    };
  }

  /** Made on first use. Throws `KeysFault` `missing` when a read-only database has none yet. */
  get signer(): NoteSigner {
    return this.signing.now;
  }

  /** Public keys that have signed for this log, the newest first: the one in use, and those before it. */
  get vkeys(): readonly string[] {
    return [this.signer.vkey, ...this.past.toReversed()];
  }

  private get past(): readonly string[] {
    return JSON.parse(this.text("log keys past") ?? "[]");
  }

  /**
   * The checkpoint of a tree, signed by the key in use and by whichever is there beside it; a key whose overlap has ended is destroyed
   * first.
   */
  checkpoint(size: number, root: string): string {
    if (this.signing.before && this.db.clock.now() >= this.signing.before.until) {
      this.db.write("destroy the log's old key", () => this.put("log key before", undefined));
      this.made = undefined;
    }
    const { now, next, before } = this.signing;
    const text = checkpointText(now.name, size, root);
    const signers = [now, next, before?.signer].filter((signer) => signer !== undefined);
    return `${text}\n${signers.map((signer) => signer.signature(text)).join("")}`;
  }

  /** The key that is to come, once a change was begun and not recorded. */
  get next(): NoteSigner | undefined {
    return this.signing.next;
  }

  /** The key before, while its overlap lasts. */
  get before(): { readonly signer: NoteSigner; readonly until: number } | undefined {
    return this.signing.before;
  }

  /** Makes the key that is to come, durable when it returns, or finds the one that was made; from now on it signs too. */
  begin(): NoteSigner {
    const { next } = this.signing;
    if (next) return next;
    this.db.write("make the log's next key", () => {
      this.put("log key next", this.db.wrapping.wrap("log key next", this.db.random(32)));
    });
    this.made = undefined;
    return this.signing.next!;
  }

  /**
   * The key to come is the one in use: its change is recorded. The one that was in use signs until then (ms since 1970), and is
   * destroyed at once when that is past. Durable when it returns; true when there was one to come.
   */
  settle(until: number): boolean {
    const next = this.unwrapped("log key next");
    const old = this.unwrapped("log key");
    if (!next || !old) return false;
    const { vkey } = this.signer;
    this.db.write("change the log's key", () => {
      const { wrapping } = this.db;
      const end = Buffer.alloc(8);
      end.writeBigUInt64BE(BigInt(until));
      const overlapping = until > this.db.clock.now();
      this.put("log key", wrapping.wrap("log key", next));
      this.put("log key next", undefined);
      this.put(
        "log key before",
        overlapping ? wrapping.wrap("log key before", Buffer.concat([end, old])) : undefined,
      );
      this.put("log keys past", Buffer.from(JSON.stringify([...this.past, vkey])));
    });
    this.made = undefined;
    return true;
  }

  /**
   * From now on the log is another one, with a key of its own: what is known of the one that it was is forgotten. Answers what that was
   * called, and the public key that signed it. Throws `KeysFault` `invalid` for a name that is none, or its own.
   */
  depart(origin: string): { readonly origin: string; readonly key: string } {
    const { name, vkey } = this.signer;
    if (!isKeyName(origin) || origin === name) {
      throw new KeysFault(
        "invalid",
        `Cannot call the log "${origin}": another name than before, without spaces, plus signs or control characters`,
      );
    }
    this.db.write("rename the log", () => {
      this.put("origin", Buffer.from(origin));
      this.put("log key", this.db.wrapping.wrap("log key", this.db.random(32)));
      for (const row of ["log key next", "log key before", "log keys past"] as const) this.put(row, undefined);
      this.db.run("DELETE FROM checkpoints");
    });
    this.made = undefined;
    return { origin: name, key: vkey };
  }

  /**
   * Keeps a checkpoint of ours if it is the newest, durable when it returns. Throws `KeysFault` `invalid` for a note
   * that none of our keys has signed.
   */
  remember(note: string): Remembered {
    const { now, next } = this.signing;
    const text = [...this.vkeys, ...(next ? [next.vkey] : [])]
      .map((vkey) => openNote(note, noteVerifier(vkey)!))
      .find((opened) => opened !== undefined);
    const said = text === undefined ? undefined : checkpointOf(text);
    if (!said || said.origin !== now.name) {
      throw new KeysFault("invalid", "Cannot remember a checkpoint: it is not one of this log");
    }
    return this.db.write("remember a checkpoint", () => {
      const known = this.latest();
      if (known && known.size === said.size) return known.root === said.root ? "kept" : "fork";
      if (known && known.size > said.size) return "older";
      this.db.run(
        "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)",
        said.origin,
        said.size,
        said.root,
        note,
      );
      return "kept";
    });
  }

  /** The newest checkpoint of this log that was ever remembered. */
  latest(): Checkpoint | undefined {
    const row = this.db.read(
      "read the newest checkpoint",
      () => this.db.get("SELECT origin, size, root, note FROM checkpoints WHERE origin = ?", this.signer.name),
    );
    return row &&
      { origin: row.origin as string, size: Number(row.size), root: row.root as string, note: row.note as string };
  }
}
