/** From bytes, held as ISO 8859-1 characters, to text: UTF-8 where it is, and a lossless form where it is not. */
import { Buffer } from "node:buffer";

// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as characters U+0000 to U+00FF. `TextDecoder("latin1")` is windows-1252 and changes some. */
export const latin1 = (bytes: Uint8Array<ArrayBuffer>): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");

/** The text the bytes are in UTF-8; `undefined` if they are not UTF-8. */
export const asUtf8 = (bytes: string): string | undefined => {
  if (ASCII.test(bytes)) return bytes;
  try {
    return utf8.decode(Buffer.from(bytes, "latin1"));
  } catch {
    return undefined;
  }
};

const ESCAPES: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\t": "\\t",
  "\n": "\\n",
  "\v": "\\v",
  "\f": "\\f",
  "\r": "\\r",
  '"': '\\"',
  "\\": "\\\\",
};

// deno-lint-ignore no-control-regex
const UNQUOTED = /[\x00-\x1f"\\\x7f-\xff]/g;

/** Git's C form without the outer quotes: printable ASCII as it is, `\t`, `\n`, `\\`, `\"` …, any other byte `\ooo`. */
export const cQuoted = (bytes: string): string =>
  bytes.replace(UNQUOTED, (byte) => ESCAPES[byte] ?? `\\${byte.charCodeAt(0).toString(8).padStart(3, "0")}`);

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** Bytes of a text as a JSON string. */
export const jsonBytes = (text: string): number =>
  PLAIN.test(text) ? text.length + 2 : Buffer.byteLength(JSON.stringify(text));
