/** `replay`: the log folded again, and compared with the stored views. */
import type { ViewDigest } from "../../../projections/views.ts";
import { ViewQuestion } from "../../../projections/views.ts";
import type { Call, Run } from "../call.ts";
import { boundOf, flag, list, moment, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { fold } from "../fold.ts";
import type { Folded } from "../fold.ts";
import { count, duration, palette, safe } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { OnProgress, Reader, Runtime, StoredViews } from "../runtime.ts";
import { ViewsUnreadable } from "../runtime.ts";

export interface ReplayedView extends Folded {
  /** Against the stored view at the same size; null when it was not compared. */
  readonly equal: boolean | null;
  /** Why it was not compared, or what the stored view holds instead. */
  readonly note?: string;
}
export interface ReplayReport {
  readonly ok: boolean;
  readonly size: number;
  readonly views: readonly ReplayedView[];
}

export const replay: Run = async (call, runtime) => {
  const until = text(call, "until");
  const limit = until === undefined ? undefined : moment(until, "--until");
  const reader = await runtime.reader(call.data);
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

/** Folds the log and compares. The stored digests are taken before the log's size, so that the log is never the shorter of the two. */
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
    throw new Usage(
      `there is no view ${JSON.stringify(missing)}; there are: ${all.map(({ name }) => name).join(", ")}`,
    );
  }
  const views = check ? await storedViews(runtime, data) : undefined;
  try {
    const chosen = only.length > 0 ? all.filter(({ name }) => only.includes(name)) : all;
    const stored = chosen.map(({ name }) =>
      views instanceof ViewsUnreadable ? views : views && storedDigest(views, name, size)
    );
    const whole = Math.min(size ?? Infinity, reader.size);
    const folded = fold(
      reader,
      chosen.map((projection, i) => ({ projection, until: digestOf(stored[i])?.size ?? whole })),
      progress,
    );
    const compared = folded.map((view, i): ReplayedView =>
      !check ? { ...view, equal: null } : compare(view, views ? stored[i] : "there are no stored views")
    );
    return { ok: compared.every(({ equal }) => equal !== false), size: whole, views: compared };
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

/** The stored digest; why there is none to compare; or why what is stored cannot be what was folded. */
type Stored = ViewDigest | string | ViewsUnreadable;

const storedDigest = (views: StoredViews, name: string, size: number | undefined): Stored => {
  try {
    const state = views.stores().find((store) => store.name === name && store.served);
    if (!state) return "not stored";
    return views.digest(name, size === undefined || size >= state.size ? undefined : size - 1);
  } catch (error) {
    if (error instanceof ViewQuestion) return error.message;
    // A file may be damaged in one place only: the other views are compared all the same.
    return new ViewsUnreadable(`the stored view cannot be read: ${error instanceof Error ? error.message : error}`);
  }
};

const digestOf = (stored: Stored | undefined): ViewDigest | undefined =>
  typeof stored === "object" && !(stored instanceof ViewsUnreadable) ? stored : undefined;

const compare = (view: Folded, stored: Stored | undefined): ReplayedView => {
  if (stored instanceof ViewsUnreadable) return { ...view, equal: false, note: stored.message };
  if (typeof stored !== "object") return { ...view, equal: null, note: stored };
  if (stored.version !== view.version) {
    return {
      ...view,
      equal: null,
      note: `not_replayable: version ${stored.version} is stored, this program builds ${view.version}`,
    };
  }
  const equal = stored.digest === view.digest;
  return {
    ...view,
    equal,
    ...(equal ? {} : { note: `the stored view has ${stored.rows} rows and digest ${stored.digest}` }),
  };
};

const describe = (
  report: ReplayReport,
  { call, runtime, elapsed }: { call: Call; runtime: Runtime; elapsed: number },
): string => {
  const c = palette(runtime.io);
  const verdict = (view: ReplayedView) =>
    view.equal === null
      ? c.dim(view.note ? safe(view.note) : "not compared")
      : view.equal
      ? c.green("equal")
      : c.red(`differs: ${safe(view.note ?? "")}`);
  const rows = report.views.map((
    view,
  ) => [
    safe(view.name),
    String(view.version),
    count(view.size),
    count(view.rows),
    view.digest.slice(0, 12),
    verdict(view),
  ]);
  const columns = [
    { title: "view" },
    { title: "version", right: true },
    { title: "size", right: true },
    { title: "rows", right: true },
    { title: "digest" },
    { title: "stored" },
  ] as const;
  const compared = report.views.filter(({ equal }) => equal !== null).length;
  const sum = !flag(call, "check")
    ? `${count(report.size)} events folded`
    : report.ok
    ? c.green(`replayed equal: ${compared} of ${report.views.length} views compared`)
    : c.red(`${
      report.views.filter(({ equal }) => equal === false).length
    } of ${compared} views differ from what the log says`);
  return `${table(columns, rows, c)}\n${sum} in ${duration(elapsed)}\n`;
};
