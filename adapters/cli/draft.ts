/** A file that bears its name only once it is whole, and somebody says so: as `Draft`. */
import { Usage } from "./call.ts";
import type { Draft } from "./runtime.ts";

const PARTIAL = ".partial";
export const draftOf = (path: string): string => `${path}${PARTIAL}`;
const utf8 = new TextEncoder();

export const openDraft = async (path: string): Promise<Draft> => {
  const there = await Deno.lstat(path).catch(missing);
  if (there && !there.isFile) throw new Usage(`${path} is no file`);
  const partial = draftOf(path);
  // What another run left may be open to others or be a link; a fresh one is neither.
  await Deno.remove(partial).catch(missing);
  const file = await Deno.open(partial, { write: true, createNew: true, mode: 0o600 });
  let open = true;
  const close = () => {
    if (open) file.close();
    open = false;
  };
  return {
    write(piece) {
      const bytes = typeof piece === "string" ? utf8.encode(piece) : piece;
      for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
    },
    async settle() {
      try {
        await file.sync();
      } finally {
        close();
      }
    },
    async name() {
      await Deno.rename(partial, path);
    },
    async drop() {
      close();
      await Deno.remove(partial).catch(missing);
    },
  };
};

const missing = (error: unknown): undefined => {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
};
