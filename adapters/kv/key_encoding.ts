/**
 * Keys as Deno KV writes them (https://docs.deno.com/deploy/kv/manual/key_space): per part a type byte and an order-preserving
 * form; strings end in a zero byte, numbers are doubles with the sign bit turned.
 */
import type { Key } from "../../events/store.ts";

const utf8 = new TextEncoder();
/** The byte that a text begins with in a key. */
export const TEXT = 0x02;
const NUMBER = 0x21;

export const encodeKey = (key: Key): Uint8Array => {
  const parts: number[] = [];
  for (const part of key) {
    if (typeof part === "string") {
      parts.push(TEXT, ...utf8.encode(part), 0x00);
    } else {
      const number = new DataView(new ArrayBuffer(8));
      number.setFloat64(0, part);
      parts.push(NUMBER, number.getUint8(0) | 0x80);
      for (let i = 1; i < 8; i++) parts.push(number.getUint8(i));
    }
  }
  return Uint8Array.from(parts);
};

/** The number that a key ends with. */
export const lastNumber = (key: Uint8Array): number => {
  const number = new DataView(new ArrayBuffer(8));
  for (let i = 0; i < 8; i++) number.setUint8(i, key[key.length - 8 + i]!);
  number.setUint8(0, number.getUint8(0) & 0x7f);
  return number.getFloat64(0);
};

/** Past every number below a prefix. */
export const after = (prefix: Uint8Array): Uint8Array => Uint8Array.from([...prefix, NUMBER + 1]);

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
