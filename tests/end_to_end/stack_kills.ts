/**
 * Rounds of dying among services: at each boundary of the log in turn and at any moment, the server, and sometimes its agent. After every
 * round what really happened, by the services' own traces, is held against what may happen.
 */
import assert from "node:assert/strict";
import { chance } from "../verify_given.ts";
import { run } from "./program.ts";
import { type Row, Stand, startsIn } from "./stack_given.ts";
import { until } from "../until.ts";

export interface Kills {
  readonly rounds: number;
  /** Deaths at a named place, at any moment, and of the agent. */
  readonly at_points: number;
  readonly at_moments: number;
  readonly of_agents: number;
  /** Deaths at each named place. */
  readonly by_point: Readonly<Record<string, number>>;
  /** Processes that were started in all. */
  readonly starts: number;
  /** Rounds that found everything running which ran before. */
  readonly adopted: number;
}

const NAMES = ["db", "cache", "api", "worker"] as const;
const POINTS = [
  "start.announced",
  "append.begun",
  "start.spawned",
  "append.durable",
  "start.recorded",
  "append.flushing",
  "stop.signalled",
  "append.answered",
] as const;
/** A point is passed so often before it is fatal, at most. */
const passes = (point: typeof POINTS[number]): number => point.startsWith("append.") ? 14 : 4;

const yaml = (traces: string): string => {
  const service = (name: string, then: string, more: string) =>
    `  ${name}: { command: /bin/sh, arguments: [-c, ${
      JSON.stringify(`echo "${name} $$DAYBOOK_NONCE $$$$" >> ${traces}; ${then}`)
    }], restart: { policy: always, max: 100000, first_ms: 10, last_ms: 50 }, stop: { grace_ms: 2000 }, ${more} }`;
  return [
    "services:",
    service("db", "echo accepting; exec sleep 1000", "ready_line: accepting"),
    service("cache", "exec sleep 1000", "depends_on: [db]"),
    service("api", "exec sleep 1000", "depends_on: [db, cache]"),
    service("worker", "while :; do sleep 1000; done", "depends_on: { api: { condition: started } }"),
  ].join("\n");
};

export const kills = async (rounds: number, seed: number): Promise<Kills> => {
  const random = chance(seed);
  const counts = { at_points: 0, at_moments: 0, of_agents: 0, adopted: 0 };
  const by_point: Record<string, number> = {};
  let starts = 0;
  await Stand.with(yaml, async (stand) => {
    for (let round = 0; round < rounds; round++) {
      const before = new Set((await stand.alive()).map(({ nonce }) => nonce));
      const begun = (await startsIn(stand.traces)).length;
      const point = round % 2 === 0 ? POINTS[(round / 2) % POINTS.length]! : undefined;
      const at = point && `${point}:${1 + Math.floor(random() * passes(point))}`;
      const died = await lives(stand, at) ? await busy(stand, at, random) : "point";
      counts[died === "point" ? "at_points" : "at_moments"]++;
      if (died === "agent") counts.of_agents++;
      if (died === "point") by_point[point!] = (by_point[point!] ?? 0) + 1;
      await stand.program?.end("SIGKILL");
      await check(stand);
      const alive = new Set((await stand.alive()).map(({ nonce }) => nonce));
      if (
        before.size > 0 && [...before].every((nonce) => alive.has(nonce)) &&
        (await startsIn(stand.traces)).length === begun
      ) {
        counts.adopted++;
      }
    }
    await stand.start();
    await stand.until(isUp);
    await eachRuns(stand);
    await check(stand);
    starts = (await startsIn(stand.traces)).length;
    await stand.down();
    await stand.program.end("SIGTERM");
    const verified = await run("verify", "--data", stand.data);
    assert.equal(verified.code, 0, verified.out + verified.err);
  });
  return { rounds, ...counts, by_point, starts };
};

export interface Sweep {
  /** Deaths: one at each so many-th boundary of the log of a start from nothing. */
  readonly deaths: number;
  /** Commits until everything was well, at least. */
  readonly boundaries: number;
}

/**
 * Starts from nothing again and again, and dies when the first commit of it is durable (or whatever the point is), then the next …, until
 * one start comes up before it would die. After each death the next start must find or start everything, and nothing twice.
 */
export const sweep = async (point: typeof POINTS[number], step: number): Promise<Sweep> => {
  for (let at = 1, deaths = 0;; at += step, deaths++) {
    let up = false;
    await Stand.with(yaml, async (stand) => {
      up = await lives(stand, `${point}:${at}`) && await comesUp(stand);
      await stand.program?.end("SIGKILL");
      await check(stand);
      await stand.start();
      await stand.until(isUp);
      await eachRuns(stand);
      await check(stand);
      await stand.down();
      await stand.program.end("SIGTERM");
    });
    if (up) return { deaths, boundaries: at };
  }
};

const isUp = (rows: readonly Row[]): boolean =>
  NAMES.every((name) => rows.some((row) => row.service === name && row.state === "healthy"));

/** False when it dies first. */
const comesUp = async (stand: Stand): Promise<boolean> => {
  let dead = false;
  void stand.program.died.then(() => dead = true);
  const look = () => dead ? undefined : stand.board().catch(() => []);
  const rows = await until("it is up or dead", look, (rows) => !rows || isUp(rows), { every_ms: LOOK_MS });
  return rows !== undefined;
};

/**
 * Keeps it busy with restarts until it dies at its point, or at any moment; sometimes its agent dies before. What it died of.
 */
const busy = async (
  stand: Stand,
  at: string | undefined,
  random: () => number,
): Promise<"point" | "moment" | "agent"> => {
  const { program } = stand;
  let dead = false;
  void program.died.then(() => dead = true);
  const until = performance.now() + (at === undefined ? random() * 800 : DIES_MS_MAX);
  const agent = at === undefined && random() < 0.4;
  for (let asked = 0; !dead && performance.now() < until; asked++) {
    const data = JSON.stringify({ service: NAMES[Math.floor(random() * NAMES.length)] });
    const headers = { authorization: `Bearer ${program.token}`, "content-type": "application/json" };
    await fetch(`${program.url}/commands/services.service.restart/main`, { method: "POST", headers, body: data })
      .then((response) => response.body?.cancel(), () => {});
    if (agent && asked === 1) await killAgent(stand);
    await wait(random() * 60);
  }
  return dead ? "point" : agent ? "agent" : "moment";
};

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A point is reached by then, however busy the machine is. */
const DIES_MS_MAX = 120_000;
const LOOK_MS = 50;
const LOOKS = 60;

/** False when it died before it could be asked anything. */
const lives = async (stand: Stand, at: string | undefined): Promise<boolean> => {
  try {
    await stand.start(at === undefined ? {} : { DAYBOOK_CRASH_AT: at });
  } catch {
    return false;
  }
  let dead = false;
  void stand.program.died.then(() => dead = true);
  for (let looks = 0; !dead && looks < LOOKS; looks++) {
    // One that has just died does not answer.
    const rows = await stand.board().catch(() => []);
    if (rows.length >= NAMES.length - 1) return true;
    await wait(LOOK_MS);
  }
  return !dead;
};

/** Until each has a process, and only one: a board that a server has just begun with may be behind the log. */
const eachRuns = async (stand: Stand): Promise<void> => {
  const nonces = async () => new Set((await stand.alive()).map(({ nonce }) => nonce));
  await until("each runs", nonces, ({ size }) => size === NAMES.length, { every_ms: LOOK_MS });
};

const killAgent = async (stand: Stand): Promise<boolean> => {
  const { stdout } = await new Deno.Command("pgrep", { args: ["-P", String(stand.program.pid), "-f", "agent.ts"] })
    .output();
  const pid = Number(new TextDecoder().decode(stdout).trim().split("\n")[0]);
  try {
    if (pid > 0) Deno.kill(pid, "SIGKILL");
    return pid > 0;
  } catch {
    return false;
  }
};

/** No start was made twice, and no service has two processes. */
const check = async (stand: Stand): Promise<void> => {
  const starts = await startsIn(stand.traces);
  assert.equal(
    new Set(starts.map(({ nonce }) => nonce)).size,
    starts.length,
    `a start was made twice: ${JSON.stringify(starts)}`,
  );
  const names = new Map(starts.map(({ nonce, name }) => [nonce, name]));
  const alive = new Set((await stand.alive()).map(({ nonce }) => nonce));
  const running = [...alive].map((nonce) => names.get(nonce)!);
  assert.equal(new Set(running).size, running.length, `two processes of one service: ${running.join()}`);
};
