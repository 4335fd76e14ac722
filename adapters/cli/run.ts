/**
 * One command, from what was typed to the exit code. Whatever goes wrong becomes one line and a code; with `--json` the
 * line is a document too: `{ "ok": false, "error": { "code", "message" } }` on standard output.
 */
import { Declined } from "../../actors/kernel/gate.ts";
import { LogFault } from "../../events/log.ts";
import { ViewQuestion, ViewsFault } from "../../projections/views.ts";
import type { Call } from "./call.ts";
import { expectElsewhere, text, Usage } from "./call.ts";
import { palette, safe } from "./print.ts";
import { Refused, type Runtime } from "./runtime.ts";
import { ImportFault } from "./imports.ts";
import { type ExitCode, type Io, OutputClosed } from "./io.ts";
import type { CommandSpec } from "./command.ts";

export interface Failure {
  readonly exit: ExitCode;
  /** Stable, snake_case. */
  readonly code: string;
  readonly message: string;
}

/** Runs a parsed call; never throws. */
export const run = async (spec: CommandSpec, call: Call, runtime: Runtime): Promise<ExitCode> => {
  try {
    // Commands that read write nothing into the data folder, whatever they are told; nor does what is handed out of a person lie there.
    if (spec.reads) expectElsewhere(call, text(call, "out"), text(call, "blobs"));
    if (spec.existing) await runtime.expectLog(call.data);
    if (spec.dangerous?.(call)) await (await import("./prove.ts")).prove(call, runtime);
    const command = await spec.load();
    return await command(call, runtime);
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    return report(failureOf(error), call.json, runtime.io);
  }
};

/** Tells of a failure in the form that was asked for. */
export const report = (failure: Failure, json: boolean, io: Io): ExitCode => {
  const { exit, code } = failure;
  const message = failure.message.replace(OF_FILE, "$2: $1").replace(CLOSED, `$1: ${NOTHING_THERE}`);
  const line = () => io.err(`${palette(io, "err").red("daybook:")} ${safe(message)}\n`);
  if (!json) line();
  else {
    try {
      io.out(`${JSON.stringify({ ok: false, error: { code, message } })}\n`);
    } catch (error) {
      if (!(error instanceof OutputClosed)) line();
    }
  }
  return exit;
};

/** `No such file or directory (os error 2): stat 'x'`: commands have always said that as `x: No such file or directory`. */
const OF_FILE = /([A-Z][^():]+) \(os error \d+\)[:,] \w+ '(.+?)'(?=[.,;:)]*(?:\s|$))/s;

/** No permission that could be given would do, but all of them. */
const CLOSED = /Requires all access to "(.+?)"(?:, run again with the --allow-all flag)?/s;
const NOTHING_THERE = "below /dev, /proc and /sys Deno opens no folder and no file of ours";

const FAULTS: Readonly<Record<string, string>> = {
  locked: "another process has this log; stop it, or use a command that can go through its socket",
  full: "there is no room on the disk; writing resumes when there is",
  read_only: "the folder cannot be written",
  newer: "it was written by a newer version of Daybook; use that one",
};

/** What was read is not what it must be: found wanting. What else a fault says, it could not be done for now, or here. */
const WANTING: ReadonlySet<string> = new Set(["truncated", "foreign", "newer", "root_wrong", "damaged"]);
const exitOf = (kind: string): ExitCode => kind === "invalid" ? 2 : WANTING.has(kind) ? 1 : 3;

/** Of views a fault of the disk is damage, too, for they can be built again; nothing was read that is not what it must be. */
const UNDONE = /: (?:disk I\/O error|unable to open database file)$/;

/** An archive that was given and is damaged is found wanting, one that was not is only not there. */
const telling = ({ kind, cause }: LogFault): string =>
  kind === "archived" && cause instanceof LogFault ? cause.kind : kind;

/** What an error means to the person who typed the command. Stack traces are for nobody. */
export const failureOf = (error: unknown): Failure => {
  if (error instanceof Usage) return { exit: 2, code: "usage", message: error.message };
  if (error instanceof ViewQuestion) return { exit: 2, code: error.code, message: error.message };
  if (error instanceof Declined) return { exit: 1, code: error.code, message: error.message };
  // What the server calls wrong usage is so here, too.
  if (error instanceof Refused) {
    return { exit: error.code === "usage" ? 2 : 1, code: error.code, message: error.message };
  }
  if (error instanceof ImportFault) {
    return {
      exit: error.kind === "usage" || error.kind === "not_a_repository" ? 2 : error.kind === "corrupt" ? 1 : 3,
      code: error.kind,
      message: error.message,
    };
  }
  if (error instanceof LogFault) {
    const hint = FAULTS[error.kind];
    return {
      exit: exitOf(telling(error)),
      code: error.kind,
      message: hint ? `${error.message} (${hint})` : error.message,
    };
  }
  if (error instanceof ViewsFault) {
    const { kind, message } = error;
    return { exit: UNDONE.test(message) ? 3 : exitOf(kind), code: kind, message };
  }
  const name = error instanceof Error ? error.name : "";
  const message = firstLine(error);
  const kind = kindOf(error);
  if (kind !== undefined) return { exit: exitOf(kind), code: kind, message };
  const { code } = (error ?? {}) as { readonly code?: unknown };
  if (code === "ENOSPC" || QUOTA.test(message)) return { exit: 3, code: "full", message: `Cannot write: ${message}` };
  if (code === "EROFS") return { exit: 3, code: "read_only", message: `Cannot write: ${message}` };
  if (code === "ELOOP" || code === "ENAMETOOLONG") return { exit: 3, code: "no_path", message };
  if (name === "IsADirectory" || name === "NotADirectory") return { exit: 2, code: "no_file", message };
  if (name === "NotFound") return { exit: 3, code: "not_found", message };
  if (name === "PermissionDenied") return { exit: 3, code: "permission_denied", message };
  if (name === "NotCapable") return { exit: 3, code: "not_permitted", message: message.replace(ADVICE, "") };
  if (name === "AddrInUse") return { exit: 3, code: "address_in_use", message };
  if (name === "AddrNotAvailable") return { exit: 3, code: "address_not_available", message };
  // Whatever else the system says, such as `EIO`.
  if ((typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) || UNCODED.test(message)) {
    return { exit: 3, code: "io", message };
  }
  return { exit: 3, code: "unexpected", message: `this should not have happened: ${message}` };
};

/** To some of what the system says, as of quotas, stale handles and crowds, the platform gives no code, and for Node's functions no text. */
const UNCODED = /\(os error \d+\)|^UNKNOWN: unknown error, /;
const QUOTA = /quota exceeded \(os error/;

/** Adapters that this one may not import tell what went wrong by a `kind` of their own. */
export const kindOf = (error: unknown): string | undefined => {
  const kind = error instanceof Error && error.name.endsWith("Fault")
    ? (error as { readonly kind?: unknown }).kind
    : undefined;
  return typeof kind === "string" ? kind : undefined;
};

/** Who runs a task cannot follow it, and would give away more than is needed. */
const ADVICE = /, run again with the --allow-[a-z]+ flag$/;

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message || error.name : String(error)).split("\n")[0]!.slice(0, 500);
