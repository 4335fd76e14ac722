/** What a backup says about itself: `manifest.json`, last written and first read. */
import { z } from "zod";
import { LogFault } from "../../events/log.ts";

export const MANIFEST = "manifest.json";
export const LOG = "log.db";
export const KEYS = "keys.sealed";
/** The newest checkpoint as a signed note, to verify against without a database. */
export const CHECKPOINT = "checkpoint.txt";
export const MANIFEST_FORMAT = 1;
/** A longer file is no manifest. */
export const MANIFEST_BYTES_MAX = 65_536;

const file = z.strictObject({ bytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const schema = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  /** Name of the log; absent when it has no checkpoint yet. */
  origin: z.string().min(1).optional(),
  size: z.int().nonnegative(),
  /** Root hash over `size` entries, base64. */
  root: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
  /** RFC 3339. */
  created: z.iso.datetime(),
  /** Whether `keys.sealed` is among the files. */
  keys: z.boolean(),
  files: z.strictObject({ [LOG]: file, [KEYS]: file.optional(), [CHECKPOINT]: file.optional() }),
});
export type Manifest = z.output<typeof schema>;

export const writeManifest = (manifest: Manifest): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(schema.parse(manifest), undefined, 2) + "\n");

/** Throws `LogFault`: `newer` for a format behind ours, `foreign` for what is no manifest. */
export const readManifest = (bytes: Uint8Array): Manifest => {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new LogFault("foreign", `Cannot read ${MANIFEST}: ${(error as Error).message}`, { cause: error });
  }
  const format = (value as { readonly format?: unknown } | null)?.format;
  if (typeof format === "number" && format > MANIFEST_FORMAT) {
    throw new LogFault(
      "newer",
      `Cannot read ${MANIFEST}: it has format ${format}, this program knows ${MANIFEST_FORMAT}`,
    );
  }
  const read = schema.safeParse(value);
  if (!read.success) {
    const [issue] = read.error.issues;
    throw new LogFault("foreign", `Cannot read ${MANIFEST}: /${issue!.path.join("/")}: ${issue!.message}`);
  }
  if (read.data.keys !== (read.data.files[KEYS] !== undefined)) {
    throw new LogFault("foreign", `Cannot read ${MANIFEST}: /keys: does not agree with /files`);
  }
  return read.data;
};
