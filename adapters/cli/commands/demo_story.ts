/** What the demo says, to a person. */
import type { Row } from "../../../projections/views.ts";
import type { Call } from "../call.ts";
import { table } from "../columns.ts";
import { bar, cell, count, counted, duration, safe, short } from "../print.ts";
import type { Palette } from "../print.ts";
import type { VerifyReport } from "../runtime.ts";
import type { GitImport } from "../imports.ts";
import type { ReplayReport } from "./replay.ts";

export interface Imported extends Omit<GitImport, "problems"> {
  readonly repository: string;
  /** Why the bundled sample was taken instead of a repository. */
  readonly sample?: string;
  readonly problems: readonly string[];
}

export interface Followed {
  readonly projections: number;
  /** Those that stand still or were stopped. */
  readonly behind: readonly string[];
  readonly size: number;
  /** Rows of `audit.trail`, each with what its event says in a few words. */
  readonly trail: readonly (Row & { readonly data: string })[];
  readonly hotspots: readonly Row[];
  readonly checkpoint?: { readonly size: number; readonly root: string; readonly note: string };
}

export const describeImport = (done: Imported, elapsed: number, c: Palette): string => {
  const lines: string[] = [];
  if (done.sample !== undefined) {
    lines.push(c.yellow(`   ${done.sample}: a small repository made from the bundled sample is imported instead`));
  } else {lines.push(
      `   ${safe(done.repository)}${
        done.shallow ? c.yellow(", a shallow clone: its history begins where the clone was cut") : ""
      }`,
    );}
  lines.push(
    `   ${c.bold(counted(done.commits, "commit"))} on ${counted(done.branches, "branch", "branches")} became ${
      c.bold(counted(done.events, "event"))
    } in ${duration(elapsed)}` +
      ` (${count(Math.round(done.events / Math.max(elapsed, 1) * 1_000))} events/s, each durable, chained and sealed)`,
  );
  for (const problem of done.problems) lines.push(c.yellow(`   ${safe(problem)}`));
  return lines.join("\n");
};

export const describeFollowed = (followed: Followed, elapsed: number, c: Palette): string => {
  const { projections, behind, size, checkpoint } = followed;
  const signed = checkpoint ? `; a checkpoint of ${counted(checkpoint.size, "event")} is signed` : "";
  if (behind.length > 0) return c.red(`   ${behind.join(", ")}: not caught up; status tells more${signed}`);
  return `   ${counted(projections, "projection")} applied all ${counted(size, "event")}, ${
    duration(elapsed)
  } after the last${signed}`;
};

const indent = (text: string): string => text.trimEnd().split("\n").map((line) => `   ${line}`).join("\n");

export const describeTrail = (
  trail: readonly (Row & { readonly data: string })[],
  { c, columns }: { c: Palette; columns: number },
): string => {
  if (trail.length === 0) return "   nothing happened";
  const titles = ["position", "recorded", "type", "by", "stream", "says"];
  // Where there is little room, who and where give way to what was said.
  const shown = columns < WIDE ? [0, 1, 2] : [0, 1, 2, 3, 4];
  const rows = trail.map(({ key, row }) => {
    const { recordedat, type, actor, stream } = row as Readonly<Record<string, string>>;
    const all = [key, (recordedat ?? "").slice(11, 23), safe(type ?? ""), safe(actor ?? ""), safe(stream ?? "")];
    return shown.map((i) => all[i]!);
  });
  const used = 3 + shown.reduce((sum, _, i) => sum + 2 + Math.max(...rows.map((row) => row[i]!.length), 8), 0);
  const all = rows.map((row, i) => [...row, short(trail[i]!.data, Math.max(16, columns - used))]);
  const heads = [...shown, 5].map((i) => ({ title: titles[i]!, ...(i === 0 ? { right: true as const } : {}) }));
  return indent(table(heads, all, c));
};

const WIDE = 110;

export const describeHotspots = (rows: readonly Row[], c: Palette): string => {
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

export const describeVerified = (report: VerifyReport, elapsed: number, c: Palette): string => {
  if (!report.ok) {
    const [first] = report.failures;
    return `   ${c.red("NOT intact")}: ${
      count(report.failures.length)
    } failures, the first at position ${first?.position}: ${safe(first?.kind ?? "")}`;
  }
  const anchored = report.authenticated
    ? `signed by the log's key up to event ${count(report.signed)}; the checkpoint of step 2 agrees, with ${
      count(report.unanchored)
    } unanchored behind it`
    : "self-consistent, key not authenticated, unanchored";
  return `   ${c.green("intact")}: ${count(report.size)} entries in ${duration(elapsed)}; root ${report.root}\n   ${
    c.dim(anchored)
  }`;
};

export const describeReplayed = (report: ReplayReport, elapsed: number, c: Palette): string => {
  const differing = report.views.filter(({ equal }) => equal === false).map(({ name }) => name);
  const compared = report.views.filter(({ equal }) => equal === true);
  const rows = compared.reduce((sum, view) => sum + view.rows, 0);
  return report.ok
    ? `   ${c.green("equal")}: ${compared.length} of ${report.views.length} views, ${count(rows)} rows, folded from ${
      count(report.size)
    } events in ${duration(elapsed)}`
    : `   ${c.red("NOT equal")}: ${safe(differing.join(", "))}`;
};

export const tryNext = (call: Call, data: string, followed: Followed, c: Palette): string => {
  const where = `--data ${/^[\w./-]+$/.test(data) ? data : `'${data.replaceAll("'", "'\\''")}'`}`;
  const last = Math.max(0, followed.size - 1);
  const lines = [
    ["deno task view commits.activity --sort week --descending", "commits by week"],
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
