/**
 * Daybook: an event-sourced actor system over one tamper-evident log.
 *
 * This file is the library's entry and the only one that wires: it opens stores, reads the environment and hands every part
 * what it needs. `openDaybook` gives the whole system to a program that embeds it; run as a program, it is the command line.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { actors } from "./actors/mod.ts";
import type { Daybook, Issue } from "./actors/kernel/daybook.ts";
import { DeadLetters } from "./actors/kernel/dead_letters.ts";
import { Entities } from "./actors/kernel/entities.ts";
import { PROJECT, PROJECT_APART, type Projections, Projector } from "./actors/kernel/project.ts";
import { ProjectionsApart } from "./actors/kernel/project_apart.ts";
import { feedOf, feedOfFile } from "./actors/kernel/project_feed.ts";
import type { FromProjections, Line, ToProjections } from "./actors/kernel/project_line.ts";
import { serveProjections } from "./actors/kernel/project_serve.ts";
import { FactRecorder } from "./actors/kernel/recorder.ts";
import { Supervisor } from "./actors/kernel/supervisor.ts";
import { System } from "./actors/kernel/system.ts";
import { Timers } from "./actors/kernel/timers.ts";
import type { World } from "./actors/kernel/world.ts";
import { type Grants, Usage } from "./adapters/cli/call.ts";
import { ENVIRONMENT } from "./adapters/cli/grants.ts";
import { commandLine } from "./adapters/cli/main.ts";
import { connect } from "./adapters/cli/remote.ts";
import type { GitImport, Io, Runtime, ServeOptions, Serving, Tokens as TokenStore } from "./adapters/cli/runtime.ts";
import { ImportFault } from "./adapters/cli/runtime.ts";
import { sealedEdge } from "./adapters/cli/sealed_edge.ts";
import { inFolderOf, type Settings } from "./adapters/cli/settings.ts";
import { terminal } from "./adapters/cli/terminal.ts";
import type { GitImported, GitImportFailed } from "./adapters/git/import.ts";
import type { Access, Grant } from "./adapters/http/access.ts";
import type { Route } from "./adapters/http/route.ts";
import type { Server } from "./adapters/http/server.ts";
import { inlineBackground, workerBackground } from "./adapters/kv/background.ts";
import { FolderReader } from "./adapters/kv/folder_reader.ts";
import { FolderLock } from "./adapters/kv/lock.ts";
import { KvLog } from "./adapters/kv/log.ts";
import { LogReader } from "./adapters/kv/reader.ts";
import { KvReader, KvStore } from "./adapters/kv/store.ts";
import { type Bearer, type Keys, openKeys, type Scope } from "./adapters/keys/keys.ts";
import { MemoryStore } from "./adapters/memory/store.ts";
import {
  argumentsOf,
  generationOf,
  GENERATIONS_MAX,
  granted,
  onOrphaned,
  type Permissions,
  reexecute,
} from "./adapters/process/reexec.ts";
import { SqliteViews } from "./adapters/sqlite/views.ts";
import { lineToParent, lineToWorker } from "./adapters/system/thread.ts";
import { systemClock, systemHash, systemRandom } from "./adapters/system/world.ts";
import { type Config, type Override, parseConfig, problemText, type SecretReference } from "./config/config.ts";
import { type Catalogue, catalogue, type Domain } from "./events/catalogue.ts";
import type { KernelFact } from "./events/kernel.ts";
import { events } from "./events/mod.ts";
import type { Actor } from "./actors/types.ts";
import type { AnyProjection } from "./projections/projection.ts";
import { parseIJson } from "./events/canonical.ts";
import { LIMITS, LogFault } from "./events/log.ts";
import { projections } from "./projections/mod.ts";

/** Of the program, and so of the formats it writes (`docs/design.md`). */
export const VERSION = "0.1.0";

/** Names of the files in a data folder. */
const FILES = { log: "log.db", keys: "keys.db", lock: "lock", socket: "control.sock" } as const;
const MEMORY = ":memory:";

/** Where a daybook lies and how it is to be run. */
export interface OpenOptions {
  /** The data folder, made if missing, or `:memory:`, which keeps every promise but durability. Default `.daybook`. */
  readonly data?: string;
  /** As `parseConfig` gives it. Default: every default. */
  readonly config?: Config;
  /** Domains, deciders and views of the embedding program, beside those of Daybook. */
  readonly domains?: readonly Domain[];
  readonly actors?: readonly Actor[];
  readonly projections?: readonly AnyProjection[];
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
  const catalogues: Catalogues = {
    events: catalogue(...events.domains, ...options.domains ?? []),
    actors: [...actors, ...options.actors ?? []],
    projections: withPolicies([...projections, ...options.projections ?? []], config.projections),
  };
  const closing = new AsyncDisposableStack();
  try {
    const memory = data === MEMORY;
    if (!memory) {
      await makeFolder(data);
      closing.adopt(await FolderLock.take(`${data}/${FILES.lock}`), (lock) => lock.release());
    }
    const keys = closing.adopt(await openKeysOf(data, config, catalogues.events, report), (keys) => keys.close());
    const log = await openLog(data, config, keys, catalogues.events, report);
    closing.defer(() => log.close());
    refuseShorter(log, keys);
    // Functions cannot go to another thread, so a program's own views keep all of them on this one.
    const apart = !memory && options.projections === undefined;
    const views = closing.adopt(
      new SqliteViews({
        path: memory ? MEMORY : data,
        write: !apart,
        onAside: ({ path, because }) => report(`${path} was moved aside: ${because}`),
      }),
      (views) => views.close(),
    );
    const thread = apart
      ? { data: resolve(data), cacheBytesMax: config.log.cache_bytes_max, projections: config.projections }
      : undefined;
    const daybook = start({ ...catalogues, log, keys, views, config, closing, thread, durable: !memory });
    return { daybook, keys, config };
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
  readonly log: KvLog;
  readonly keys: Keys;
  readonly views: SqliteViews;
  readonly config: Config;
  readonly closing: AsyncDisposableStack;
  /** Where projections run in a thread of their own. */
  readonly thread: ThreadSettings | undefined;
  readonly durable: boolean;
}

/** What the thread of the projections opens. */
interface ThreadSettings {
  readonly data: string;
  readonly cacheBytesMax: number;
  readonly projections: Config["projections"];
}

/** What becomes of a projection that meets an event it cannot apply. */
const withPolicies = (
  projections: readonly AnyProjection[],
  { poison, policies }: Config["projections"],
): readonly AnyProjection[] =>
  projections.map((projection) => ({
    ...projection,
    poison: policies[projection.name] ?? projection.poison ?? poison,
  }));

/** Starts everything that is supervised. */
const start = (
  { events, actors, projections, log, keys, views, config, closing, thread, durable }: Stores,
): Daybook => {
  const world: World = { clock: systemClock, random: systemRandom, hash: systemHash, log, views };
  const recorder = new FactRecorder(world);
  const { kernel } = config;
  const deadLetters = new DeadLetters({ clock: systemClock, random: systemRandom, recorder });
  deadLetters.restore(log);
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
    digest: (text) => keys.digest(text),
    bounds: {
      resident_max: kernel.entities_max,
      idle_ms: kernel.passivate_ms,
      deadline_ms: kernel.ask_ms,
      grace_ms: kernel.grace_ms,
    },
  });
  const projecting = {
    projections,
    feed: feedOf(log),
    clock: systemClock,
    record: (fact: KernelFact, child: string) => recorder.record(fact, { child }),
  };
  const projector: Projections = thread
    ? new ProjectionsApart({ ...projecting, settings: thread, connect: projectionsThread })
    : new Projector({
      ...projecting,
      views,
      bounds: { ...PROJECT, batch_events: config.projections.batch_events_max },
    });
  const timers = new Timers({ clock: systemClock, random: systemRandom, log, views, entities, deadLetters });
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
    children: [entities, timers, views_],
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
    deadLetters: () => deadLetters.size,
    durable,
    unknown: config.ingest.unknown,
    stop,
  });
};

const THREAD = "projections";

const projectionsThread = (): Line<ToProjections, FromProjections> =>
  lineToWorker(new Worker(import.meta.url, { type: "module", name: THREAD }));

/** This file again, as the thread of the projections: it reads the log's file and writes the views. */
const projectApart = async (): Promise<void> => {
  await serveProjections(lineToParent<FromProjections, ToProjections>(), {
    clock: systemClock,
    compose(settings, home) {
      const { data, cacheBytesMax, projections: stated } = settings as ThreadSettings;
      const file = new LogReader(new KvReader(`${data}/${FILES.log}`), {
        catalogue: events,
        index: false,
        cacheBytesMax,
      });
      file.refresh();
      const feed = feedOfFile(file);
      const views = new SqliteViews({ path: data, notes: false });
      return Promise.resolve({
        projections: new Projector({
          projections: withPolicies(projections, stated),
          feed,
          views,
          clock: systemClock,
          bounds: { ...PROJECT_APART, batch_events: stated.batch_events_max },
          ...home,
        }),
        grown: () => feed.grew(),
        async close() {
          views.close();
          await file.close();
        },
      });
    },
  });
  close();
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

const openKeysOf = async (
  data: string,
  config: Config,
  catalogue: Catalogue,
  report: (line: string) => void,
): Promise<Keys> => {
  const sealed = new Set(config.ingest.sealed_sources);
  return openKeys({
    path: data === MEMORY ? MEMORY : `${data}/${FILES.keys}`,
    clock: systemClock,
    catalogue,
    existing: data !== MEMORY && await exists(`${data}/${FILES.log}`),
    ...(config.log.origin === null ? {} : { origin: config.log.origin }),
    ...(sealed.size > 0 ? { whole: (source: string) => sealed.has(source) } : {}),
    warn: report,
  });
};

const openLog = async (
  data: string,
  config: Config,
  keys: Keys,
  catalogue: Catalogue,
  report: (line: string) => void,
): Promise<KvLog> => {
  const memory = data === MEMORY;
  const path = `${data}/${FILES.log}`;
  const store = memory ? new MemoryStore() : await KvStore.open(path, { clock: systemClock, random: systemRandom });
  const { signer } = keys.logKey;
  return await KvLog.open(store, {
    catalogue,
    clock: systemClock,
    background: memory ? inlineBackground(store, systemClock) : workerBackground(path, systemClock),
    signer: {
      origin: signer.name,
      sign: (size, root) => {
        const note = signer.checkpoint(size, root);
        // A log must not sign two roots of one size (C2SP tlog-checkpoint).
        if (keys.logKey.remember(note) === "fork") {
          throw new LogFault(
            "fenced",
            `another checkpoint of size ${size} is known; the log has been put back or changed`,
          );
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

// — the command line —
//
// What one command alone needs is loaded when it is called, so that the others start sooner.

/** A file of the program itself. */
const inHouse = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Reads and checks a configuration; a file that was named must be there, the default one need not. */
const settingsOf = async (named: string | undefined, overrides: readonly Override[]): Promise<Settings> => {
  const file = named ?? inHouse("config/daybook.yaml");
  const text = await Deno.readTextFile(file).catch((error) => {
    if (named === undefined && error instanceof Deno.errors.NotFound) return "";
    throw new Usage(`cannot read the configuration: ${error.message}`);
  });
  const parsed = parseConfig(text, file, Deno.env.toObject(), overrides);
  if (parsed.ok) return { config: parsed.config, file };
  throw new Usage(parsed.problems.map(problemText).join("; "));
};

/** What `serve` needs of what `open` made. */
const systems = new WeakMap<Daybook, Opened>();

const runtimeOf = (io: Io): Runtime => ({
  io,
  clock: systemClock,
  version: VERSION,
  quit: (code) => Deno.exit(code),
  async open(data, settings) {
    const { config } = settings ?? await settingsOf(undefined, []);
    const opened = await openSystem({ data, config, report: (line) => io.err(`daybook: ${line}\n`) });
    systems.set(opened.daybook, opened);
    return opened.daybook;
  },
  serve: (daybook, options) => serve(systems.get(daybook)!, options, io),
  remote: connect,
  async reader(data) {
    const path = `${data}/${FILES.log}`;
    if (!await exists(path)) throw new LogFault("foreign", `there is no log in ${data}`);
    return new FolderReader(path, { catalogue: events });
  },
  views: async (data) => await exists(`${data}/views.db`) ? new SqliteViews({ path: data, readOnly: true }) : undefined,
  scratch: () => Promise.resolve(new SqliteViews({ path: MEMORY })),
  async edge(data) {
    // A folder may come without its keys: then everything personal stays sealed.
    if (!await exists(`${data}/${FILES.keys}`)) return sealedEdge;
    const keys = openKeys({ path: `${data}/${FILES.keys}`, clock: systemClock, catalogue: events, readOnly: true });
    const { sealer } = keys;
    return {
      unseal: (value) => sealer.unseal(value),
      redact: (value) => sealer.redact(value),
      close: () => keys.close(),
    };
  },
  projections: () => Promise.resolve(projections),
  tokens: tokensOf,
  importGit: gitImport,
  importPush,
  async importSample(target) {
    const { importSample } = await import("./adapters/git/sample.ts");
    return gitImportOf(await importSample(target, { by: OPERATOR.principal, clock: systemClock }));
  },
  verifierKey: (data) => withKeys(data, (keys) => keys.logKey.signer.vkey),
  async verify(data, { key, against }, progress) {
    // What the folder's own keys tell can catch a mistake; it proves nothing to who does not trust the folder.
    const { verifyLog } = await import("./adapters/verify/verify.ts");
    const known = await withKeys(data, ({ logKey }) => ({ key: logKey.signer.vkey, newest: logKey.latest()?.note }));
    return await verifyLog({
      path: `${data}/${FILES.log}`,
      key,
      folderKey: known?.key,
      against: [
        ...against.map((kept) => ({ ...kept, elsewhere: true })),
        ...(known?.newest
          ? [{ name: "the newest checkpoint in the key database", text: known.newest, elsewhere: false }]
          : []),
      ],
      progress,
    });
  },
  async backup(data, destination, { passphrase }, progress) {
    const { backupLog } = await import("./adapters/backup/backup.ts");
    const { bundleFiles } = await import("./adapters/backup/bundle.ts");
    const { verifyLog } = await import("./adapters/verify/verify.ts");
    const log = new FolderReader(`${data}/${FILES.log}`, { catalogue: events });
    const checkpoint = (await log.checkpoint())?.note;
    await log.close();
    return await backupLog({
      log: `${data}/${FILES.log}`,
      destination,
      verify: (path, options) => verifyLog({ path, ...options }),
      created: new Date().toISOString(),
      checkpoint,
      ...(passphrase === undefined ? {} : {
        keys: {
          passphrase,
          export: (scratch) =>
            bundleFiles(scratch, [
              { name: FILES.keys, path: `${data}/${FILES.keys}`, database: true },
              { name: "root.key", path: `${data}/root.key`, database: false },
            ]),
        },
      }),
      progress,
    });
  },
  async restore(source, data, { passphrase, against }, progress) {
    const { restoreLog } = await import("./adapters/backup/restore.ts");
    const { forgetBeyond } = await import("./adapters/keys/restored.ts");
    const { verifyLog } = await import("./adapters/verify/verify.ts");
    const known = against.map(({ name, text }) => {
      const [origin, size, root] = text.split("\n");
      return { name, origin: origin ?? "", size: Number(size), root: root ?? "" };
    });
    const { shorter_than, ...restored } = await restoreLog({
      source,
      data,
      name: FILES.log,
      verify: (path, options) => verifyLog({ path, ...options }),
      ...(passphrase === undefined ? {} : { passphrase }),
      async importKeys(folder, files) {
        for (const [name, bytes] of Object.entries(files)) {
          await Deno.writeFile(`${folder}/${name}`, bytes, { createNew: true, mode: 0o600 });
        }
        const log = new FolderReader(`${folder}/${FILES.log}`, { catalogue: events });
        forgetBeyond(`${folder}/${FILES.keys}`, log.size);
        await log.close();
      },
      known,
      progress,
    });
    return { ...restored, ...(shorter_than ? { shorterThan: shorter_than } : {}) };
  },
});

/** Asks the keys of a folder something, without writing them; undefined where there are none. */
const withKeys = async <T>(data: string, ask: (keys: Keys) => T): Promise<T | undefined> => {
  const path = `${data}/${FILES.keys}`;
  if (!await exists(path)) return undefined;
  const keys = openKeys({ path, clock: systemClock, catalogue: events, readOnly: true });
  try {
    return ask(keys);
  } finally {
    keys.close();
  }
};

const importPush: Runtime["importPush"] = async (target, body) => {
  const { translatePush } = await import("./adapters/github/push.ts");
  const { recordPush } = await import("./adapters/github/record.ts");
  const push = translatePush(parseIJson(body, LIMITS.data_depth_max), { by: OPERATOR.principal });
  if (push.is === "ignored") return { commits: 0, known: 0, moves: 0, note: push.because };
  const because = (issues: readonly Issue[]) =>
    issues.map(({ path, message }) => `${path || "/"}: ${message}`).join("; ");
  if (push.is === "invalid") throw new ImportFault("usage", because(push.issues));
  const done = await recordPush(target, push, OPERATOR.principal);
  if (done.is === "refused") throw new ImportFault("usage", done.because);
  if (done.is === "unavailable") throw new ImportFault("io", "it could not be recorded now; import it again");
  const { commits, known, moves, rejected } = done;
  return { commits, known, moves, ...(rejected ? { note: `${rejected.code}: ${rejected.because}` } : {}) };
};

const tokensOf = async (data: string): Promise<TokenStore> => {
  const path = `${data}/${FILES.keys}`;
  await makeFolder(data);
  const keys = openKeys({
    path,
    clock: systemClock,
    catalogue: events,
    existing: await exists(`${data}/${FILES.log}`),
  });
  const { tokens } = keys;
  return {
    create({ name, scopes, expires }) {
      const ends = expires === undefined ? undefined : Date.parse(expires);
      const { token, id } = tokens.create(name, scopes as readonly Scope[], ends);
      return Promise.resolve({ token, record: tokens.list().find((made) => made.id === id)! });
    },
    list: () => Promise.resolve(tokens.list()),
    revoke: (id) => Promise.resolve(tokens.revoke(id)),
    close: () => Promise.resolve(keys.close()),
  };
};

const grantOf = (bearer: Bearer | undefined): Grant | undefined =>
  bearer &&
  { id: bearer.authid, scopes: [...bearer.scopes], principal: { authtype: bearer.authtype, authid: bearer.authid } };

const accessOf = ({ tokens }: Keys): Access => ({
  check: (token) => grantOf(tokens.check(token)),
  login(token) {
    const bearer = tokens.check(token);
    return bearer && tokens.createSession(bearer.authid).cookie;
  },
  session: (cookie) => grantOf(tokens.checkSession(cookie)),
  logout: (cookie) => void tokens.endSession(cookie),
});

/** Whoever can open the folder's socket is the operator. */
const OPERATOR: Grant = { id: "operator", scopes: ["admin"], principal: { authtype: "user", authid: "operator" } };

const serve = async ({ daybook, keys }: Opened, { data, settings }: ServeOptions, io: Io): Promise<Serving> => {
  const { createServer } = await import("./adapters/http/server.ts");
  const { server: stated, start } = settings.config;
  const status: Route = {
    method: "GET",
    path: "/status",
    needs: "admin",
    about: "State, size, health and projections, as the command line shows them.",
    handle: () => Response.json(daybook.status()),
  };
  const tls = await tlsOf(settings);
  const server = createServer({
    daybook,
    access: accessOf(keys),
    clock: systemClock,
    random: systemRandom,
    rate: stated.rate,
    bodyBytesMax: stated.body_bytes_max,
    deadlineMs: stated.deadline_ms,
    openCheckpoint: stated.public_checkpoint,
    parts: { pages: start.pages, docs: start.docs, metrics: start.metrics },
    hosts: stated.hosts,
    ...(stated.behind_proxy === null ? {} : { behindProxy: stated.behind_proxy }),
    routes: [status, ...await webhooksOf(daybook, settings)],
    report: ({ request, error }) =>
      io.err(`daybook: request ${request}: ${error instanceof Error ? error.message : error}\n`),
  });
  try {
    const { url } = server.listen({ hostname: stated.host, port: stated.port, tls });
    if (data !== MEMORY) await listenInside(server, `${data}/${FILES.socket}`);
    const first = keys.tokens.first();
    return { url, ...(first ? { firstToken: first.token } : {}), stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
};

/** Receivers of webhooks: each only with its secret, which is what lets its sender in. */
const webhooksOf = async (daybook: Daybook, settings: Settings): Promise<readonly Route[]> => {
  const reference = settings.config.github.webhook_secret;
  if (!settings.config.start.webhooks || reference === null) return [];
  const secret = (await secretOf(settings, reference))?.trim();
  if (!secret) throw new Usage("the configuration points at a webhook secret that is not there");
  const { pushReceiver } = await import("./adapters/github/receive.ts");
  const receive = pushReceiver({ target: daybook, secret, by: { authtype: "system", authid: "github" } });
  return [{
    method: "POST",
    path: "/webhooks/github",
    needs: "nothing",
    about: "Pushes as GitHub posts them, signed with the secret of the configuration.",
    handle: ({ request }) => receive(request),
  }];
};

/** The socket of a process that died is still there; the lock says that it is ours to take away. */
const listenInside = async (server: Server, path: string): Promise<void> => {
  if (await exists(path)) await Deno.remove(path);
  server.listenUnix(path, OPERATOR);
};

const tlsOf = async (settings: Settings): Promise<{ readonly cert: string; readonly key: string } | undefined> => {
  const { certificate, key } = settings.config.server.tls;
  if (certificate === null || key === null) return undefined;
  return {
    cert: await Deno.readTextFile(inFolderOf(settings.file, certificate)),
    key: (await secretOf(settings, key))!,
  };
};

const secretOf = async ({ file }: Settings, secret: SecretReference): Promise<string | undefined> =>
  "env" in secret ? Deno.env.get(secret.env) : await Deno.readTextFile(inFolderOf(file, secret.file));

const GIT_KINDS: Readonly<Partial<Record<GitImportFailed["code"], ImportFault["kind"]>>> = {
  git_missing: "no_git",
  no_such_folder: "usage",
  not_a_repository: "not_a_repository",
  unknown_range: "usage",
};

const gitImport: Runtime["importGit"] = async (target, path, { name, range, signal }, progress) => {
  const { importGit } = await import("./adapters/git/import.ts");
  const done = await importGit(target, {
    path,
    by: OPERATOR.principal,
    clock: systemClock,
    ...(name === undefined ? {} : { source: name }),
    ...(signal === undefined ? {} : { signal }),
    ...(range === undefined ? {} : { range: range.split(/\s+/) }),
    progress: ({ doing, done, total }) => doing === "listing" || progress({ done, total, unit: doing }),
  });
  if (!done.ok) throw new ImportFault(GIT_KINDS[done.code] ?? "io", `${done.message}. ${done.advice}`);
  return gitImportOf(done);
};

const gitImportOf = (done: GitImported): GitImport => {
  return {
    stream: done.stream,
    commits: done.commits.new,
    events: done.events,
    duplicates: done.commits.known,
    branches: done.branches.total,
    shallow: done.shallow,
    empty: done.empty,
    problems: [
      ...done.branches.rejected.map((why) => `branch ${why}`),
      ...done.unreadable.map(({ sha, why }) => `commit ${sha} was left out: ${why}`),
    ],
  };
};

const main = async (): Promise<number> => {
  const io = terminal((name) => Deno.env.get(name));
  const { generation, typed } = generationOf(Deno.args);
  // Whoever started us for its own sake and died meant us to end, too.
  if (generation > 0) onOrphaned(() => io.stop() || Deno.exit(3));
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    io.err(
      `daybook: this should not have happened: ${
        event.reason instanceof Error ? event.reason.message : event.reason
      }\n`,
    );
    Deno.exit(3);
  });
  const permissionsOf = (grants: Grants): Permissions => ({ ...grants, env: [...ENVIRONMENT, ...grants.env] });
  const again = (grants: Grants, args: readonly string[]) =>
    reexecute(
      argumentsOf(import.meta.url, args, {
        permissions: permissionsOf(grants),
        generation: generation + 1,
        self: Deno.execPath(),
      }),
    );
  return await commandLine(typed, {
    io,
    place: { data: resolve(".daybook"), version: VERSION },
    house: { config: inHouse("config"), own: ["main.ts", "actors", "adapters", "events", "projections"].map(inHouse) },
    settings: settingsOf,
    permissions: { granted, ...(generation < GENERATIONS_MAX ? { again } : {}) },
    runtime: () => Promise.resolve(runtimeOf(io)),
  });
};

// The thread of the projections is this file in a worker, which has no window and a name.
if ("WorkerGlobalScope" in globalThis && (globalThis as { name?: string }).name === THREAD) await projectApart();
else if (import.meta.main) Deno.exit(await main());
