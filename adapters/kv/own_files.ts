/** Whether the files of an open log are those that lie in its folder: what is acknowledged into others is gone when the process ends. */
import { AWAY, changeOf, type FileSeen } from "../../actors/kernel/open_file.ts";
import { LogFault } from "../../events/log.ts";

const seen = (path: string): FileSeen | undefined => {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw new LogFault("read_only", `${path} cannot be looked at: ${(error as Error).message}`, { cause: error });
  }
};

/** Where the shared memory of a write-ahead log says how many frames of it count (https://sqlite.org/walformat.html, `mxFrame`). */
const FRAMES_AT = 16;

/** Whether SQLite itself has emptied the write-ahead log, as another program may ask it to (`wal_checkpoint(truncate)`): then no frame of it counts. */
const isEmptied = (path: string): boolean => {
  try {
    return Deno.readFileSync(`${path}-shm`).slice(FRAMES_AT, FRAMES_AT + 4).every((byte) => byte === 0);
  } catch {
    return false;
  }
};

/** To be made when the connection that writes has read: since then no other that closes takes the write-ahead log away. */
export class OwnFiles {
  private readonly known = new Map<string, FileSeen>();

  constructor(private readonly path: string) {
    for (const file of [path, `${path}-wal`]) {
      const there = seen(file);
      if (there) this.known.set(file, there);
    }
  }

  /**
   * Takes some microseconds. Throws `LogFault`: `read_only` where one is not there, or another is, for it may be put back; `fenced` where
   * one is shorter than it was, and not by SQLite, which empties a write-ahead log once nothing in it counts: what is written behind a gap is not read again.
   */
  look(): void {
    for (const [file, before] of this.known) {
      const now = seen(file);
      const change = changeOf(before, now);
      if (change === "gone" || change === "another") throw new LogFault("read_only", `${file} ${AWAY[change]}`);
      const { size } = now!;
      if (change === "shorter" && !(file !== this.path && size === 0 && isEmptied(this.path))) {
        throw new LogFault("fenced", `${file} was cut short from ${before.size} to ${size} bytes`);
      }
      this.known.set(file, now!);
    }
  }
}
