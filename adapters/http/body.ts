/** Reading a request's body within a bound, whatever its headers claim. */
import { HTTP_LIMITS } from "./bounds.ts";
import { Problem } from "./problem.ts";

const tooLarge = (): Problem =>
  new Problem("too_large", `A body has at most ${HTTP_LIMITS.body_bytes_max} bytes.`, {
    members: { limit: HTTP_LIMITS.body_bytes_max },
  });

const LENGTH = /^\d{1,15}$/;

/** The whole body; `too_large` as soon as it is known to be. The stated length is not believed, only used to refuse early. */
export const readBody = async (request: Request): Promise<Uint8Array<ArrayBuffer>> => {
  const stated = request.headers.get("content-length");
  if (stated !== null && LENGTH.test(stated)) {
    if (Number(stated) > HTTP_LIMITS.body_bytes_max) throw tooLarge();
    // HTTP/1.1 frames the body by this length, so there cannot be more of it.
    const bytes = await request.bytes().catch(brokenOff);
    if (bytes.length > HTTP_LIMITS.body_bytes_max) throw tooLarge();
    return bytes;
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
      if (length > HTTP_LIMITS.body_bytes_max) throw tooLarge();
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
