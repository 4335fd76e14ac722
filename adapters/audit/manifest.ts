/** What an audit folder is: where things lie in it, and the two documents that say so. */
import { z } from "zod";
import { LogFault } from "../../events/log.ts";

export const FORMAT = 1;
/** A longer document of the folder is not read. */
export const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;

/** Paths in the folder, with slashes. */
export const PATHS = {
  /** The log as C2SP tlog-tiles has it. */
  log: "log",
  /** Older checkpoints of the log, by their size. */
  checkpoints: "checkpoints",
  /** Checkpoints that somebody kept elsewhere, with the cosignatures of witnesses. */
  cosigned: "cosigned",
  /** Public key of the log; it authenticates nothing, for it came with the rest. */
  key: "log.vkey",
  scope: "audit.json",
  controls: "controls.json",
  results: "results.json",
  attestations: "attestations.json",
  oscal: "oscal/assessment-results.json",
  index: "index.html",
  evidence: "evidence.html",
  manifest: "manifest.json",
} as const;

const { log: LOG, checkpoints: CHECKPOINTS, cosigned: COSIGNED, manifest: _, ...documents } = PATHS;
const DOCUMENTS: ReadonlySet<string> = new Set(Object.values(documents));

/** Whether the folder has a place for such a file. What has none follows from nothing, so nobody could check it. */
export const hasPlace = (path: string): boolean => {
  const [part, ...names] = path.split("/");
  return DOCUMENTS.has(path) || part === LOG || ((part === CHECKPOINTS || part === COSIGNED) && names.length === 1);
};

const time = z.iso.datetime({ offset: true });
const count = z.int().nonnegative();
const vkey = z.string().min(1).max(1_000);

const scopeSchema = z.strictObject({
  format: z.literal(FORMAT),
  program: z.strictObject({ name: z.literal("daybook"), version: z.string().min(1).max(60) }),
  origin: z.string().min(1).max(1_000),
  size: count,
  /** Base64. */
  root: z.string().regex(/^[A-Za-z0-9+/]{43}=$/),
  /** The time at which controls were judged. */
  at: time,
  from: time.optional(),
  to: time.optional(),
  framework: z.string().min(1).max(200).optional(),
  /** Public keys of the witnesses whose cosignatures were looked at when the folder was made. */
  witnesses: z.array(vkey).max(100),
  /** Up to where those had cosigned the log; 0 where none had. */
  cosigned: count,
});
/** What a folder was asked to be: `audit.json`. */
export type Scope = z.output<typeof scopeSchema>;

/** As a document of the folder: indented, and the same for the same. */
export const documentOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(JSON.stringify(value, undefined, 2) + "\n");

/** Throws `LogFault`: `newer` for a format behind ours, `foreign` for what is none. */
export const readScope = (bytes: Uint8Array): Scope => {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new LogFault("foreign", `Cannot read ${PATHS.scope}: it is not JSON`);
  }
  const format = (value as { readonly format?: unknown } | null)?.format;
  if (typeof format === "number" && format > FORMAT) {
    throw new LogFault("newer", `Cannot read ${PATHS.scope}: it has format ${format}, this program knows ${FORMAT}`);
  }
  const read = scopeSchema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new LogFault("foreign", `Cannot read ${PATHS.scope}: /${issue!.path.join("/")}: ${issue!.message}`);
};
