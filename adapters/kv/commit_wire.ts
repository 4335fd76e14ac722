/** How a commit lies in the memory that two threads share, between the one that asks and the one that writes. All numbers in 32 bits. */
import type { Commit } from "./commits.ts";

/** Bytes of a commit as it lies here, its keys and lengths with it, at most: above what Deno KV takes (819,200 bytes and 1,000 keys). */
export const COMMIT_BYTES_MAX = 1_024 * 1_024;
const COUNTS = 12;

/** What a commit takes here. */
export const wireBytes = ({ absent, puts, deletes }: Commit): number => {
  let bytes = COUNTS + (absent?.length ?? 0);
  for (const [key, value] of puts) bytes += 8 + key.length + value.length;
  for (const key of deletes) bytes += 4 + key.length;
  return bytes;
};

/** Where it ends. */
export const putCommit = ({ absent, puts, deletes }: Commit, to: Uint8Array): number => {
  const view = new DataView(to.buffer, to.byteOffset, to.byteLength);
  view.setUint32(0, absent?.length ?? 0);
  view.setUint32(4, puts.length);
  view.setUint32(8, deletes.length);
  let at = COUNTS;
  const bytes = (these: Uint8Array) => {
    to.set(these, at);
    at += these.length;
  };
  const counted = (these: Uint8Array) => {
    view.setUint32(at, these.length);
    at += 4;
    bytes(these);
  };
  if (absent) bytes(absent);
  for (const [key, value] of puts) {
    counted(key);
    counted(value);
  }
  for (const key of deletes) counted(key);
  return at;
};

/** Its keys and values are views of `from`. */
export const commitIn = (from: Uint8Array): Commit => {
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  let at = COUNTS;
  const bytes = (length: number) => from.subarray(at, at += length);
  const counted = () => bytes(view.getUint32((at += 4) - 4));
  const checked = view.getUint32(0);
  const absent = checked > 0 ? bytes(checked) : undefined;
  const puts = Array.from({ length: view.getUint32(4) }, () => [counted(), counted()] as const);
  const deletes = Array.from({ length: view.getUint32(8) }, counted);
  return { absent, puts, deletes };
};

/** The shared memory: some words, then a commit or what went wrong with it. */
export const WORDS = {
  /** Commits that were asked for; changes when there is one. */
  asked: 0,
  /** Commits that were answered. */
  answered: 1,
  /** Bytes of the commit, or of the words that say what went wrong; 0 asks the thread to end. */
  length: 2,
  outcome: 3,
} as const;
export const OUTCOMES = { refused: 0, written: 1, failed: 2 } as const;
/** The next count of commits: they are counted in 32 bits, over and over. */
export const following = (count: number): number => (count + 1) | 0;

const WORDS_BYTES = 16;
export const SHARED_BYTES = WORDS_BYTES + COMMIT_BYTES_MAX;

export const sharedParts = (shared: SharedArrayBuffer) => ({
  words: new Int32Array(shared, 0, WORDS_BYTES / 4),
  bytes: new Uint8Array(shared, WORDS_BYTES),
});
