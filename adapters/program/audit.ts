/** An audit folder, made of a log: `adapters/audit/` says what is in it, this puts it together. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Checkpoint, LogFault } from "../../events/log.ts";
import { events } from "../../events/mod.ts";
import { projections } from "../../projections/mod.ts";
import { type Asked, assess, type Assessment, isEarly } from "../audit/assessment.ts";
import { type Document, documentsOf } from "../audit/documents.ts";
import { documentOf, FORMAT, PATHS, type Scope } from "../audit/manifest.ts";
import { fillFolder } from "../backup/folder.ts";
import type { AuditWritten, Stated } from "../cli/audits.ts";
import type { Kept, Reader } from "../cli/reader.ts";
import type { OnProgress } from "../cli/io.ts";
import { putFile } from "../tlog/files.ts";
import { TlogFolder } from "../tlog/reader.ts";
import { type TlogFile, tlogFiles } from "../tlog/writer.ts";
import { verifyTlog } from "../verify/tlog.ts";

/** The projection that follows sources. */
export const sources = projections.find(({ name }) => name === "audit.sources")!;

/** The event loop gets a turn behind so many files. */
const TURN_FILES = 16;

export interface AuditOptions {
  readonly log: Pick<Reader, "entry" | "tree" | "checkpoints">;
  readonly checkpoint: Checkpoint;
  /** Public key of the log. */
  readonly key: string;
  readonly asked: Omit<Asked, "size">;
  readonly controls: readonly Stated[];
  /** Checkpoints that were kept elsewhere, with the cosignatures of witnesses. */
  readonly cosigned: readonly Kept[];
  /** Public keys of the witnesses that are believed. */
  readonly witnesses: readonly string[];
  readonly version: string;
}

/**
 * Writes and verifies, then puts in place: the log first, then what follows from it. What does not verify is no audit: then the failures are
 * the answer, and no folder is there. Throws `LogFault`: `invalid` when the place is taken or a key is none, `full`, `read_only`, `io`.
 */
export const writeAudit = async (
  options: AuditOptions,
  folder: string,
  progress: OnProgress,
): Promise<AuditWritten> => {
  try {
    return await fillFolder(folder, (filling) => fill(filling, options, progress));
  } catch (error) {
    if (error instanceof Unsound) return { ok: false, failures: error.failures };
    throw error;
  }
};

/** The log in the folder is not as it must be. */
class Unsound extends Error {
  constructor(readonly failures: Extract<AuditWritten, { ok: false }>["failures"]) {
    super("the log does not verify");
  }
}

const fill = async (filling: string, options: AuditOptions, progress: OnProgress): Promise<AuditWritten> => {
  const { log, checkpoint, key, asked, controls, cosigned, witnesses, version } = options;
  const { origin, size, root } = checkpoint;
  const out = new Filling(filling);
  for (const file of tlogFiles(log, checkpoint)) {
    await out.put({ ...file, path: `${PATHS.log}/${file.path}` });
    progress({ done: file.done, total: size, unit: "events" });
  }
  const kept = [...keptFiles(log, size, cosigned)];
  for (const { path, text } of kept) await out.put({ path, pieces: [new TextEncoder().encode(text)] });
  await out.put({ path: PATHS.key, pieces: [new TextEncoder().encode(`${key}\n`)] });
  const against = kept.map(({ path, text }) => ({ name: path, text, elsewhere: false }));
  const found = await verifyTlog({ folder: join(filling, PATHS.log), folderKey: key, against, witnesses, progress });
  if (!found.ok) throw new Unsound(found.failures);
  const wanted = { ...asked, size };
  const written = new TlogFolder(join(filling, PATHS.log), size, events);
  const assessment = assess(written, wanted, {
    controls: controls.map(({ control }) => control),
    sources,
    onProgress: (done, total) => progress({ done, total, unit: "events" }),
  });
  if (isEarly(assessment)) throw new LogFault("invalid", earlyText(assessment));
  const scope: Scope = {
    format: FORMAT,
    program: { name: "daybook", version },
    origin,
    size,
    root,
    at: assessment.at,
    ...(asked.from === undefined ? {} : { from: asked.from }),
    ...(asked.to === undefined ? {} : { to: asked.to }),
    ...(asked.framework === undefined ? {} : { framework: asked.framework }),
    witnesses: [...witnesses],
    cosigned: found.anchored,
  };
  await out.put({ path: PATHS.scope, pieces: [documentOf(scope)] });
  const stated = controls.map((one) => one.stated);
  for (const document of documentsOf(written, { scope, assessment, stated })) await out.put(document);
  const manifest = await out.manifest();
  return { ok: true, size, root, ...out.sum, manifest, cosigned: found.anchored, ...tellingOf(assessment) };
};

const earlyText = ({ at, newest }: Assessment): string =>
  `Cannot judge as of ${at}: the newest event was recorded at ${newest}`;

const tellingOf = ({ at, results }: Assessment) => ({ at, results });

/** Older checkpoints of the log, and what was kept elsewhere. */
function* keptFiles(
  log: Pick<Reader, "checkpoints">,
  size: number,
  cosigned: readonly Kept[],
): Generator<{ readonly path: string; readonly text: string }> {
  for (const { size: at, note } of log.checkpoints()) {
    if (at <= size) yield { path: `${PATHS.checkpoints}/${at}`, text: note };
  }
  for (const [i, { text }] of cosigned.entries()) yield { path: `${PATHS.cosigned}/${i + 1}`, text };
}

/** Files of a folder that is being filled, with what the manifest says of them. */
class Filling {
  private readonly digests: [path: string, digest: { readonly bytes: number; readonly sha256: string }][] = [];

  constructor(private readonly folder: string) {}

  async put({ path, pieces }: Document | TlogFile): Promise<void> {
    const hash = createHash("sha256");
    const hashed = function* () {
      for (const piece of pieces) {
        hash.update(piece);
        yield piece;
      }
    };
    const bytes = putFile(this.folder, path, hashed(), false);
    this.digests.push([path, { bytes, sha256: hash.digest("hex") }]);
    if (this.digests.length % TURN_FILES === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }

  get sum(): { readonly files: number; readonly bytes: number } {
    return { files: this.digests.length, bytes: this.digests.reduce((sum, [, { bytes }]) => sum + bytes, 0) };
  }

  /** Writes the manifest; answers its SHA-256, hexadecimal. */
  async manifest(): Promise<string> {
    const files = Object.fromEntries(this.digests.toSorted(([a], [b]) => a < b ? -1 : 1));
    await this.put({ path: PATHS.manifest, pieces: [documentOf({ format: FORMAT, files })] });
    return this.digests.pop()![1].sha256;
  }
}
