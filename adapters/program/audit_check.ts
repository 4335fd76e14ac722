/**
 * An audit folder, verified without the server that its log comes from: every file against the manifest, the log from its entries, then all
 * that follows from the log made again and compared, and the projections run again.
 */
import { join } from "node:path";
import { replayAttested } from "../../actors/kernel/replay.ts";
import { parseControl } from "../../config/controls.ts";
import { LogFault } from "../../events/log.ts";
import { events } from "../../events/mod.ts";
import { projections } from "../../projections/mod.ts";
import { assess, isEarly } from "../audit/assessment.ts";
import { documentsOf } from "../audit/documents.ts";
import { DOCUMENT_BYTES_MAX, documentOf, hasPlace, PATHS, readScope, type Scope } from "../audit/manifest.ts";
import { primitives } from "../cli/fold.ts";
import type { AuditChecked, AuditFailure, Stated } from "../cli/audits.ts";
import type { Kept } from "../cli/reader.ts";
import type { OnProgress } from "../cli/io.ts";
import { sameBytes } from "../verify/block.ts";
import { TlogFolder } from "../tlog/reader.ts";
import { NotProven, parseCheckpoint, verifyNote } from "../verify/library.ts";
import { verifyManifest } from "../verify/manifest.ts";
import { readVerifierKey } from "../verify/note.ts";
import { type TlogReport, verifyTlog } from "../verify/tlog.ts";
import { sources } from "./audit.ts";
import { compared } from "./audit_compare.ts";

/**
 * Documents that another version of the program may make otherwise. They are made again whatever version the folder names, and are equal or
 * a failure: a folder with a page that nobody checked is not found intact.
 */
const RENDERED: ReadonlySet<string> = new Set([PATHS.oscal, PATHS.index, PATHS.evidence]);
/** Failures that are told. */
const TOLD_MAX = 100;

export interface CheckOptions {
  readonly folder: string;
  /** Public key of the log, from whoever asks. */
  readonly key: string | undefined;
  /** Public keys of witnesses that are believed. */
  readonly witnesses: readonly string[];
  /** Checkpoints that were kept elsewhere. */
  readonly against: readonly Kept[];
  /** Of this program. */
  readonly version: string;
  /** What the files of this program's own controls say. */
  readonly own: readonly Stated[];
}

/** Throws `LogFault`: `foreign` for what is no audit folder, `newer`, `invalid` for a key that is none, `io`. */
export const checkAudit = (options: CheckOptions, progress: OnProgress): Promise<AuditChecked> =>
  new Check(options, progress).run();

class Check {
  private readonly failures: AuditFailure[] = [];
  /** Failures beside those, of which nothing is known but that they are there. */
  private more = 0;

  constructor(private readonly options: CheckOptions, private readonly progress: OnProgress) {}

  async run(): Promise<AuditChecked> {
    const { folder } = this.options;
    const manifest = await verifyManifest(folder, { hasPlace, progress: this.progress });
    for (const { path, expected, found } of manifest.failures) this.fail({ path, kind: "manifest", expected, found });
    this.more += manifest.failed - manifest.failures.length;
    const scope = readScope(this.bytes(PATHS.scope));
    const kept = [...this.keptIn(PATHS.checkpoints), ...this.keptIn(PATHS.cosigned)];
    const log = await this.verifyLog(kept);
    this.expectForms(scope, kept);
    this.expectScope(scope, log, kept);
    // What does not verify is not gone on from: what follows from it would say nothing.
    const followed = log.ok && log.size === scope.size ? this.follow(scope) : undefined;
    return {
      ok: this.failures.length === 0,
      origin: log.origin ?? scope.origin,
      size: log.size,
      root: log.root,
      anchored: log.anchored,
      unanchored: log.unanchored,
      signed: log.signed,
      authenticated: log.authenticated,
      checkpoints: log.checkpoints,
      manifest: manifest.sha256,
      version: scope.program.version,
      files: manifest.files,
      at: scope.at,
      failures: this.failures.slice(0, TOLD_MAX),
      failed: this.failures.length + this.more,
      ...(followed ?? {}),
    };
  }

  private fail(failure: AuditFailure): void {
    this.failures.push(failure);
  }

  private bytes(path: string): Uint8Array {
    const full = join(this.options.folder, path);
    try {
      const { size, isFile } = Deno.lstatSync(full);
      if (!isFile) throw new LogFault("foreign", `${path} is no file`);
      if (size > DOCUMENT_BYTES_MAX) {
        throw new LogFault("foreign", `${path} is too long to be read`);
      }
      return Deno.readFileSync(full);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw new LogFault("foreign", `there is no ${path} in the folder`);
      throw error;
    }
  }

  /** The files of a part of the folder, as checkpoints. */
  private keptIn(part: string): readonly Kept[] {
    const full = join(this.options.folder, part);
    let names: string[];
    try {
      // What else has the name is told as a file too many.
      if (!Deno.lstatSync(full).isDirectory) return [];
      names = [...Deno.readDirSync(full)].filter(({ isFile }) => isFile).map(({ name }) => name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
    return names.sort().map((name) => ({ name: `${part}/${name}`, text: textOf(this.bytes(`${part}/${name}`)) }));
  }

  private async verifyLog(kept: readonly Kept[]): Promise<TlogReport> {
    const { folder, key, witnesses, against } = this.options;
    const stated = textOf(this.bytes(PATHS.key)).trim();
    const known = readVerifierKey(stated)?.signs === "text";
    if (!known) this.fail({ path: PATHS.key, kind: "form", expected: "a public key", found: "something else" });
    const report = await verifyTlog({
      folder: join(folder, PATHS.log),
      key,
      folderKey: known ? stated : undefined,
      against: [
        ...kept.map((one) => ({ ...one, elsewhere: false })),
        ...against.map((one) => ({ ...one, elsewhere: true })),
      ],
      witnesses,
      progress: this.progress,
    });
    for (const { position, kind, expected, found } of report.failures) this.fail({ position, kind, expected, found });
    this.more += report.failed - report.failures.length;
    // Where no key was given it is the one that all was checked by.
    if (report.ok && known && key !== undefined && !this.isOfLog(stated, report)) {
      this.fail({ path: PATHS.key, kind: "signature", expected: "a key that has signed the log", found: stated });
    }
    return report;
  }

  /** Whether a key signs the log that is in the folder, or did before it was changed for another. */
  private isOfLog(vkey: string, { key_changes = [] }: TlogReport): boolean {
    if (vkey === this.options.key || key_changes.some((change) => vkey === change.old || vkey === change.new)) {
      return true;
    }
    try {
      verifyNote(textOf(this.bytes(`${PATHS.log}/checkpoint`)), [vkey]);
      return true;
    } catch (error) {
      if (!(error instanceof NotProven)) throw error;
      return false;
    }
  }

  /** One spelling each: what says the same in other bytes was written by somebody else. */
  private expectForms(scope: Scope, kept: readonly Kept[]): void {
    const wrong = (path: string, expected: string) =>
      this.fail({ path, kind: "form", expected, found: "something else" });
    const key = textOf(this.bytes(PATHS.key));
    if (key !== `${key.trim()}\n`) wrong(PATHS.key, "a public key and a newline");
    if (!sameBytes(this.bytes(PATHS.scope), documentOf(scope))) wrong(PATHS.scope, "the document as it is written");
    for (const { name, text } of kept) {
      const [part, number] = name.split("/");
      if (part === PATHS.checkpoints && text.split("\n")[1] !== number) {
        wrong(name, `a checkpoint of ${number} entries`);
      }
    }
  }

  /** What the folder says it is of must be the log that is in it. */
  private expectScope(scope: Scope, log: TlogReport, kept: readonly Kept[]): void {
    const expect = (name: string, expected: unknown, found: unknown) => {
      if (expected !== found) {
        this.fail({ path: PATHS.scope, kind: "scope", expected: `${name} ${expected}`, found: String(found) });
      }
    };
    if (log.ok) {
      expect("origin", log.origin, scope.origin);
      expect("size", log.size, scope.size);
      expect("root", log.root, scope.root);
      expect("cosigned up to", cosignedBy(scope.witnesses, kept), scope.cosigned);
    }
  }

  /** All that follows from a log that is sound. */
  private follow(scope: Scope): Pick<AuditChecked, "controls" | "rendered" | "state"> {
    const log = new TlogFolder(join(this.options.folder, PATHS.log), scope.size, events);
    const derived = this.trying(
      PATHS.results,
      "events that controls can be decided over",
      () => this.derive(log, scope),
    );
    const state = this.trying(PATHS.attestations, "events that every projection can fold", () => this.state(log));
    return { ...derived, ...(state ? { state } : {}) };
  }

  /** A log that is sound may hold what no fold has ever seen; then that is what was found. */
  private trying<T>(path: string, expected: string, call: () => T): T | undefined {
    try {
      return call();
    } catch (error) {
      if (error instanceof LogFault || !(error instanceof Error)) throw error;
      this.fail({ path, kind: "fold", expected, found: error.message });
      return undefined;
    }
  }

  private derive(log: TlogFolder, scope: Scope): Pick<AuditChecked, "controls" | "rendered"> {
    const { size, at, from, to, framework } = scope;
    const stated = this.stated();
    const assessment = assess(log, { size, at, from, to, framework }, {
      controls: stated.map(({ control }) => control),
      sources,
      onProgress: (done, total) => this.progress({ done, total, unit: "events" }),
    });
    if (isEarly(assessment)) {
      const expected = `a time of evaluation not before the newest event, at ${assessment.newest}`;
      this.fail({ path: PATHS.scope, kind: "scope", expected, found: scope.at });
    }
    const [before, made] = [this.failures.length, stated.map((one) => one.stated)];
    const other = scope.program.version === this.options.version ? undefined : scope.program.version;
    let rendered: boolean | null = true;
    for (const document of documentsOf(log, { scope, assessment, stated: made })) {
      const { path } = document;
      const difference = compared(this.options.folder, document, assessment.results);
      if (!difference) continue;
      if (RENDERED.has(path)) rendered = other === undefined ? false : null;
      this.fail(
        RENDERED.has(path) && other !== undefined
          ? {
            path,
            kind: "unchecked",
            expected: `what version ${this.options.version}, which this is, makes of the log`,
            found: `other bytes, by their own word of version ${other}: check them with that`,
          }
          : { path, kind: "derived", ...difference },
      );
    }
    const equal = !this.failures.slice(before).some(({ path }) => path === PATHS.results || path === PATHS.controls);
    const known = new Set(this.options.own.map((one) => JSON.stringify(one.stated)));
    const others = stated.filter((one) => !known.has(JSON.stringify(one.stated))).map(({ control }) => control.id);
    const named = new Set(stated.map(({ control }) => control.id));
    const missing = this.options.own.map(({ control }) => control.id).filter((id) => !named.has(id));
    return { controls: { results: assessment.results, equal, others, missing }, rendered };
  }

  private stated() {
    let listed: unknown;
    try {
      listed = JSON.parse(textOf(this.bytes(PATHS.controls)));
    } catch (error) {
      if (error instanceof LogFault) throw error;
      throw new LogFault("foreign", `Cannot read ${PATHS.controls}: it is not JSON`);
    }
    if (!Array.isArray(listed)) throw new LogFault("foreign", `Cannot read ${PATHS.controls}: it is no list`);
    return listed.map((stated, i) => {
      const control = parseControl(stated);
      if (!control) {
        throw new LogFault("foreign", `Cannot read ${PATHS.controls}: /${i}: this program cannot decide it`);
      }
      return { stated, control };
    });
  }

  private state(log: TlogFolder): AuditChecked["state"] {
    const { size, views, attestations } = replayAttested({
      events: function* () {
        for (const batch of log.read()) yield* batch;
      },
      projections,
      primitives,
      onProgress: (done, total) => this.progress({ done, total, unit: "events" }),
    });
    for (const { position, projection, version, size, rows, digest, outcome, found } of attestations) {
      if (outcome !== "differs") continue;
      this.fail({
        position,
        kind: "attestation",
        expected: `${projection} version ${version} after ${size} events: ${rows} rows, digest ${digest}`,
        found: found ? `${found.rows} rows, digest ${found.digest}` : "what cannot be",
      });
    }
    const equal = attestations.filter(({ outcome }) => outcome === "equal");
    return {
      size,
      views,
      attested: equal.length,
      not_replayable: attestations.filter(({ outcome }) => outcome === "not_replayable").length,
      differing: attestations.filter(({ outcome }) => outcome === "differs").length,
      ...(equal.length > 0 ? { last: equal.at(-1)! } : {}),
    };
  }
}

const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

/** Up to where these witnesses have cosigned, as far as the folder itself tells. */
const cosignedBy = (witnesses: readonly string[], kept: readonly Kept[]): number => {
  let most = 0;
  for (const { text } of kept) {
    try {
      const { text: said } = verifyNote(text, witnesses);
      most = Math.max(most, parseCheckpoint(said).size);
    } catch (error) {
      // Who has not cosigned says nothing of it; a key that is none is the folder's fault.
      if (!(error instanceof NotProven || error instanceof TypeError)) throw error;
    }
  }
  return most;
};
