/** `why` and `logs`: what happened to a service first, and what it said. */
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import { Board } from "../board.ts";
import type { Call, Run } from "../call.ts";
import { flag, Usage, whole } from "../call.ts";
import { count, palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import { untilStopped } from "../until_stopped.ts";
import { eventText } from "./services.ts";
import { findingsText } from "./services_ps.ts";

const LINES_DEFAULT = 100;
const LAST_LINES = 5;

/** Events that are trouble, of a service or of one it needs. */
const TROUBLE = new Set([
  "services.resources.lacked",
  "services.instance.refused",
  "services.instance.exited",
  "services.health.lost",
  "services.instance.delayed",
  "services.instance.failed",
  "services.instance.skipped",
  "services.instance.queued",
  "services.instance.stop_expired",
  "services.service.unwanted",
  "services.update.reverted",
  "services.update.failed",
]);

interface Instance {
  readonly service: string;
  readonly replica: number;
  readonly because?: string;
  readonly code?: number | null;
  readonly known?: boolean;
}

const isGoodEnd = ({ type, data }: Event): boolean =>
  type === "services.instance.exited" && (data as Instance).code === 0;

export const why: Run = async (call, runtime) => {
  const { io } = runtime;
  const reader = await runtime.reader(call.data);
  try {
    const board = await Board.of(reader, call, runtime);
    const [service] = board.known(call.args.slice(0, 1)) as [string];
    const needed = closure(board, service);
    const rows = board.instances.filter((row) => row.service === service);
    const from = readableFrom(reader);
    const chain = troubleOf(reader, board, { service, needed, from });
    const last = chain.length > 0 && rows.some(({ state }) => state !== "healthy" && state !== "completed")
      ? (await tail(call, runtime, { stack: board.stack, of: chain[0]!.data as Instance, lines: LAST_LINES })).lines
      : [];
    const findings = board.findings.filter((each) => needed.has(each.service));
    if (call.json) {
      io.out(
        `${
          JSON.stringify({ service, instances: rows, first: chain[0] ?? null, chain, from, findings, output: last })
        }\n`,
      );
      return 0;
    }
    const c = palette(io);
    for (const { replica, state, since, because } of rows) {
      io.out(`${c.bold(safe(replica > 0 ? `${service}/${replica}` : service))} is ${state} since ${since}`);
      io.out(`${because === undefined ? "" : `: ${safe(because)}`}\n`);
    }
    if (rows.length === 0) io.out(`${c.bold(safe(service))} was never started\n`);
    if (chain.length === 0) io.out(`nothing went wrong ${from > 0 ? `since ${archivedText(from)}` : "before"}\n`);
    for (const [i, event] of chain.entries()) {
      const said = event.type === "services.service.unwanted"
        ? c.dim(`is not to run: ${(event.data as Instance).because}`)
        : eventText(event, c);
      const first = i === 0 ? c.red("first  ") : "       ";
      io.out(
        `${first}${event.time}  ${safe((event.data as Instance).service)} ${said} ${c.dim(`(${event.position})`)}\n`,
      );
    }
    if (findings.length > 0) io.out(`${c.dim("not as safe as it could be:")}\n${findingsText(findings, c)}`);
    if (last.length > 0) io.out(`${c.dim(`it said last:`)}\n${last.map((line) => `  ${safe(line)}\n`).join("")}`);
    return 0;
  } finally {
    await reader.close();
  }
};

/** Where what can be read begins. */
export const archivedText = (from: number): string => `position ${count(from)}; what was before is in an archive`;

const closure = (board: Board, service: string): ReadonlySet<string> => {
  const all = new Set([service]);
  for (const name of all) {
    for (const need of board.services.find((each) => each.service === name)?.needs ?? []) all.add(need.service);
  }
  return all;
};

/**
 * What went wrong with the service and what it needs, since it was well for the last time before its last trouble; the first of it is
 * where to look.
 */
const troubleOf = (
  reader: Reader,
  board: Board,
  { service, needed, from }: {
    readonly service: string;
    readonly needed: ReadonlySet<string>;
    readonly from: number;
  },
): readonly Event[] => {
  let since: Event[] = [];
  let before: readonly Event[] = [];
  const asked = new Set<string>();
  for (const page of reader.read({ stream: `services/${board.stack}`, from, until: board.size })) {
    for (const event of page) {
      const { service: of, replica, because } = event.data as Instance;
      if (!needed.has(of)) continue;
      const key = `${of}/${replica}`;
      if (event.type === "services.instance.stop_requested" && because !== "unhealthy") asked.add(key);
      if (event.type === "services.instance.started") asked.delete(key);
      if (event.type === "services.health.confirmed" && of === service) {
        if (since.length > 0) before = since;
        since = [];
      }
      // An end that was asked for, or that is as it should be, is no trouble.
      const expected = event.type === "services.instance.exited" && (asked.has(key) || isGoodEnd(event));
      if (TROUBLE.has(event.type) && !expected) since.push(event);
    }
  }
  const chain = since.length > 0 ? since : before;
  // Waiting is a consequence: it is told only where nothing else is.
  const causes = chain.filter(({ type }) => type !== "services.instance.queued");
  return causes.length > 0 ? causes : chain;
};

export const logs: Run = async (call, runtime) => {
  const { io } = runtime;
  const reader = await runtime.reader(call.data);
  let stack: string, of: Instance;
  try {
    const board = await Board.of(reader, call, runtime);
    const [service] = board.known(call.args.slice(0, 1)) as [string];
    const replica = whole(call, "replica", { min: 0, max: 299 }) ?? 0;
    const { replicas } = board.services.find((each) => each.service === service)!;
    if (replica >= replicas) throw new Usage(`${service} has ${replicas} replicas, counted from 0`);
    [stack, of] = [board.stack, { service, replica }];
  } finally {
    await reader.close();
  }
  const lines = whole(call, "lines", { min: 0, max: 1_000_000 }) ?? LINES_DEFAULT;
  const { lines: last, unfinished, end } = await tail(call, runtime, { stack, of, lines });
  const following = flag(call, "follow");
  for (const line of following || unfinished === "" || lines === 0 ? last : [...last, unfinished].slice(-lines)) {
    io.out(`${safe(line)}\n`);
  }
  if (following) await follow(call, runtime, { stack, of, from: end, unfinished });
  return 0;
};

/** Where an instance writes. */
const outputOf = (call: Call, { stack, of }: { readonly stack: string; readonly of: Instance }): string =>
  `${call.data}/services/${stack}/${of.service}-${of.replica}.log`;

const tail = async (
  call: Call,
  { io }: Runtime,
  { stack, of, lines }: { readonly stack: string; readonly of: Instance; readonly lines: number },
): Promise<{ readonly lines: readonly string[]; readonly unfinished: string; readonly end: number }> => {
  const { text, end } = await io.readTail(outputOf(call, { stack, of }), TAIL_BYTES_MAX);
  const all = text.split("\n");
  const unfinished = all.pop()!;
  return { lines: lines === 0 ? [] : all.slice(-lines), unfinished, end };
};

/** Of the end of a file, at most so much is looked at. */
const TAIL_BYTES_MAX = 16_777_216;
const FOLLOW_MS = 200;

/** A line that does not end is shown in pieces of so many characters. */
const LINE_CHARS_MAX = 65_536;

/** Goes on with what is written, until interrupted; a file that was set aside begins anew. `unfinished`: of a line that was read. */
const follow = async (
  call: Call,
  runtime: Runtime,
  { from, unfinished, ...of }: {
    readonly stack: string;
    readonly of: Instance;
    readonly from: number;
    readonly unfinished: string;
  },
): Promise<void> => {
  const { io } = runtime;
  const path = outputOf(call, of);
  let end = from;
  let rest = unfinished;
  await untilStopped(runtime, FOLLOW_MS, async () => {
    const now = await io.readTail(path, TAIL_BYTES_MAX, end);
    end = now.end;
    const parts = (rest + now.text).split("\n");
    rest = parts.pop()!;
    if (rest.length > LINE_CHARS_MAX) {
      parts.push(rest);
      rest = "";
    }
    for (const line of parts) io.out(`${safe(line)}\n`);
  });
};
