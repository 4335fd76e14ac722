/**
 * From a block's bytes to its events: each entry must be, byte for byte, the canonical form (RFC 8785) of what it
 * says, lie where the block's lengths say, and carry a whole header.
 *
 * The usual way is short: what `JSON.stringify` makes of a parsed entry is canonical if its keys are sorted, so one
 * comparison with the stored text checks entry and length together. Whatever does not pass it is judged by itself, by
 * the definition.
 */
import { Buffer } from "node:buffer";
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import { LIMITS } from "../../events/log.ts";
import type { StoredBlock } from "./block.ts";
import { type Failures, shown } from "./failures.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Several times faster; what is wrong becomes U+FFFD. */
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Entries as a block has them: one JSON array, and where in it each begins. */
export type Entries = Pick<StoredBlock, "first" | "count" | "starts" | "body" | "entry">;

/** The events of a block in order; `undefined` where an entry is not one, which is then among the failures. */
export const readEntries = (block: Entries, failures: Failures): readonly (Event | undefined)[] => {
  const together = readTogether(block);
  const events = new Array<Event | undefined>(block.count);
  for (let i = 0; i < block.count; i++) {
    const position = block.first + i;
    const bytes = block.starts[i + 1]! - block.starts[i]! - 1;
    let entry = together?.[i];
    if (!together) {
      const alone = readAlone(block.entry(i));
      if ("fault" in alone) {
        failures.add(position, "entry", "the canonical JSON of an event", alone.fault);
        continue;
      }
      entry = alone.value;
    }
    const fault = bytes > LIMITS.entry_bytes_max
      ? `an entry of ${bytes} bytes, more than ${LIMITS.entry_bytes_max}`
      : headerFault(entry);
    if (fault !== undefined) {
      failures.add(position, "entry", "an event with a whole header", fault);
      continue;
    }
    const event = entry as Event;
    if (event.position !== position) {
      failures.add(position, "entry", `position ${position}`, `position ${event.position}`);
      continue;
    }
    events[i] = event;
  }
  return events;
};

/** All entries, if they are canonical beyond doubt. Else it comes out entry by entry which are not. */
const readTogether = (block: Entries): readonly unknown[] | undefined => {
  try {
    const { body, count, starts } = block;
    const text = textOf(body);
    // JSON.stringify escapes a lone surrogate, which I-JSON does not have, and nothing else so.
    if (text.includes("\\ud")) return undefined;
    const values = JSON.parse(text) as unknown;
    if (!Array.isArray(values) || values.length !== count) return undefined;
    const narrow = text.length === body.length;
    const written = new Array<string>(count);
    for (let i = 0; i < count; i++) {
      const entry = JSON.stringify(values[i]);
      const bytes = narrow ? entry.length : Buffer.byteLength(entry);
      if (bytes !== starts[i + 1]! - starts[i]! - 1 || !inOrder(values[i], 0)) return undefined;
      written[i] = entry;
    }
    return `[${written.join(",")}]` === text ? values : undefined;
  } catch {
    // Not UTF-8, not JSON, or nested too deeply.
    return undefined;
  }
};

/** Throws for what is not UTF-8. */
const textOf = (bytes: Uint8Array): string => {
  const text = lenient.decode(bytes);
  // What stands for wrong bytes may as well be meant.
  return text.includes("\ufffd") ? utf8.decode(bytes) : text;
};

/**
 * By depth the names of the object looked at last, in order. Most objects have the same names as the one before, and those
 * are compared by identity.
 */
const known: string[][] = [];

/** Whether the members of all objects are in the order of their names. */
const inOrder = (value: unknown, depth: number): boolean => {
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === "object" && item !== null && !inOrder(item, depth + 1)) return false;
    return true;
  }
  const names = known[depth] ??= [];
  const members = value as Record<string, unknown>;
  let at = 0;
  for (const name in members) {
    if (names[at] !== name) {
      if (at > 0 && !(names[at - 1]! < name)) return false;
      names.length = at;
      names.push(name);
    }
    at++;
    const member = members[name];
    if (typeof member === "object" && member !== null && !inOrder(member, depth + 1)) return false;
  }
  return true;
};

const readAlone = (bytes: Uint8Array): { readonly value: unknown } | { readonly fault: string } => {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return { fault: "bytes that are not UTF-8" };
  }
  try {
    const value = JSON.parse(text) as unknown;
    const written = canonical(value);
    if (written === text) return { value };
    return {
      fault: `other than canonical from character ${firstDifference(written, text)} on: ${around(written, text)}`,
    };
  } catch (error) {
    return { fault: shown((error as Error).message) };
  }
};

const firstDifference = (a: string, b: string): number => {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return at;
};

const around = (written: string, text: string): string => {
  const at = Math.max(0, firstDifference(written, text) - 10);
  return shown(text.slice(at, at + 40));
};

const TEXTS = ["authid", "authtype", "id", "source", "stream", "time", "type", "recordedat"] as const;
const NUMBERS = ["position", "revision", "version"] as const;

/** What is wrong with the attributes that every recorded event has. */
const headerFault = (entry: unknown): string | undefined => {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) return "no JSON object";
  const header = entry as Record<string, unknown>;
  if (header.specversion !== "1.0") return `specversion ${shown(header.specversion)}`;
  for (const name of TEXTS) {
    const value = header[name];
    if (typeof value !== "string" || value === "") return `${name} ${shown(value)}`;
  }
  for (const name of NUMBERS) {
    const value = header[name];
    if (!Number.isSafeInteger(value) || (value as number) < 0) return `${name} ${shown(value)}`;
  }
  if ((header.stream as string).indexOf("/") < 1) return `stream ${shown(header.stream)}`;
  return undefined;
};
