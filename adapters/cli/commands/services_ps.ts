/** `ps`: how every instance of every service stands, once or as it changes. */
import { Board, type BoardRow, type FindingRow } from "../board.ts";
import type { Run } from "../call.ts";
import { flag } from "../call.ts";
import { table } from "../columns.ts";
import type { Palette } from "../print.ts";
import { bytes, duration, palette, safe } from "../print.ts";
import type { Remote, Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import { untilStopped } from "../until_stopped.ts";
import { BAD } from "./services.ts";

const DRAW_MS = 500;

/** What the server has looked at last; `undefined` where no server runs them. */
interface Taken {
  readonly service: string;
  readonly replica: number;
  readonly memory_bytes: number;
  readonly cpus: number;
  readonly processes: number;
  readonly cpu_from: "cgroup" | "proc";
  readonly memory_from: "cgroup" | "proc";
}

const takenOf = async (remote: Remote | undefined): Promise<readonly Taken[]> => {
  if (!remote) return [];
  try {
    return (await remote.operate("stack-usage", {}, () => {}) as { readonly instances: readonly Taken[] }).instances;
  } catch {
    return []; // it is just ending, or another version
  }
};

export const ps: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const reader = await runtime.reader(call.data);
  const remote = await runtime.remote(call.data).catch(() => undefined);
  try {
    const board = await Board.of(reader, call, runtime);
    if (flag(call, "watch") && io.terminal.out && !call.json) return await live(board, { reader, remote }, runtime);
    const taken = await takenOf(remote);
    if (call.json) io.out(`${JSON.stringify(documentOf(board, taken))}\n`);
    else io.out(drawn(board, taken, { c: palette(io), now: clock.now() }));
    return board.instances.some(({ state }) => BAD.has(state)) ? 1 : 0;
  } finally {
    remote?.close();
    await reader.close();
  }
};

/** For editors and scripts. */
const documentOf = (board: Board, taken: readonly Taken[]) => ({
  stack: board.stack,
  size: board.size,
  services: board.services.map(({ service, program, wanted, replicas, needs }) => ({
    service,
    program,
    wanted,
    replicas,
    needs,
    instances: board.instances.filter((row) => row.service === service).map((row) => {
      const found = ofRow(taken, row);
      const findings = board.findings.filter((each) => each.service === service && each.replica === row.replica);
      const safety = findings.length === 0 ? {} : { findings };
      if (!found) return { ...row, ...safety };
      const { service: _, replica: _replica, ...usage } = found;
      return { ...row, ...safety, usage };
    }),
  })),
});

const COLOURS: Readonly<Record<string, keyof Palette>> = {
  healthy: "green",
  completed: "green",
  running: "cyan",
  starting: "cyan",
  waiting: "dim",
  stopped: "dim",
  stopping: "yellow",
  backoff: "yellow",
  unhealthy: "yellow",
  failed: "red",
  skipped: "red",
};

const ofRow = (taken: readonly Taken[], row: BoardRow): Taken | undefined =>
  taken.find(({ service, replica }) => service === row.service && replica === row.replica);

const FROM = { cgroup: "cgroup", proc: "/proc" } as const;

/** Memory, cores, and who has counted them. */
const usageText = (taken: Taken | undefined): readonly string[] => {
  if (!taken) return ["", "", ""];
  const { memory_bytes, cpus, cpu_from, memory_from } = taken;
  const from = cpu_from === memory_from ? FROM[cpu_from] : `${FROM[cpu_from]}, memory ${FROM[memory_from]}`;
  return [bytes(memory_bytes), cpus.toFixed(2), from];
};

const drawn = (
  board: Board,
  taken: readonly Taken[],
  { c, now }: { readonly c: Palette; readonly now: number },
): string => {
  const row = (r: BoardRow): readonly string[] => [
    safe(r.replica > 0 ? `${r.service}/${r.replica}` : r.service),
    c[COLOURS[r.state] ?? "dim"](r.state) + (r.state === "healthy" && r.probed === false ? c.dim(" (not probed)") : ""),
    duration(Math.max(0, now - Date.parse(r.since))),
    r.pid === undefined ? "" : String(r.pid),
    String(r.starts),
    ...taken.length > 0 ? usageText(ofRow(taken, r)) : [],
    r.last_exit ?? "",
    safe(r.because ?? ""),
  ];
  const usage = taken.length > 0 ? ["memory", "cores", "counted by"] : [];
  const titles = ["service", "state", "since", "pid", "starts", ...usage, "last exit", "because"];
  const instances = table(
    titles.map((title) => ({ title, ...(RIGHT.has(title) ? { right: true as const } : {}) })),
    board.instances.map(row),
    c,
  );
  return instances + findingsText(board.findings, c);
};

const GRAVE: Readonly<Record<string, keyof Palette>> = { high: "red", medium: "yellow", low: "dim" };

/** A line each; nothing where there are none. */
export const findingsText = (findings: readonly FindingRow[], c: Palette): string =>
  findings.map(({ service, replica, check, severity, policy, because }) => {
    const name = safe(replica > 0 ? `${service}/${replica}` : service);
    const refused = policy === "refuse" ? c.red(" (refused)") : "";
    return `${c[GRAVE[severity] ?? "dim"](severity)}  ${name} ${check}${refused}: ${safe(because)}\n`;
  }).join("");

const RIGHT: ReadonlySet<string> = new Set(["pid", "starts", "memory", "cores"]);

/** At most so many characters of a line; colours are none, and stay. */
const cut = (line: string, width: number): string => {
  let left = width;
  // deno-lint-ignore no-control-regex
  return line.replace(/(\u001b\[\d*m)|[^]/gu, (piece, colour) => colour || left-- > 0 ? piece : "");
};

/** Drawn again in place, until interrupted. */
const live = async (
  board: Board,
  { reader, remote }: { readonly reader: Reader; readonly remote: Remote | undefined },
  runtime: Runtime,
): Promise<0> => {
  const { io, clock } = runtime;
  let lines = 0;
  await untilStopped(runtime, DRAW_MS, async () => {
    await reader.renew();
    board.catchUp();
    const all = drawn(board, await takenOf(remote), { c: palette(io), now: clock.now() });
    const text = all.split("\n").map((line) => cut(line, io.columns)).join("\n");
    // Up by as many lines as were drawn, and clear from there. What is wider all the same is not wrapped (DECAWM): it would be two lines.
    io.out(`${lines > 0 ? `\u001b[${lines}A\u001b[J` : ""}\u001b[?7l${text}\u001b[?7h`);
    lines = text.split("\n").length - 1;
  });
  return 0;
};
