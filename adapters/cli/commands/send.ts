/** `send`: a command to an entity, and what came of it. */
import type { Ask, Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import { streamFault } from "../../../actors/kernel/naming.ts";
import type { CommandType } from "../../../actors/types.ts";
import { CanonicalError, parseIJson } from "../../../events/canonical.ts";
import { LIMITS } from "../../../events/log.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage, whole } from "../call.ts";
import { palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import type { ExitCode } from "../io.ts";
import { withWriter } from "../writer.ts";
import { line } from "./events.ts";

/** Who asks when a person at the command line does: whoever may open the folder. */
export const OPERATOR: Principal = { authtype: "user", authid: "operator" };

const DEADLINE_MS_MAX = 600_000;

export const send: Run = async (call, runtime) => {
  const [type, id] = call.args as readonly [string, string];
  if (!/^[a-z0-9_]+\.[a-z0-9_]+\.[a-z0-9_]+$/.test(type)) {
    throw new Usage(`a command type has three parts, such as commits.branch.move, not ${JSON.stringify(type)}`);
  }
  const ask: Ask = {
    type: type as CommandType,
    id,
    data: await dataOf(call, runtime),
    by: OPERATOR,
    command: text(call, "id"),
    expected: whole(call, "expect", { min: 0, max: Number.MAX_SAFE_INTEGER }),
    deadline: whole(call, "deadline", { min: 1, max: DEADLINE_MS_MAX }),
  };
  // Beside a server the id stands in a path, which not every id could.
  const message = streamFault(`${type.slice(0, type.indexOf("."))}/${id}`, id);
  if (message) return tell({ is: "invalid", issues: [{ path: "", message }] }, ask, { call, runtime });
  // Where there is no folder yet, what a log without history declines makes none.
  // What is no folder is told of by whoever opens it.
  if (await runtime.io.isEmpty(call.data).catch(() => false)) {
    const tried = await asked({ ...call, data: ":memory:" }, runtime, ask);
    if (tried.is !== "accepted") return tell(tried, ask, { call, runtime });
  }
  return tell(await asked(call, runtime, ask), ask, { call, runtime });
};

const asked = (call: Call, runtime: Runtime, ask: Ask): Promise<Outcome> =>
  withWriter(call, runtime, (writer) => writer.is === "local" ? writer.daybook.ask(ask) : writer.remote.ask(ask));

const dataOf = async (call: Call, runtime: Runtime): Promise<unknown> => {
  const given = call.args[2] ?? "{}";
  const json = given === "-"
    ? await runtime.io.readInput()
    : given.startsWith("@")
    ? await runtime.io.readText(pathOf(call, given.slice(1)))
    : given;
  try {
    return parseIJson(json, LIMITS.data_depth_max);
  } catch (error) {
    if (!(error instanceof CanonicalError)) throw error;
    throw new Usage(`the command's data is not JSON: ${error.path === "" ? "" : `${error.path}: `}${error.message}`);
  }
};

const EXITS: Readonly<Record<Outcome["is"], ExitCode>> = {
  accepted: 0,
  rejected: 1,
  conflict: 1,
  invalid: 2,
  unknown_command: 2,
  unavailable: 3,
};

const tell = (outcome: Outcome, ask: Ask, { call, runtime: { io } }: { call: Call; runtime: Runtime }): ExitCode => {
  const exit = EXITS[outcome.is];
  if (call.json) {
    io.out(`${JSON.stringify({ ok: exit === 0, ...outcome })}\n`);
    return exit;
  }
  const c = palette(io);
  if (outcome.is === "accepted") {
    const what = outcome.duplicate
      ? "accepted before"
      : outcome.facts.length === 0
      ? "accepted, nothing to record"
      : "accepted";
    io.out(`${c.green(what)}  ${safe(outcome.stream)} is at revision ${outcome.revision}\n`);
    for (const fact of outcome.facts) io.out(`${line(fact, c, io)}\n`);
    return exit;
  }
  io.err(`daybook: ${safe(refusal(outcome, ask))}\n`);
  return exit;
};

const refusal = (outcome: Exclude<Outcome, { is: "accepted" }>, ask: Ask): string => {
  switch (outcome.is) {
    case "rejected":
      return `rejected: ${outcome.code}: ${outcome.because}`;
    case "invalid":
      return `${ask.type} does not take this data: ${
        outcome.issues.map(({ path, message }) => `${path || "/"}: ${message}`).join("; ")
      }`;
    case "unknown_command":
      return `there is no command ${ask.type}`;
    case "conflict":
      return outcome.reason === "revision"
        ? `Cannot send to ${ask.id}: expected revision ${ask.expected}, found ${outcome.revision}`
        : `the id ${ask.command} was used before for another command`;
    case "unavailable": {
      const { reason, retryAfterMs } = outcome;
      const known = reason === "deadline" || reason === "log" ? ", as far as is known" : "";
      return `not done (${reason})${known}; the same command with the same --id may be repeated in ${retryAfterMs} ms`;
    }
  }
};
