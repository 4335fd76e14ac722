/**
 * What the command line touches of the world (`../cli/runtime.ts`), for real. What one command alone needs is loaded when it is
 * called, so that the others start sooner.
 */
import { Buffer } from "node:buffer";
import type { Daybook, Issue } from "../../actors/kernel/daybook.ts";
import type { Override } from "../../config/config.ts";
import { parseIJson } from "../../events/canonical.ts";
import { LIMITS, LogFault } from "../../events/log.ts";
import { events } from "../../events/mod.ts";
import { projections } from "../../projections/mod.ts";
import type { BundleSource } from "../backup/bundle.ts";
import { Usage } from "../cli/call.ts";
import { connect } from "../cli/remote.ts";
import { type Runtime, type Tokens as TokenStore, ViewsUnreadable } from "../cli/runtime.ts";
import { type GitImport, ImportFault } from "../cli/imports.ts";
import type { Io, OnProgress } from "../cli/io.ts";
import { sealedEdge } from "../cli/sealed_edge.ts";
import type { Settings } from "../cli/settings.ts";
import type { GitImported, GitImportFailed } from "../git/import.ts";
import { sealingOf } from "../keys/at_rest.ts";
import { type Keys, openKeys, type RootSource } from "../keys/keys.ts";
import type { Scope } from "../../events/scopes.ts";
import { FolderReader } from "../kv/folder_reader.ts";
import { Older } from "../sqlite/connection.ts";
import { isLeftOpen, ScratchFault } from "../sqlite/scratch.ts";
import type { Format } from "../siem/format.ts";
import { CRASH_VARIABLE, crashAt } from "../process/crash.ts";
import { SqliteViews } from "../sqlite/views.ts";
import { systemClock } from "../system/world.ts";
import { knownKey, sealedBy } from "./at_rest.ts";
import type { OpenOptions } from "./daybook.ts";
import type { Opened } from "./opened.ts";
import { exists, FILES, logIn, makeFolder, MEMORY } from "./files.ts";
import { type Folders, isWriting, withKeys, withLog } from "./folder.ts";
import { OPERATOR } from "./operator.ts";
import { privacyRuntime } from "./privacy/runtime.ts";

/** A witness answers within this, or is not there. */
const WITNESS_MS_MAX = 30_000;

/** Reads and checks the configuration that was named, or the default one. */
export type SettingsOf = (named: string | undefined, overrides: readonly Override[]) => Promise<Settings>;

/** Where the root key of a folder's keys is; by default as the default configuration says. */
export type RootOf = (data: string, settings?: Settings) => Promise<RootSource>;

/** What cannot be served leaves no folder behind. */
const refuseUnfit = async (settings: Settings, io: Io): Promise<void> => {
  const { certificate, clients } = settings.config.server.tls;
  if (certificate === null && clients === null) return;
  const [listener, { secretsOf }] = [await import("./certificates/listener.ts"), await import("./secrets.ts")];
  await listener.refuseUnfit(settings, secretsOf(settings, io));
};

/** What `serve` needs of what `open` made. */
const systems = new WeakMap<Daybook, { readonly opened: Opened; readonly told: () => void }>();

export const runtimeOf = (
  { io, settingsOf, rootOf, version, folders }: {
    readonly io: Io;
    readonly settingsOf: SettingsOf;
    readonly rootOf: RootOf;
    readonly version: string;
    readonly folders: Folders;
  },
): Runtime => ({
  ...privacyRuntime({ io, folders }),
  io,
  clock: systemClock,
  version,
  quit: (code) => Deno.exit(code),
  async open(data, settings) {
    if (settings) await refuseUnfit(settings, io);
    if (settings?.stack) (await import("../process/agent/line.ts")).beginAhead();
    const { openSystem } = await import("./daybook.ts");
    const stated = settings ?? await settingsOf(undefined, []);
    const told = Promise.withResolvers<void>();
    const opened = await openSystem({
      data,
      config: stated.config,
      ...(data === MEMORY ? {} : { root: await rootOf(data, stated) }),
      report: (line) => io.err(`daybook: ${line}\n`),
      ...crashing(io),
      // With settings it is going to be served, else it is there for one command, which ends when its views are there.
      ...(settings ? { threads: told.promise, neededAlone: !settings.config.start.projections } : { awaited: true }),
    });
    systems.set(opened.daybook, { opened, told: told.resolve });
    return opened.daybook;
  },
  async serve(daybook, options) {
    const { serve } = await import("./serve.ts");
    const { opened, told } = systems.get(daybook)!;
    const { begun, ...served } = await serve(opened, options, io);
    // Threads take processors that services start with.
    const serving = { ...served, told: () => void begun.then(told) };
    if (!opened.crash) return serving;
    const { crashInServing } = await import("./crash_points.ts");
    return crashInServing(serving, opened.crash);
  },
  async serveInside(daybook, data) {
    const { serveInside } = await import("./serve.ts");
    await serveInside(systems.get(daybook)!.opened, { data, settings: await settingsOf(undefined, []) }, io);
  },
  isWriting,
  remote: connect,
  async newKey() {
    const { keyPem, newKey, publicKeyOf } = await import("../x509/key.ts");
    const key = newKey();
    return { key: keyPem(key), public_key: Buffer.from(publicKeyOf(key)).toString("base64") };
  },
  async operate(daybook, operation, input, progress) {
    const { operate } = await import("./operations.ts");
    const stopping = new AbortController();
    const stop = io.onStop(() => stopping.abort());
    try {
      return await operate(systems.get(daybook)!.opened, operation, { input, progress, signal: stopping.signal });
    } finally {
      stop();
    }
  },
  reader: (data, archive) => folders.log(data, archive),
  async whoCould(data, asking) {
    const { whoCould } = await import("./access/who_could.ts");
    return await withLog(folders, data, (log) => whoCould(log, asking));
  },
  async holds(data) {
    const { holdsIn } = await import("./holds.ts");
    return await withLog(folders, data, (log) => holdsIn(log, systemClock.now()));
  },
  async writeArchive(data, folder, what, progress) {
    const { writeArchive } = await import("./archive_folder.ts");
    return await withLog(folders, data, (log) => writeArchive(log, folder, what, progress), what.taken);
  },
  async views(data) {
    const path = `${data}/${FILES.views}`;
    if (!await exists(path)) return undefined;
    try {
      return await folders.atRest(data, async (key) => {
        const sealed = key && await sealedBy(key);
        return await folders.open(
          data,
          FILES.views,
          (file) => new SqliteViews({ path: data, readOnly: true, file, sealed }),
        );
      });
    } catch (error) {
      if (error instanceof ScratchFault) throw error;
      const because = error instanceof Error ? error.message : error;
      throw new ViewsUnreadable(`cannot read ${path}: ${because}`, error instanceof Older);
    }
  },
  scratch: () => Promise.resolve(new SqliteViews({ path: MEMORY })),
  async edge(data) {
    // A folder may come without its keys: then everything personal stays sealed.
    const keys = await folders.keys(data);
    if (!keys) return sealedEdge;
    const { sealer } = keys;
    return {
      unseal: (value) => sealer.unseal(value),
      redact: (value) => sealer.redact(value),
      close: () => keys.close(),
    };
  },
  async lines(format, origin) {
    const { emitterOf } = await import("../siem/emitter.ts");
    const { headOf, lineOf } = await import("../siem/format.ts");
    const emitter = emitterOf(version, origin);
    return { head: headOf(format as Format), line: (event) => lineOf(event, format as Format, emitter) };
  },
  projections: () => Promise.resolve(projections),
  async computed(log) {
    const { whoCouldView } = await import("./access/who_could_view.ts");
    return [whoCouldView(log, systemClock)];
  },
  configurations: () => import("./configuration.ts"),
  stacks: () => import("./stack/plan.ts"),
  tokens: async (data) => await tokensOf(data, await rootOf(data)),
  secretList: (data) => listed(folders, data, ({ stored }) => stored.list()),
  tokenList: (data) => listed(folders, data, ({ tokens }) => tokens.list()),
  accounts: async (data) => await withKeys(folders, data, (keys) => keys.accounts.all().length > 0) ?? false,
  async guarded(data, action) {
    if (!await exists(`${data}/${FILES.log}`)) return false;
    const { enforcedIn } = await import("./controls/gate.ts");
    return await withLog(
      folders,
      data,
      (log) => [...enforcedIn(log).values()].some(({ guards }) => guards.includes(action)),
    );
  },
  async checkGit(path, { range, data }) {
    const { refusal } = await import("../git/import.ts");
    // Where there is a log, only what it does not know yet is listed, by the import itself.
    const whole = !await exists(`${data}/${FILES.log}`);
    const refused = await refusal({ path, whole, ...(range === undefined ? {} : { range: range.split(/\s+/) }) });
    if (refused) throw importFault(refused);
  },
  importGit: gitImport,
  async checkPush(body) {
    const push = await pushIn(body);
    return push.is === "ignored" ? push.because : undefined;
  },
  importPush,
  async benchRun(text, options) {
    const { translateRun } = await import("../deno_bench/report.ts");
    const translated = translateRun(text, options);
    if (translated.ok) return translated.run;
    throw new ImportFault("usage", because(translated.issues));
  },
  async checkCloudtrail(paths, progress, signal) {
    const { checkFiles } = await import("../cloudtrail/import.ts");
    return await checkFiles(paths, inBytes(progress), signal);
  },
  async importCloudtrail(target, files, progress, signal) {
    const { importFiles } = await import("../cloudtrail/import.ts");
    const by = OPERATOR.principal;
    return await importFiles(target, files, { by, clock: systemClock, told: inBytes(progress), signal });
  },
  async checkSshd(paths, zone, progress, signal) {
    const { checkLogs } = await import("../sshd/import.ts");
    const { isZone, systemZone } = await import("../sshd/calendar.ts");
    if (zone !== undefined && !isZone(zone)) {
      throw new ImportFault("usage", `--zone takes a name such as Europe/Berlin or UTC, not ${JSON.stringify(zone)}`);
    }
    return await checkLogs(paths, { zone: zone ?? systemZone(), told: inBytes(progress), signal });
  },
  async importSshd(target, files, progress, signal) {
    const { importLogs } = await import("../sshd/import.ts");
    const by = OPERATOR.principal;
    return await importLogs(target, files, { by, clock: systemClock, told: inBytes(progress), signal });
  },
  async importSample(target) {
    const { importSample } = await import("../git/sample.ts");
    return gitImportOf(await importSample(target, { by: OPERATOR.principal, clock: systemClock }));
  },
  verifierKey: (data) => withKeys(folders, data, (keys) => keys.logKey.signer.vkey),
  async expectLog(data) {
    if (data !== MEMORY) await logIn(data);
  },
  verifierKeys: async (data) => await withKeys(folders, data, (keys) => keys.logKey.vkeys) ?? [],
  async verify(data, options, progress) {
    const { verifyFolder } = await import("./verify.ts");
    return await verifyFolder(folders, data, options, progress);
  },
  async checkReceipt(text, { keys, witnesses }) {
    const { receiptReport } = await import("./receipt.ts");
    return receiptReport(text, keys, witnesses);
  },
  async receiptHolds(text) {
    const { receiptHolds } = await import("./receipt.ts");
    return receiptHolds(text);
  },
  async anchor({ checkpoint, tree }, { url, key }) {
    const { anchor } = await import("./anchor.ts");
    const to = `${url.replace(/\/+$/, "")}/add-checkpoint`;
    const post = (body: string) =>
      fetch(to, { method: "POST", body, redirect: "error", signal: AbortSignal.timeout(WITNESS_MS_MAX) });
    return await anchor({ checkpoint, tree, key, post });
  },
  async witness(options) {
    const { openWitness } = await import("./witness_folder.ts");
    return await openWitness(options);
  },
  async controls(folder) {
    const { readControls } = await import("./controls_files.ts");
    return await readControls(folder);
  },
  async assess(log, asked, controls, progress) {
    const { assess } = await import("../audit/assessment.ts");
    const { sources } = await import("./audit.ts");
    return assess(log, asked, {
      controls: controls.map(({ control }) => control),
      sources,
      onProgress: (done, total) => progress({ done, total, unit: "events" }),
    });
  },
  async writeAudit(from, folder, options, progress) {
    const { writeAudit } = await import("./audit.ts");
    return await writeAudit({ ...from, ...options, version }, folder, progress);
  },
  async checkAudit(folder, { key, witnesses, against }, progress) {
    const { checkAudit } = await import("./audit_check.ts");
    const { readControls } = await import("./controls_files.ts");
    return await checkAudit({ folder, key, witnesses, against, version, own: await readControls() }, progress);
  },
  async verifyTiles(folder, { key, against }, progress) {
    const { verifyTlog } = await import("../verify/tlog.ts");
    const kept = against.map((one) => ({ ...one, elsewhere: true }));
    return await verifyTlog({ folder, key, against: kept, progress });
  },
  async exportTiles({ log, checkpoint }, folder, progress) {
    const { exportTiles } = await import("./tiles.ts");
    return await exportTiles({ log, checkpoint }, folder, progress);
  },
  async backup(data, destination, { passphrase, signal }, progress) {
    const { backupLog } = await import("../backup/backup.ts");
    const { bundleFiles } = await import("../backup/bundle.ts");
    const { verifyLog } = await import("../verify/verify.ts");
    const path = await logIn(data);
    const key = await withKeys(folders, data, knownKey);
    if (key && passphrase === undefined) {
      throw new LogFault(
        "invalid",
        "the folder is sealed at rest, so a backup can be read with its keys alone: add --with-keys",
      );
    }
    const leftOpen = await isLeftOpen(path) && !await isWriting(data);
    // What was left open is not opened where it lies; then the copy itself tells.
    const newest = (path: string) => newestIn(path, key);
    const checkpoint = leftOpen ? newest : await newest(path);
    return await backupLog({
      log: path,
      writing: () => isWriting(data),
      destination,
      verify: (path, options) => verifyLog({ path, catalogue: events, sealedUnder: key, ...options }),
      created: new Date().toISOString(),
      checkpoint,
      ...(passphrase === undefined ? {} : {
        keys: {
          passphrase,
          signedBy: async () => await withKeys(folders, data, ({ logKey }) => logKey.vkeys.join("\n")) ?? "",
          export: async (scratch) =>
            await bundleFiles(scratch, async () => [
              { name: FILES.keys, path: `${data}/${FILES.keys}`, database: true },
              // A root key from elsewhere is kept there.
              ...await rootIn(data, rootOf),
            ]),
        },
      }),
      progress,
      ...(signal ? { signal } : {}),
    });
  },
  async restore(source, data, options, progress) {
    const { restore } = await import("./restore.ts");
    const { replaces, agreed } = options;
    if (replaces === undefined) return await restore(rootOf, source, data, { ...options, agreed: [] }, progress);
    const { erasuresIn } = await import("./privacy/erasures.ts");
    const { newestIn } = await import("./replaced.ts");
    const erased = await erasuresIn(folders, replaces);
    const newest = await newestIn(folders, replaces);
    const replaced = { erased, newest, agreed: agreed ? newest.vkeys : [] };
    return await restore(rootOf, source, data, { ...options, ...replaced }, progress);
  },
});

/** The root key's file, where it lies in the folder; with one that is about to take its place. */
const rootIn = async (data: string, rootOf: RootOf): Promise<readonly BundleSource[]> => {
  const source = await rootOf(data);
  if (!("file" in source) || !source.file.startsWith(`${data}/`)) return [];
  const next = `${FILES.root}.next`;
  return [
    { name: FILES.root, path: source.file, database: false },
    ...await exists(`${data}/${next}`) ? [{ name: next, path: `${data}/${next}`, database: false }] : [],
  ];
};

/** Where this process is to die, if its environment says so. */
const crashing = (io: Io): Pick<OpenOptions, "crashAt"> => {
  const text = io.env(CRASH_VARIABLE);
  if (text === undefined) return {};
  try {
    crashAt(text);
    return { crashAt: text };
  } catch (error) {
    throw new Usage(`${CRASH_VARIABLE}: ${(error as Error).message}`);
  }
};

/** The newest checkpoint in a log's file, as a signed note. */
const newestIn = async (path: string, key: Uint8Array | undefined): Promise<string | undefined> => {
  const log = new FolderReader(path, { catalogue: events, sealing: key && sealingOf(key) });
  try {
    return (await log.checkpoint())?.note;
  } finally {
    await log.close();
  }
};

/** None in a log without keys; `missing` where there is neither. */
const listed = async <T>(folders: Folders, data: string, list: (keys: Keys) => readonly T[]): Promise<readonly T[]> =>
  await withKeys(folders, data, list) ?? await logIn(data).then(() => []);

/** For what tells of bytes that were read. */
const inBytes = (progress: OnProgress) => (read: { readonly done: number; readonly total: number }): void =>
  progress({ ...read, unit: "bytes" });

const because = (issues: readonly Issue[]): string =>
  issues.map(({ path, message }) => `${path || "/"}: ${message}`).join("; ");

/** Throws `ImportFault` for what GitHub does not send. */
const pushIn = async (body: string) => {
  const { translatePush } = await import("../github/push.ts");
  const push = translatePush(parseIJson(body, LIMITS.data_depth_max), { by: OPERATOR.principal });
  if (push.is === "invalid") throw new ImportFault("usage", because(push.issues));
  return push;
};

const importPush: Runtime["importPush"] = async (target, body) => {
  const { recordPush } = await import("../github/record.ts");
  const push = await pushIn(body);
  if (push.is === "ignored") return { commits: 0, known: 0, moves: 0, note: push.because };
  const done = await recordPush(target, push, OPERATOR.principal);
  if (done.is === "refused") throw new ImportFault("usage", done.because);
  if (done.is === "unavailable") throw new ImportFault("io", "it could not be recorded now; import it again");
  const { commits, known, moves, rejected } = done;
  return { commits, known, moves, ...(rejected ? { note: `${rejected.code}: ${rejected.because}` } : {}) };
};

const tokensOf = async (data: string, root: RootSource): Promise<TokenStore> => {
  const path = `${data}/${FILES.keys}`;
  await makeFolder(data);
  const keys = openKeys({
    path,
    root,
    clock: systemClock,
    catalogue: events,
    existing: await exists(`${data}/${FILES.log}`),
  });
  const { tokens } = keys;
  return {
    create({ name, scopes, expires, tenant }) {
      const ends = expires === undefined ? undefined : Date.parse(expires);
      const { token, id } = tokens.create(name, scopes as readonly Scope[], ends, { tenant });
      return Promise.resolve({ token, record: tokens.list().find((made) => made.id === id)! });
    },
    list: () => Promise.resolve(tokens.list()),
    revoke: (id) => Promise.resolve(tokens.revoke(id)),
    close: () => Promise.resolve(keys.close()),
  };
};

const GIT_KINDS: Readonly<Partial<Record<GitImportFailed["code"], ImportFault["kind"]>>> = {
  git_missing: "no_git",
  no_such_folder: "usage",
  not_a_repository: "not_a_repository",
  unsafe: "unsafe",
  corrupt: "corrupt",
  stopped: "stopped",
  unavailable: "unavailable",
  unknown_range: "usage",
};

const importFault = ({ code, message, advice }: GitImportFailed): ImportFault =>
  new ImportFault(GIT_KINDS[code] ?? "io", `${message}. ${advice}`);

const gitImport: Runtime["importGit"] = async (target, path, { name, range, signal }, progress) => {
  const { importGit } = await import("../git/import.ts");
  const done = await importGit(target, {
    path,
    by: OPERATOR.principal,
    clock: systemClock,
    ...(name === undefined ? {} : { source: name }),
    ...(signal === undefined ? {} : { signal }),
    ...(range === undefined ? {} : { range: range.split(/\s+/) }),
    progress: ({ doing, done, total }) => doing === "listing" || progress({ done, total, unit: doing }),
  });
  if (!done.ok) throw importFault(done);
  return gitImportOf(done);
};

const gitImportOf = (done: GitImported): GitImport => ({
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
});
