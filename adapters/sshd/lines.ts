/** The lines of a log file, and the entries of `journalctl -o export`, without the file ever being in memory as a whole. */
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { flawOfBytes, unpackedOf } from "../../actors/kernel/intake.ts";
import { type Entry, LINE_CHARS_MAX } from "./line.ts";

/** Who reads from it is told of what fails on the way to it. */
export const gunzip = (packed: AsyncIterable<Uint8Array>) => pipeline(Readable.from(packed), createGunzip(), () => {});

const FILE_LIMITS = {
  /** Of a file once it is unpacked: a small file may unpack to a large one. */
  file_bytes_max: 16 * 1024 * 1024 * 1024,
  /** Of one entry of `journalctl -o export`. */
  entry_bytes_max: 1024 * 1024,
} as const;

/** A file that cannot be read to its end, and why. */
export class Unreadable extends Error {
  override readonly name = "Unreadable";
}

/** Either is handed over with its number, from 1: that of the line, or of the line on which the entry begins. */
export interface Taker {
  readonly line: (text: string, number: number) => Promise<void> | void;
  readonly entry: (entry: Entry, number: number) => Promise<void> | void;
}

export interface Ended {
  /** So many bytes there were, unpacked. */
  readonly unpacked: number;
  /** Whether a line or entry is left. */
  readonly begun: boolean;
}

const EXPORT = "__CURSOR=";

/**
 * Hands over every whole line or entry; one that is not ended yet, because the file is being written, is left for the next time.
 * Throws `Unreadable`, and what the taker throws; closes the stream, however it ends.
 */
export const eachOf = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, taker: Taker): Promise<Ended> => {
  let unpacked = 0;
  let reader: Lines | Entries | undefined;
  let head: Uint8Array<ArrayBuffer> = new Uint8Array();
  try {
    for await (const chunk of unpackedOf(stream, gunzip)) {
      if ((unpacked += chunk.length) > FILE_LIMITS.file_bytes_max) {
        throw new Unreadable(`it unpacks to more than ${FILE_LIMITS.file_bytes_max} bytes`);
      }
      if (reader) await reader.take(chunk);
      else {
        head = joined(head, chunk);
        if (head.length < EXPORT.length) continue;
        reader = readerOf(head, taker);
        await reader.take(head);
      }
    }
    if (!reader) {
      reader = readerOf(head, taker);
      await reader.take(head);
    }
    return { unpacked, begun: reader.end() };
  } catch (error) {
    const flaw = flawOfBytes(error);
    throw flaw === undefined ? error : new Unreadable(flaw);
  }
};

const readerOf = (head: Uint8Array<ArrayBuffer>, taker: Taker): Lines | Entries =>
  new TextDecoder().decode(head.subarray(0, EXPORT.length)) === EXPORT
    ? new Entries(taker.entry)
    : new Lines(taker.line);

const joined = (a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};

/** What stands where bytes are not UTF-8: other programs write theirs into the same log, and keep out no line but their own. */
const NOT_UTF8 = "\ufffd";

class Lines {
  private readonly utf8 = new TextDecoder();
  private rest = "";
  private number = 0;

  constructor(private readonly hand: Taker["line"]) {}

  async take(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    const lines = (this.rest + this.utf8.decode(chunk, { stream: true })).split("\n");
    this.rest = lines.pop()!;
    if (this.rest.length > LINE_CHARS_MAX) lines.push(this.rest);
    for (const line of lines) {
      const handed = this.handed(line.endsWith("\r") ? line.slice(0, -1) : line, ++this.number);
      if (handed) await handed;
    }
  }

  /** In another encoding nothing is found that ends a line. */
  end(): boolean {
    if (this.number === 0 && this.rest.includes(NOT_UTF8)) throw new Unreadable("it is not UTF-8");
    return this.rest !== "";
  }

  private handed(line: string, number: number): Promise<void> | void {
    try {
      return this.hand(line, number);
    } catch (error) {
      if (!(error instanceof Unreadable) || !line.includes(NOT_UTF8)) throw error;
      throw new Unreadable(`${error.message}, and it is not UTF-8`);
    }
  }
}

const LENGTH_BYTES = 8;
const NEWLINE = 10;

/** https://systemd.io/JOURNAL_EXPORT_FORMATS/: fields of text a line each, those of bytes with their length; a blank line behind each entry. */
class Entries {
  private bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  private at = 0;
  private fields: Record<string, unknown> = {};
  private begins = 1;
  private line = 1;
  /** Of the entry that has begun, in its fields so far. */
  private taken = 0;

  constructor(private readonly hand: Taker["entry"]) {}

  async take(chunk: Uint8Array<ArrayBuffer>): Promise<void> {
    this.bytes = joined(this.bytes.slice(this.at), chunk);
    this.at = 0;
    for (let handed = this.field(); handed !== "more"; handed = this.field()) if (handed) await handed;
    this.expect(this.bytes.length - this.at);
  }

  /** Room for so many bytes more in the entry that has begun. */
  private expect(more: number): void {
    if (this.taken + more <= FILE_LIMITS.entry_bytes_max) return;
    throw new Unreadable(`line ${this.line}: an entry has at most ${FILE_LIMITS.entry_bytes_max} bytes`);
  }

  end(): boolean {
    return this.at < this.bytes.length || Object.keys(this.fields).length > 0;
  }

  /** One field, or the end of an entry, which is handed over. */
  private field(): Promise<void> | void | "more" {
    const end = this.bytes.indexOf(NEWLINE, this.at);
    if (end < 0) return "more";
    const text = new TextDecoder().decode(this.bytes.subarray(this.at, end));
    const is = text.indexOf("=");
    if (text !== "" && is < 0) return this.long(text, end + 1);
    if (text !== "") this.expect(end + 1 - this.at);
    this.taken = text === "" ? 0 : this.taken + end + 1 - this.at;
    this.at = end + 1;
    this.line++;
    if (text !== "") {
      this.fields[text.slice(0, is)] = text.slice(is + 1);
      return;
    }
    const { fields, begins } = this;
    this.fields = {};
    this.begins = this.line;
    if (Object.keys(fields).length > 0) return this.hand(fields, begins);
  }

  /** A name alone: its value are so many bytes behind it. */
  private long(name: string, from: number): "more" | void {
    if (!/^[A-Z0-9_]{1,64}$/.test(name)) {
      throw new Unreadable(`line ${this.line}: expected a field of journalctl -o export`);
    }
    if (this.bytes.length < from + LENGTH_BYTES) return "more";
    const length = Number(new DataView(this.bytes.buffer, this.bytes.byteOffset + from).getBigUint64(0, true));
    const begin = from + LENGTH_BYTES;
    this.expect(begin + length + 1 - this.at);
    if (this.bytes.length < begin + length + 1) return "more";
    const value = this.bytes.subarray(begin, begin + length);
    if (this.bytes[begin + length] !== NEWLINE) {
      throw new Unreadable(`line ${this.line}: a field has not the length it says`);
    }
    this.fields[name] = new TextDecoder().decode(value);
    this.line += 2;
    this.taken += begin + length + 1 - this.at;
    this.at = begin + length + 1;
  }
}
