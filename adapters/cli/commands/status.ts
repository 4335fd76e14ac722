/** `status`: size, checkpoint, health and projections of a log; from the process that has it, else from the folder. */
import type { HealthNode, ProjectionState, Status } from "../../../actors/kernel/daybook.ts";
import { growthOf } from "../../../actors/kernel/growth.ts";
import type { Run } from "../call.ts";
import { table } from "../columns.ts";
import type { Palette } from "../print.ts";
import { bytes, count, palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import { readableViews } from "../stored.ts";

/** What `--json` prints; what only a running process knows is absent when there is none. */
export interface StatusReport
  extends Omit<Status, "state" | "health" | "deadLetters" | "deadLettersEvicted" | "projections"> {
  readonly data: string;
  readonly running: boolean;
  /** `silent`: a process has the log and does not answer on its socket, as while it starts, or where the socket was deleted. */
  readonly state: Status["state"] | "stopped" | "silent";
  readonly health?: HealthNode;
  readonly deadLetters?: number;
  readonly deadLettersEvicted?: number;
  readonly projections: readonly ProjectionReport[];
  /** Public key of the log, for those who are to verify it; absent without its keys. */
  readonly key?: string;
}

/** `at_rest`: nobody folds now; the views are as of `size`, and `view` folds the `lag` events behind it on top. */
export type ProjectionReport = Omit<ProjectionState, "state"> & {
  readonly state: ProjectionState["state"] | "at_rest";
};

export const status: Run = async (call, runtime) => {
  const key = await runtime.verifierKey(call.data);
  const report: StatusReport = { ...await reportOf(call.data, runtime), ...(key === undefined ? {} : { key }) };
  const { io } = runtime;
  io.out(call.json ? `${JSON.stringify(report)}\n` : describe(report, palette(io)));
  return 0;
};

const reportOf = async (data: string, runtime: Runtime): Promise<StatusReport> => {
  const remote = await runtime.remote(data);
  if (!remote) return await stopped(data, runtime);
  try {
    return { data, running: true, ...await remote.status() };
  } finally {
    remote.close();
  }
};

const stopped = async (data: string, runtime: Runtime): Promise<StatusReport> => {
  const reader = await runtime.reader(data);
  try {
    const [checkpoint, views] = await Promise.all([reader.checkpoint(), readableViews(runtime, data)]);
    const running = await runtime.isWriting(data);
    const size = reader.size;
    const projections = (views?.stores() ?? []).filter(({ served }) => served).map((
      { name, version, size: applied },
    ): ProjectionReport => (
      { name, version, state: "at_rest", size: applied, lag: Math.max(0, size - applied) }
    ));
    const report: StatusReport = {
      data,
      running,
      state: running ? "silent" : "stopped",
      durable: true,
      size,
      indexed: reader.indexed,
      checkpoint: checkpoint && { size: checkpoint.size, root: checkpoint.root },
      bytes: { log: reader.bytes(), views: views?.bytes() ?? 0 },
      growth: growthOf(reader, { bytes: reader.bytes(), now: runtime.clock.now() }),
      projections,
    };
    views?.close();
    return report;
  } finally {
    await reader.close();
  }
};

const whose = ({ state, running }: StatusReport): string => {
  if (!running) return "no process has this log";
  return state === "silent" ? "a process has this log and does not answer on its socket" : "running";
};

const describe = (report: StatusReport, c: Palette): string => {
  const hues = {
    ready: c.green,
    stopped: c.dim,
    silent: c.yellow,
    starting: c.yellow,
    stopping: c.yellow,
    unwritable: c.red,
    down: c.red,
  };
  const state = hues[report.state](report.state);
  const { checkpoint } = report;
  const facts = table([{ title: "" }, { title: "" }], [
    ["data", safe(report.data)],
    ["state", `${state}, ${whose(report)}${report.cause === undefined ? "" : `: ${safe(report.cause)}`}`],
    [
      "log",
      `${count(report.size)} events, ${bytes(report.bytes.log)}${report.durable ? "" : c.yellow(", in memory only")}`,
    ],
    ["growth", `${count(report.growth.events)} events, ${bytes(report.growth.bytes)} in ${report.growth.hours} hours`],
    ["checkpoint", checkpoint ? `${count(checkpoint.size)} events, root ${checkpoint.root}` : "none yet"],
    ["key", report.key === undefined ? "not in this folder" : safe(report.key)],
    ["views", bytes(report.bytes.views)],
    ...(report.deadLetters === undefined ? [] : [["dead letters", lettersOf(report, c)]]),
  ]).trimStart();
  const projections = report.projections.length === 0 ? "" : "\n" + table(
    [{ title: "projection" }, { title: "version", right: true }, { title: "state" }, { title: "size", right: true }, {
      title: "lag",
      right: true,
    }],
    report.projections.map((p) => [safe(p.name), String(p.version), stateOf(p, c), count(p.size), count(p.lag)]),
    c,
  );
  const health = report.health ? `\n${tree(report.health, c).join("\n")}\n` : "";
  return facts + health + projections;
};

const lettersOf = ({ deadLetters = 0, deadLettersEvicted = 0 }: StatusReport, c: Palette): string => {
  if (deadLetters + deadLettersEvicted === 0) return "0";
  const further = deadLettersEvicted > 0 ? `, and ${count(deadLettersEvicted)} that are in the log alone` : "";
  return c.red(`${count(deadLetters)}${further}`);
};

const stateOf = (p: ProjectionReport, c: Palette): string =>
  p.state === "at_rest"
    ? c.dim(p.lag > 0 ? `as of ${count(p.size)}, the rest is folded when it is read` : "up to date")
    : p.stoppedAt
    ? c.red(`stopped at ${p.stoppedAt.position}: ${safe(p.stoppedAt.cause)}`)
    : p.state === "live"
    ? c.green(p.state)
    : c.yellow(p.state);

const tree = (node: HealthNode, c: Palette, lead = "", branch = ""): string[] => {
  const state = node.state === "running"
    ? c.green(node.state)
    : node.state === "down"
    ? c.red(node.state)
    : c.yellow(node.state);
  const restarts = node.restarts > 0 ? `, ${count(node.restarts)} restarts` : "";
  const cause = node.cause ? c.dim(` (${safe(node.cause)})`) : "";
  const children = node.children ?? [];
  return [
    `${lead}${branch}${safe(node.id)} ${state}${restarts}${cause}`,
    ...children.flatMap((child, i) => {
      const last = i === children.length - 1;
      const deeper = branch === "" ? lead : lead + (branch === "└─ " ? "   " : "│  ");
      return tree(child, c, deeper, last ? "└─ " : "├─ ");
    }),
  ];
};
