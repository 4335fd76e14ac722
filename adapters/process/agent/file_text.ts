/** What small files hold: of the kernel's, and of the agent's own traces. */
import { readFileSync } from "node:fs";

/** `undefined` for one that is gone, or not ours to read. */
export const fileText = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};
