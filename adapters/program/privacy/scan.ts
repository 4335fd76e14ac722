/**
 * Looks for texts in the raw bytes of files, whatever these are: a filter of how all that is looked for begins is passed over each
 * file once, so that the time hardly depends on how much is looked for.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { pause } from "../../../actors/kernel/world.ts";
import type { OnProgress } from "../../cli/io.ts";
import type { Reader } from "../../cli/reader.ts";
import { systemClock } from "../../system/world.ts";

/** What is shorter, in bytes of UTF-8, is found everywhere and says nothing. */
const NEEDLE_BYTES_MIN = 6;
/** Of what is longer the beginning is looked for. */
export const NEEDLE_BYTES_MAX = 256;
/** Different texts that are looked for; further ones are counted and left out. */
export const NEEDLES_MAX = 100_000;
const CHUNK_BYTES = 1 << 20;

export interface ScannedFile {
  /** From the folder on. */
  readonly path: string;
  readonly bytes: number;
  /** So many times something was found in it. */
  readonly found: number;
}

/** By so many of its first bytes as it has, a needle is looked up; so that few share a place. */
const LEVELS = [NEEDLE_BYTES_MIN, 12, 24, 48, 96] as const;

/** 24 bits of six bytes, given as two times three. */
const filterOf = (first: number, second: number): number => (Math.imul(first, 0x9e3779b1) ^ second) >>> 8;

/** Texts that are to be found nowhere. */
export class Needles {
  private readonly known = new Set<string>();
  /** Each byte is a character. */
  private readonly needles = new Set<string>();
  /** Which lengths there are of needles that begin so; by what begins them, of so many bytes as `LEVELS` says. */
  private readonly lengths = LEVELS.map(() => new Map<string, Set<number>>());
  private readonly filter = new Uint8Array(1 << 21);
  private longest = NEEDLE_BYTES_MIN;
  private pieces = 0;
  private readonly shorts = new Set<string>();
  /** Left out because they were too many. */
  left = 0;

  /** Left out because they were too short: different ones. */
  get short(): number {
    return this.shorts.size;
  }

  /** Different texts, and pieces of bytes. */
  get size(): number {
    return this.known.size + this.pieces;
  }

  /** As it is, and as it stands in JSON. */
  add(text: string): void {
    if (this.known.has(text)) return;
    if (Buffer.byteLength(text) < NEEDLE_BYTES_MIN) return this.addShort(text);
    if (this.known.size >= NEEDLES_MAX) return void this.left++;
    this.known.add(text);
    const escaped = JSON.stringify(text).slice(1, -1);
    for (const form of new Set([text, escaped])) this.put(Buffer.from(form));
  }

  addBytes(bytes: Uint8Array): void {
    if (bytes.length < NEEDLE_BYTES_MIN) return this.addShort(Buffer.from(bytes).toString("latin1"));
    this.pieces++;
    this.put(bytes);
  }

  private addShort(text: string): void {
    if (this.shorts.size < NEEDLES_MAX || this.shorts.has(text)) this.shorts.add(text);
    else this.left++;
  }

  private put(bytes: Uint8Array): void {
    const needle = Buffer.from(bytes.subarray(0, NEEDLE_BYTES_MAX));
    const bit = filterOf(needle.readUIntBE(0, 3), needle.readUIntBE(3, 3));
    this.filter[bit >> 3]! |= 1 << (bit & 7);
    const whole = needle.toString("latin1");
    this.needles.add(whole);
    const level = LEVELS.findLastIndex((bytes) => bytes <= needle.length);
    const start = whole.slice(0, LEVELS[level]);
    const lengths = this.lengths[level]!.get(start) ?? new Set();
    this.lengths[level]!.set(start, lengths.add(needle.length));
    this.longest = Math.max(this.longest, needle.length);
  }

  /** Bytes that two pieces of a file must share, so that nothing between them is missed. */
  get overlap(): number {
    return this.longest - 1;
  }

  /** How often something begins in the first `until` bytes. */
  in(bytes: Buffer, until: number): number {
    const { filter } = this;
    const end = Math.min(bytes.length, until + NEEDLE_BYTES_MIN - 1);
    if (end < NEEDLE_BYTES_MIN) return 0;
    let found = 0;
    let first = bytes.readUIntBE(0, 3) >> 8, second = bytes.readUIntBE(2, 3);
    for (let i = NEEDLE_BYTES_MIN - 1; i < end; i++) {
      first = ((first << 8) | bytes[i - 3]!) & 0xffffff;
      second = ((second << 8) | bytes[i]!) & 0xffffff;
      const bit = filterOf(first, second);
      if ((filter[bit >> 3]! & (1 << (bit & 7))) !== 0) found += this.at(bytes, i + 1 - NEEDLE_BYTES_MIN);
    }
    return found;
  }

  private at(bytes: Buffer, from: number): number {
    let found = 0;
    const here = bytes.toString("latin1", from, from + NEEDLE_BYTES_MAX);
    for (let level = 0; level < LEVELS.length && here.length >= LEVELS[level]!; level++) {
      const lengths = this.lengths[level]!.get(here.slice(0, LEVELS[level]));
      if (!lengths) continue;
      for (const length of lengths) if (length <= here.length && this.needles.has(here.slice(0, length))) found++;
    }
    return found;
  }
}

/** Every file below a folder, in the order of their paths, wherever a link leads to it; what is no file, such as a socket, has no bytes. */
export const scanFolder = async (
  folder: string,
  needles: Needles,
  progress: OnProgress,
): Promise<readonly ScannedFile[]> => {
  const paths = await filesBelow(folder, "", new Set());
  const scanned: ScannedFile[] = [];
  for (const path of paths.sort()) {
    const file = await scanFile(join(folder, path), needles);
    // Another process may have taken it away meanwhile.
    if (file) scanned.push({ path, ...file });
    progress({ done: scanned.length, total: paths.length, unit: "files" });
  }
  return scanned;
};

/** `seen`: folders on the way or beside it, so that a link leads round in no circle. */
const filesBelow = async (folder: string, below: string, seen: Set<string>): Promise<string[]> => {
  const found: string[] = [];
  const real = await Deno.realPath(join(folder, below));
  if (seen.has(real)) return found;
  seen.add(real);
  for await (const entry of Deno.readDir(join(folder, below))) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    const { isDirectory, isFile } = entry.isSymlink ? await ledTo(join(folder, path)) : entry;
    if (isDirectory) found.push(...await filesBelow(folder, path, seen));
    else if (isFile) found.push(path);
  }
  return found;
};

/** How often something is found in blobs as they are when they are opened; in pieces of a file that is sealed nothing is. */
export const scanBlobs = async (log: Pick<Reader, "blobs">, needles: Needles): Promise<number> => {
  let found = 0;
  for (const blob of log.blobs()) {
    let held = Buffer.alloc(0);
    for (const chunk of blob.chunks()) {
      const here = Buffer.concat([held, chunk]);
      // As in a file: what begins in the shared part is counted with the next piece.
      const until = Math.max(0, here.length - needles.overlap);
      found += needles.in(here, until);
      held = here.subarray(until);
      await pause(systemClock, 0);
    }
    found += needles.in(held, held.length);
  }
  return found;
};

const NOWHERE = [Deno.errors.NotFound, Deno.errors.NotADirectory, Deno.errors.FilesystemLoop];
/** One that leads nowhere is as good as none. */
const ledTo = async (link: string): Promise<{ readonly isDirectory: boolean; readonly isFile: boolean }> => {
  try {
    return await Deno.stat(link);
  } catch (error) {
    if (NOWHERE.some((kind) => error instanceof kind)) return { isDirectory: false, isFile: false };
    throw error;
  }
};

const scanFile = async (path: string, needles: Needles): Promise<Pick<ScannedFile, "bytes" | "found"> | undefined> => {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  using _ = file;
  const { overlap } = needles;
  const buffer = Buffer.alloc(CHUNK_BYTES + overlap);
  let [held, bytes, found] = [0, 0, 0];
  for (;;) {
    const read = await file.read(buffer.subarray(held));
    const end = read === null;
    held += read ?? 0;
    bytes += read ?? 0;
    if (!end && held < buffer.length) continue;
    // What begins in the shared part is counted with the next piece.
    const until = end ? held : held - overlap;
    found += needles.in(buffer.subarray(0, held), until);
    if (end) return { bytes, found };
    buffer.copyWithin(0, until, held);
    held -= until;
    await pause(systemClock, 0);
  }
};
