/**
 * From an entry's bytes to its event, by definition: it must be, byte for byte, the canonical form (RFC 8785) of what it
 * says, lie where the block's lengths say, and carry a whole header. What `headers.ts` takes need not be read so.
 */
import { canonical } from "../../events/canonical.ts";
import type { Event } from "../../events/event.ts";
import { LIMITS } from "../../events/log.ts";
import type { StoredBlock } from "./block.ts";
import { type Failures, shown } from "./failures.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Entries as a block has them, and where each begins in its bytes; the last one ends a byte before `starts[count]`. */
export type Entries = Pick<StoredBlock, "first" | "count" | "starts" | "bytes" | "entry">;

/** The event of an entry; `undefined` where it is none, which is then among the failures. */
export const readEntry = (block: Entries, index: number, failures: Failures): Event | undefined => {
  const position = block.first + index;
  const bytes = block.entry(index);
  const alone = readAlone(bytes);
  if ("fault" in alone) return void failures.add(position, "entry", "the canonical JSON of an event", alone.fault);
  const fault = bytes.length > LIMITS.entry_bytes_max
    ? `an entry of ${bytes.length} bytes, more than ${LIMITS.entry_bytes_max}`
    : headerFault(alone.value);
  if (fault !== undefined) return void failures.add(position, "entry", "an event with a whole header", fault);
  const event = alone.value as Event;
  if (event.position === position) return event;
  return void failures.add(position, "entry", `position ${position}`, `position ${event.position}`);
};

/** One that is known to be an event. */
export const eventAt = (block: Entries, index: number): Event => JSON.parse(utf8.decode(block.entry(index)));

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
