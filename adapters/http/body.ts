/** Reading a request's body within a bound, whatever its headers claim. */
import { Problem } from "./problem.ts";

const tooLarge = (limit: number): Problem =>
  new Problem("too_large", `A body has at most ${limit} bytes.`, { members: { limit } });

const LENGTH = /^\d{1,15}$/;

/** A request whose body may be awaited. */
export interface Sending {
  readonly request: Request;
  /** While it is: gives it up, so that what came of it is held no longer. */
  reading: (() => void) | undefined;
}

/** Up to here a body is read in one piece, which is cheaper and cannot be given up; it is about what any connection holds. */
const WHOLE_BYTES_MAX = 65_536;

/** Whether a body says that it is no more than what any connection holds. */
export const isSmall = ({ headers }: Request): boolean => statedBy(headers) <= WHOLE_BYTES_MAX;

/** How long it says that it is; without an end, where it does not. */
const statedBy = (headers: Headers): number => {
  const stated = headers.get("content-length");
  return stated !== null && LENGTH.test(stated) ? Number(stated) : Infinity;
};

const unstoppable = () => {};

/** The whole body; `too_large` as soon as it is known to be. The stated length is not believed, only used to refuse early. */
export const readBody = async (sending: Sending, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> => {
  const { request } = sending;
  const length = statedBy(request.headers);
  if (length !== Infinity && length > bytesMax) throw tooLarge(bytesMax);
  if (length <= WHOLE_BYTES_MAX) {
    // HTTP/1.1 frames the body by this length, so there cannot be more of it.
    let whole: ArrayBuffer;
    sending.reading = unstoppable;
    try {
      whole = await request.arrayBuffer();
    } catch {
      return brokenOff();
    }
    sending.reading = undefined;
    if (whole.byteLength > bytesMax) throw tooLarge(bytesMax);
    return new Uint8Array(whole);
  }
  return await readPieces(sending, bytesMax);
};

const readPieces = async (sending: Sending, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> => {
  const { request } = sending;
  if (!request.body) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body.getReader();
  let givenUp = false;
  sending.reading = () => {
    givenUp = true;
    reader.cancel().catch(() => {});
  };
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(brokenOff);
      if (done) break;
      length += value.length;
      if (length > bytesMax) throw tooLarge(bytesMax);
      chunks.push(value);
    }
  } catch (error) {
    await reader.cancel().catch(() => {}); // the sender is told by the answer
    throw error;
  }
  // What was given up ends like what is whole.
  if (givenUp) return brokenOff();
  sending.reading = undefined;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
};

const brokenOff = (): never => {
  throw new Problem("slow_request", "The body broke off before its end.");
};

// A byte order mark is no JSON (RFC 8259 section 8.1), so it is left in for the parser to refuse.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const textOf = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Problem("invalid_utf8", "The body holds bytes that are not UTF-8.");
  }
};
