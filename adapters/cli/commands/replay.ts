/** `replay`: the log folded again, and compared with the attestations in it and the stored views. */
import { replay as refold, type ReplayedView as Compared, type Uncompared } from "../../../actors/kernel/replay.ts";
import type { JudgedAttestation } from "../../../actors/kernel/attestations.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, boundOf, flag, list, moment, text, Usage } from "../call.ts";
import { type Covering, coveringOf, describeCovering } from "../covering.ts";
import { table } from "../columns.ts";
import { primitives } from "../fold.ts";
import { count, duration, type Palette, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import { type Runtime, type StoredViews, ViewsUnreadable } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import type { OnProgress } from "../io.ts";

export interface ReplayedView {
  readonly name: string;
  readonly version: number;
  /** Events folded. */
  readonly size: number;
  readonly rows: number;
  /** See `projections/digest.ts`. */
  readonly digest: string;
  /** Against the stored view at the same size; null when it was not compared. */
  readonly equal: boolean | null;
  /** Why it was not compared, or what the stored view holds instead. */
  readonly note?: string;
}

export interface ReplayedAttestation
  extends Pick<JudgedAttestation, "position" | "projection" | "version" | "size" | "rows" | "digest"> {
  /** Whether the fold to `size` gave the same; null when it is not replayable. */
  readonly equal: boolean | null;
  /** Why it is not replayable, or what the fold gave instead. */
  readonly note?: string;
}

export interface ReplayReport {
  readonly ok: boolean;
  readonly size: number;
  readonly views: readonly ReplayedView[];
  /** With `--check` all in the log up to `size`, in order. */
  readonly attestations: readonly ReplayedAttestation[];
  /** The newest checkpoint, if it covers `size`: what the events that were folded can be proven against. */
  readonly checkpoint: Covering | null;
}

export const replay: Run = async (call, runtime) => {
  const until = text(call, "until");
  const limit = until === undefined ? undefined : moment(until, "--until");
  const reader = await runtime.reader(call.data, archiveOf(call));
  try {
    const { io, clock } = runtime;
    const began = clock.monotonic();
    const progress = progressBar("folding", { io, clock, quiet: call.json });
    const size = limit && boundOf(reader, limit, "--until");
    const report = await replayed(reader, {
      data: call.data,
      only: list(call, "view"),
      check: flag(call, "check"),
      size,
      runtime,
      progress: progress.on,
    });
    progress.end();
    io.out(
      call.json
        ? `${JSON.stringify(report)}\n`
        : describe(report, { call, runtime, elapsed: clock.monotonic() - began }),
    );
    return report.ok ? 0 : 1;
  } finally {
    await reader.close();
  }
};

/** Folds the log and compares. */
export const replayed = async (
  reader: Reader,
  { data, only, check, size, runtime, progress }: {
    data: string;
    only: readonly string[];
    check: boolean;
    size?: number;
    runtime: Runtime;
    progress: OnProgress;
  },
): Promise<ReplayReport> => {
  const all = await runtime.projections();
  const missing = only.find((name) => !all.some((projection) => projection.name === name));
  if (missing !== undefined) {
    const computed = (await runtime.computed(reader)).some(({ view }) => view.name === missing);
    if (computed) {
      throw new Usage(`${missing} is made of the log whenever it is asked: there is nothing else to compare`);
    }
    throw new Usage(
      `there is no view ${JSON.stringify(missing)}; there are: ${all.map(({ name }) => name).join(", ")}`,
    );
  }
  const views = check ? await storedViews(runtime, data) : undefined;
  try {
    const projections = only.length > 0 ? all.filter(({ name }) => only.includes(name)) : all;
    const done = refold({
      log: reader,
      projections,
      primitives,
      views: !(views instanceof ViewsUnreadable) ? views : views.older ? undefined : unreadable(views),
      attested: check,
      until: size,
      onProgress: (done, total) => progress({ done, total, unit: "events" }),
    });
    const noneStored = views instanceof ViewsUnreadable
      ? `not_replayable: ${views.message}`
      : check && views === undefined
      ? "there are no stored views"
      : undefined;
    const whose = done.attestations.filter(({ projection }) => only.length === 0 || only.includes(projection));
    return {
      ok: done.ok,
      size: done.size,
      views: done.views.map((view) => told(view, noneStored)),
      attestations: whose.map(attested),
      checkpoint: coveringOf(await reader.checkpoint(), done.size),
    };
  } finally {
    if (!(views instanceof ViewsUnreadable)) views?.close();
  }
};

const storedViews = async (runtime: Runtime, data: string): Promise<StoredViews | ViewsUnreadable | undefined> => {
  try {
    return await runtime.views(data);
  } catch (error) {
    if (error instanceof ViewsUnreadable) return error;
    throw error;
  }
};

const unreadable = (error: ViewsUnreadable): Pick<StoredViews, "stores" | "digest"> => {
  const refuse = () => {
    throw error;
  };
  return { stores: refuse, digest: refuse };
};

const UNCOMPARED: Readonly<Record<Uncompared, string>> = {
  not_stored: "not stored",
  not_replayable: "not_replayable: another version is stored",
  no_history: "no_history",
  unreadable: "the stored view cannot be read",
};

const told = (
  { name, version, size, rows, digest, equal, uncompared, stored, kept, because }: Compared,
  noneStored: string | undefined,
): ReplayedView => {
  const view = { name, version, size, rows, digest };
  if (uncompared) {
    const why = uncompared === "not_replayable"
      ? `not_replayable: ${because}, this program builds ${version}`
      : uncompared === "unreadable" && because?.includes("cannot")
      ? because
      : because
      ? `${UNCOMPARED[uncompared]}: ${because}`
      : UNCOMPARED[uncompared];
    return { ...view, equal: uncompared === "unreadable" ? false : null, note: why };
  }
  if (equal === undefined) return { ...view, equal: null, ...(noneStored !== undefined && { note: noneStored }) };
  if (equal) return { ...view, equal };
  const notes = [
    ...(stored!.digest === digest ? [] : [`the stored view has ${stored!.rows} rows and digest ${stored!.digest}`]),
    ...(kept ? [`its rows were changed: the digest kept with them is ${kept.digest}, of ${kept.rows} rows`] : []),
  ];
  return { ...view, equal, note: notes.join("; ") };
};

const attested = (
  { position, projection, version, size, rows, digest, method, outcome, found }: JudgedAttestation,
): ReplayedAttestation => {
  const one = { position, projection, version, size, rows, digest };
  if (outcome === "equal") return { ...one, equal: true };
  if (outcome === "not_replayable") {
    return { ...one, equal: null, note: `not_replayable: version ${version} by ${method} is not built here` };
  }
  const note = found
    ? `the log gives ${found.rows} rows and digest ${found.digest}`
    : `it speaks of ${size} events, and is itself at ${position}`;
  return { ...one, equal: false, note };
};

const verdictOf = ({ equal, note = "not compared" }: { equal: boolean | null; note?: string }, c: Palette): string =>
  equal === null ? c.dim(safe(note)) : equal ? c.green("equal") : c.red(`differs: ${safe(note)}`);

const describe = (
  report: ReplayReport,
  { call, runtime, elapsed }: { call: Call; runtime: Runtime; elapsed: number },
): string => {
  const c = palette(runtime.io);
  const check = flag(call, "check");
  const parts = [viewsTable(report, c)];
  if (report.attestations.length > 0) parts.push(attestationsTable(report, c));
  const sum = check ? summary(report, c) : `${count(report.size)} events folded`;
  parts.push(`${sum} in ${duration(elapsed)}\n${describeCovering(report.checkpoint, report.size, c)}`);
  return parts.join("\n");
};

const viewsTable = (report: ReplayReport, c: Palette): string =>
  table(
    [
      { title: "view" },
      { title: "version", right: true },
      { title: "size", right: true },
      { title: "rows", right: true },
      { title: "digest" },
      { title: "stored" },
    ],
    report.views.map((view) => [
      safe(view.name),
      String(view.version),
      count(view.size),
      count(view.rows),
      view.digest.slice(0, 12),
      verdictOf(view, c),
    ]),
    c,
  );

const attestationsTable = (report: ReplayReport, c: Palette): string =>
  table(
    [
      { title: "attested at", right: true },
      { title: "view" },
      { title: "version", right: true },
      { title: "size", right: true },
      { title: "rows", right: true },
      { title: "digest" },
      { title: "folded" },
    ],
    report.attestations.map((one) => [
      count(one.position),
      safe(one.projection),
      String(one.version),
      count(one.size),
      count(one.rows),
      one.digest.slice(0, 12),
      verdictOf(one, c),
    ]),
    c,
  );

const summary = ({ ok, views, attestations }: ReplayReport, c: Palette): string => {
  const of = (all: readonly { readonly equal: boolean | null }[]) => ({
    compared: all.filter(({ equal }) => equal !== null).length,
    wrong: all.filter(({ equal }) => equal === false).length,
  });
  const [stored, said] = [of(views), of(attestations)];
  if (ok) {
    const attestationsToo = attestations.length === 0
      ? ""
      : `, and ${count(said.compared)} of ${count(attestations.length)} attestations`;
    return c.green(`replayed equal: ${stored.compared} of ${views.length} views compared${attestationsToo}`);
  }
  const parts = [
    ...(stored.wrong > 0 ? [`${stored.wrong} of ${stored.compared} views differ from what the log says`] : []),
    ...(said.wrong > 0
      ? [`${count(said.wrong)} of ${count(said.compared)} attestations are not what the log gives`]
      : []),
  ];
  return c.red(parts.join("; "));
};
