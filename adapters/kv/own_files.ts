/**
 * Whether the files of an open database are those that lie in its folder. SQLite goes on writing into a file that was deleted, moved or cut
 * short as if nothing had happened; what is acknowledged then is gone when the process ends.
 */
import { LogFault } from "../../events/log.ts";

interface Seen {
  readonly dev: number;
  readonly ino: number | null;
  readonly size: number;
}

const seen = (path: string): Seen | undefined => {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new LogFault("read_only", `${path} cannot be looked at: ${(error as Error).message}`, { cause: error });
  }
};

/** To be made when the connection that writes has read: since then no other that closes takes the write-ahead log away. */
export class OwnFiles {
  private readonly known = new Map<string, Seen>();

  constructor(path: string) {
    for (const file of [path, `${path}-wal`]) {
      const there = seen(file);
      if (there) this.known.set(file, there);
    }
  }

  /**
   * Takes some microseconds. Throws `LogFault`: `read_only` where one is not there, or another is, for it may be put back; `fenced` where
   * one is shorter than it was, for SQLite shortens none that is open: what is written behind a gap is not read again.
   */
  look(): void {
    for (const [file, before] of this.known) {
      const now = seen(file);
      if (now === undefined) throw new LogFault("read_only", `${file} is not there any more: it was deleted or moved`);
      if (now.dev !== before.dev || now.ino !== before.ino) {
        throw new LogFault("read_only", `${file} is not the file that was opened: it was replaced`);
      }
      if (now.size < before.size) {
        throw new LogFault("fenced", `${file} was cut short from ${before.size} to ${now.size} bytes`);
      }
      this.known.set(file, now);
    }
  }
}
