/** `POST /blobs` and `GET /blobs/{sha256}`: bytes beside the events, which events name. */
import { isBlobName } from "../../events/blobs.ts";
import { readBody } from "./body.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { faultProblem } from "./ingest.ts";
import { negotiate, parseMedia, refuseCoding } from "./media.ts";
import { Problem } from "./problem.ts";
import { segment } from "./query.ts";
import { retryAfter } from "./rate.ts";
import { type Exchange, json } from "./route.ts";

const BYTES = "application/octet-stream";

/** The receiver of one server: it holds whole bodies in memory, so it takes few at a time. */
export const blobReceiver = (): (exchange: Exchange) => Promise<Response> => {
  let receiving = 0;
  return async (exchange) => {
    refuseCoding(exchange.request.headers);
    if (parseMedia(exchange.request.headers.get("content-type") ?? "")?.essence !== BYTES) {
      throw new Problem("unsupported_media_type", `A blob is sent as ${BYTES}.`, { headers: { accept: BYTES } });
    }
    if (receiving >= HTTP_LIMITS.blobs_receiving_max) {
      throw new Problem("overloaded", "Too many blobs are being received. Repeat it as it is.", {
        headers: retryAfter(1000),
      });
    }
    receiving++;
    try {
      return await receive(exchange);
    } finally {
      receiving--;
    }
  };
};

const receive = async (exchange: Exchange): Promise<Response> => {
  const { site: { daybook, quotas } } = exchange;
  const bytes = await readBody(exchange, HTTP_LIMITS.blob_body_bytes_max);
  quotas?.spend(exchange.grant!.tenant, { events: 0, bytes: bytes.length });
  // Beside the thread; the log hashes on it.
  const name = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toBase64();
  try {
    const known = daybook.log.blob(name) !== undefined;
    const { sha256, bytes: length } = await daybook.putBlob(bytes);
    return json(exchange, known ? 200 : 201, { sha256, bytes: length }, {
      location: `/blobs/${Uint8Array.fromBase64(sha256).toHex()}`,
    });
  } catch (fault) {
    throw faultProblem(fault);
  }
};

/** Base64 as in events, or hexadecimal as `sha256sum` prints it. */
const nameOf = (path: string): string => {
  const given = segment(path.slice("/blobs/".length));
  const name = /^[0-9A-Fa-f]{64}$/.test(given) ? Uint8Array.fromHex(given).toBase64() : given;
  if (!isBlobName(name)) throw new Problem("no_blob", "A blob is named by its SHA-256, base64 or hexadecimal.");
  return name;
};

/** Exactly the bytes that the hash is over; of a sealed blob the sealed ones. They never change, so they may be kept. */
export const oneBlob = (exchange: Exchange): Response => {
  const { request, site } = exchange;
  const name = nameOf(exchange.path);
  negotiate(request.headers.get("accept"), [BYTES]);
  const found = site.daybook.log.blob(name);
  if (!found) throw new Problem("no_blob", "There is no blob with this hash.");
  const etag = `"${name}"`;
  const headers = {
    etag,
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "x-request-id": exchange.id,
  };
  const known = request.headers.get("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (known?.some((tag) => tag === etag || tag === "*")) return new Response(null, { status: 304, headers });
  const whole = { ...headers, "content-type": BYTES, "content-length": String(found.bytes) };
  if (request.method === "HEAD") return new Response(null, { headers: whole });
  return new Response(site.streams.start(() => pieces(found.chunks())), { headers: whole });
};

async function* pieces(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
