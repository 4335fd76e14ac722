/** `up`, `down`, `restart` and `ps`: services, asked for and looked at. */
import type { Event } from "../../../events/event.ts";
import { Board } from "../board.ts";
import type { Call, Run } from "../call.ts";
import { flag, pathOf, Usage, whole } from "../call.ts";
import { table } from "../columns.ts";
import { notDone } from "../not_done.ts";
import type { Palette } from "../print.ts";
import { palette, safe } from "../print.ts";
import type { Remote, Runtime } from "../runtime.ts";
import type { Reader } from "../reader.ts";
import type { ExitCode } from "../io.ts";
import { OPERATOR } from "./send.ts";

const LOOK_MS = 100;
const WAIT_S_DEFAULT = 120;

export const up: Run = (call, runtime) => asked(call, runtime, "services.stack.up");
export const down: Run = (call, runtime) => asked(call, runtime, "services.stack.down");
export const restart: Run = (call, runtime) => asked(call, runtime, "services.service.restart");

type Asked = "services.stack.up" | "services.stack.down" | "services.service.restart";

/** Asks the server that runs them, then tells what happens until nothing more does. */
const asked = async (call: Call, runtime: Runtime, type: Asked): Promise<ExitCode> => {
  const reader = await runtime.reader(call.data);
  const remote = await runtime.remote(call.data);
  try {
    if (!remote) throw new Usage("no server runs the services of this folder: deno task start --stack FILE does");
    const board = await Board.of(reader, call, runtime);
    const profile = type === "services.stack.up"
      ? await chosen(board, call.args, { remote, reader, runtime })
      : undefined;
    const names = board.known(profile ?? call.args);
    const wait = whole(call, "wait", { min: 0, max: 86_400 }) ?? WAIT_S_DEFAULT;
    const affected = type === "services.stack.up" ? withNeeds(board, names) : names;
    const until = runtime.clock.monotonic() + wait * 1_000;
    let settled = true;
    const rounds = type === "services.service.restart" ? roundsOf(board, names, call) : [[{ services: names }]];
    for (const [i, round] of rounds.entries()) {
      if (i > 0 && (!settled || badOf(board, names).length > 0)) break;
      for (const data of round) await ask(remote, { type, id: board.stack, data });
      const within = until - runtime.clock.monotonic();
      settled = await follow(board, { reader, names: affected, within, call, runtime });
    }
    const wanted = type !== "services.stack.down";
    const otherwise = board.services.filter((one) => affected.includes(one.service) && one.wanted !== wanted);
    return told(board, {
      settled,
      names: affected,
      otherwise: otherwise.map(({ service }) => service),
      type,
      call,
      runtime,
    });
  } finally {
    remote?.close();
    await reader.close();
  }
};

/**
 * Where a profile is named and no service is called so: the services that are to run by it, which the server has been told. `undefined`
 * where services are meant.
 */
const chosen = async (
  board: Board,
  [profile, ...others]: readonly string[],
  { remote, reader, runtime }: { readonly remote: Remote; readonly reader: Reader; readonly runtime: Runtime },
): Promise<readonly string[] | undefined> => {
  const { profiles } = await runtime.stacks();
  if (profile === undefined || others.length > 0 || !profiles.includes(profile)) return undefined;
  if (board.services.some(({ service }) => service === profile)) return undefined;
  await remote.operate("choose-profile", { profile }, () => {});
  await reader.renew();
  board.catchUp();
  return board.services.filter(({ wanted }) => wanted).map(({ service }) => service);
};

interface Restarted {
  readonly service: string;
  readonly replica: number;
}

/** Restarts that go together: of several replicas one, and the next when all of that is well. */
const roundsOf = (board: Board, names: readonly string[], call: Call): readonly (readonly Restarted[])[] => {
  const replica = whole(call, "replica", { min: 0, max: 299 });
  if (replica !== undefined) return [names.map((service) => ({ service, replica }))];
  const services = board.services.filter(({ service }) => names.includes(service));
  return Array.from(
    { length: Math.max(...services.map(({ replicas }) => replicas)) },
    (_, replica) => services.filter(({ replicas }) => replica < replicas).map(({ service }) => ({ service, replica })),
  );
};

/** Another file of services: what it would change, told first; then what comes of it. */
export const update: Run = async (call, runtime) => {
  const { io } = runtime;
  const file = pathOf(call, call.args[0]!);
  const reader = await runtime.reader(call.data);
  const remote = await runtime.remote(call.data);
  try {
    if (!remote) throw new Usage("no server runs the services of this folder: deno task start --stack FILE does");
    const input = { text: await io.readText(file), file, again: flag(call, "again") };
    const planned = await remote.operate("update-stack", { ...input, plan: true }, () => {}) as Updated;
    const only = flag(call, "plan");
    if (only && call.json) io.out(`${JSON.stringify({ ok: true, ...planned })}\n`);
    if (!call.json) io.out(changesText(planned, palette(io)));
    if (only) return 0;
    const board = await Board.of(reader, call, runtime);
    const { changes } = await remote.operate("update-stack", { ...input, plan: false }, () => {}) as Updated;
    const names = changes.filter(({ change }) => change !== "same").map(({ service }) => service);
    const wait = whole(call, "wait", { min: 0, max: 86_400 }) ?? WAIT_S_DEFAULT;
    // Of changes before this one it is only said what they keep from being done.
    const kept = input.again ? [] : changes.filter(({ change }) => change === "undone before");
    const over = new Set(kept.map(({ service }) => service));
    const hear = ({ type, data }: Event) => {
      if (ENDS.has(type)) over.add((data as { readonly service: string }).service);
    };
    const settled = await follow(board, { reader, names, within: wait * 1_000, call, runtime, hear });
    const ended = (how: string) =>
      board.services.filter(({ service, update }) => names.includes(service) && over.has(service) && update === how)
        .map(({ service }) => safe(service));
    const [undone, bad] = [ended("reverted"), ended("failed")];
    const code = told(board, { settled, names, type: "services.stack.up", call, runtime });
    const tell = (what: string, services: readonly string[]) =>
      services.length > 0 && !call.json && io.err(`daybook: ${what}: ${services.join(", ")}; why SERVICE tells more\n`);
    tell("undone", undone);
    tell("not well, and left so", bad);
    return undone.length + bad.length > 0 ? 1 : code;
  } finally {
    remote?.close();
    await reader.close();
  }
};

const ENDS: ReadonlySet<string> = new Set(["services.update.reverted", "services.update.failed"]);

interface Updated {
  readonly stack: string;
  readonly changes: readonly {
    readonly service: string;
    readonly change: string;
    readonly replicas: number;
    readonly had?: number;
    readonly max_unavailable: number;
  }[];
}

const changesText = ({ changes }: Updated, c: Palette): string => {
  const how = ({ change, had, replicas, max_unavailable }: Updated["changes"][number]) =>
    (change === "changed" ? `${replicas} of them, ${Math.min(replicas, max_unavailable)} at a time` : "") +
    (had !== undefined && had !== replicas && (change === "changed" || change === "scaled")
      ? `${change === "changed" ? "; " : ""}${had} → ${replicas} replicas`
      : "");
  const rows = changes.map((each) => [
    safe(each.service),
    each.change === "same"
      ? c.dim(each.change)
      : each.change === "removed"
      ? c.red(each.change)
      : c.yellow(each.change),
    how(each),
  ]);
  return table(["service", "change", "how"].map((title) => ({ title })), rows, c);
};

const ask = async (
  remote: Remote,
  { type, id, data }: { readonly type: Asked; readonly id: string; readonly data: unknown },
): Promise<void> => {
  const outcome = await remote.ask({ type, id, data, by: OPERATOR });
  if (outcome.is === "rejected") throw new Usage(outcome.because);
  if (outcome.is === "unavailable") throw notDone(outcome);
  if (outcome.is !== "accepted") throw new Error(`${type} was not done: ${outcome.is}`);
};

const withNeeds = (board: Board, names: readonly string[]): readonly string[] => {
  const all = new Set(names);
  for (const name of all) {
    const { needs = [] } = board.services.find(({ service }) => service === name) ?? {};
    for (const { service, required } of needs) if (required) all.add(service);
  }
  return [...all];
};

/** True when nothing more happens, false when the time is over first. */
const follow = async (
  board: Board,
  { reader, names, within, call, runtime, hear }: {
    readonly reader: Reader;
    readonly names: readonly string[];
    readonly within: number;
    readonly call: Call;
    readonly runtime: Runtime;
    readonly hear?: (event: Event) => void;
  },
): Promise<boolean> => {
  const { io, clock } = runtime;
  const until = clock.monotonic() + within;
  const c = palette(io);
  for (;;) {
    await reader.renew();
    for (const event of board.catchUp()) {
      hear?.(event);
      if (!call.json) tellEvent(event, c, runtime);
    }
    if (board.settled(names)) return true;
    if (clock.monotonic() >= until) return false;
    await new Promise<void>((resolve) => clock.schedule(LOOK_MS, resolve));
  }
};

const SAID: Readonly<Record<string, (c: Palette) => string>> = {
  "services.instance.queued": (c) => c.dim("waits"),
  "services.resources.lacked": (c) => c.yellow("waits for"),
  "services.instance.started": (c) => c.cyan("runs"),
  "services.instance.refused": (c) => c.red("cannot be started"),
  "services.health.confirmed": (c) => c.green("healthy"),
  "services.health.lost": (c) => c.yellow("unhealthy"),
  "services.instance.exited": (c) => c.dim("has ended"),
  "services.output.lost": (c) => c.yellow("wrote more than is kept"),
  "services.instance.delayed": (c) => c.yellow("waits for its restart"),
  "services.instance.completed": (c) => c.green("completed"),
  "services.instance.failed": (c) => c.red("failed"),
  "services.instance.skipped": (c) => c.red("skipped"),
  "services.instance.stop_requested": (c) => c.dim("stops"),
  "services.instance.stop_expired": (c) => c.yellow("did not stop in time, is killed"),
  "services.instance.stopped": (c) => c.dim("stopped"),
  "services.update.begun": (c) => c.cyan("changes"),
  "services.update.completed": (c) => c.green("is changed"),
  "services.update.reverted": (c) => c.red("is put back as it was"),
  "services.update.failed": (c) => c.red("did not become well, and is left so"),
};

/** One line of an event of an instance, without time and place. */
export const eventText = ({ type, data }: Event, c: Palette): string | undefined => {
  const says = SAID[type];
  if (!says) return undefined;
  const { because, for: waits, code, signal, known, resource, needed, free, bytes } = data as Readonly<
    Record<string, unknown>
  >;
  const how = resource !== undefined
    ? `${resource}: needs ${needed}, free ${free}`
    : bytes !== undefined
    ? `${bytes} bytes lost`
    : type === "services.instance.exited"
    ? known === false ? "nobody saw how" : signal === null ? `code ${code}` : String(signal)
    : Array.isArray(waits)
    ? `for ${waits.join(", ")}`
    : because;
  return `${says(c)}${how === undefined ? "" : ` ${c.dim(safe(String(how)))}`}`;
};

const tellEvent = (event: Event, c: Palette, { io }: Runtime): void => {
  const said = eventText(event, c);
  const { service, replica } = event.data as { readonly service: string; readonly replica?: number };
  if (said !== undefined) io.out(`${safe(replica ? `${service}/${replica}` : service)}  ${said}\n`);
};

export const BAD: ReadonlySet<string> = new Set(["failed", "skipped", "backoff", "unhealthy"]);

const badOf = (board: Board, names: readonly string[]) =>
  board.instances.filter(({ service, state }) => names.includes(service) && BAD.has(state));

const told = (
  board: Board,
  { settled, names, otherwise = [], type, call, runtime: { io } }: {
    readonly settled: boolean;
    readonly names: readonly string[];
    /** Of which somebody has asked for the opposite meanwhile. */
    readonly otherwise?: readonly string[];
    readonly type: Asked;
    readonly call: Call;
    readonly runtime: Runtime;
  },
): ExitCode => {
  const rows = board.instances.filter(({ service }) => names.includes(service));
  const bad = badOf(board, names);
  const isDown = type === "services.stack.down";
  const good = settled && otherwise.length === 0 && (isDown || bad.length === 0);
  if (call.json) io.out(`${JSON.stringify({ ok: good, settled, stack: board.stack, instances: rows })}\n`);
  else if (!settled) {
    const open = rows.filter(({ state }) => !["healthy", "completed", "stopped"].includes(state));
    io.err(`daybook: it goes on: ${open.map(({ service, state }) => `${service} is ${state}`).join(", ")}\n`);
  } else if (otherwise.length > 0) {
    const what = isDown ? "has been asked for again" : "has been told to stop";
    io.err(`daybook: meanwhile ${otherwise.map((name) => `${safe(name)} ${what}`).join(", ")}\n`);
  } else if (!good) {
    io.err(`daybook: ${bad.map(({ service, state }) => `${service} ${state}`).join(", ")}; why SERVICE tells more\n`);
  }
  return good ? 0 : 1;
};
