/** What a verification is asked and what it answers. */
import type { Catalogue } from "../../events/catalogue.ts";
import type { Against } from "./claims.ts";
import type { Failure, Failures } from "./failures.ts";
import type { KeyChange } from "./key_chain.ts";
import type { Fork } from "./lineage.ts";
import type { Subjects } from "./subjects.ts";
import type { MerkleTree } from "./tree.ts";

/** What a log and a folder of tiles are both held against. */
export interface HeldAgainst {
  /** Public key (`name+id+key`) by which checkpoints must be signed, from whoever asks. */
  readonly key?: string;
  /** Public key that came with what is verified: signatures are checked, and authenticate nothing. */
  readonly folderKey?: string;
  /** Other checkpoints that the log must agree with. */
  readonly against?: readonly Against[];
  /** Called a few times a second. */
  readonly progress?: (progress: { readonly done: number; readonly total?: number; readonly unit: string }) => void;
  readonly signal?: AbortSignal;
}

export interface VerifyOptions extends HeldAgainst {
  /** The log's file. */
  readonly path: string;
  /** Where events name blobs. Without it blobs are held against their hashes, and nobody is asked who names them. */
  readonly catalogue?: Pick<Catalogue, "spec">;
  /** What the key database beside the log knows. Without it nobody is asked whose personal values there are. */
  readonly subjects?: Subjects;
  /** Folder that the beginning of the log was archived to; without it that part is called archived, and its hashes are believed as the signed roots clear them. */
  readonly archive?: string;
  /** What the log is sealed under where it is sealed at rest, 32 bytes; else of no account. */
  readonly sealedUnder?: Uint8Array;
  /** Folder for a copy, needed only for a file with a `-wal` and no `-shm`. Default: the system's. */
  readonly scratch?: string;
  /** Threads that the log is walked in. Default: as many as there are cores, at most 8, and one for a small log. */
  readonly threads?: number;
  /** For a process whose V8 makes wide vectors, see `hashWide` in `tree.ts`. Default false. */
  readonly wide?: boolean;
  /** Positions that one range spans; see `walk.ts`. */
  readonly rangeEvents?: number;
  /** Names (source and id) held at a time; see `history.ts`. */
  readonly namesMax?: number;
}

/** What entries, tree and checkpoints have come to, of a log and of a folder of tiles. */
export interface EntriesReport {
  readonly ok: boolean;
  /** Entries from the first on that could be read without a gap. */
  readonly size: number;
  /** Root hash over them (RFC 9162), base64. */
  readonly root: string;
  /** Covered by a true checkpoint that came from elsewhere or, of a folder of tiles, that a given witness has cosigned. */
  readonly anchored: number;
  /** Entries behind that: whether they were all, and always these, only somebody elsewhere could tell. */
  readonly unanchored: number;
  /** Covered by a true checkpoint that the given key has signed. */
  readonly signed: number;
  /**
   * A true checkpoint is signed by the key that was given. False: the folder agrees with itself, key not
   * authenticated.
   */
  readonly authenticated: boolean;
  /** Changes of the log's key that hold, by position: with one of the keys given, the others are followed. Absent where there are none. */
  readonly key_changes?: readonly KeyChange[];
  /** Where it left another log, by position. Absent where it did not. */
  readonly forks?: readonly Fork[];
  /** By position; at most `FAILURES_MAX`. */
  readonly failures: readonly Failure[];
  /** All that were found. */
  readonly failed: number;
  /** Origin and size of the newest checkpoint there. */
  readonly origin?: string;
  readonly checkpoint?: number;
  readonly streams: number;
  /** Bytes of the entries, without their commas. */
  readonly entry_bytes: number;
}

export interface LogReport extends EntriesReport {
  /** Entries before this position are in an archive; absent where all are here. `checked`: the archive was given, and verified with the rest. */
  readonly archived?: { readonly until: number; readonly kept: number; readonly checked: boolean };
  /** It lies sealed at rest, and was opened with the key that was given. Absent where it is clear. */
  readonly sealed?: true;
  readonly blocks: number;
  /** Blobs that are there as a whole. */
  readonly blobs: number;
}

/** A report of these failures; what is not known yet is nothing. */
export const reportOf = (
  failures: Failures,
  more: Partial<LogReport> & { readonly size: number; readonly tree: MerkleTree },
): LogReport => {
  const { tree, ...rest } = more;
  return {
    ok: failures.count === 0,
    root: tree.root().toBase64(),
    anchored: 0,
    unanchored: rest.size - (rest.anchored ?? 0),
    signed: 0,
    authenticated: false,
    failures: failures.list,
    failed: failures.count,
    streams: 0,
    blocks: 0,
    entry_bytes: 0,
    blobs: 0,
    ...rest,
  };
};
