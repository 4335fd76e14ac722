/** What a file holds, as a manifest names it. */
import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { LogFault } from "../../events/log.ts";

const CHUNK_BYTES = 1 << 20;

export interface FileDigest {
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Reads the file once, a piece at a time. `into`: each piece is also written there. */
export const digestOf = async (
  path: string,
  signal?: AbortSignal,
  into?: { write(piece: Uint8Array): Promise<unknown> },
): Promise<FileDigest> => {
  // A pipe would be waited for.
  if (!(await stat(path)).isFile()) throw new LogFault("foreign", `${path} is no file`);
  const handle = await open(path, "r");
  const hash = createHash("sha256");
  const buffer = new Uint8Array(CHUNK_BYTES);
  let bytes = 0;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, bytes);
      if (bytesRead === 0) return { bytes, sha256: hash.digest("hex") };
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      await into?.write(piece);
      bytes += bytesRead;
    }
  } finally {
    await handle.close();
  }
};
