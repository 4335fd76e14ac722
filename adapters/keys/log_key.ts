/**
 * The log's name and the key that signs its checkpoints, and the newest checkpoint that is known: what a log is held
 * against that was cut short or put back.
 */
import { Buffer } from "node:buffer";
import { KeysFault } from "./fault.ts";
import type { KeyDatabase } from "./database.ts";
import { checkpointOf, isKeyName, type NoteSigner, noteSigner, noteVerifier, openNote } from "./note.ts";

/** A checkpoint as kept: `root` base64, `note` the signed text. */
export interface KnownCheckpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
  readonly note: string;
}

/**
 * `kept`: it is the newest now. `older`: a newer one is known. `fork`: the same size with another root is known; that
 * one stays.
 */
export type Remembered = "kept" | "older" | "fork";

export class LogKey {
  private made: NoteSigner | undefined;

  /** `origin`: the log's name, fixed on first start. Default: `daybook/` and a random part. */
  constructor(private readonly db: KeyDatabase, private readonly wanted: string | undefined) {
    if (wanted !== undefined && !isKeyName(wanted)) {
      throw new KeysFault("invalid", "Cannot name the log: an origin has no spaces, plus signs or control characters");
    }
    const origin = this.stored();
    if (origin === undefined && !db.readOnly) this.create();
    else if (wanted !== undefined && origin !== undefined && wanted !== origin) {
      throw new KeysFault("invalid", `Cannot call this log "${wanted}": it is known as "${origin}" already`);
    }
  }

  private stored(): string | undefined {
    const row = this.db.read("read the log's name", () => this.db.get("SELECT value FROM meta WHERE name = 'origin'"));
    return row && Buffer.from(row.value as Uint8Array).toString();
  }

  private create(): void {
    this.db.write("create the log key", () => {
      // Another process may have been first.
      if (this.stored() !== undefined) return;
      const origin = this.wanted ?? `daybook/${Buffer.from(this.db.random(10)).toString("hex")}`;
      this.db.run("INSERT INTO meta VALUES ('origin', ?)", Buffer.from(origin));
      this.db.run("INSERT INTO meta VALUES ('log key', ?)", this.db.wrapping.wrap("log key", this.db.random(32)));
    });
  }

  /** Made on first use. Throws `KeysFault` `missing` when a read-only database has none yet. */
  get signer(): NoteSigner {
    if (this.made) return this.made;
    const origin = this.stored();
    const row = this.db.read("read the log key", () => this.db.get("SELECT value FROM meta WHERE name = 'log key'"));
    if (origin === undefined || !row) throw new KeysFault("missing", "Cannot sign for the log: its key was never made");
    return this.made = noteSigner(origin, this.db.wrapping.unwrap("log key", row.value as Uint8Array));
  }

  /**
   * Keeps a checkpoint of ours if it is the newest, durable when it returns. Throws `KeysFault` `invalid` for a note
   * that our key has not signed.
   */
  remember(note: string): Remembered {
    const text = openNote(note, noteVerifier(this.signer.vkey)!);
    const said = text === undefined ? undefined : checkpointOf(text);
    if (!said || said.origin !== this.signer.name) {
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
  latest(): KnownCheckpoint | undefined {
    const row = this.db.read(
      "read the newest checkpoint",
      () => this.db.get("SELECT origin, size, root, note FROM checkpoints WHERE origin = ?", this.signer.name),
    );
    return row &&
      { origin: row.origin as string, size: Number(row.size), root: row.root as string, note: row.note as string };
  }
}
