/**
 * The manifest of an audit folder against its files: each is there with the bytes it names, and no other. It says that nothing was
 * damaged or left out on the way; whoever can change a file can change the manifest too, so what the files claim is checked by itself.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { LogFault } from "../../events/log.ts";
import { sameBytes } from "./block.ts";
import { isCount } from "./counts.ts";
import { shown } from "./failures.ts";
import { fileIn, pathsIn } from "./tlog_files.ts";

const NAME = "manifest.json";
const FORMAT = 1;
/** A longer one is not read. */
const MANIFEST_BYTES_MAX = 256 * 1024 * 1024;
/** Failures that are listed. */
const LISTED_MAX = 100;
const CHUNK_BYTES = 1 << 20;
const TURN_MS = 40;

export interface FileFailure {
  /** In the folder, with slashes. */
  readonly path: string;
  readonly expected: string;
  readonly found: string;
}

export interface ManifestReport {
  /** SHA-256 of the manifest itself, hexadecimal: who knows it knows the folder. */
  readonly sha256: string;
  readonly files: number;
  /** Of the files that were read. */
  readonly bytes: number;
  /** By path; the first hundred. */
  readonly failures: readonly FileFailure[];
  readonly failed: number;
}

interface Listed {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Reads every file once. Throws `LogFault`: `foreign` when the folder is no audit folder or its manifest cannot be read, `newer` for a format
 * behind ours, `io`; or the signal's reason.
 */
export const verifyManifest = async (
  folder: string,
  { hasPlace = () => true, progress, signal }: {
    /** Whether somebody looks at what is in such a file. Default: at any. */
    readonly hasPlace?: (path: string) => boolean;
    readonly progress?: (progress: { readonly done: number; readonly total?: number; readonly unit: string }) => void;
    readonly signal?: AbortSignal;
  } = {},
): Promise<ManifestReport> => {
  const { text, listed } = readManifest(folder);
  const failures: FileFailure[] = [];
  const there = new Set(pathsIn(folder));
  there.delete(NAME);
  let [bytes, turn, done] = [0, performance.now(), 0];
  for (const [path, { bytes: length, sha256 }] of listed) {
    if (!hasPlace(path)) failures.push({ path, expected: "no such file", found: there.delete(path) ? "one" : "none" });
    else if (!there.delete(path)) failures.push({ path, expected: "a file", found: "none" });
    else {
      const found = digestOf(join(folder, path), length);
      bytes += typeof found === "string" ? length : 0;
      if (typeof found !== "string") failures.push({ path, expected: `${length} bytes`, found: found.instead });
      else if (found !== sha256) failures.push({ path, expected: `SHA-256 ${sha256}`, found });
    }
    done++;
    if (performance.now() - turn < TURN_MS) continue;
    progress?.({ done, total: listed.size, unit: "files" });
    await new Promise<void>((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
    turn = performance.now();
  }
  for (const path of there) failures.push({ path, expected: "no such file", found: "one" });
  // One spelling: a manifest in other bytes, or that says more, was written by somebody else.
  if (!sameBytes(text, spelled(listed))) {
    failures.push({ path: NAME, expected: "what it says, as it is written", found: "something else" });
  }
  failures.sort((a, b) => a.path < b.path ? -1 : 1);
  return {
    sha256: createHash("sha256").update(text).digest("hex"),
    files: listed.size,
    bytes,
    failures: failures.slice(0, LISTED_MAX).map((failure) => ({ ...failure, path: shown(failure.path) })),
    failed: failures.length,
  };
};

const readManifest = (folder: string): { readonly text: Uint8Array; readonly listed: ReadonlyMap<string, Listed> } => {
  const foreign = (why: string) => new LogFault("foreign", `${folder} is no audit folder: ${why}`);
  try {
    readdirSync(folder);
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message?: string };
    if (code === "ENOENT" || code === "ENOTDIR") throw foreign("there is no such folder");
    throw new LogFault("io", `Cannot read ${folder}: ${message}`, { cause: error });
  }
  const text = fileIn(folder, NAME, MANIFEST_BYTES_MAX);
  if (typeof text === "string") throw foreign(`instead of ${NAME} there is ${text}`);
  let value: { readonly format?: unknown; readonly files?: unknown } | null;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch {
    throw foreign(`${NAME} is not JSON`);
  }
  const { format, files } = value ?? {};
  if (typeof format === "number" && format > FORMAT) {
    throw new LogFault("newer", `Cannot read ${NAME}: it has format ${format}, this program knows ${FORMAT}`);
  }
  if (format !== FORMAT || typeof files !== "object" || files === null) throw foreign(`${NAME} is none of ours`);
  const listed = new Map<string, Listed>();
  for (const [path, file] of Object.entries(files)) {
    if (!isPath(path) || !isListed(file)) throw foreign(`${NAME} says of ${shown(path)} what cannot be`);
    listed.set(path, file);
  }
  return { text, listed };
};

const spelled = (listed: ReadonlyMap<string, Listed>): Uint8Array => {
  const files = Object.fromEntries(
    [...listed].sort(([a], [b]) => a < b ? -1 : 1).map(([path, { bytes, sha256 }]) => [path, { bytes, sha256 }]),
  );
  return new TextEncoder().encode(`${JSON.stringify({ format: FORMAT, files }, undefined, 2)}\n`);
};

/** Within the folder, in one spelling. */
const isPath = (path: string): boolean =>
  path !== NAME && path.split("/").every((part) => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(part));

const isListed = (file: unknown): file is Listed => {
  const { bytes, sha256 } = (file ?? {}) as { readonly bytes?: unknown; readonly sha256?: unknown };
  return isCount(bytes) && typeof sha256 === "string" &&
    /^[0-9a-f]{64}$/.test(sha256);
};

/** Of a file that has so many bytes; what there is instead. */
const digestOf = (path: string, length: number): string | { readonly instead: string } => {
  let file: number;
  try {
    // A pipe would be waited for, and who follows no link would not have looked at what this one leads to.
    if (!lstatSync(path).isFile()) return { instead: "what is no file" };
    file = openSync(path, "r");
  } catch (error) {
    throw new LogFault("io", `Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
  try {
    const found = fstatSync(file);
    if (found.size !== length) return { instead: `${found.size} bytes` };
    const hash = createHash("sha256");
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, Math.max(1, length)));
    for (let at = 0; at < length;) {
      const read = readSync(file, buffer, 0, buffer.length, at);
      if (read === 0) return { instead: `${at} bytes` };
      hash.update(buffer.subarray(0, read));
      at += read;
    }
    return hash.digest("hex");
  } finally {
    closeSync(file);
  }
};
