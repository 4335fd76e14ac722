/**
 * A log as C2SP tlog-tiles lays it out (https://c2sp.org/tlog-tiles): how tiles and entry bundles are called, and what an entry bundle is.
 * Whoever serves a log, writes one into a folder or reads one there does it by this. The verifier alone has its own.
 */
import { LogFault } from "./log.ts";

/** Hashes of a full tile, entries of a full bundle. */
export const TILE_WIDTH = 256;

/** How many hashes of a level a tree of this size has. */
export const hashesAt = (level: number, size: number): number => Math.floor(size / TILE_WIDTH ** level);

/** What a path names below its level. */
export interface TilePlace {
  readonly index: number;
  /** Hashes or entries: 1 to 256. */
  readonly width: number;
}

/** The index in groups of three digits, all but the last behind an `x`, then perhaps how much of the tile there is. */
const INDEX = /^((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** `x001/x234/067`, and `.p/<width>` behind it where the tile is partial. */
export const tileName = ({ index, width }: TilePlace): string => {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/\d{3}/g)!;
  const name = groups.map((group, i) => i < groups.length - 1 ? `x${group}` : group).join("/");
  return width === TILE_WIDTH ? name : `${name}.p/${width}`;
};

/** What such a name says; `undefined` for what tlog-tiles does not have, in any other spelling too. */
export const readTileName = (text: string): TilePlace | undefined => {
  const [, groups, partial] = INDEX.exec(text) ?? [];
  if (groups === undefined || groups.startsWith("x000/")) return undefined;
  const index = Number(groups.replaceAll(/[x/]/g, ""));
  const width = Number(partial ?? TILE_WIDTH);
  if (!Number.isSafeInteger(index) || (partial !== undefined && width >= TILE_WIDTH)) return undefined;
  return { index, width };
};

/** The tiles of one level of a tree of this size, or (at level 0) its entry bundles, from an index on. */
export function* tilesAt(level: number, size: number, from = 0): Generator<TilePlace> {
  const hashes = hashesAt(level, size);
  for (let index = from; index * TILE_WIDTH < hashes; index++) {
    yield { index, width: Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH) };
  }
}

/** A bundle is handed out in pieces of about so many bytes. */
const PIECE_BYTES = 65_536;

/** An entry bundle, piece by piece: the entries' exact bytes, the length of each before it in two bytes, big-endian. Throws `LogFault` `truncated` for one that is not there. */
export function* bundlePieces(
  log: { entry(position: number): Uint8Array | undefined },
  { index, width }: TilePlace,
): Generator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const until = index * TILE_WIDTH + width;
  for (let at = index * TILE_WIDTH; at < until; at++) {
    const entry = log.entry(at);
    if (!entry) throw new LogFault("truncated", `the log has no entry ${at}`);
    parts.push(Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry);
    bytes += 2 + entry.length;
    if (bytes < PIECE_BYTES && at < until - 1) continue;
    yield joined(parts, bytes);
    parts = [];
    bytes = 0;
  }
}

/** The entries of a bundle, as views of its bytes; `undefined` unless their lengths add up to it. */
export const readBundle = (bytes: Uint8Array): readonly Uint8Array[] | undefined => {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    if (at + 2 > bytes.length) return undefined;
    const from = at + 2;
    at = from + (bytes[at]! << 8 | bytes[at + 1]!);
    if (at > bytes.length) return undefined;
    entries.push(bytes.subarray(from, at));
  }
  return entries;
};

const joined = (parts: readonly Uint8Array[], bytes: number): Uint8Array => {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};
