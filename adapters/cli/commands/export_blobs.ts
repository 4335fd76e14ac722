/** `export --blobs`: every blob of the log as a file, named by its SHA-256 in hexadecimal, so that `sha256sum` checks it. */
import { join } from "node:path";
import { progressBar } from "../progress.ts";
import type { Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";

export interface ExportedBlobs {
  readonly blobs: number;
  readonly bytes: number;
}

/** Into a folder, made if it is missing; what is there under the same name is replaced. Sealed blobs stay sealed. */
export const exportBlobs = async (reader: Reader, folder: string, { io, clock }: Runtime): Promise<ExportedBlobs> => {
  const progress = progressBar("exporting", { io, clock, quiet: false });
  let [blobs, bytes] = [0, 0];
  try {
    await io.folder(folder);
    for (const blob of reader.blobs()) {
      const file = await io.create(join(folder, Uint8Array.fromBase64(blob.sha256).toHex()));
      try {
        for (const chunk of blob.chunks()) file.write(chunk);
        await file.settle();
        await file.name();
      } catch (error) {
        await file.drop();
        throw error;
      }
      blobs++;
      bytes += blob.bytes;
      progress.on({ done: blobs, unit: "blobs" });
    }
  } finally {
    progress.end();
  }
  return { blobs, bytes };
};
