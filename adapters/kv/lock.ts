/**
 * One writer per folder: an operating-system lock on `DIR/lock`. It dies with its holder, so there is nothing to clean up
 * after a crash.
 */
import { LogFault } from "../../events/log.ts";
import { faultOf } from "./store.ts";

export class FolderLock {
  private constructor(private readonly file: Deno.FsFile) {}

  /** Takes the lock at once or throws `LogFault`: `locked` when another process has it, `read_only` when the folder cannot be written. */
  static async take(path: string): Promise<FolderLock> {
    let file: Deno.FsFile;
    try {
      file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
    } catch (error) {
      throw faultOf(error);
    }
    if (await file.tryLock(true)) return new FolderLock(file);
    file.close();
    throw new LogFault("locked", "another process is writing to this folder");
  }

  release(): void {
    this.file.close();
  }
}
