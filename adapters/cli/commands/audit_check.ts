/** `audit --check`: a folder of evidence, verified with nothing but itself and what the caller trusts. */
import { LogFault } from "../../../events/log.ts";
import { anchorLines, verdictOf } from "../anchored.ts";
import type { Call, Run } from "../call.ts";
import { list, pathOf, text, Usage } from "../call.ts";
import { keptCheckpoints } from "../checkpoints.ts";
import { table } from "../columns.ts";
import type { Palette } from "../print.ts";
import { count, counted, duration, palette, safe, short } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { AuditChecked } from "../audits.ts";
import { Refused } from "../runtime.ts";

const FAILURES_SHOWN = 20;
const OTHERS_SHOWN = 5;
const WANTING: readonly string[] = ["foreign", "newer", "truncated"];
/** The folder says itself what it was asked. */
const ASKED = ["framework", "from", "to", "at", "controls", "archive", "out"] as const;

export const checkFolder: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const wrong = ASKED.find((name) => text(call, name) !== undefined);
  if (wrong) throw new Usage(`--${wrong} does not go with --check: the folder says what it was asked`);
  if (list(call, "cosigned").length > 0) throw new Usage("--cosigned goes with --out; with --check it is --against");
  const folder = pathOf(call, text(call, "check")!);
  if (await io.isEmpty(folder)) throw new Usage(`there is nothing in ${folder} to check`);
  const against = await keptCheckpoints(call, io);
  const began = clock.monotonic();
  const progress = progressBar("checking", { io, clock, quiet: call.json });
  const options = { key: text(call, "key"), witnesses: list(call, "witness"), against };
  const checked = await runtime.checkAudit(folder, options, progress.on).catch(wanting).finally(progress.end);
  io.out(
    call.json
      ? `${JSON.stringify(checked)}\n`
      : describe(checked, { call, c: palette(io), elapsed: clock.monotonic() - began }),
  );
  return checked.ok ? 0 : 1;
};

/** What cannot be read as an audit has been found wanting, too. */
const wanting = (error: unknown): never => {
  if (!(error instanceof LogFault) || !WANTING.includes(error.kind)) throw error;
  throw new Refused(error.kind, error.message);
};

const describe = (
  checked: AuditChecked,
  { call, c, elapsed }: { readonly call: Call; readonly c: Palette; readonly elapsed: number },
): string => {
  const { ok, failures, failed, size, files } = checked;
  const [first] = failures;
  const where = first?.path ?? (first?.position === undefined ? "" : `position ${first.position}`);
  const verdict = ok
    ? verdictOf("folder", checked, c)
    : c.red(`the folder is NOT intact: ${counted(failed, "failure")}, the first: ${safe(where)}`);
  const listed = failures.length === 0 ? "" : table(
    [{ title: "where" }, { title: "kind" }, { title: "expected" }, { title: "found" }],
    failures.slice(0, FAILURES_SHOWN).map(({ path, position, kind, expected, found }) => [
      path === undefined ? String(position ?? "") : safe(path),
      safe(kind),
      short(expected, 60),
      short(found, 60),
    ]),
    c,
  ) + (failed > FAILURES_SHOWN ? `… and ${count(failed - FAILURES_SHOWN)} more\n` : "");
  return `${verdict}\n${factsOf(checked, call, c)}${listed}${count(size)} events and ${count(files)} files checked in ${
    duration(elapsed)
  }\n`;
};

const factsOf = (checked: AuditChecked, call: Call, c: Palette): string => {
  const { origin, size, root, authenticated, checkpoints, manifest, controls, rendered, state } = checked;
  const lines = [
    `log       ${safe(origin)}`,
    `root      ${root} over ${count(size)} events, ${counted(checkpoints.length, "checkpoint")} of one tree`,
    `manifest  ${manifest} (SHA-256)`,
    ...anchorLines(checked, c, "give --witness, or --against a checkpoint kept elsewhere"),
  ];
  if (!authenticated) {
    lines.push(
      c.yellow("key       of the folder itself, not authenticated") +
        (text(call, "key") === undefined ? " (give --key from a source you trust)" : ""),
    );
  }
  if (controls) {
    const verdict = controls.equal ? c.green("equal to what the folder says") : c.red("NOT what the folder says");
    lines.push(
      `controls  ${counted(controls.results.length, "control")} evaluated again as of ${safe(checked.at)}: ${verdict}`,
    );
  }
  if (controls && controls.others.length > 0) {
    lines.push(c.yellow(`          ${namesOf(controls.others)}: not as in this program's own catalogue`));
  }
  if (controls && controls.missing.length > 0) {
    lines.push(
      c.yellow(`          ${namesOf(controls.missing)}: in this program's own catalogue, and not in the folder`),
    );
  }
  if (rendered === null) {
    lines.push(
      c.red(`pages     were NOT checked: by their own word they are of version ${safe(checked.version)}, not this one`),
    );
  } else if (rendered !== undefined) {
    lines.push(
      `pages     ${rendered ? c.green("are what follows from the log") : c.red("are NOT what follows from the log")}`,
    );
  }
  if (state) lines.push(stateOf(state, c));
  return `${lines.join("\n")}\n`;
};

const namesOf = (ids: readonly string[]): string => {
  const more = ids.length > OTHERS_SHOWN ? ` and ${ids.length - OTHERS_SHOWN} more` : "";
  return safe(ids.slice(0, OTHERS_SHOWN).join(", ")) + more;
};

const stateOf = (
  { size, views, attested, not_replayable, differing, last }: NonNullable<AuditChecked["state"]>,
  c: Palette,
): string => {
  const passed = not_replayable > 0 ? `; ${count(not_replayable)} of versions that are not built any more` : "";
  const folded = `${counted(views.length, "projection")} folded over ${count(size)} events`;
  if (differing > 0) return c.red(`state differs from ${counted(differing, "attested digest")}`) + ` (${folded})`;
  if (!last) return `${c.yellow("no state is attested to compare with")} (${folded}${passed})`;
  return `${c.green(`state equals the attested digest at position ${last.position}`)} (${safe(last.projection)} after ${
    count(last.size)
  } events, and ${counted(attested - 1, "attestation")} before; ${folded}${passed})`;
};
