/**
 * What a disk may hold when the power goes, worked out from the calls that one process made (strace -f -y -xx): of each file what was
 * flushed, and any part of the rest. Names are as ext4, XFS and Btrfs keep them: with a flush of any file go all that were given
 * before it, and of later ones the first so many. Compare https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai
 */
import { dirname } from "node:path";
import type { SeededRandom } from "../../adapters/simulation/random.ts";

/** Calls that are to be traced. */
export const CALLS = "openat,lseek,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,linkat";
/** A disk writes it whole or not at all. */
const SECTOR_BYTES = 512;
/** Made anew by SQLite whenever nobody has the database open; written through a mapping, of which no trace tells. */
const isShared = (path: string): boolean => path.endsWith("-shm");

/** Without bytes: the file was cut, or grew, to `at`. */
interface Write {
  readonly done: number;
  readonly at: number;
  readonly bytes?: Uint8Array;
}

class File {
  readonly writes: Write[] = [];
  /** Writes that were done before this call are on the disk. */
  flushed = -1;

  constructor(private readonly before: Uint8Array) {}

  /** `keeps` is asked of each part that was not flushed. */
  content(keeps: () => boolean): Uint8Array {
    let content: Uint8Array = this.before.slice();
    for (const { done, at, bytes } of this.writes) {
      const sure = done < this.flushed;
      if (!bytes) {
        if (sure || keeps()) content = sized(content, at);
        continue;
      }
      for (let from = 0; from < bytes.length;) {
        const until = sure ? bytes.length : Math.min(bytes.length, from + SECTOR_BYTES - (at + from) % SECTOR_BYTES);
        if (sure || keeps()) {
          if (at + until > content.length) content = sized(content, at + until);
          content.set(bytes.subarray(from, until), at + from);
        }
        from = until;
      }
    }
    return content;
  }
}

const sized = (content: Uint8Array, length: number): Uint8Array => {
  const next = new Uint8Array(length);
  next.set(content.subarray(0, length));
  return next;
};

/** What one call made of names; a path without a file is no more. */
interface Naming {
  readonly done: number;
  readonly paths: readonly (readonly [string, File | undefined])[];
}

/** A call, from the line at which it began to the one at which it was done. */
interface Call {
  readonly begun: number;
  readonly done: number;
  readonly name: string;
  readonly text: string;
  readonly returned: number;
}

/** Those that succeeded, in the order in which they were done; `open` counts those that nobody saw the end of. */
const callsIn = (lines: readonly string[]): { readonly calls: readonly Call[]; readonly open: number } => {
  const begun = new Map<string, { readonly at: number; readonly head: string }>();
  const calls = lines.flatMap((line, done) => {
    const [, thread = "", said = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const cut = said.indexOf(" <unfinished ...>");
    if (cut >= 0) begun.set(thread, { at: done, head: said.slice(0, cut) });
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(said)?.[1];
    const text = rest === undefined ? said : `${begun.get(thread)?.head}${rest}`;
    const at = rest === undefined ? done : begun.get(thread)!.at;
    if (rest !== undefined) begun.delete(thread);
    const [, name, _, returned] = /^(\w+)\((.*)\) += (\d+)/.exec(text) ?? [];
    return name === undefined ? [] : [{ begun: at, done, name, text, returned: Number(returned) }];
  });
  // A flush changes nothing but what is sure.
  const cut = [...begun.values()].map(({ head }) => head).concat(lines.filter((line) => / = \?$/.test(line)));
  return { calls, open: cut.filter((text) => !/sync\(/.test(text)).length };
};

const bytesOf = (hex: string): Uint8Array => Uint8Array.fromHex(hex.replaceAll("\\x", ""));
const textOf = (hex: string): string => new TextDecoder().decode(bytesOf(hex));
const STRINGS = /"((?:\\x[0-9a-f]{2})*)"/g;
const OPEN = /(\d+)<((?:\\x[0-9a-f]{2})*)>/;

export class DiskStates {
  /** As the process sees them. */
  private readonly names = new Map<string, File>();
  private readonly before: ReadonlyMap<string, File>;
  private readonly namings: Naming[] = [];
  private readonly places = new Map<string, number>();
  private flushed = -1;
  /** It died in the middle of calls of which nobody knows whether they were made. */
  readonly unsure: boolean;

  /** `before`: what the folder held, all of it on the disk, by absolute path. */
  constructor(private readonly folder: string, before: ReadonlyMap<string, Uint8Array>, lines: readonly string[]) {
    for (const [path, content] of before) this.names.set(path, new File(content));
    this.before = new Map(this.names);
    const { calls, open } = callsIn(lines);
    for (const call of calls) this.apply(call);
    this.unsure = open > 0;
  }

  private apply(call: Call): void {
    const { begun, done, name, text, returned } = call;
    const strings = [...text.matchAll(STRINGS)].map(([, hex]) => hex!);
    if (["rename", "linkat", "unlink"].includes(name)) return this.applyToNames(call, strings.map(textOf));
    const [, fd = "", hex = ""] = OPEN.exec(name === "openat" ? text.slice(text.lastIndexOf(" = ")) : text) ?? [];
    const path = textOf(hex);
    if (!path.startsWith(`${this.folder}/`) || isShared(path)) return;
    if (name === "openat" && text.includes("O_CREAT") && !this.names.has(path)) {
      this.rename({ done, paths: [[path, new File(new Uint8Array())]] });
    }
    const file = this.names.get(path);
    if (!file) return;
    const place = `${fd} ${path}`;
    const last = () => Number(/, (\d+)\) +=/.exec(text)![1]);
    const bytes = () => bytesOf(strings[0]!).subarray(0, returned);
    switch (name) {
      case "openat":
        this.places.set(place, 0);
        if (text.includes("O_TRUNC")) file.writes.push({ done, at: 0 });
        break;
      case "lseek":
        this.places.set(place, returned);
        break;
      case "ftruncate":
        file.writes.push({ done, at: last() });
        break;
      case "pwrite64":
        file.writes.push({ done, at: last(), bytes: bytes() });
        break;
      case "write": {
        const at = this.places.get(place) ?? 0;
        file.writes.push({ done, at, bytes: bytes() });
        this.places.set(place, at + returned);
        break;
      }
      case "fsync":
      case "fdatasync":
        file.flushed = Math.max(file.flushed, begun);
        this.flushed = Math.max(this.flushed, begun);
    }
  }

  private applyToNames({ done, name }: Call, [from = "", to]: readonly string[]): void {
    const file = this.names.get(from);
    if (!file) return;
    const paths: [string, File | undefined][] = name === "linkat" ? [] : [[from, undefined]];
    if (to !== undefined) paths.push([to, file]);
    this.rename({ done, paths });
  }

  private rename(naming: Naming): void {
    this.namings.push(naming);
    giveNames(this.names, naming);
  }

  /** With nothing but what was flushed; with some of the rest, by chance; or with all of it, which is what is there while there is power. */
  state(rest: "none" | "all" | SeededRandom): ReadonlyMap<string, Uint8Array> {
    const keeps = () => rest === "all" || rest !== "none" && rest.strikes(0.5);
    const sure = this.namings.filter(({ done }) => done < this.flushed).length;
    const later = this.namings.length - sure;
    const more = rest === "all" ? later : rest === "none" ? 0 : rest.between(0, later + 1);
    const names = new Map(this.before);
    for (const naming of this.namings.slice(0, sure + more)) giveNames(names, naming);
    return new Map([...names].map(([path, file]) => [path, file.content(keeps)]));
  }
}

const giveNames = (names: Map<string, File>, { paths }: Naming): void => {
  for (const [path, file] of paths) file ? names.set(path, file) : names.delete(path);
};

/** All files of a folder by their paths. */
export const filesIn = (folder: string): Map<string, Uint8Array> => {
  const files = new Map<string, Uint8Array>();
  for (const { name, isDirectory, isFile } of isThere(folder) ? Deno.readDirSync(folder) : []) {
    const path = `${folder}/${name}`;
    if (isDirectory) { for (const [within, content] of filesIn(path)) files.set(within, content); }
    else if (isFile && !isShared(path)) files.set(path, Deno.readFileSync(path));
  }
  return files;
};

const isThere = (folder: string): boolean => {
  try {
    return Deno.statSync(folder).isDirectory;
  } catch {
    return false;
  }
};

/** Makes a folder hold these files and no others. */
export const putBack = (folder: string, files: ReadonlyMap<string, Uint8Array>): void => {
  if (isThere(folder)) Deno.removeSync(folder, { recursive: true });
  Deno.mkdirSync(folder, { mode: 0o700 });
  for (const [path, content] of files) {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    Deno.writeFileSync(path, content, { mode: 0o600 });
  }
};
