/** Reading a request's body within a bound, whatever its headers claim. */
import { Problem } from "./problem.ts";

const tooLarge = (limit: number): Problem =>
  new Problem("too_large", `A body has at most ${limit} bytes.`, { members: { limit } });

const LENGTH = /^\d{1,15}$/;

/** The whole body; `too_large` as soon as it is known to be. The stated length is not believed, only used to refuse early. */
export const readBody = async (request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> => {
  const stated = request.headers.get("content-length");
  if (stated !== null && LENGTH.test(stated)) {
    if (Number(stated) > bytesMax) throw tooLarge(bytesMax);
    // HTTP/1.1 frames the body by this length, so there cannot be more of it.
    let whole: ArrayBuffer;
    try {
      whole = await request.arrayBuffer();
    } catch {
      return brokenOff();
    }
    if (whole.byteLength > bytesMax) throw tooLarge(bytesMax);
    return new Uint8Array(whole);
  }
  if (!request.body) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body.getReader();
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
