/**
 * Passwords that are known from breaches (ASVS 6.2.12): a file of their SHA-1 hashes in hexadecimal, in order, a line each, with or without
 * `:` and how often; as the downloader of Pwned Passwords writes it (https://github.com/HaveIBeenPwned/PwnedPasswordsDownloader). It has
 * tens of gigabytes, so it is searched where it lies.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, stat as statOf } from "node:fs/promises";
import { Usage } from "../../cli/call.ts";

const LINE = /^([0-9A-Fa-f]{40})(?::\d{1,20})?\r?$/;
/** Of one line and its end. */
const LINE_BYTES_MAX = 64, LINE_BYTES_MIN = 41;
/** Greater than any. */
const NONE = "G";

/** Whether a password is among them cannot be said now: the file was changed since the start, or cannot be read. */
export class BreachedFault extends Error {
  override readonly name = "BreachedFault";
}

export class Breached {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly size: number,
  ) {}

  /** Throws `Usage` for what is no such file, as far as its first and last line tell. */
  static async open(path: string): Promise<Breached> {
    const wrong = (told: string) => new Usage(`identity.passwords.breached: ${told}`);
    // Before it is opened: a pipe would be waited for.
    const stat = await statOf(path).catch((error: Error) => Promise.reject(wrong(error.message)));
    if (!stat.isFile() || stat.size === 0) throw wrong(`${path}: expected a file of SHA-1 hashes, a line each`);
    const file = await open(path).catch((error: Error) => Promise.reject(wrong(error.message)));
    const breached = new Breached(path, file, stat.size);
    try {
      const first = await breached.from(0);
      for (const bytes of [LINE_BYTES_MAX, LINE_BYTES_MIN]) {
        if (await breached.from(Math.max(0, stat.size - bytes)) >= first) continue;
        throw wrong(`${path}: expected hashes in order, but the last is below the first`);
      }
      return breached;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Throws `BreachedFault`. */
  async has(password: string): Promise<boolean> {
    try {
      return await this.search(password);
    } catch (cause) {
      if (cause instanceof BreachedFault) throw cause;
      throw new BreachedFault((cause as Error).message, { cause });
    }
  }

  private async search(password: string): Promise<boolean> {
    const sought = createHash("sha1").update(password).digest("hex").toUpperCase();
    let [low, high] = [0, this.size];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await this.from(middle) < sought) low = middle + 1;
      else high = middle;
    }
    const found = await this.from(low) === sought;
    // What is written anew in its place has only some of them, and nobody is to have a password for that.
    const { size } = await this.file.stat();
    if (found || size >= this.size) return found;
    throw new BreachedFault(
      `identity.passwords.breached: ${this.path} was cut short from ${this.size} to ${size} bytes; start again when it is whole`,
    );
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  /** The hash of the first line that begins at that byte or later; behind the last one, what is greater than any. */
  private async from(place: number): Promise<string> {
    // A line that begins right there has the end of another before it.
    const start = Math.max(0, place - 1);
    const bytes = new Uint8Array(2 * LINE_BYTES_MAX);
    const { bytesRead } = await this.file.read(bytes, 0, bytes.length, start);
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, bytesRead));
    const skipped = place === 0 ? 0 : text.indexOf("\n") + 1;
    const line = text.slice(skipped).split("\n", 1)[0]!;
    if (place > 0 && (skipped === 0 || line === "")) return NONE;
    const hash = LINE.exec(line)?.[1];
    if (hash === undefined) {
      throw new Usage(
        `identity.passwords.breached: ${this.path}: expected a SHA-1 hash in hexadecimal at byte ${start + skipped}`,
      );
    }
    return hash.toUpperCase();
  }
}
