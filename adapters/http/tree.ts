/**
 * The tree for those who check: hash tiles and entry bundles as C2SP tlog-tiles has them (https://c2sp.org/tlog-tiles), and proofs by
 * RFC 9162 section 2.1, for those who would rather ask than compute. What is served is what a checkpoint covers, and never changes.
 */
import { z } from "zod";
import { Problem } from "./problem.ts";
import { parameters, parseQuery, position } from "./query.ts";
import { retryAfter } from "./rate.ts";
import { type Exchange, json } from "./route.ts";

/** Hashes of a full tile, entries of a full bundle. */
const WIDTH = 256;
const LEVEL = /^(?:0|[1-9]|[1-5]\d|6[0-3])$/;
/** The index in groups of three digits, all but the last behind an `x`, then perhaps how much of the tile there is. */
const INDEX = /^((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;
const FRAME = 65_536;

export const inclusionQuery = z.strictObject({
  position: position.meta({ description: "Place of the entry in the log, from 0." }),
  size: position.optional().meta({ description: "Size of the tree it is in; default: that of the newest checkpoint." }),
});
export const consistencyQuery = z.strictObject({
  from: position.meta({ description: "Size of the older tree, from 1." }),
  to: position.optional().meta({ description: "Size of the newer tree; default: that of the newest checkpoint." }),
});

interface Place {
  readonly index: number;
  /** Hashes or entries asked for. */
  readonly width: number;
}

/** What a path names below its level; `undefined` for what tlog-tiles does not have, in any other spelling too. */
export const placeOf = (text: string): Place | undefined => {
  const [, groups, partial] = INDEX.exec(text) ?? [];
  if (groups === undefined || groups.startsWith("x000/")) return undefined;
  const index = Number(groups.replaceAll(/[x/]/g, ""));
  const width = Number(partial ?? WIDTH);
  if (!Number.isSafeInteger(index) || (partial !== undefined && width >= WIDTH)) return undefined;
  return { index, width };
};

/** `/tile/{level}/{index}`. */
export const hashTile = (exchange: Exchange): Response => {
  const [, , level, ...rest] = exchange.path.split("/");
  const place = LEVEL.test(level!) ? placeOf(rest.join("/")) : undefined;
  const tile = place && exchange.site.daybook.log.tree.tile(Number(level), place.index, place.width);
  if (!tile) throw new Problem("not_found", "The tree has no such tile.");
  return new Response(exchange.request.method === "HEAD" ? null : tile as Uint8Array<ArrayBuffer>, {
    headers: { ...headersOf(exchange), "content-length": String(tile.length) },
  });
};

/** `/tile/entries/{index}`: the entries' exact bytes, the length of each before it in two bytes. */
export const entryBundle = async (exchange: Exchange): Promise<Response> => {
  const { daybook, streams } = exchange.site;
  const place = placeOf(exchange.path.slice("/tile/entries/".length));
  const size = (await daybook.checkpoint())?.size ?? 0;
  if (!place || place.index * WIDTH + place.width > size) {
    throw new Problem("not_found", "The tree has no such entry bundle.");
  }
  const body = exchange.request.method === "HEAD" ? null : streams.start(() => framed(exchange, place));
  return new Response(body, { headers: headersOf(exchange) });
};

async function* framed(exchange: Exchange, { index, width }: Place): AsyncGenerator<Uint8Array> {
  let frame: Uint8Array[] = [];
  let bytes = 0;
  for (let at = index * WIDTH; at < index * WIDTH + width; at++) {
    const entry = exchange.site.daybook.log.entry(at)!;
    frame.push(Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry);
    bytes += 2 + entry.length;
    if (bytes < FRAME && at < index * WIDTH + width - 1) continue;
    yield joined(frame, bytes);
    frame = [];
    bytes = 0;
  }
}

const joined = (parts: readonly Uint8Array[], bytes: number): Uint8Array => {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

/** They never change. Whoever may keep them for others is told so where no token is needed. */
const headersOf = (exchange: Exchange): Record<string, string> => ({
  "content-type": "application/octet-stream",
  "cache-control": `${exchange.grant ? "private" : "public"}, max-age=31536000, immutable`,
  "x-content-type-options": "nosniff",
  "x-request-id": exchange.id,
});

export const inclusion = async (exchange: Exchange): Promise<Response> => {
  const { position, size: wanted } = parseQuery(inclusionQuery, parameters(exchange.query));
  const { tree, checkpoint, size } = await standing(exchange, wanted, "size");
  const proof = tree.inclusion(position, size);
  if (!proof) {
    throw new Problem("no_proof", `Position ${position} is not in the tree of size ${size}.`, { members: { size } });
  }
  const leaf = tree.leaf(position)!;
  return json(exchange, 200, {
    position,
    size,
    leaf: leaf.toBase64(),
    proof: proof.map((hash) => hash.toBase64()),
    root: tree.root(size)!.toBase64(),
    checkpoint: checkpoint.note,
  });
};

export const consistency = async (exchange: Exchange): Promise<Response> => {
  const { from, to: wanted } = parseQuery(consistencyQuery, parameters(exchange.query));
  const { tree, checkpoint, size: to } = await standing(exchange, wanted, "to");
  const proof = tree.consistency(from, to);
  if (!proof) {
    const why = from === 0
      ? "Every tree extends the empty one, which needs no proof."
      : `A tree of size ${to} cannot extend one of size ${from}.`;
    throw new Problem("no_proof", why, { members: { size: checkpoint.size } });
  }
  return json(exchange, 200, {
    from,
    to,
    proof: proof.map((hash) => hash.toBase64()),
    root1: tree.root(from)!.toBase64(),
    root2: tree.root(to)!.toBase64(),
    checkpoint: checkpoint.note,
  });
};

/** The tree and the newest checkpoint, and the size that is asked about: one that the checkpoint covers. */
const standing = async (exchange: Exchange, wanted: number | undefined, name: string) => {
  const { daybook } = exchange.site;
  const checkpoint = await daybook.checkpoint();
  if (!checkpoint) throw new Problem("no_checkpoint", "The log has signed no checkpoint yet.");
  const { tree, size: events } = daybook.log;
  const size = wanted ?? checkpoint.size;
  if (size > events) {
    throw new Problem("no_proof", `The log has ${events} events; \`${name}\` is beyond them.`, {
      members: { size: checkpoint.size },
    });
  }
  if (size > Math.min(tree.size, checkpoint.size)) {
    throw new Problem("tree_behind", "The tree has not come so far yet. Repeat it as it is.", {
      members: { size: Math.min(tree.size, checkpoint.size) },
      headers: retryAfter(1000),
    });
  }
  return { tree, checkpoint, size };
};
