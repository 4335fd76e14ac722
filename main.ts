/**
 * Daybook: an event-sourced actor system over one tamper-evident log.
 *
 * This file is the library's entry and the only one that wires: it opens stores, reads the environment and hands every part
 * what it needs. `openDaybook` gives the whole system to a program that embeds it; run as a program, it is the command line.
 */
import { actors } from "./actors/mod.ts";
import type { Daybook } from "./actors/kernel/daybook.ts";
import { Entities } from "./actors/kernel/entities.ts";
import { type Projections, Projector } from "./actors/kernel/project.ts";
import { feedOf } from "./actors/kernel/project_feed.ts";
import { FactRecorder } from "./actors/kernel/recorder.ts";
import { Supervisor } from "./actors/kernel/supervisor.ts";
import { System } from "./actors/kernel/system.ts";
import type { World } from "./actors/kernel/world.ts";
import { inlineBackground, workerBackground } from "./adapters/kv/background.ts";
import { FolderLock } from "./adapters/kv/lock.ts";
import { KvLog } from "./adapters/kv/log.ts";
import { KvStore } from "./adapters/kv/store.ts";
import { type Keys, openKeys } from "./adapters/keys/keys.ts";
import { MemoryStore } from "./adapters/memory/store.ts";
import { SqliteViews } from "./adapters/sqlite/views.ts";
import { systemClock, systemHash, systemRandom } from "./adapters/system/world.ts";
import { type Config, parseConfig } from "./config/config.ts";
import { events } from "./events/mod.ts";
import { LogFault } from "./events/log.ts";
import { projections } from "./projections/mod.ts";

export const VERSION = "0.1.0";

/** Names of the files in a data folder. */
const FILES = { log: "log.db", keys: "keys.db", lock: "lock", socket: "control.sock" } as const;
const MEMORY = ":memory:";

export interface OpenOptions {
  /** The data folder, made if missing, or `:memory:`, which keeps every promise but durability. Default `.daybook`. */
  readonly data?: string;
  /** As `parseConfig` gives it. Default: every default. */
  readonly config?: Config;
  /** Told of what an operator should know, one line each. Default: nobody. */
  readonly report?: (line: string) => void;
}

/**
 * Opens a data folder as its one writer and starts all that is supervised: actors, timers, process managers, projections.
 *
 * Throws `LogFault` when the folder cannot be had (`locked`, `read_only`, `full`, `foreign`, `newer`, `truncated`) and
 * `KeysFault` when its keys cannot. `close` must be called; a process that dies without it loses nothing that was acknowledged.
 */
export const openDaybook = async (options: OpenOptions = {}): Promise<Daybook> => (await openSystem(options)).daybook;

/** What the command line and the server need beside the daybook itself. */
interface Opened {
  readonly daybook: Daybook;
  readonly keys: Keys;
  readonly config: Config;
}

const openSystem = async (options: OpenOptions): Promise<Opened> => {
  const { data = ".daybook", report = () => {} } = options;
  const config = options.config ?? defaults();
  const closing = new AsyncDisposableStack();
  try {
    const memory = data === MEMORY;
    if (!memory) {
      await makeFolder(data);
      closing.adopt(await FolderLock.take(`${data}/${FILES.lock}`), (lock) => lock.release());
    }
    const keys = closing.adopt(await openKeysOf(data, config, report), (keys) => keys.close());
    const log = await openLog(data, config, keys, report);
    closing.defer(() => log.close());
    refuseShorter(log, keys);
    const views = closing.adopt(
      new SqliteViews({
        path: memory ? MEMORY : data,
        onAside: ({ path, because }) => report(`${path} was moved aside: ${because}`),
      }),
      (views) => views.close(),
    );
    const daybook = start({ log, keys, views, config, closing, durable: !memory });
    return { daybook, keys, config };
  } catch (error) {
    await closing.disposeAsync();
    throw error;
  }
};

interface Stores {
  readonly log: KvLog;
  readonly keys: Keys;
  readonly views: SqliteViews;
  readonly config: Config;
  readonly closing: AsyncDisposableStack;
  readonly durable: boolean;
}

/** Starts everything that is supervised. */
const start = ({ log, keys, views, config, closing, durable }: Stores): Daybook => {
  const world: World = { clock: systemClock, random: systemRandom, hash: systemHash, log, views };
  const recorder = new FactRecorder(world);
  const { kernel } = config;
  const entities = new Entities({
    world,
    catalogue: events,
    actors,
    recorder,
    seal: (type, stream, id, time, data) => {
      const sealed = keys.sealer.seal([{ type, stream, source: stream, id, time, data }], { inside: true });
      if (sealed.ok) return sealed.events[0]!.data;
      throw new TypeError(`"${type}" cannot be sealed: ${sealed.issues[0]!.path} ${sealed.issues[0]!.message}`);
    },
    bounds: {
      resident_max: kernel.entities_max,
      idle_ms: kernel.passivate_ms,
      deadline_ms: kernel.ask_ms,
      grace_ms: kernel.grace_ms,
    },
  });
  const projector: Projections = new Projector({
    projections,
    feed: feedOf(log),
    views,
    clock: systemClock,
    record: (fact, child) => recorder.record(fact, { child }),
  });
  const restarts = { max: kernel.restarts.max, within: kernel.restarts.within_ms };
  const backoff = { first: kernel.backoff.first_ms, last: kernel.backoff.max_ms };
  const supervisorWorld = { clock: systemClock, random: systemRandom, recorder };
  const views_ = new Supervisor({
    id: "projections",
    strategy: "one_for_one",
    restarts,
    backoff,
    children: projector.children,
  }, supervisorWorld);
  const root = new Supervisor({
    id: "daybook",
    strategy: "one_for_one",
    restarts,
    backoff,
    children: [entities, views_],
  }, supervisorWorld);

  recorder.begin({ version: VERSION, root: root.id });
  const stopping = new AbortController();
  const running = root.run(stopping.signal).catch(() => {}); // its fall is recorded, and `status` shows it
  const stop = async () => {
    stopping.abort();
    await running;
    await recorder.end(root.abandoned ?? [], STOP_RECORD_MS);
    await closing.disposeAsync();
  };
  return new System({
    clock: systemClock,
    hash: systemHash,
    catalogue: events,
    actors,
    projections,
    log,
    seals: keys.sealer,
    views,
    projector,
    ask: (ask) => entities.ask(ask),
    health: () => root.tree(),
    deadLetters: () => 0,
    durable,
    unknown: config.ingest.unknown,
    stop,
  });
};

/** How long the last facts of a run may take to reach the log. */
const STOP_RECORD_MS = 5_000;

const defaults = (): Config => {
  const parsed = parseConfig("", "defaults", {});
  if (!parsed.ok) throw new Error("the configuration's defaults do not hold");
  return parsed.config;
};

const makeFolder = async (data: string): Promise<void> => {
  try {
    await Deno.mkdir(data, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new LogFault(
      error instanceof Deno.errors.AlreadyExists ? "foreign" : "read_only",
      `cannot make the data folder: ${(error as Error).message}`,
    );
  }
};

const openKeysOf = async (data: string, config: Config, report: (line: string) => void): Promise<Keys> => {
  const sealed = new Set(config.ingest.sealed_sources);
  return openKeys({
    path: data === MEMORY ? MEMORY : `${data}/${FILES.keys}`,
    clock: systemClock,
    catalogue: events,
    existing: data !== MEMORY && await exists(`${data}/${FILES.log}`),
    ...(config.log.origin === null ? {} : { origin: config.log.origin }),
    ...(sealed.size > 0 ? { whole: (source: string) => sealed.has(source) } : {}),
    warn: report,
  });
};

const openLog = async (data: string, config: Config, keys: Keys, report: (line: string) => void): Promise<KvLog> => {
  const memory = data === MEMORY;
  const path = `${data}/${FILES.log}`;
  const store = memory ? new MemoryStore() : await KvStore.open(path, { clock: systemClock, random: systemRandom });
  const { signer } = keys.logKey;
  return await KvLog.open(store, {
    catalogue: events,
    clock: systemClock,
    background: memory ? inlineBackground(store, systemClock) : workerBackground(path, systemClock),
    signer: {
      origin: signer.name,
      sign: (size, root) => {
        const note = signer.checkpoint(size, root);
        if (keys.logKey.remember(note) === "fork") {
          report(`checkpoint ${size} contradicts one that is known; the log may have been put back`);
        }
        return note;
      },
    },
    bounds: config.log,
    cacheBytesMax: config.log.cache_bytes_max,
    equal: (sent, stored) => keys.sealer.sameData(sent, stored),
    trouble: report,
  });
};

/** A log that ends before a checkpoint that is known has lost events, or was put back; going on would fork it. */
const refuseShorter = (log: KvLog, keys: Keys): void => {
  const known = keys.logKey.latest();
  if (known && known.size > log.size) {
    throw new LogFault(
      "truncated",
      `the log ends at ${log.size}, but a checkpoint of size ${known.size} is known; it can be read, not written`,
    );
  }
};

const exists = async (path: string): Promise<boolean> => {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};
