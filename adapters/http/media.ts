/** Media types and what a client accepts (RFC 9110 sections 8.3 and 12.5.1). */
import { Problem } from "./problem.ts";

export interface Media {
  /** `type/subtype`, lower case. */
  readonly essence: string;
  readonly charset: string | undefined;
  readonly json: boolean;
}

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const MEDIA = new RegExp(
  `^(${TOKEN}/${TOKEN})((?:[ \\t]*;[ \\t]*(?:${TOKEN}=(?:${TOKEN}|"(?:[^"\\\\]|\\\\.)*"))?)*)[ \\t]*$`,
);
const CHARSET = new RegExp(`;[ \\t]*charset=("?)(${TOKEN})\\1`, "i");
const MEDIA_LENGTH_MAX = 256;
const KNOWN_MAX = 64;
const known = new Map<string, Media | undefined>();

/** `undefined` when it is no media type. Senders use few, so answers are kept. */
export const parseMedia = (text: string): Media | undefined => {
  if (known.has(text)) return known.get(text);
  if (text.length > MEDIA_LENGTH_MAX) return undefined;
  const found = MEDIA.exec(text);
  const essence = found?.[1]?.toLowerCase();
  const media = essence === undefined ? undefined : {
    essence,
    charset: CHARSET.exec(found![2]!)?.[2]?.toLowerCase(),
    json: essence === "application/json" || essence === "text/json" || essence.endsWith("+json"),
  };
  if (known.size >= KNOWN_MAX) known.clear();
  known.set(text, media);
  return media;
};

/** Bodies are taken as they are sent: a compressed one is refused, so that none can swell. */
export const refuseCoding = (headers: Headers): void => {
  const coding = headers.get("content-encoding");
  if (coding === null || coding === "" || coding.toLowerCase() === "identity") return;
  throw new Problem("unsupported_media_type", "Send the body without a content coding.", {
    headers: { "accept-encoding": "identity" },
  });
};

const ACCEPT_LENGTH_MAX = 1_024;

/** The first of `offered` with the highest quality; a missing `Accept` takes the first. Throws `not_acceptable`. */
export const negotiate = (accept: string | null, offered: readonly string[]): string => {
  if (accept === null || accept.trim() === "" || accept.trim() === "*/*") return offered[0]!;
  const ranges = accept.slice(0, ACCEPT_LENGTH_MAX).split(",").map((part) => {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const quality = q === undefined ? 1 : Number(q.slice(2));
    return { range, quality: Number.isFinite(quality) ? Math.min(1, Math.max(0, quality)) : 0 };
  });
  let best: { readonly type: string; readonly quality: number } | undefined;
  for (const type of offered) {
    const family = `${type.slice(0, type.indexOf("/"))}/*`;
    // The most specific range that matches decides (RFC 9110 section 12.5.1).
    const range = [type, family, "*/*"].map((name) => ranges.find((r) => r.range === name)).find((r) =>
      r !== undefined
    );
    if (range && range.quality > (best?.quality ?? 0)) best = { type, quality: range.quality };
  }
  if (!best) throw new Problem("not_acceptable", `This can be had as ${offered.join(" or ")}.`);
  return best.type;
};

/** Whether a browser asks for something to read, where a program is given JSON. */
export const prefersPage = (accept: string | null): boolean =>
  accept !== null && accept.includes("text/html") &&
  negotiate(accept, ["application/json", "text/html"]) === "text/html";
