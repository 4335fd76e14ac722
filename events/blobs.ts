/**
 * Blobs: bytes that no fold needs, such as a report, a profile or a picture. They lie beside the events in the log's
 * database, under the SHA-256 of themselves, and an event names them; a schema says where.
 */
import { z } from "zod";
import type { Catalogue } from "./catalogue.ts";
import type { Json } from "./event.ts";
import { metaOf, type Path, walkSchema } from "./schema_walk.ts";

/** Bounds of blobs; each has a test that reaches it. */
export const BLOB_LIMITS = {
  /** One blob; sealed, what sealing adds counts. */
  blob_bytes_max: 64 * 1_024 * 1_024,
  /** One chunk in the store; all but the last have as many. */
  chunk_bytes: 60_000,
  /** Chunks of one commit, so that appends get their turn between two. */
  commit_chunks_max: 4,
} as const;

/** How an event names a blob. */
export interface BlobRef {
  /** SHA-256 of the bytes as they are stored, base64. */
  readonly sha256: string;
  /** How many there are. */
  readonly bytes: number;
}

/** A blob that is stored as a whole. */
export interface StoredBlob extends BlobRef {
  /**
   * The bytes in pieces of at most `chunk_bytes`, read one by one. Throws `LogFault` `truncated` where one is missing, and
   * behind the last one when they are not what the hash is over: until it has ended, nothing is proven.
   */
  chunks(): Iterable<Uint8Array>;
  /** All of them, held against the hash. Throws as `chunks` does. */
  read(): Uint8Array;
}

// Base64 of 32 bytes; the last letter holds four bits, the two left over are zero.
const SHA256 = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Whether a text can be the name of a blob: the SHA-256 of something, base64. */
export const isBlobName = (text: string): boolean => SHA256.test(text);

/** A field that names a blob. What it names must be in the log before the event that does. */
export const blob = (): z.ZodType<BlobRef> =>
  z.strictObject({
    sha256: z.string().regex(SHA256, "expected the SHA-256 of the blob, base64"),
    bytes: z.int().min(0).max(BLOB_LIMITS.blob_bytes_max),
  }).meta({ blob: true });

/** Where a schema names blobs. Walks it, so callers keep the answer. Throws `TypeError` as `walkSchema` does. */
export const blobsIn = (schema: z.core.$ZodType): readonly Path[] => {
  const found = new Map<string, Path>();
  walkSchema(schema, {
    what: "blobs",
    is: "blobs",
    note(each, path) {
      const key = JSON.stringify(path);
      if (metaOf(each).blob !== true || found.has(key)) return false;
      found.set(key, path);
      return true;
    },
  });
  return [...found.values()];
};

/** A blob as an event names it, and where: a JSON Pointer (RFC 6901) from the root of `data`. */
export interface NamedBlob extends BlobRef {
  readonly pointer: string;
}

/** Which blobs events of known types name. */
export class BlobNames {
  private readonly paths = new Map<string, readonly Path[]>();

  constructor(private readonly catalogue: Pick<Catalogue, "spec">) {}

  /** Of data in the type's present shape; nothing for a type the catalogue does not know. */
  in(type: string, data: unknown): readonly NamedBlob[] {
    let paths = this.paths.get(type);
    if (!paths) {
      const spec = this.catalogue.spec(type);
      // Unknown types come from outside without end; only the catalogue's are kept.
      if (!spec) return NOTHING;
      this.paths.set(type, paths = blobsIn(spec.schema));
    }
    if (paths.length === 0) return NOTHING;
    const found: NamedBlob[] = [];
    for (const path of paths) collect(data as Json, path, 0, "", found);
    return found;
  }
}

const NOTHING: readonly NamedBlob[] = [];

const collect = (value: Json | undefined, path: Path, at: number, pointer: string, found: NamedBlob[]): void => {
  if (typeof value !== "object" || value === null) return;
  if (at === path.length) {
    const { sha256, bytes } = value as { readonly [key: string]: Json };
    // Another option of a union may have another shape here.
    if (typeof sha256 === "string" && SHA256.test(sha256) && typeof bytes === "number") {
      found.push({ sha256, bytes, pointer });
    }
    return;
  }
  const step = path[at]!;
  for (const key of step === "*" ? Object.keys(value) : [step]) {
    if (!Object.hasOwn(value, key)) continue;
    const below = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    collect((value as { readonly [key: string]: Json })[key], path, at + 1, below, found);
  }
};
