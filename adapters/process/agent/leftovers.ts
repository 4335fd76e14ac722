/**
 * Takes away what an instance left behind in its folder, and nothing else: only what came into being since the instance was started
 * last is its own. Nothing is followed out of the folder: not up, not through a symbolic link, not into another file system.
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, sep } from "node:path";

export interface Left {
  readonly folder: string;
  /** Below the folder. */
  readonly paths: readonly string[];
  /** File whose time says when the instance was started last. */
  readonly mark: string;
}

/** A path that is not taken away, and why. */
export interface Kept {
  readonly path: string;
  readonly because: string;
}

interface Found {
  readonly birth: number;
  readonly device: number;
}

/** Takes away what is the instance's own; what is not, and why, or why nothing may be started. */
export const takeAway = (
  { folder, paths, mark }: Left,
): { readonly kept: readonly Kept[] } | { readonly refused: string } => {
  const kept: Kept[] = [];
  if (paths.length === 0) return { kept };
  const top = realpathSync(folder);
  const { dev: device } = statSync(top);
  const since = timeOf(mark);
  for (const path of paths) {
    const whole = join(top, path);
    if (!whole.startsWith(top === sep ? top : `${top}${sep}`)) {
      return { refused: `the leftover "${path}" is not below its folder` };
    }
    const found = foundAt(top, path, device);
    if (typeof found === "string") return { refused: `the leftover "${path}" ${found}` };
    if (!found) continue;
    const because = strange(found, since);
    if (because !== undefined) kept.push({ path, because });
    else if (!removed(whole, device)) return { refused: `the leftover "${path}" holds another file system` };
  }
  return { kept };
};

/** From now on: what comes into being is the instance's own. */
export const markStart = (mark: string): void => {
  mkdirSync(dirname(mark), { recursive: true, mode: 0o700 });
  writeFileSync(mark, "", { mode: 0o600 });
};

const timeOf = (mark: string): number | undefined => {
  try {
    return statSync(mark).mtimeMs;
  } catch {
    return undefined;
  }
};

const strange = ({ birth }: Found, since: number | undefined): string | undefined => {
  if (since === undefined) return "it was there before this service was first started";
  if (!(birth > 0)) return "nobody knows since when it is there";
  return birth < since ? "it was there before this service was started last" : undefined;
};

/** `undefined`: there is nothing. A text: what is there is not touched, and why. */
const foundAt = (top: string, path: string, device: number): Found | string | undefined => {
  let at = top;
  let found: Found | undefined;
  for (const step of path.split(sep).filter((step) => step !== "" && step !== ".")) {
    at = join(at, step);
    const here = lookAt(at);
    if (here === undefined || typeof here === "string") return here;
    if (here.device !== device) return "lies in another file system";
    found = here;
  }
  return found;
};

const lookAt = (path: string): Found | string | undefined => {
  try {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) return "is a symbolic link, or lies behind one";
    if (stat.isBlockDevice() || stat.isCharacterDevice()) return "is a device";
    return { birth: stat.birthtimeMs, device: stat.dev };
  } catch (error) {
    const { code } = error as { readonly code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
};

/** With all that is in it; links are taken away, not followed. False where something of it lies in another file system. */
const removed = (path: string, device: number): boolean => {
  const stat = lstatSync(path);
  if (stat.dev !== device) return false;
  if (!stat.isDirectory()) {
    unlinkSync(path);
    return true;
  }
  if (!readdirSync(path).every((name) => removed(join(path, name), device))) return false;
  rmdirSync(path);
  return true;
};
