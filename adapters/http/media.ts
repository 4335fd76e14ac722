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

/** How much a media type is wanted, from 0, not at all, to 1; the most specific range that matches decides. */
const qualityIn = (accept: string): (type: string) => number => {
  const ranges = accept.slice(0, ACCEPT_LENGTH_MAX).split(",").map((part) => {
    const [range = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const quality = q === undefined ? 1 : Number(q.slice(2));
    return { range, quality: Number.isFinite(quality) ? Math.min(1, Math.max(0, quality)) : 0 };
  });
  return (type) => {
    const family = `${type.slice(0, type.indexOf("/"))}/*`;
    const range = [type, family, "*/*"].map((name) => ranges.find((r) => r.range === name)).find((r) => r);
    return range?.quality ?? 0;
  };
};

/** The first of `offered` with the highest quality; a missing `Accept` takes the first. Throws `not_acceptable`. */
export const negotiate = (accept: string | null, offered: readonly string[]): string => {
  if (accept === null || accept.trim() === "" || accept.trim() === "*/*") return offered[0]!;
  const quality = qualityIn(accept);
  const best = offered.reduce((best, type) => quality(type) > quality(best) ? type : best);
  if (quality(best) === 0) throw new Problem("not_acceptable", `This can be had as ${offered.join(" or ")}.`);
  return best;
};

/**
 * Whether a browser asks for something to read, where a program is given JSON. Who sends a token is a program, and some ask for `text/html`
 * before anything else without having been told to (java.net.HttpURLConnection): it gets a page where it takes no JSON.
 */
export const prefersPage = ({ headers }: Request): boolean => {
  const accept = headers.get("accept");
  if (accept === null || accept.trim() === "*/*") return false;
  const quality = qualityIn(accept);
  const [page, json] = [quality("text/html"), quality("application/json")];
  return headers.has("authorization") ? page > 0 && json === 0 : page > json;
};
