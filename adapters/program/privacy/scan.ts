/**
 * Looks for texts in the raw bytes of files, whatever these are: a table of the first three bytes of all that is looked for is passed
 * over each file once, so that the time does not depend on how much is looked for.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { pause } from "../../../actors/kernel/world.ts";
import type { OnProgress } from "../../cli/runtime.ts";
import { systemClock } from "../../system/world.ts";

/** What is shorter, in bytes of UTF-8, is found everywhere and says nothing. */
export const NEEDLE_BYTES_MIN = 6;
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

/** Texts that are to be found nowhere. */
export class Needles {
  private readonly known = new Set<string>();
  private readonly byStart = new Map<number, Buffer[]>();
  private readonly starts = new Uint8Array(1 << 21);
  private longest = NEEDLE_BYTES_MIN;
  /** Left out because they were too short, or too many. */
  short = 0;
  left = 0;

  get size(): number {
    return this.known.size;
  }

  /** As it is, and as it stands in JSON. */
  add(text: string): void {
    if (this.known.has(text)) return;
    if (Buffer.byteLength(text) < NEEDLE_BYTES_MIN) return void this.short++;
    if (this.known.size >= NEEDLES_MAX) return void this.left++;
    this.known.add(text);
    const escaped = JSON.stringify(text).slice(1, -1);
    for (const form of new Set([text, escaped])) this.addBytes(Buffer.from(form));
  }

  addBytes(bytes: Uint8Array): void {
    if (bytes.length < NEEDLE_BYTES_MIN) return void this.short++;
    const needle = Buffer.from(bytes.subarray(0, NEEDLE_BYTES_MAX));
    const start = (needle[0]! << 16) | (needle[1]! << 8) | needle[2]!;
    this.starts[start >> 3]! |= 1 << (start & 7);
    const same = this.byStart.get(start);
    if (!same) this.byStart.set(start, [needle]);
    else if (!same.some((other) => other.equals(needle))) same.push(needle);
    this.longest = Math.max(this.longest, needle.length);
  }

  /** Bytes that two pieces of a file must share, so that nothing between them is missed. */
  get overlap(): number {
    return this.longest - 1;
  }

  /** How often something begins in the first `until` bytes. */
  in(bytes: Uint8Array, until: number): number {
    const { starts } = this;
    let found = 0;
    let start = (bytes[0]! << 8) | bytes[1]!;
    for (let i = 2; i < bytes.length && i - 2 < until; i++) {
      start = ((start << 8) | bytes[i]!) & 0xffffff;
      if ((starts[start >> 3]! & (1 << (start & 7))) === 0) continue;
      const rest = bytes.subarray(i - 2);
      for (const needle of this.byStart.get(start)!) {
        if (needle.length <= rest.length && needle.equals(rest.subarray(0, needle.length))) found++;
      }
    }
    return found;
  }
}

/** Every file below a folder, in the order of their paths; what is no file, such as a socket, has no bytes. */
export const scanFolder = async (
  folder: string,
  needles: Needles,
  progress: OnProgress,
): Promise<readonly ScannedFile[]> => {
  const paths = await filesBelow(folder, "");
  const scanned: ScannedFile[] = [];
  for (const path of paths.sort()) {
    const file = await scanFile(join(folder, path), needles);
    // Another process may have taken it away meanwhile.
    if (file) scanned.push({ path, ...file });
    progress({ done: scanned.length, total: paths.length, unit: "files" });
  }
  return scanned;
};

const filesBelow = async (folder: string, below: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) found.push(...await filesBelow(folder, path));
    else if (isFile) found.push(path);
  }
  return found;
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
  const buffer = new Uint8Array(CHUNK_BYTES + overlap);
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
