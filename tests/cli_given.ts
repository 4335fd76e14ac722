/** A command line in a world of its own: a small Daybook in memory, and everything that was printed. */
import type { Daybook } from "../actors/kernel/daybook.ts";
import { Usage } from "../adapters/cli/call.ts";
import { commandLine } from "../adapters/cli/main.ts";
import type { World } from "../adapters/cli/main.ts";
import type { Runtime, Token } from "../adapters/cli/runtime.ts";
import type { Reader } from "../adapters/cli/reader.ts";
import { type Io, OutputClosed } from "../adapters/cli/io.ts";
import { build } from "../adapters/cli/fold.ts";
import { emitterOf } from "../adapters/siem/emitter.ts";
import { type Format, headOf, lineOf } from "../adapters/siem/format.ts";
import { MemoryViews } from "../adapters/memory/views.ts";
import { LogFault } from "../events/log.ts";
import { parseConfig, problemsText } from "../config/config.ts";
import { systemClock } from "../adapters/system/world.ts";
import { givenDaybook } from "./http_given.ts";
import type { Given } from "./http_given.ts";

export const NOW = "2026-11-20T09:00:00.000Z";

export interface Typed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Stage extends Given {
  /** Replace any part of the world. */
  readonly runtime: { -readonly [P in keyof Runtime]?: Runtime[P] };
  readonly io: Partial<Io>;
  readonly world: Partial<World>;
  /** Path → content; what was written is here too. */
  readonly files: Map<string, string>;
  readonly tokens: Token[];
  readonly env: Record<string, string>;
  /** Folds the stored views up to this size. */
  store(size?: number): void;
  /** Types a command, with `--data /data` unless it has its own. */
  type(...args: string[]): Promise<Typed>;
  /** The document that `--json` printed. */
  json<T = Record<string, unknown>>(...args: string[]): Promise<T & { readonly exit: number }>;
}

/** What a reader sees of the log in memory. */
export const readerOf = (log: Daybook["log"]): Reader => ({
  get size() {
    return log.size;
  },
  indexed: 0,
  read: (range) => log.read(range),
  find: (source, id) => log.find(source, id),
  head: (stream) => log.head(stream),
  entry: (position) => log.entry(position),
  tree: log.tree,
  positionAt: (time) => log.positionAt(time),
  checkpoint: () => log.checkpoint(),
  blobs: () => [],
  checkpoints: () => [],
  bytes: () => 1_234,
  renew: () => Promise.resolve(),
  close: () => Promise.resolve(),
});

export const givenStage = (): Stage => {
  const given = givenDaybook();
  const { daybook, log } = given;
  let stored: MemoryViews | undefined;
  const files = new Map<string, string>();
  const tokens: Token[] = [];
  const env: Record<string, string> = {};
  const runtime: Stage["runtime"] = {};
  const io: Partial<Io> = {};
  const world: Partial<World> = {};
  const reader = readerOf(log);
  const store = (size = log.size) => {
    stored = new MemoryViews();
    for (const projection of daybook.projections) {
      build(reader, projection, { scratch: stored, until: size, progress: () => {} });
    }
  };
  const type = async (...args: string[]): Promise<Typed> => {
    let [out, err] = ["", ""];
    const fakeIo: Io = {
      out: (text) => void (out += text),
      err: (text) => void (err += text),
      terminal: { out: false, err: false },
      columns: 80,
      env: (name) => env[name],
      cwd: "/here",
      readText: (path) =>
        files.has(path)
          ? Promise.resolve(files.get(path)!)
          : Promise.reject(new Deno.errors.NotFound(`no such file: ${path}`)),
      readTail: (path, bytes, from) => {
        const text = files.get(path) ?? "";
        const start = from === undefined || from > text.length ? Math.max(0, text.length - bytes) : from;
        return Promise.resolve({ text: text.slice(start), end: text.length });
      },
      readInput: () => Promise.resolve(files.get("-") ?? ""),
      writePrivate: (texts) => Promise.resolve(Object.entries(texts).forEach(([path, text]) => files.set(path, text))),
      create: (path) => fakeIo.draft(path),
      expectPlace: () => Promise.resolve(),
      draft: (path) => {
        let text = "";
        return Promise.resolve({
          write: (piece) => void (text += typeof piece === "string" ? piece : new TextDecoder().decode(piece)),
          settle: () => Promise.resolve(),
          name: () => Promise.resolve(void files.set(path, text)),
          drop: () => Promise.resolve(),
        });
      },
      folder: () => Promise.resolve(),
      isEmpty: (path) => Promise.resolve(![...files.keys()].some((file) => file.startsWith(`${path}/`))),
      onStop: () => () => {},
      ...io,
    };
    const whole: Runtime = { ...fakeRuntime({ daybook, reader, tokens, io: fakeIo, views: () => stored }), ...runtime };
    const code = await commandLine(
      args.includes("--data") || args.length === 1 && ["import", "token", "help"].includes(args[0]!)
        ? args
        : [...args, "--data", "/data"],
      {
        io: fakeIo,
        place: { data: "/here/.daybook", version: "1.2.3" },
        house: { config: "/house/config", own: [] },
        settings(file, overrides) {
          const parsed = parseConfig(
            file === undefined ? "" : files.get(file) ?? "",
            file ?? "daybook.yaml",
            {},
            overrides,
          );
          if (!parsed.ok) return Promise.reject(new Usage(problemsText(parsed.problems)));
          return Promise.resolve({ config: parsed.config, file: file ?? "/house/config/daybook.yaml" });
        },
        permissions: { granted: () => true },
        scratch: { path: "/scratch/one", wanted: () => Promise.resolve(false) },
        runtime: () => Promise.resolve(whole),
        ...world,
      },
    );
    return { code, out, err };
  };
  return {
    ...given,
    runtime,
    io,
    world,
    files,
    tokens,
    env,
    store,
    type,
    async json(...args) {
      const { code, out } = await type(...args, "--json");
      return { ...JSON.parse(out), exit: code };
    },
  };
};

const fakeRuntime = (
  { daybook, reader, tokens, io, views }: {
    daybook: Daybook;
    reader: Reader;
    tokens: Token[];
    io: Io;
    views: () => MemoryViews | undefined;
  },
): Runtime => {
  const none = (what: string) => () => Promise.reject(new Error(`${what} is not given in this test`));
  return {
    io,
    clock: systemClock,
    version: "1.2.3",
    quit: (code) => {
      throw new Error(`quit ${code}`);
    },
    // One test may open it again and again.
    open: () => Promise.resolve({ ...daybook, close: () => Promise.resolve() }),
    serve: none("serve"),
    serveInside: () => Promise.resolve(),
    isWriting: () => Promise.resolve(false),
    remote: () => Promise.resolve(undefined),
    newKey: none("newKey"),
    reader: () => daybook.log.size >= 0 ? Promise.resolve(reader) : Promise.reject(new LogFault("foreign", "no log")),
    whoCould: none("whoCould"),
    secretList: () => Promise.resolve([]),
    views: () => Promise.resolve(views()),
    scratch: () => Promise.resolve(new MemoryViews()),
    edge: () =>
      Promise.resolve({
        unseal: (value) => daybook.unseal(value),
        redact: (value) => daybook.redact(value),
        close: () => {},
      }),
    projections: () => Promise.resolve(daybook.projections),
    computed: () => Promise.resolve([]),
    tokens: () =>
      Promise.resolve({
        create({ name, scopes, expires, tenant = "default" }) {
          const record: Token = {
            id: `t_${tokens.length}`,
            name,
            scopes,
            tenant,
            created: NOW,
            ...(expires ? { expires } : {}),
          };
          tokens.push(record);
          return Promise.resolve({ token: `secret-${record.id}`, record });
        },
        list: () => Promise.resolve(tokens),
        revoke(id) {
          const at = tokens.findIndex((token) => token.id === id);
          if (at >= 0) tokens[at] = { ...tokens[at]!, revoked: NOW };
          return Promise.resolve(at >= 0);
        },
        close: () => Promise.resolve(),
      }),
    tokenList: () => Promise.resolve(tokens),
    guarded: () => Promise.resolve(false),
    accounts: () => Promise.resolve(false),
    expectLog: () => Promise.resolve(),
    checkGit: () => Promise.resolve(),
    importGit: none("importGit"),
    checkPush: () => Promise.resolve(undefined),
    importPush: none("importPush"),
    benchRun: none("benchRun"),
    checkReceipt: none("checkReceipt"),
    receiptHolds: none("receiptHolds"),
    anchor: none("anchor"),
    witness: none("witness"),
    verifierKey: () => Promise.resolve("daybook+1a2b3c4d+key"),
    verifierKeys: () => Promise.resolve(["daybook+1a2b3c4d+key"]),
    operate: none("operate"),
    writeArchive: none("writeArchive"),
    holds: () => Promise.resolve([]),
    persons: () => {
      throw new Error("persons is not given in this test");
    },
    checkCertificate: none("checkCertificate"),
    rootKey: none("rootKey"),
    importSample: none("importSample"),
    lines: (format, origin) =>
      Promise.resolve({
        head: headOf(format as Format),
        line: (event) => lineOf(event, format as Format, emitterOf("1.2.3", origin)),
      }),
    checkCloudtrail: none("checkCloudtrail"),
    importCloudtrail: none("importCloudtrail"),
    checkSshd: none("checkSshd"),
    importSshd: none("importSshd"),
    verify: none("verify"),
    exportTiles: none("exportTiles"),
    verifyTiles: none("verifyTiles"),
    configurations: none("configurations"),
    stacks: none("stacks"),
    controls: none("controls"),
    assess: none("assess"),
    writeAudit: none("writeAudit"),
    checkAudit: none("checkAudit"),
    backup: none("backup"),
    restore: none("restore"),
  };
};

/** An output that its reader closes after so many characters, as `head` does. */
export const closedAfter = (characters: number): Pick<Io, "out"> => {
  let left = characters;
  return {
    out(text) {
      if ((left -= text.length) < 0) throw new OutputClosed("closed");
    },
  };
};
