/**
 * The records of a CloudTrail log file, one after the other, without the file ever being in memory as a whole:
 * `{ "Records": [ … ] }`, as bytes, gzip or plain. What is between the records is held to be JSON; they themselves are text here.
 */
import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { flawOfBytes, unpackedOf } from "../../actors/kernel/intake.ts";
import { parseIJson } from "../../events/canonical.ts";

/** Who reads from it is told of what fails on the way to it. */
const gunzip = (packed: AsyncIterable<Uint8Array>) => pipeline(Readable.from(packed), createGunzip(), () => {});

const RECORD_LIMITS = {
  /** Characters of one record; AWS sends at most 256 KiB, or 1 MiB where the trail says so. */
  record_chars_max: 2 * 1024 * 1024,
  /** Of a file once it is unpacked: a small file may unpack to a large one. */
  file_bytes_max: 2 * 1024 * 1024 * 1024,
  /** Characters of a file that are in no record. */
  frame_chars_max: 64 * 1024,
} as const;

/** A file that cannot be read to its end, and why; `record` is the first that is not whole. */
export class Unreadable extends Error {
  override readonly name = "Unreadable";
  constructor(message: string, readonly record?: number) {
    super(record === undefined ? message : `record ${record}: ${message}`);
  }
}

/** Each record's text, with its place from 0. Throws `Unreadable`; closes the stream, however it ends. */
export async function* recordsIn(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<{ readonly index: number; readonly text: string }, void, void> {
  const splitter = new Splitter();
  const found: string[] = [];
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  let [unpacked, index] = [0, 0];
  const takenOf = function* (text: string) {
    splitter.take(text, found);
    for (const text of found.splice(0)) yield { index: index++, text };
  };
  try {
    for await (const chunk of unpackedOf(bytes, gunzip)) {
      if ((unpacked += chunk.length) > RECORD_LIMITS.file_bytes_max) {
        throw new Unreadable(`it unpacks to more than ${RECORD_LIMITS.file_bytes_max} bytes`);
      }
      yield* takenOf(utf8.decode(chunk, { stream: true }));
    }
    yield* takenOf(utf8.decode());
    splitter.end();
  } catch (error) {
    const flaw = flawOfBytes(error);
    if (flaw === undefined) throw error;
    throw new Unreadable(unpacked === 0 ? flaw : `${flaw}, behind ${index} whole records`);
  }
}

const enum Where {
  /** Outside of the records; `frame` gathers it. */
  Frame,
  /** In `Records`, before a record or the end. */
  First,
  /** Behind a comma. */
  Next,
  /** Behind a record. */
  Behind,
  Record,
}

const SPACE = /[ \t\r\n]/;
/** All that can change how deep, or whether in a string, we are. */
const MARK = /["{}[\]]/g;
const QUOTE = /["\\]/g;

/** Follows brackets and strings, and nothing else: whether a record is JSON is for its reader to say. */
class Splitter {
  private where = Where.Frame;
  private frame = "";
  private depth = 0;
  private inString = false;
  private record = "";
  private done = 0;
  private seen = false;

  private carried = "";

  /** Adds what is whole now to `found`. */
  take(piece: string, found: string[]): void {
    // A backslash goes with what it escapes.
    const whole = this.carried + piece;
    const odd = backslashesBehind(whole) % 2 === 1;
    const text = odd ? whole.slice(0, -1) : whole;
    this.carried = odd ? "\\" : "";
    for (let at = 0; at < text.length;) {
      at = this.where === Where.Record
        ? this.inRecord(text, at, found)
        : this.where === Where.Frame
        ? this.inFrame(text, at)
        : this.between(text, at);
    }
  }

  end(): void {
    this.frame += this.carried;
    if (this.where === Where.Frame && this.depth === 0 && this.frame.trim() === "") throw new Unreadable("it is empty");
    if (this.where !== Where.Frame) throw new Unreadable("the file ends before it does", this.done);
    let frame: unknown;
    try {
      frame = parseIJson(this.frame);
    } catch {
      throw new Unreadable(this.seen ? "not JSON behind its records" : "not JSON");
    }
    if (this.seen) return;
    const digest = typeof frame === "object" && frame !== null && "digestStartTime" in frame;
    throw new Unreadable(
      digest ? "a digest file of CloudTrail, which has no records" : 'not a CloudTrail file: expected {"Records":[…]}',
    );
  }

  /** Up to where the records begin, or all of it. */
  private inFrame(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const c = text[at]!;
      if (this.inString) {
        if (c === "\\") at++;
        else if (c === '"') this.inString = false;
      } else if (c === '"') this.inString = true;
      else if (c === "{" || c === "[") {
        if (this.depth++ === 1 && c === "[" && !this.seen && this.isRecords(text.slice(from, at))) {
          this.keep(text.slice(from, at + 1));
          this.seen = true;
          this.where = Where.First;
          return at + 1;
        }
      } else if (c === "}" || c === "]") this.depth--;
    }
    this.keep(text.slice(from));
    return text.length;
  }

  private isRecords(behind: string): boolean {
    return RECORDS.test(
      behind.length < NAME_CHARS ? this.frame.slice(-NAME_CHARS) + behind : behind.slice(-NAME_CHARS),
    );
  }

  private keep(text: string): void {
    this.frame += text;
    if (this.frame.length <= RECORD_LIMITS.frame_chars_max) return;
    throw new Unreadable(this.seen ? "too much behind its records" : 'not a CloudTrail file: expected {"Records":[…]}');
  }

  private between(text: string, at: number): number {
    const c = text[at]!;
    if (SPACE.test(c)) return at + 1;
    if (c === "]" && this.where !== Where.Next) {
      this.keep("]");
      this.depth--;
      this.where = Where.Frame;
      return at + 1;
    }
    if (c === "," && this.where === Where.Behind) {
      this.where = Where.Next;
      return at + 1;
    }
    if (c !== "{" || this.where === Where.Behind) {
      const expected = this.where === Where.Behind ? "a comma or the end of the records" : "an object";
      throw new Unreadable(`expected ${expected}, found ${JSON.stringify(c)}`, this.done);
    }
    this.where = Where.Record;
    this.record = "";
    return at;
  }

  private inRecord(text: string, from: number, found: string[]): number {
    let at = from;
    while (at < text.length) {
      const pattern = this.inString ? QUOTE : MARK;
      pattern.lastIndex = at;
      const mark = pattern.exec(text);
      if (!mark) break;
      at = mark.index + 1;
      switch (mark[0]) {
        case "\\":
          at++;
          break;
        case '"':
          this.inString = !this.inString;
          break;
        case "{":
        case "[":
          this.depth++;
          break;
        default:
          if (--this.depth > 2) break;
          this.grow(text.slice(from, at));
          found.push(this.record);
          this.record = "";
          this.done++;
          this.where = Where.Behind;
          return at;
      }
    }
    this.grow(text.slice(from));
    return text.length;
  }

  private grow(text: string): void {
    this.record += text;
    if (this.record.length <= RECORD_LIMITS.record_chars_max) return;
    throw new Unreadable(`longer than ${RECORD_LIMITS.record_chars_max} characters`, this.done);
  }
}

/** Behind the name of the member, as the frame ends there; with more space around it than this it is not found. */
const RECORDS = /[{,]\s*"Records"\s*:\s*$/;
const NAME_CHARS = 200;

const backslashesBehind = (text: string): number => {
  let count = 0;
  while (text[text.length - 1 - count] === "\\") count++;
  return count;
};
