/** `verify`: what the independent verifier found, in words and as a document. */
import { anchorLines, verdictOf } from "../anchored.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { keptCheckpoints } from "../checkpoints.ts";
import { table } from "../columns.ts";
import type { Palette } from "../print.ts";
import { count, counted, duration, palette, safe, short } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime, VerifyReport } from "../runtime.ts";

const FAILURES_SHOWN = 20;

export const verify: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const against = await keptCheckpoints(call, io);
  const began = clock.monotonic();
  const progress = progressBar("verifying", { io, clock, quiet: call.json });
  const tiles = text(call, "tiles");
  const archive = text(call, "archive");
  if (archive !== undefined && await io.isEmpty(pathOf(call, archive))) {
    throw new Usage(`there is no archive at ${pathOf(call, archive)}`);
  }
  const options = {
    key: text(call, "key"),
    against,
    ...(archive === undefined ? {} : { archive: pathOf(call, archive) }),
  };
  const report =
    await (tiles === undefined
      ? runtime.verify(call.data, { ...options, wide: true }, progress.on)
      : runtime.verifyTiles(pathOf(call, tiles), options, progress.on));
  progress.end();
  if (tiles === undefined) await onRecord(report, call, runtime);
  io.out(
    call.json
      ? `${JSON.stringify(report)}\n`
      : describe(report, { call, c: palette(io), elapsed: clock.monotonic() - began }),
  );
  return report.ok ? 0 : 1;
};

/** Beside a running server the log itself is told that it was verified; nothing else writes here, so without one nobody is. */
const onRecord = async (
  { size, root, ok, anchored, failures }: VerifyReport,
  call: Call,
  { io, remote }: Pick<Runtime, "io" | "remote">,
): Promise<void> => {
  const server = await remote(call.data);
  if (!server) return;
  const told = { size, root, ok, anchored, failures: failures.length };
  try {
    await server.operate("record-verification", told, () => {});
  } catch (error) {
    // What was found stands, recorded or not.
    io.err(`daybook: the log was not told of it: ${(error as Error).message}\n`);
  } finally {
    server.close();
  }
};

const describe = (report: VerifyReport, { call, c, elapsed }: { call: Call; c: Palette; elapsed: number }): string => {
  const verdict = report.ok ? verdictOf("log", report, c) : c.red(
    `the log is NOT intact: ${counted(report.failures.length, "failure")}, the first at position ${
      report.failures[0]?.position
    }`,
  );
  const failures = report.failures.length === 0 ? "" : "\n" + table(
    [{ title: "position", right: true }, { title: "kind" }, { title: "expected" }, { title: "found" }],
    report.failures.slice(0, FAILURES_SHOWN).map((
      f,
    ) => [String(f.position), safe(f.kind), short(f.expected, 48), short(f.found, 48)]),
    c,
  ) +
    (report.failures.length > FAILURES_SHOWN
      ? `… and ${count(report.failures.length - FAILURES_SHOWN)} more; --json has all\n`
      : "");
  return `${verdict}\n${sumOf(report, call, c)}${failures}\n${count(report.size)} events checked in ${
    duration(elapsed)
  }\n`;
};

/** What was proven, and what was not. */
const sumOf = (report: VerifyReport, call: Call, c: Palette): string => {
  const lines = [`root      ${report.root}`, ...anchorLines(report, c, "give --against a checkpoint kept elsewhere")];
  if (report.sealed) lines.push("at rest   sealed, and opened with the key of the folder's key database");
  if (report.archived) {
    const { until, kept, checked } = report.archived;
    lines.push(
      checked
        ? `archive   the first ${count(until)} entries, verified with the rest`
        : `${
          c.yellow(`archive   what lies before position ${count(kept)} is archived: its hashes are in the tree`)
        }, ` +
          "its entries were not read (give --archive)",
    );
  }
  for (const { position, from, to } of report.forks ?? []) {
    lines.push(
      c.yellow(`fork      up to position ${count(position)} it is a copy of ${safe(from)}, from there on ${safe(to)}`),
    );
  }
  for (const { position, old, new: next } of report.key_changes ?? []) {
    lines.push(
      `key       changed at position ${count(position)}, from ${safe(idOf(old))} to ${
        safe(idOf(next))
      }, signed by both`,
    );
  }
  if (report.authenticated && report.key_changes?.some((change) => change.old === text(call, "key"))) {
    lines.push(
      c.yellow("key       the log is signed by a newer key now:") + ` ${safe(report.key_changes.at(-1)!.new)}`,
    );
  }
  if (!report.authenticated) {
    lines.push(
      c.yellow("key       self-consistent, key not authenticated") +
        (text(call, "key") === undefined ? " (give --key from a source you trust)" : ""),
    );
  }
  return `${lines.join("\n")}\n`;
};

/** Of a public key `name+id+key`. */
const idOf = (vkey: string): string => vkey.split("+")[1] ?? vkey;
