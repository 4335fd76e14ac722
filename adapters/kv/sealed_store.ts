/**
 * A store whose values that tell of events lie sealed: blocks, pages of the index, chunks of blobs, and the entries that stay when
 * others are archived. Whoever works on it sees them
 * as they were; hashes and links are over that. The rest are hashes, numbers and signatures, and lie as they are.
 *
 * A block keeps its first 8 bytes clear, with codec 1; what follows is sealed (`adapters/keys/at_rest.ts`). Each value is bound to
 * its key in the store.
 */
import { Buffer } from "node:buffer";
import { LRUCache } from "lru-cache";
import { LogFault } from "../../events/log.ts";
import type { Sealing } from "../../events/sealing.ts";
import type { Batch, Key, Span, Store } from "../../events/store.ts";
import { CODEC_AT, CODEC_PLAIN, HASHED_FROM, MAGIC } from "./block.ts";
import { encodeKey } from "./key_encoding.ts";

const CODEC_SEALED = 1;

/** Blocks that were opened lately: single events of one are asked for one after another, and opening costs ten times what reading does. */
const OPENED_MAX = 32;
/** Its end tells one sealing of a block from another. */
const TAG = 16;

type Reading = Pick<Store, "get" | "list" | "bytes" | "close">;

/** Bytes that stay clear; `undefined`: all of them. */
const clearOf = (key: Key): number | undefined => {
  const [name] = key;
  if (name === "log") return HASHED_FROM;
  return name === "index" || name === "archived" || (name === "blob" && key.length === 3) ? 0 : undefined;
};

const isOurs = (block: Uint8Array): boolean =>
  block.length >= HASHED_FROM && new DataView(block.buffer, block.byteOffset).getUint32(0) === MAGIC &&
  block[CODEC_AT]! <= CODEC_SEALED;

const called = ([name, ...parts]: Key): string =>
  name === "log"
    ? `the block at position ${parts[0]}`
    : name === "index"
    ? `page ${parts[0]} of the index`
    : name === "blob"
    ? `chunk ${parts[1]} of blob ${parts[0]}`
    : `what tells of the archive`;

/** The reading half. */
export class SealedReader implements Reading {
  private readonly lately = new LRUCache<number, { readonly tag: Uint8Array; readonly opened: Uint8Array }>({
    max: OPENED_MAX,
  });

  constructor(protected readonly store: Reading, protected readonly sealing: Sealing) {}

  get seal(): string {
    return this.sealing.check;
  }

  get(key: Key): Uint8Array | undefined {
    const value = this.store.get(key);
    return value && this.opened(key, value);
  }

  *list(span: Span): Iterable<readonly [number, Uint8Array]> {
    const { prefix } = span;
    for (const [number, value] of this.store.list(span)) yield [number, this.opened([...prefix, number], value)];
  }

  private opened(key: Key, value: Uint8Array): Uint8Array {
    const clear = clearOf(key);
    if (clear === undefined) return value;
    // A later format or codec is for whoever reads blocks to name.
    if (clear > 0 && !isOurs(value)) return value;
    if (clear === 0) return this.open(key, value, clear);
    const position = key[1] as number;
    const known = this.lately.get(position);
    const tag = value.slice(-TAG);
    if (known && Buffer.compare(known.tag, tag) === 0) return known.opened;
    const opened = this.open(key, value, clear);
    opened[CODEC_AT] = CODEC_PLAIN;
    this.lately.set(position, { tag, opened });
    return opened;
  }

  private open(key: Key, value: Uint8Array, clear: number): Uint8Array {
    const opened = clear === 0 || value[CODEC_AT] === CODEC_SEALED
      ? this.sealing.open(encodeKey(key), value, clear)
      : undefined;
    if (opened) return opened;
    throw new LogFault("truncated", `${called(key)} does not open under the log's key: it was changed`);
  }

  bytes(): number {
    return this.store.bytes();
  }

  close(): Promise<void> {
    return this.store.close();
  }
}

export class SealedStore extends SealedReader implements Store {
  constructor(protected override readonly store: Store, sealing: Sealing) {
    super(store, sealing);
  }

  get lost(): LogFault | undefined {
    return this.store.lost;
  }

  commit(batch: Batch): Promise<boolean> {
    return this.store.commit({
      ...batch,
      puts: batch.puts.map(([key, value]) => [key, this.sealed(key, value)] as const),
    });
  }

  private sealed(key: Key, value: Uint8Array): Uint8Array {
    const clear = clearOf(key);
    if (clear === undefined) return value;
    if (clear === 0) return this.sealing.seal(encodeKey(key), value);
    // The codec is bound, too; in memory the block stays as it is.
    value[CODEC_AT] = CODEC_SEALED;
    try {
      return this.sealing.seal(encodeKey(key), value, clear);
    } finally {
      value[CODEC_AT] = CODEC_PLAIN;
    }
  }
}
