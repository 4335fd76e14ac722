/**
 * Blobs in the store: the chunks of one under `["blob", SHA-256 in hex, n]`, n from 0, and under `["blob", SHA-256 in hex]`
 * how many there are and of how many bytes together. That row comes last, so a blob is there as a whole or not at all.
 */
import { createHash } from "node:crypto";
import { type Clock, pause } from "../../actors/kernel/world.ts";
import { BLOB_LIMITS, type BlobRef, isBlobName, type StoredBlob } from "../../events/blobs.ts";
import { LogFault } from "../../events/log.ts";
import type { Key, Store } from "../../events/store.ts";

/** Others have a turn when so many bytes were hashed; a few milliseconds. */
const HASH_BYTES = 4 * 1_024 * 1_024;

export const BLOB_PREFIX = "blob";
const blobKey = (hex: string): Key => [BLOB_PREFIX, hex];
const chunkKey = (hex: string, n: number): Key => [BLOB_PREFIX, hex, n];
const hexOf = (sha256: string): string => Uint8Array.fromBase64(sha256).toHex();

interface Head {
  readonly bytes: number;
  readonly chunks: number;
}

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

/** The blob with this SHA-256 (base64), if it is there. Throws `LogFault` `truncated` when what tells of it is damaged. */
export const readBlob = (store: Pick<Store, "get">, sha256: string): StoredBlob | undefined => {
  if (!isBlobName(sha256)) return undefined;
  const hex = hexOf(sha256);
  const stored = store.get(blobKey(hex));
  if (!stored) return undefined;
  const head = headOf(stored, sha256);
  return {
    sha256,
    bytes: head.bytes,
    chunks: () => chunksOf(store, hex, sha256, head),
    read() {
      const whole = new Uint8Array(head.bytes);
      let at = 0;
      for (const chunk of chunksOf(store, hex, sha256, head)) {
        whole.set(chunk, at);
        at += chunk.length;
      }
      return whole;
    },
  };
};

const headOf = (stored: Uint8Array, sha256: string): Head => {
  try {
    const { bytes, chunks } = JSON.parse(fromUtf8.decode(stored)) as Head;
    const { blob_bytes_max, chunk_bytes } = BLOB_LIMITS;
    if (
      Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= blob_bytes_max && chunks === Math.ceil(bytes / chunk_bytes)
    ) {
      return { bytes, chunks };
    }
  } catch { /* said below */ }
  throw new LogFault("truncated", `what the log tells of blob ${sha256} is damaged`);
};

function* chunksOf(store: Pick<Store, "get">, hex: string, sha256: string, head: Head): Iterable<Uint8Array> {
  const hash = createHash("sha256");
  for (let n = 0; n < head.chunks; n++) {
    const chunk = store.get(chunkKey(hex, n));
    if (chunk?.length !== Math.min(BLOB_LIMITS.chunk_bytes, head.bytes - n * BLOB_LIMITS.chunk_bytes)) {
      throw new LogFault("truncated", `chunk ${n} of blob ${sha256} is ${chunk ? "damaged" : "missing"}`);
    }
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest("base64") !== sha256) throw new LogFault("truncated", `blob ${sha256} is damaged`);
}

export interface BlobWriterOptions {
  readonly clock: Clock;
  /** Bytes of blobs on their way at the same time; one more is refused as `overloaded`, unless it is alone. */
  readonly bytesMax: number;
  /** Throws when nothing may be written any more. */
  readonly check: () => void;
  /** Told when the store takes nothing any more. */
  readonly fenced: (fault: LogFault) => void;
}

/** The writing half. */
export class BlobWriter {
  private readonly writing = new Map<string, Promise<void>>();
  private readonly putting = new Set<Promise<BlobRef>>();
  private onTheWay = 0;

  constructor(private readonly store: Store, private readonly options: BlobWriterOptions) {}

  /** As `EventLog.putBlob`. */
  put(bytes: Uint8Array): Promise<BlobRef> {
    const { blob_bytes_max } = BLOB_LIMITS;
    if (bytes.length > blob_bytes_max) {
      const message = `a blob has at most ${blob_bytes_max} bytes, this one ${bytes.length}`;
      return Promise.reject(new LogFault("too_large", message));
    }
    if (this.putting.size > 0 && this.onTheWay + bytes.length > this.options.bytesMax) {
      return Promise.reject(new LogFault("overloaded", "too many blobs are waiting for the disk"));
    }
    this.onTheWay += bytes.length;
    const put = this.keep(bytes).finally(() => {
      this.onTheWay -= bytes.length;
      this.putting.delete(put);
    });
    this.putting.add(put);
    return put;
  }

  /** Resolves when every put that was taken has ended. */
  async ended(): Promise<void> {
    await Promise.allSettled([...this.putting]);
  }

  private async keep(bytes: Uint8Array): Promise<BlobRef> {
    const ref = { sha256: await this.hash(bytes), bytes: bytes.length };
    const hex = hexOf(ref.sha256);
    if (this.store.get(blobKey(hex))) return ref;
    // Of two puts of the same bytes the second waits for the first, which may have to clear away after itself.
    let writing = this.writing.get(hex);
    if (!writing) {
      writing = this.write(hex, bytes).finally(() => this.writing.delete(hex));
      this.writing.set(hex, writing);
    }
    await writing;
    return ref;
  }

  private async hash(bytes: Uint8Array): Promise<string> {
    const hash = createHash("sha256");
    for (let at = 0; at < bytes.length; at += HASH_BYTES) {
      if (at > 0) await pause(this.options.clock, 0);
      hash.update(bytes.subarray(at, at + HASH_BYTES));
    }
    return hash.digest("base64");
  }

  private async write(hex: string, bytes: Uint8Array): Promise<void> {
    const { chunk_bytes, commit_chunks_max } = BLOB_LIMITS;
    const chunks = Math.ceil(bytes.length / chunk_bytes);
    const head = utf8.encode(JSON.stringify({ bytes: bytes.length, chunks } satisfies Head));
    let written = 0;
    try {
      do {
        this.options.check();
        const puts: [Key, Uint8Array][] = [];
        for (; written < chunks && puts.length < commit_chunks_max; written++) {
          puts.push([chunkKey(hex, written), bytes.slice(written * chunk_bytes, (written + 1) * chunk_bytes)]);
        }
        if (written === chunks) puts.push([blobKey(hex), head]);
        await this.store.commit({ puts });
      } while (written < chunks);
    } catch (fault) {
      if (fault instanceof LogFault && fault.kind === "fenced") {
        // What a disk that failed says now proves nothing, and nothing more is written.
        this.options.fenced(fault);
        throw fault;
      }
      // The outcome may be unknown; what the store holds now decides.
      if (this.store.get(blobKey(hex))) return;
      await this.clear(hex, written);
      throw fault instanceof LogFault ? fault : new LogFault("io", String(fault), { cause: fault });
    }
  }

  /** So that a full disk is not kept full by halves. What cannot be cleared away now is overwritten by the next put of it. */
  private async clear(hex: string, written: number): Promise<void> {
    try {
      for (let at = 0; at < written; at += CLEAR_CHUNKS) {
        this.options.check();
        const deletes = Array.from({ length: Math.min(CLEAR_CHUNKS, written - at) }, (_, i) => chunkKey(hex, at + i));
        await this.store.commit({ puts: [], deletes });
      }
    } catch { /* the fault that came first is told */ }
  }
}

/** Chunks that one commit clears away. */
const CLEAR_CHUNKS = 500;
