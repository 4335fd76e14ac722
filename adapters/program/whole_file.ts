/** Small files that are whole or as they were before, and stay so when the power goes. */
import { dirname } from "node:path";

/** Readable by its owner alone, in the place of an older one; the folder is there. */
export const writeWhole = async (path: string, text: string): Promise<void> => {
  const fresh = `${path}.new`;
  {
    using file = await Deno.open(fresh, { write: true, create: true, truncate: true, mode: 0o600 });
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
  }
  await Deno.rename(fresh, path);
  using folder = await Deno.open(dirname(path));
  await folder.sync();
};
