/**
 * The tree for those who check: hash tiles and entry bundles as C2SP tlog-tiles has them (https://c2sp.org/tlog-tiles), and proofs by
 * RFC 9162 section 2.1, for those who would rather ask than compute. What is served is what a checkpoint covers, and never changes.
 */
import { z } from "zod";
import { bundlePieces, readTileName, TILE_WIDTH, type TilePlace } from "../../events/tiles.ts";
import { Problem } from "./problem.ts";
import { parameters, parseQuery, position } from "./query.ts";
import { retryAfter } from "./rate.ts";
import { type Exchange, json } from "./route.ts";

const LEVEL = /^(?:0|[1-9]|[1-5]\d|6[0-3])$/;

export const inclusionQuery = z.strictObject({
  position: position.meta({ description: "Place of the entry in the log, from 0." }),
  size: position.optional().meta({ description: "Size of the tree it is in; default: that of the newest checkpoint." }),
});
export const consistencyQuery = z.strictObject({
  from: position.meta({ description: "Size of the older tree, from 1." }),
  to: position.optional().meta({ description: "Size of the newer tree; default: that of the newest checkpoint." }),
});

/** `/tile/{level}/{index}`. */
export const hashTile = (exchange: Exchange): Response => {
  const [, , level, ...rest] = exchange.path.split("/");
  const place = LEVEL.test(level!) ? readTileName(rest.join("/")) : undefined;
  const tile = place && exchange.site.daybook.log.tree.tile(Number(level), place.index, place.width);
  if (!tile) throw new Problem("not_found", "The tree has no such tile.");
  return new Response(exchange.request.method === "HEAD" ? null : tile as Uint8Array<ArrayBuffer>, {
    headers: { ...headersOf(exchange), "content-length": String(tile.length) },
  });
};

/** `/tile/entries/{index}`: the entries' exact bytes, the length of each before it in two bytes. */
export const entryBundle = async (exchange: Exchange): Promise<Response> => {
  const { daybook, streams } = exchange.site;
  const place = readTileName(exchange.path.slice("/tile/entries/".length));
  const size = (await daybook.checkpoint())?.size ?? 0;
  if (!place || place.index * TILE_WIDTH + place.width > size) {
    throw new Problem("not_found", "The tree has no such entry bundle.");
  }
  // Of one that was archived it is said before the answer begins.
  daybook.log.entry(place.index * TILE_WIDTH);
  const body = exchange.request.method === "HEAD" ? null : streams.start(() => framed(exchange, place));
  return new Response(body, { headers: headersOf(exchange) });
};

async function* framed(exchange: Exchange, place: TilePlace): AsyncGenerator<Uint8Array> {
  yield* bundlePieces(exchange.site.daybook.log, place);
}

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
