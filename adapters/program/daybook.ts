/**
 * Puts a daybook together: opens its folder as its one writer, hands every part what it needs, and starts all that is
 * supervised.
 */
import { resolve } from "node:path";
import type { Child } from "../../actors/kernel/child.ts";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { Entities } from "../../actors/kernel/entities.ts";
import { Manager } from "../../actors/kernel/manage.ts";
import { Places } from "../../actors/kernel/places.ts";
import { Attester } from "../../actors/kernel/attest.ts";
import { PROJECT, type Projections, Projector } from "../../actors/kernel/project.ts";
import { ProjectionsApart } from "../../actors/kernel/project_apart.ts";
import { feedOf } from "../../actors/kernel/project_feed.ts";
import { PACE } from "../../actors/kernel/project_pace.ts";
import { FactRecorder } from "../../actors/kernel/recorder.ts";
import { Supervisor } from "../../actors/kernel/supervisor.ts";
import { System } from "../../actors/kernel/system.ts";
import { Timers } from "../../actors/kernel/timers.ts";
import type { World } from "../../actors/kernel/world.ts";
import { actors } from "../../actors/mod.ts";
import type { Actor } from "../../actors/types.ts";
import type { Config } from "../../config/config.ts";
import { DEFAULTS } from "../../config/shipped.ts";
import { type Catalogue, catalogue, type Domain } from "../../events/catalogue.ts";
import { frozen } from "../../events/frozen.ts";
import type { KernelFact } from "../../events/kernel.ts";
import { LogFault } from "../../events/log.ts";
import type { Store } from "../../events/store.ts";
import { events } from "../../events/mod.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { ViewsFault, type ViewState } from "../../projections/views.ts";
import { type Keys, openKeys, type RootSource } from "../keys/keys.ts";
import { ArchivedStore, deleteArchived } from "../kv/archive.ts";
import { inlineBackground } from "../kv/background.ts";
import type { Signer } from "../kv/behind.ts";
import { FolderLock } from "../kv/lock.ts";
import { KvLog } from "../kv/log.ts";
import { KvStore, ofFile } from "../kv/store.ts";
import { MemoryStore } from "../memory/store.ts";
import { type Crash, crashAt } from "../process/crash.ts";
import { SqliteViews } from "../sqlite/views.ts";
import type { PlatformTelemetry } from "../system/telemetry.ts";
import { systemClock, systemHash, systemRandom } from "../system/world.ts";
import { whoCouldView } from "./access/who_could_view.ts";
import { ControlGate } from "./controls/gate.ts";
import { crashInStore, crashInTimers, crashInViews } from "./crash_points.ts";
import { archiveIn } from "./archive_source.ts";
import { asItLies, sealedBy } from "./at_rest.ts";
import { observedOf, telemetryOf } from "./telemetry.ts";
import { VERSION } from "./version.ts";
import { exists, FILES, makeFolder, MEMORY } from "./files.ts";
import { expectThere, expectWhole } from "./known.ts";
import { followers } from "./followers.ts";
import { heldBack } from "./held_back.ts";
import { LOG_BACKGROUND, logInline, logSupervisor, logWorker, type WorkerOptions } from "./log_background.ts";
import { settleLogKey } from "./log_key_change.ts";
import { rememberLast, signerOf } from "./log_signer.ts";
import { readMark, settleRestored } from "./restored.ts";
import { expectSignedBy } from "./signed_by.ts";
import { expectNamed } from "./named.ts";
import type { Managed, Opened } from "./opened.ts";
import { settlePeriods } from "./retention.ts";
import { settleErasures } from "./privacy/settle.ts";
import { folded, projectionsThread, type ThreadSettings, withPolicies } from "./projections_thread.ts";

/** Where a daybook lies and how it is to be run. */
export interface OpenOptions {
  /** The data folder, made if missing, or `:memory:`, which keeps every promise but durability. Default `.daybook`. */
  readonly data?: string;
  /** As `parseConfig` gives it. Default: every default. */
  readonly config?: Config;
  /** Domains, deciders and views of the embedding program, beside those of Daybook; no name twice. What they and managers begin with, `initial`, is frozen. */
  readonly domains?: readonly Domain[];
  readonly actors?: readonly Actor[];
  readonly projections?: readonly AnyProjection[];
  /** Process managers of the embedding program; their names are unique and without `:`. */
  readonly managers?: readonly Managed[];
  /** The root key of its keys, or where it is. Default: `root.key` in the folder. */
  readonly root?: RootSource;
  /** Told of what an operator should know, one line each. Default: nobody. */
  readonly report?: (line: string) => void;
  /** Where to die, as `crashAt` reads it. Default: nowhere. */
  readonly crashAt?: string;
}

export interface SystemOptions extends OpenOptions, Pick<ThreadSettings, "awaited" | "neededAlone"> {
  /** How the log's worker is started; a test gives one that gets into trouble. */
  readonly worker?: Pick<WorkerOptions, "url" | "heartbeat">;
  /** Threads begin when this resolves: each takes a core that whoever waits for the server would like to have. Default: at once. */
  readonly threads?: Promise<void>;
}

/** `openDaybook` of `main.ts`, with what else was opened. */
export const openSystem = async (options: SystemOptions): Promise<Opened> => {
  const { data = ".daybook", report = () => {} } = options;
  const config = options.config ?? DEFAULTS;
  const crash = options.crashAt === undefined ? undefined : crashAt(options.crashAt);
  const telemetry = await telemetryOf();
  const catalogues: Catalogues = {
    events: catalogue(...events.domains, ...options.domains ?? []),
    actors: [...actors, ...options.actors ?? []],
    projections: withPolicies([...folded(options.neededAlone), ...options.projections ?? []], config.projections),
  };
  // All entities, rows and keys begin with the same; a fold that changes it is told so with its first event.
  const { actors: own = [], projections: views = [], managers = [] } = options;
  for (const { initial } of [...own, ...views, ...managers.map(({ manager }) => manager)]) frozen(initial);
  expectNamed(config, { events: catalogues.events, views: views.map(({ name }) => name) });
  const closing = new AsyncDisposableStack();
  try {
    const memory = data === MEMORY;
    if (!memory) {
      await makeFolder(data);
      crash?.("lock.wanted");
      closing.defer(() => crash?.("shutdown.released"));
      closing.adopt(await FolderLock.take(`${data}/${FILES.lock}`), (lock) => lock.release());
      crash?.("lock.taken");
    }
    const keys = closing.adopt(await openKeysOf(data, options, config, catalogues.events), (keys) => keys.close());
    const signer = signerOf(keys);
    closing.defer(() => rememberLast(signer, report));
    closing.defer(() => crash?.("shutdown.log_closed"));
    const fork = memory ? undefined : (await readMark(data))?.fork;
    const around = { keys, signer, crash, telemetry };
    const { log, behind, key, lies } = await openLog(data, config, around, catalogues.events, options);
    closing.defer(() => log.close());
    closing.defer(() => crash?.("shutdown.views_closed"));
    // At once, before anything is signed.
    expectSignedBy(keys.logKey, { log, newest: log.checkpointed, fork, lies });
    expectWhole(log, keys.logKey.latest());
    if (!memory) await settleRestored(data, log);
    await settleLogKey(log, keys.logKey, lies);
    const pending = settleErasures(log, keys);
    settlePeriods(log, keys);
    // Functions cannot go to another thread, so a program's own views keep all of them on this one.
    const apart = !memory && options.projections === undefined;
    const views = closing.adopt(
      new SqliteViews({
        path: memory ? MEMORY : data,
        write: !apart,
        sealed: key && await sealedBy(key),
        onAside: ({ path, because }) => report(`${path} was moved aside: ${because}`),
        log: { size: log.size, report },
      }),
      (views) => views.close(),
    );
    if (crash) crashInViews(views, crash);
    const thread = apart
      ? {
        data: resolve(data),
        cacheBytesMax: config.log.cache_bytes_max,
        projections: config.projections,
        crashAt: options.crashAt,
        key,
        archive: config.log.archive,
        awaited: options.awaited,
        neededAlone: options.neededAlone,
      }
      : undefined;
    crash?.("lock.opened");
    const { threads } = options;
    const started = start({
      ...catalogues,
      managers: options.managers ?? [],
      log,
      behind: heldBack(behind, threads),
      threads,
      keys,
      views,
      config,
      closing,
      thread,
      durable: !memory,
      crash,
      telemetry,
    });
    if (telemetry) closing.defer(telemetry.observe(observedOf(started)));
    const opened = { ...started, keys, config, log, lies, crash, telemetry };
    if (pending.length > 0 || keys.unfinishedRotation || keys.erasedAgain.length > 0) {
      const { unfinishedWork } = await import("./privacy/unfinished.ts");
      await started.tree.add(unfinishedWork(opened, pending));
    }
    return opened;
  } catch (error) {
    await closing.disposeAsync();
    throw error;
  }
};

interface Catalogues {
  readonly events: Catalogue;
  readonly actors: readonly Actor[];
  readonly projections: readonly AnyProjection[];
}

interface Stores extends Catalogues {
  readonly managers: readonly Managed[];
  readonly log: KvLog;
  /** What works behind the log. */
  readonly behind: Child;
  readonly keys: Keys;
  readonly views: SqliteViews;
  readonly config: Config;
  readonly closing: AsyncDisposableStack;
  /** Where projections run in a thread of their own. */
  readonly thread: ThreadSettings | undefined;
  readonly threads: Promise<void> | undefined;
  readonly durable: boolean;
  readonly crash: Crash | undefined;
  readonly telemetry: PlatformTelemetry | undefined;
}

/** Nothing of views that cannot be read: whoever opens them next says why. */
const storedIn = (views: SqliteViews): readonly ViewState[] => {
  try {
    return views.stores();
  } catch (error) {
    if (error instanceof ViewsFault) return [];
    throw error;
  }
};

/** Starts everything that is supervised. */
const start = (
  { events, actors, projections, managers, log, behind, keys, views, config, closing, thread, durable, ...stores }:
    Stores,
): Pick<Opened, "daybook" | "gate" | "entities" | "tree" | "supervision" | "outbound" | "managed" | "fallen"> => {
  const { crash, telemetry, threads } = stores;
  const world: World = { clock: systemClock, random: systemRandom, hash: systemHash, log, views, telemetry };
  const recorder = new FactRecorder(world);
  const gate = new ControlGate({ log, clock: systemClock, recorder });
  const { kernel, projections: { attest } } = config;
  const deadLetters = new DeadLetters({ clock: systemClock, random: systemRandom, recorder });
  deadLetters.restore(log);
  const entities = new Entities({
    world,
    catalogue: events,
    actors,
    recorder,
    gate,
    seal: (type, stream, id, time, data) => {
      const sealed = keys.sealer.seal([{ type, stream, source: stream, id, time, data }], { inside: true });
      if (sealed.ok) return sealed.events[0]!.data;
      throw new TypeError(`"${type}" cannot be sealed: ${sealed.issues[0]!.path} ${sealed.issues[0]!.message}`);
    },
    digest: (text) => keys.digest(text),
    bounds: {
      resident_max: kernel.entities_max,
      idle_ms: kernel.passivate_ms,
      deadline_ms: kernel.ask_ms,
      grace_ms: kernel.grace_ms,
    },
  });
  if (crash) crashInTimers(entities, crash);
  const projecting = {
    projections,
    feed: feedOf(log),
    clock: systemClock,
    record: (fact: KernelFact, child: string) => recorder.record(fact, { child }),
    telemetry,
  };
  const projector: Projections = thread
    ? new ProjectionsApart({
      ...projecting,
      feed: log, // the thread reads the file itself; here only news of growth are needed
      settings: thread,
      stored: storedIn(views),
      connect: projectionsThread,
      onOpened: () => views.reopen(),
    })
    : new Projector({
      ...projecting,
      views,
      bounds: { ...PROJECT, batch_events: config.projections.batch_events_max },
      pace: PACE,
    });
  views.onDamaged = (fault) => projector.damaged(fault);
  const restarts = { max: kernel.restarts.max, within: kernel.restarts.within_ms };
  const backoff = { first: kernel.backoff.first_ms, last: kernel.backoff.max_ms };
  const supervisorWorld = { clock: systemClock, random: systemRandom, recorder };
  const places = new Places();
  const parts = { clock: systemClock, random: systemRandom, log, views, entities, deadLetters, places };
  const managed = ({ manager, ...how }: Managed) => new Manager(manager, { ...parts, ...how });
  const managing = managers.map(managed);
  const root = new Supervisor({
    id: "daybook",
    strategy: "one_for_one",
    restarts,
    backoff,
    children: [
      logSupervisor(behind, { restarts, backoff }, supervisorWorld),
      entities,
      new Timers(parts),
      ...(managing.length > 0 ? [followers("managers", managing, { restarts, backoff }, supervisorWorld)] : []),
      followers(
        "projections",
        thread ? projector.children.map((child) => heldBack(child, threads)) : projector.children,
        { restarts, backoff },
        supervisorWorld,
      ),
      new Attester({ ...parts, projections, bounds: { events_min: attest.events_min, ms: attest.ms } }),
    ],
  }, supervisorWorld);

  recorder.begin({ version: VERSION, root: root.id });
  const stopping = new AbortController();
  // Its fall is recorded, and `status` shows it.
  const fallen = root.run(stopping.signal).then(() => undefined, (error: Error) => error.message);
  const stop = async () => {
    stopping.abort();
    await fallen;
    await recorder.end(root.abandoned ?? [], STOP_RECORD_MS);
    crash?.("shutdown.recorded");
    await closing.disposeAsync();
  };
  const daybook = new System({
    clock: systemClock,
    hash: systemHash,
    catalogue: events,
    actors,
    projections,
    computed: [whoCouldView(log, systemClock)],
    log,
    seals: keys.sealer,
    views,
    projector,
    ask: (ask) => entities.ask(ask),
    health: () => root.tree(),
    deadLetters,
    durable,
    unknown: config.ingest.unknown,
    gate,
    telemetry,
    stop,
  });
  const supervision = { bounds: { restarts, backoff }, world: supervisorWorld };
  const outbound = { views, deadLetters, places };
  return { daybook, gate, entities, tree: root, supervision, outbound, managed, fallen };
};

/** How long the last facts of a run may take to reach the log. */
const STOP_RECORD_MS = 5_000;

const openKeysOf = async (
  data: string,
  { root, report }: OpenOptions,
  config: Config,
  catalogue: Catalogue,
): Promise<Keys> => {
  const sealed = new Set(config.ingest.sealed_sources);
  return openKeys({
    path: data === MEMORY ? MEMORY : `${data}/${FILES.keys}`,
    clock: systemClock,
    catalogue,
    existing: data !== MEMORY && await exists(`${data}/${FILES.log}`),
    ...(config.log.origin === null ? {} : { origin: config.log.origin }),
    ...(Object.keys(config.retention.types).length > 0
      ? { retained: (type: string) => Object.hasOwn(config.retention.types, type) }
      : {}),
    ...(sealed.size > 0 ? { whole: (source: string) => sealed.has(source) } : {}),
    ...(root ? { root } : {}),
    warn: report,
  });
};

const openLog = async (
  data: string,
  config: Config,
  { keys, signer, crash, telemetry }: Pick<Stores, "keys" | "crash" | "telemetry"> & { readonly signer: Signer },
  catalogue: Catalogue,
  { report = () => {}, worker }: SystemOptions,
): Promise<
  { readonly log: KvLog; readonly behind: Child; readonly key: Uint8Array | undefined; readonly lies: Store }
> => {
  const memory = data === MEMORY;
  const path = `${data}/${FILES.log}`;
  if (!memory) await expectThere(path, keys.logKey.latest());
  const file = memory
    ? new MemoryStore()
    : await named(path, () => KvStore.open(path, { clock: systemClock, random: systemRandom }));
  if (crash) crashInStore<Store>(file, crash);
  const { store, key } = await asItLies(file, { keys, wanted: !memory && config.log.sealed_at_rest });
  // Where it was cut off.
  await deleteArchived(store);
  const background = inlineBackground(store, systemClock);
  const log = await KvLog.open(new ArchivedStore(store, archiveIn(config.log.archive)), {
    catalogue,
    clock: systemClock,
    background,
    backgroundWaitMs: LOG_BACKGROUND.wait_ms,
    signer,
    bounds: config.log,
    cacheBytesMax: config.log.cache_bytes_max,
    equal: (sent, stored, event) => keys.sealer.sameEvent(event, sent, stored),
    ...(telemetry && { committed: (events: number, ms: number) => telemetry.committed(events, ms) }),
    trouble: report,
  });
  const behind = memory ? logInline(log, background) : logWorker(log, { path, key, clock: systemClock, ...worker });
  return { log, behind, key, lies: store };
};

const named = async <T>(path: string, open: () => Promise<T>): Promise<T> => {
  try {
    return await open();
  } catch (error) {
    throw error instanceof LogFault ? ofFile(path, error) : error;
  }
};
