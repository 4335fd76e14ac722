/** A file of an audit folder against what it must be: made again, piece by piece, and never held as a whole. */
import { join } from "node:path";
import type { ControlResult } from "../../projections/controls/mod.ts";
import type { Document } from "../audit/documents.ts";
import { DOCUMENT_BYTES_MAX, PATHS } from "../audit/manifest.ts";

const CHUNK_BYTES = 1 << 16;

export interface Difference {
  readonly expected: string;
  readonly found: string;
}

/** Where it differs; of results the control that does is named, and how. Throws what the disk says, but for a file that is not there. */
export const compared = (
  folder: string,
  document: Document,
  results: readonly ControlResult[],
): Difference | undefined => {
  const difference = bytesCompared(folder, document);
  return difference && document.path === PATHS.results ? resultsCompared(folder, results) ?? difference : difference;
};

const resultsCompared = (folder: string, results: readonly ControlResult[]): Difference | undefined => {
  let claimed: readonly Partial<ControlResult>[];
  const path = join(folder, PATHS.results);
  try {
    const { isFile, size } = Deno.statSync(path);
    // A pipe would be waited for.
    if (!isFile || size > DOCUMENT_BYTES_MAX) return undefined;
    claimed = JSON.parse(Deno.readTextFileSync(path)).results;
  } catch {
    return undefined;
  }
  if (!Array.isArray(claimed)) return undefined;
  for (const [i, result] of results.entries()) {
    if (JSON.stringify(result) === JSON.stringify(claimed[i])) continue;
    const told = (one: Partial<ControlResult> | null | undefined) => one ? `${one.status}: ${one.because}` : "nothing";
    return { expected: `control ${result.id} ${told(result)}`, found: told(claimed[i]) };
  }
  return undefined;
};

const bytesCompared = (folder: string, { path, pieces }: Document): Difference | undefined => {
  let file: Deno.FsFile;
  try {
    if (!Deno.statSync(join(folder, path)).isFile) return { expected: `the file ${path}`, found: "what is no file" };
    file = Deno.openSync(join(folder, path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { expected: `the file ${path}`, found: "none" };
    throw error;
  }
  try {
    let at = 0;
    const buffer = new Uint8Array(CHUNK_BYTES);
    for (const piece of pieces) {
      for (let done = 0; done < piece.length;) {
        const read = file.readSync(buffer.subarray(0, Math.min(buffer.length, piece.length - done))) ?? 0;
        for (let i = 0; i < read; i++) {
          if (buffer[i] !== piece[done + i]) return differs(at + i);
        }
        if (read === 0) return { expected: `more than ${at} bytes`, found: `${at} bytes` };
        done += read;
        at += read;
      }
    }
    return file.readSync(buffer) === null ? undefined : { expected: `${at} bytes`, found: "more" };
  } finally {
    file.close();
  }
};

const differs = (at: number): Difference => ({
  expected: "what follows from the log",
  found: `other bytes from byte ${at} on`,
});
