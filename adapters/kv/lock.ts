/**
 * One writer per folder: an operating-system lock on `DIR/lock`. It dies with its holder, so there is nothing to clean up
 * after a crash.
 */
import { LogFault } from "../../events/log.ts";
import { faultOf, ofFile } from "./store.ts";

/** Whoever only looks (`isHeld`) lets go at once; a writer that meets so many in a row gives up. */
const LOOKS_MAX = 1_000;

export class FolderLock {
  private constructor(private readonly file: Deno.FsFile) {}

  /** Takes the lock at once or throws `LogFault`: `locked` when another process has it, `read_only` when the folder cannot be written. */
  static async take(path: string): Promise<FolderLock> {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
    } catch (error) {
      // Of a folder that may not be entered the platform does not say which.
      throw ofFile(path, faultOf(error));
    }
    for (let look = 0; look < LOOKS_MAX; look++) {
      if (await file.tryLock(true)) return new FolderLock(file);
      // A writer's lock is exclusive. If it can be shared, somebody is looking whether there is a writer.
      if (!await file.tryLock(false)) break;
      await file.unlock();
    }
    file.close();
    throw new LogFault("locked", "another process is writing to this folder");
  }

  /**
   * Whether a writer has the folder now. Shares the lock for a moment, for which permission to read it is enough; without that,
   * or without the file, the answer is no.
   */
  static async isHeld(path: string): Promise<boolean> {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path, { read: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return false;
      throw faultOf(error);
    }
    try {
      return !await file.tryLock(false);
    } finally {
      file.close();
    }
  }

  release(): void {
    this.file.close();
  }
}
