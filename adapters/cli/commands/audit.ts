/** `audit`: what became of the controls; with `--out` as a folder of evidence, with `--check` such a folder verified. */
import { LogFault } from "../../../events/log.ts";
import type { ControlResult, ControlStatus } from "../../../projections/controls/mod.ts";
import type { Call, Run } from "../call.ts";
import { archiveOf, list, type Moment, moment, pathOf, text, Usage } from "../call.ts";
import { checkpointFiles } from "../checkpoints.ts";
import { table } from "../columns.ts";
import type { Palette } from "../print.ts";
import { bytes, count, counted, duration, palette, safe, short } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { AuditAsked, AuditWritten, Stated } from "../audits.ts";
import type { Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import { checkFolder } from "./audit_check.ts";
import { sourcesTold } from "./audit_sources.ts";

/** Nothing was found wanting where each is one of these: silence is no pass. */
const FINE: readonly ControlStatus[] = ["pass", "excepted", "not_applicable"];

export const audit: Run = (call, runtime) => {
  if (text(call, "check") !== undefined) return checkFolder(call, runtime);
  if (list(call, "against").length > 0) throw new Usage("--against goes with --check");
  if (text(call, "out") === undefined) {
    if (text(call, "key") !== undefined) throw new Usage("--key goes with --out or --check");
    for (const name of ["cosigned", "witness"]) {
      if (list(call, name).length > 0) throw new Usage(`--${name} goes with --out or --check`);
    }
    return evaluate(call, runtime);
  }
  return write(call, runtime);
};

/** Over all there is, signed or not. */
const evaluate: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const controls = await catalogue(call, runtime);
  // Nothing asked is nothing answered, which must not look like a pass.
  if (controls.length === 0) throw new Usage("there are no controls to evaluate");
  const reader = await runtime.reader(call.data, archiveOf(call));
  try {
    const began = clock.monotonic();
    const { size } = reader;
    const asked = askedOf(call, reader);
    const progress = progressBar("evaluating", { io, clock, quiet: call.json });
    const { at, results, sources, more_sources } = await runtime.assess(
      reader,
      { ...asked, size },
      controls,
      progress.on,
    ).finally(
      progress.end,
    );
    const ok = isFine(results);
    if (call.json) io.out(`${JSON.stringify({ ok, size, at, results, sources, more_sources })}\n`);
    else {
      const c = palette(io);
      io.out(
        `${resultsTable(results, c)}\n${sourcesTold({ sources, more_sources }, c)}${sumOf(results, c)} over ${
          count(size)
        } events, as of ${safe(at)}, in ${duration(clock.monotonic() - began)}\n`,
      );
    }
    return ok ? 0 : 1;
  } finally {
    await reader.close();
  }
};

const write: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const to = pathOf(call, text(call, "out")!);
  if (!await io.isEmpty(to)) throw new Usage(`${to} is not empty; an audit is written into a new folder`);
  const controls = await catalogue(call, runtime);
  const cosigned = await checkpointFiles(call, io, "cosigned");
  const key = text(call, "key") ?? await runtime.verifierKey(call.data);
  if (key === undefined) {
    throw new LogFault(
      "closed",
      `the keys of ${call.data} are not there, so neither is the log's public key; give --key`,
    );
  }
  const reader = await runtime.reader(call.data, archiveOf(call));
  try {
    const checkpoint = await reader.checkpoint();
    if (!checkpoint) throw new LogFault("closed", "the log has signed no checkpoint yet; the next start signs one");
    const began = clock.monotonic();
    const progress = progressBar("auditing", { io, clock, quiet: call.json });
    const options = { asked: askedOf(call, reader), controls, cosigned, witnesses: list(call, "witness") };
    const written = await runtime.writeAudit({ log: reader, checkpoint, key }, to, options, progress.on)
      .finally(progress.end);
    const ok = written.ok && isFine(written.results);
    io.out(
      call.json
        ? `${JSON.stringify({ ...written, ok, written: written.ok, folder: to })}\n`
        : describeWritten(written, { to, c: palette(io), elapsed: clock.monotonic() - began }),
    );
    const newer = reader.size - checkpoint.size;
    if (written.ok && newer > 0) {
      io.err(`daybook: ${counted(newer, "newer event")} that no checkpoint covers yet left out\n`);
    }
    return ok ? 0 : 1;
  } finally {
    await reader.close();
  }
};

const describeWritten = (
  written: AuditWritten,
  { to, c, elapsed }: { readonly to: string; readonly c: Palette; readonly elapsed: number },
): string => {
  if (!written.ok) {
    const [first] = written.failures;
    const where = first?.position === undefined ? "" : `position ${first.position}: `;
    return `${c.red("the log is NOT intact, so nothing was written")}: ${where}${
      first ? `${first.kind}: expected ${short(first.expected, 80)}, found ${short(first.found, 80)}` : ""
    }\n`;
  }
  const { size, root, files, manifest, cosigned, results, at } = written;
  const lines = [
    resultsTable(results, c),
    `${sumOf(results, c)} as of ${safe(at)}`,
    `${count(size)} events, ${counted(files, "file")}, ${bytes(written.bytes)}, verified, to ${safe(to)} in ${
      duration(elapsed)
    }`,
    `root      ${root}`,
    `manifest  ${manifest} (SHA-256)`,
    cosigned > 0
      ? `anchored  up to ${count(cosigned)} of ${count(size)} events, by the witnesses that were given`
      : c.yellow("unanchored, cosigned by no witness") + " (give --cosigned and --witness)",
  ];
  return `${lines.join("\n")}\n`;
};

const catalogue = async (call: Call, runtime: Runtime): Promise<readonly Stated[]> => {
  const folder = text(call, "controls");
  const controls = await runtime.controls(folder === undefined ? undefined : pathOf(call, folder));
  const framework = text(call, "framework");
  if (framework === undefined) return controls;
  const names = [...new Set(controls.flatMap(({ control }) => control.frameworks.map(({ name }) => name)))].sort();
  if (names.some((name) => plain(name) === plain(framework))) return controls;
  throw new Usage(`no control is of the framework ${JSON.stringify(framework)}; there are: ${names.join(", ")}`);
};
const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

/** Bounds of the period as times: a position stands for when its event was recorded. */
const askedOf = (call: Call, reader: Reader): AuditAsked => {
  const bound = (name: "from" | "to"): string | undefined => {
    const value = text(call, name);
    return value === undefined ? undefined : timeOf(moment(value, `--${name}`), reader, `--${name}`);
  };
  const [from, to, at, framework] = [bound("from"), bound("to"), text(call, "at"), text(call, "framework")];
  if (from !== undefined && to !== undefined && from > to) throw new Usage("--from lies behind --to");
  const judged = at === undefined ? undefined : moment(at, "--at");
  if (judged && !("time" in judged)) throw new Usage("--at takes an RFC 3339 time such as 2026-11-20T09:00:00Z");
  const newest = judged && reader.size > 0 ? timeOf({ position: reader.size - 1 }, reader, "--at") : undefined;
  if (newest !== undefined && judged!.time < newest) {
    throw new Usage(`--at lies before the newest event, recorded at ${newest}; --to asks about an earlier period`);
  }
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(framework === undefined ? {} : { framework }),
    ...(judged ? { at: judged.time } : {}),
  };
};

const timeOf = (bound: Moment, reader: Reader, what: string): string => {
  if ("time" in bound) return bound.time;
  if (bound.position >= reader.size) {
    throw new Usage(`${what} ${bound.position} lies behind the end of the log, which has ${reader.size} events`);
  }
  for (const [event] of reader.read({ from: bound.position, until: bound.position + 1 })) return event!.recordedat;
  throw new LogFault("truncated", `there is no event ${bound.position}`);
};

const isFine = (results: readonly ControlResult[]): boolean => results.every(({ status }) => FINE.includes(status));

const STYLES: Readonly<Record<ControlStatus, "green" | "red" | "yellow" | "dim">> = {
  pass: "green",
  fail: "red",
  stale: "yellow",
  no_evidence: "yellow",
  excepted: "yellow",
  not_applicable: "dim",
};

const resultsTable = (results: readonly ControlResult[], c: Palette): string =>
  table(
    [{ title: "control" }, { title: "status" }, { title: "because" }, { title: "events" }],
    results.map(({ id, status, because, evidence }) => [
      safe(id),
      c[STYLES[status]](status),
      short(because, 70),
      evidence.slice(-3).map(({ position }) => position).join(" "),
    ]),
    c,
  );

/** `12 of 25 controls pass, 1 fails, …`. */
const sumOf = (results: readonly ControlResult[], c: Palette): string => {
  const parts = (Object.keys(STYLES) as ControlStatus[])
    .map((status) => [status, results.filter((result) => result.status === status).length] as const)
    .filter(([, number]) => number > 0)
    .map(([status, number]) => c[STYLES[status]](`${count(number)} ${status}`));
  return `${counted(results.length, "control")}: ${parts.join(", ") || "none"}`;
};
