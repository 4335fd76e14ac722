/** The main job on real input, start to finish, on a fresh folder: what the project is for, seen in a minute. */
import { join } from "node:path";
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import type { Call, Run } from "../call.ts";
import { pathOf, text, Usage } from "../call.ts";
import { caughtUp } from "../catch_up.ts";
import { palette, safe, short } from "../print.ts";
import { progressBar } from "../progress.ts";
import type { Runtime, VerifyReport } from "../runtime.ts";
import { ImportFault } from "../imports.ts";
import type { OnProgress } from "../io.ts";
import {
  describeFollowed,
  describeHotspots,
  describeImport,
  describeReplayed,
  describeTrail,
  describeVerified,
  type Followed,
  type Imported,
  tryNext,
} from "./demo_story.ts";
import { replayed } from "./replay.ts";
import type { ReplayReport } from "./replay.ts";

const SHOWN = 8;

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
    [followed, following] = await timed(() => follow(daybook, clock));
    say(describeFollowed(followed, following, c));
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

  const ok = verified.ok && again.ok && followed.behind.length === 0;
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

const follow = async (daybook: Daybook, clock: Clock): Promise<Followed> => {
  const { log } = daybook;
  const size = log.size;
  const names = daybook.projections.map(({ name }) => name);
  const behind = await caughtUp(daybook, clock);
  const trail = names.includes("audit.trail")
    ? (await daybook.view("audit.trail", { descending: true, limit: SHOWN })).rows.toReversed()
    : [];
  const hotspots = names.includes("commits.hotspots")
    ? await daybook.view("commits.hotspots", { sort: "churn", descending: true, limit: SHOWN })
    : undefined;
  const checkpoint = await daybook.checkpoint(size);
  return {
    projections: names.length,
    behind,
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
