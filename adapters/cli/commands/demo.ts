/** The main job on real input, start to finish, on a fresh folder: what the project is for, seen in a minute. */
import { join } from "node:path";
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import type { Row } from "../../../projections/views.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { bar, cell, count, duration, palette, safe, short } from "../print.ts";
import type { Palette } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { GitImport, OnProgress, Runtime, VerifyReport } from "../runtime.ts";
import { ImportFault } from "../runtime.ts";
import { replayed } from "./replay.ts";
import type { ReplayReport } from "./replay.ts";

const SHOWN = 8;
const CATCH_UP_MS = 600_000;

interface Imported extends Omit<GitImport, "problems"> {
  readonly repository: string;
  /** Why the bundled sample was taken instead of a repository. */
  readonly sample?: string;
  readonly problems: readonly string[];
}

interface Followed {
  readonly projections: number;
  readonly size: number;
  /** Rows of `audit.trail`, each with what its event says in a few words. */
  readonly trail: readonly (Row & { readonly data: string })[];
  readonly hotspots: readonly Row[];
  readonly checkpoint?: { readonly size: number; readonly root: string; readonly note: string };
}

export interface DemoReport {
  readonly ok: boolean;
  readonly data: string;
  readonly imported: Imported;
  readonly followed: Followed;
  readonly verified: VerifyReport;
  readonly replayed: ReplayReport;
  readonly elapsed_ms: Readonly<Record<"import" | "follow" | "verify" | "replay", number>>;
}

export const demo: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const data = await freshFolder(call, runtime);
  const say = call.json ? () => {} : (line: string) => io.out(`${line}\n`);
  const c = palette(io);
  const timed = async <T>(work: () => Promise<T>): Promise<readonly [T, number]> => {
    const began = clock.monotonic();
    return [await work(), clock.monotonic() - began];
  };
  const step = (number: number, title: string) => say(`\n${c.bold(c.cyan(`${number}  ${title}`))}`);

  say(
    `${c.bold("Daybook demo")}: one tamper-evident log, actors and projections over it\n${
      c.dim(`in a fresh folder: ${safe(data)}`)
    }`,
  );
  step(1, "Import");
  const daybook = await runtime.open(data);
  let imported: Imported, followed: Followed, importing: number, following: number;
  try {
    [imported, importing] = await timed(() => bringIn(daybook, call, runtime));
    say(describeImport(imported, importing, c));
    step(2, "Follow: actors decided, projections folded");
    [followed, following] = await timed(() => follow(daybook));
    say(describeFollowed(followed, following));
  } finally {
    await daybook.close();
  }
  step(3, "Audit trail: the newest events, as anyone may see them");
  say(describeTrail(followed.trail, { c, columns: io.terminal.out ? io.columns : 140 }));
  step(4, "A view: commits.hotspots, the files that change most");
  say(describeHotspots(followed.hotspots, c));
  step(5, "Verify: chain, tree and signatures recomputed from the entries");
  const [verified, verifying] = await timed(() =>
    withBar("verifying", call, runtime, (on) => verifyAll(data, { kept: followed.checkpoint, runtime }, on))
  );
  say(describeVerified(verified, verifying, c));
  step(6, "Replay: folded again from the beginning and compared");
  const [again, replaying] = await timed(() => replayAll(data, call, runtime));
  say(describeReplayed(again, replaying, c));

  const ok = verified.ok && again.ok;
  const report: DemoReport = {
    ok,
    data,
    imported,
    followed,
    verified,
    replayed: again,
    elapsed_ms: { import: importing, follow: following, verify: verifying, replay: replaying },
  };
  if (call.json) io.out(`${JSON.stringify(report)}\n`);
  else say(tryNext(call, data, followed, c));
  return ok ? 0 : 1;
};

const freshFolder = async (call: Call, { io, clock }: Runtime): Promise<string> => {
  const stamp = new Date(clock.now()).toISOString().replaceAll(/[-:]|\.\d+Z/g, "").replace("T", "-");
  const data = call.dataGiven ? call.data : join(call.data, `demo-${stamp}`);
  if (!await io.isEmpty(data)) throw new Usage(`${data} is not empty; the demo wants a fresh folder`);
  return data;
};

const withBar = async <T>(
  label: string,
  call: Call,
  { io, clock }: Runtime,
  work: (on: ReturnType<typeof progressBar>["on"]) => Promise<T>,
): Promise<T> => {
  const progress = progressBar(label, { io, clock, quiet: call.json });
  try {
    return await work(progress.on);
  } finally {
    progress.end();
  }
};

const bringIn = async (daybook: Daybook, call: Call, runtime: Runtime): Promise<Imported> => {
  const given = call.args[0];
  const path = pathOf(call, given ?? ".");
  try {
    const done = await withBar(
      "importing",
      call,
      runtime,
      (on) => runtime.importGit(daybook, path, { range: text(call, "range") }, on),
    );
    if (!done.empty || given !== undefined) return { repository: path, ...done };
    return await bringInSample(daybook, "the repository here has no commits", runtime);
  } catch (error) {
    // Only where nobody asked for a certain repository is the sample an answer.
    if (!(error instanceof ImportFault) || given !== undefined && error.kind !== "no_git") throw error;
    if (error.kind !== "no_git" && error.kind !== "not_a_repository") throw error;
    return await bringInSample(
      daybook,
      error.kind === "no_git" ? "git was not found" : "you do not stand in a git repository",
      runtime,
    );
  }
};

const bringInSample = async (daybook: Daybook, why: string, runtime: Runtime): Promise<Imported> => {
  const sample = await runtime.importSample(daybook);
  return { repository: "bundled sample", sample: why, ...sample };
};

const follow = async (daybook: Daybook): Promise<Followed> => {
  const { log } = daybook;
  const size = log.size;
  const wait = size - 1;
  const names = daybook.projections.map(({ name }) => name);
  for (const name of size > 0 ? names : []) await daybook.view(name, { limit: 1, wait, deadline: CATCH_UP_MS });
  const trail = names.includes("audit.trail")
    ? (await daybook.view("audit.trail", { descending: true, limit: SHOWN })).rows.toReversed()
    : [];
  const hotspots = names.includes("commits.hotspots")
    ? await daybook.view("commits.hotspots", { sort: "churn", descending: true, limit: SHOWN })
    : undefined;
  const checkpoint = await daybook.checkpoint(size);
  return {
    projections: names.length,
    size,
    trail: trail.map((row) => ({ ...row, data: summaryOf(daybook, row.position) })),
    hotspots: hotspots?.rows ?? [],
    ...(checkpoint ? { checkpoint: { size: checkpoint.size, root: checkpoint.root, note: checkpoint.note } } : {}),
  };
};

/** The checkpoint signed a moment ago and the public key serve as if somebody elsewhere had kept them. */
const verifyAll = async (
  data: string,
  { kept, runtime }: { kept: Followed["checkpoint"]; runtime: Runtime },
  on: OnProgress,
): Promise<VerifyReport> => {
  const against = kept ? [{ name: "the checkpoint of step 2", text: kept.note }] : [];
  return await runtime.verify(data, { key: await runtime.verifierKey(data), against }, on);
};

const replayAll = async (data: string, call: Call, runtime: Runtime): Promise<ReplayReport> => {
  const reader = await runtime.reader(data);
  try {
    return await withBar(
      "folding",
      call,
      runtime,
      (on) => replayed(reader, { data, only: [], check: true, runtime, progress: on }),
    );
  } finally {
    await reader.close();
  }
};

const describeImport = (done: Imported, elapsed: number, c: Palette): string => {
  const lines: string[] = [];
  if (done.sample !== undefined) {
    lines.push(c.yellow(`   ${done.sample}: a small repository made from the bundled sample is imported instead`));
  } else {lines.push(
      `   ${safe(done.repository)}${
        done.shallow ? c.yellow(", a shallow clone: its history begins where the clone was cut") : ""
      }`,
    );}
  lines.push(
    `   ${c.bold(count(done.commits))} commits on ${count(done.branches)} branches became ${
      c.bold(count(done.events))
    } events in ${duration(elapsed)}` +
      ` (${count(Math.round(done.events / Math.max(elapsed, 1) * 1_000))} events/s, each durable, chained and sealed)`,
  );
  for (const problem of done.problems) lines.push(c.yellow(`   ${safe(problem)}`));
  return lines.join("\n");
};

const describeFollowed = (followed: Followed, elapsed: number): string => {
  const signed = followed.checkpoint ? `; a checkpoint of ${count(followed.checkpoint.size)} events is signed` : "";
  return `   ${followed.projections} projections have applied all ${count(followed.size)} events, ${
    duration(elapsed)
  } after the last${signed}`;
};

const indent = (text: string): string => text.trimEnd().split("\n").map((line) => `   ${line}`).join("\n");

const describeTrail = (
  trail: readonly (Row & { readonly data: string })[],
  { c, columns }: { c: Palette; columns: number },
): string => {
  if (trail.length === 0) return "   nothing happened";
  const rows = trail.map(({ key, row }) => {
    const { recordedat, type, actor, stream } = row as Readonly<Record<string, string>>;
    return [key, (recordedat ?? "").slice(11, 23), safe(type ?? ""), safe(actor ?? ""), safe(stream ?? "")];
  });
  const used = 3 + [0, 1, 2, 3, 4].reduce((sum, i) => sum + 2 + Math.max(...rows.map((row) => row[i]!.length), 8), 0);
  const room = Math.max(16, columns - used);
  const titles = ["position", "recorded", "type", "by", "stream", "says"];
  const all = rows.map((row, i) => [...row, short(trail[i]!.data, room)]);
  return indent(table(titles.map((title, i) => ({ title, ...(i === 0 ? { right: true as const } : {}) })), all, c));
};

/** The members of an event's data that are one word or number; what is personal stays sealed. */
const summaryOf = (daybook: Daybook, position: number): string => {
  const [event] = [...daybook.log.read({ from: position, until: position + 1 })].flat();
  const data = event && daybook.redact(event).data;
  if (typeof data !== "object" || data === null) return "";
  const said = Object.entries(data).filter(([, value]) => typeof value === "string" || typeof value === "number");
  // What reads as a sentence comes first, object names last.
  const weight = (value: unknown) =>
    typeof value === "number" ? 1 : String(value).includes(" ") ? 0 : String(value).length > 30 ? 2 : 1;
  return said.sort(([, a], [, b]) => weight(a) - weight(b)).map(([name, value]) =>
    `${name}: ${short(String(value), 60)}`
  ).join(", ");
};

const describeHotspots = (rows: readonly Row[], c: Palette): string => {
  if (rows.length === 0) return "   no file changed";
  const most = Math.max(1, ...rows.map(({ row }) => churnOf(row).churn));
  const cells = rows.map(({ row }) => {
    const { path, churn, commits } = churnOf(row);
    return [cell(path, 56), count(churn), count(commits), c.cyan(bar(churn / most, 24))];
  });
  return indent(
    table(
      [{ title: "file" }, { title: "lines changed", right: true }, { title: "commits", right: true }, { title: "" }],
      cells,
      c,
    ),
  );
};

const churnOf = (row: unknown): { readonly path: string; readonly churn: number; readonly commits: number } =>
  row as { path: string; churn: number; commits: number };

const describeVerified = (report: VerifyReport, elapsed: number, c: Palette): string => {
  if (!report.ok) {
    const [first] = report.failures;
    return `   ${c.red("NOT intact")}: ${
      count(report.failures.length)
    } failures, the first at position ${first?.position}: ${safe(first?.kind ?? "")}`;
  }
  const anchored = report.authenticated
    ? `signed by the log's key up to event ${count(report.anchored)}; the checkpoint of step 2 agrees`
    : "self-consistent, key not authenticated";
  return `   ${c.green("intact")}: ${count(report.size)} entries in ${duration(elapsed)}; root ${report.root}\n   ${
    c.dim(anchored)
  }`;
};

const describeReplayed = (report: ReplayReport, elapsed: number, c: Palette): string => {
  const differing = report.views.filter(({ equal }) => equal === false).map(({ name }) => name);
  const compared = report.views.filter(({ equal }) => equal === true);
  const rows = compared.reduce((sum, view) => sum + view.rows, 0);
  return report.ok
    ? `   ${c.green("equal")}: ${compared.length} of ${report.views.length} views, ${count(rows)} rows, folded from ${
      count(report.size)
    } events in ${duration(elapsed)}`
    : `   ${c.red("NOT equal")}: ${safe(differing.join(", "))}`;
};

const tryNext = (call: Call, data: string, followed: Followed, c: Palette): string => {
  const where = `--data ${/^[\w./-]+$/.test(data) ? data : `'${data.replaceAll("'", "'\\''")}'`}`;
  const last = Math.max(0, followed.size - 1);
  const lines = [
    ["deno task view commits.activity --descending", "commits by week"],
    [`deno task explain ${last}`, "causes and effects of the last event"],
    ["deno task events --follow", "the log, live"],
    ["deno task start", "serve it; other programs can send events"],
    ["deno task daybook --help", "all commands"],
  ] as const;
  const commands = lines.map((
    [command, about],
  ) => [command.includes("--help") ? command : `${command} ${where}`, c.dim(about)]);
  return `\n${c.bold("Try next")}\n${indent(table([{ title: "" }, { title: "" }], commands).replace(/^\s*\n/, ""))}\n${
    c.dim(`   The demo's folder may simply be deleted${call.dataGiven ? "" : "; the next demo makes its own"}.`)
  }`;
};
