/** One checkpoint that somebody claims the log had, and the keys it may be signed with. */
import type { Note, VerifierKey } from "./note.ts";

export interface Keys {
  /** Given by whoever asks, and believed. */
  readonly given: VerifierKey | undefined;
  /** Lies in the folder: signatures are checked with it, and nothing more is known by that. */
  readonly folder: VerifierKey | undefined;
}

export interface Claim {
  readonly name: string;
  readonly from: "file" | "folder" | "elsewhere";
  readonly origin: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Absent where it is the bare text. */
  readonly note: Note | undefined;
  /** By the key that was given. */
  readonly signed: boolean;
  /** Why its signature does not count, although it should. */
  readonly unsigned: string | undefined;
}
