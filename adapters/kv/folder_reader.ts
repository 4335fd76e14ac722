/**
 * The log of a folder for a process that may not write it: beside a running writer, on a copy, on a medium that cannot be
 * written. It never reads the writer's memory; what the writer appends is seen at the next look.
 */
import type { StoredBlob } from "../../events/blobs.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import type { Event, StreamId } from "../../events/event.ts";
import { type Checkpoint, type HashTree, LogFault, type Range } from "../../events/log.ts";
import type { Sealing } from "../../events/sealing.ts";
import { type ArchivedEntries, ArchivedReader, markOf } from "./archive.ts";
import { CHECKPOINTS_PREFIX, storedCheckpoint } from "./checkpoints.ts";
import { BLOB_PREFIX } from "./blobs.ts";
import { StoredTree } from "./hash_tree.ts";
import { decodeFormat, expectSeal, FORMAT_KEY } from "./format.ts";
import { LogReader } from "./reader.ts";
import { SealedReader } from "./sealed_store.ts";
import { KvReader, ofFile } from "./store.ts";

const fromUtf8 = new TextDecoder();

export class FolderReader {
  private readonly store: KvReader;
  private readonly log: LogReader;
  /** Whether the beginning of the log lies in an archive. */
  readonly archived: boolean;
  /** Proofs are made of the entries where tiles are missing, which costs more the longer the log is. */
  readonly tree: HashTree;

  /**
   * `path` of the log's file, which need not stay there once it is open; `renew` is what the method of that name does, where
   * that is a copy. Throws `LogFault`: `foreign` when there is none or it is not ours, `newer`, `truncated`, `read_only`, `sealed`.
   */
  constructor(
    path: string,
    private readonly options: {
      readonly catalogue: Catalogue;
      readonly renew?: (reader: FolderReader) => Promise<void>;
      /** What a log that is sealed at rest was sealed with; of no account for another. */
      readonly sealing?: Sealing;
      /** Where what was archived can be read. */
      readonly archive?: ArchivedEntries;
    },
  ) {
    this.store = new KvReader(path);
    try {
      const format = this.store.get(FORMAT_KEY);
      if (!format) throw new LogFault("foreign", `${path} holds no log`);
      const { seal } = decodeFormat(format);
      const sealing = seal === undefined ? undefined : options.sealing;
      expectSeal(seal, sealing?.check);
      const lies = sealing ? new SealedReader(this.store, sealing) : this.store;
      this.log = new LogReader(new ArchivedReader(lies, options.archive), options);
      this.archived = markOf(lies) !== undefined;
      this.log.refresh();
      this.tree = new StoredTree(this.store, (position) => this.entry(position));
    } catch (error) {
      void this.store.close();
      // Whether a key is missing is asked of the folder.
      throw error instanceof LogFault && error.kind !== "sealed" ? ofFile(path, error) : error;
    }
  }

  /** To be called before `size` is asked again after a while: whoever reads a copy goes on in the log when it was written since. */
  renew(): Promise<void> {
    return this.options.renew?.(this) ?? Promise.resolve();
  }

  /** Reads on in another file of the same log. Throws `LogFault`, and then reads on in the old one. */
  goOnIn(path: string): void {
    this.store.goOnIn(path);
  }

  /** As it is now: looks for what was appended. */
  get size(): number {
    this.log.refresh();
    return this.log.size;
  }

  get indexed(): number {
    return this.log.index.manifest.until;
  }

  read(range: Range): Iterable<readonly Event[]> {
    this.log.refresh();
    return this.log.read(range);
  }

  find(source: string, id: string): Event | undefined {
    this.log.refresh();
    return this.log.find(source, id);
  }

  head(stream: StreamId): number {
    this.log.refresh();
    return this.log.head(stream);
  }

  entry(position: number): Uint8Array | undefined {
    return this.log.entry(position);
  }

  /** Every blob that is there as a whole, in the order of their hashes. */
  *blobs(): Iterable<StoredBlob> {
    for (let hex = this.store.nextText(BLOB_PREFIX); hex !== undefined; hex = this.store.nextText(BLOB_PREFIX, hex)) {
      const blob = this.log.blob(Uint8Array.fromHex(hex).toBase64());
      if (blob) yield blob;
    }
  }

  /** The signed checkpoints that are kept for good, by size. */
  *checkpoints(): Iterable<{ readonly size: number; readonly note: string }> {
    for (const [size, note] of this.store.list({ prefix: [CHECKPOINTS_PREFIX] })) {
      yield { size, note: fromUtf8.decode(note) };
    }
  }

  positionAt(time: string): number {
    return this.log.positionAt(time);
  }

  /** The newest that was signed and stored. */
  checkpoint(): Promise<Checkpoint | undefined> {
    return Promise.resolve(storedCheckpoint(this.store)?.checkpoint);
  }

  bytes(): number {
    return this.store.bytes();
  }

  close(): Promise<void> {
    return this.log.close();
  }
}
