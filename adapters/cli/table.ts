/**
 * Every command there is: what it is called, what it takes, an example, what it may touch, and where its code is. Help,
 * parsing, permissions and tests are derived from this table; the code is loaded when its command is called.
 */
import { ALERTS } from "./table_alerts.ts";
import { dirname } from "node:path";
import { list, text } from "./call.ts";
import type { CommandSpec } from "./command.ts";
import { pointedAt } from "./settings.ts";
import { AUDIT } from "./table_audit.ts";
import { CERTIFICATES } from "./table_certificates.ts";
import { ACCESS } from "./table_access.ts";
import { IDENTITY, PROOF } from "./table_identity.ts";
import { IMPORTS } from "./table_import.ts";
import { PRIVACY } from "./table_privacy.ts";
import { RETENTION } from "./table_retention.ts";
import { SERVICES } from "./table_services.ts";
import { providerGrants } from "./provider_grants.ts";
import { sinkGrants } from "./sink_grants.ts";
import {
  address,
  drafts,
  files,
  HOST,
  hostOf,
  PORT,
  reads,
  readsArchive,
  SOCKET_HOST,
  socketOf,
  WITNESS_PORT,
  witnessPort,
  writes,
} from "./grants.ts";

// A folder that is filled beside its place and then renamed needs the folder around it: the name meanwhile is a random one.

const PERSONAL = { flags: "--personal", about: "show personal values in plain text (needs the keys in the folder)" };
const ARCHIVE = { flags: "--archive <folder>", about: "where what was archived of the log can be read" };
/** Options of every command; they may stand before its name, too. */
export const COMMON = [
  { flags: "--data <folder>", about: "the log's folder (else DAYBOOK_DATA, else .daybook)" },
  { flags: "--json", about: "one JSON document on standard output" },
] as const;

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "start",
    opens: true,
    about: "Serve the log and run all supervised actors, until SIGINT, SIGTERM or SIGHUP",
    options: [
      { flags: "--host <address>", about: `address to listen on (default ${HOST})` },
      { flags: "--port <number>", about: `port to listen on, 0 for any free one (default ${PORT})` },
      { flags: "--tls-cert <file>", about: "certificate chain, PEM" },
      { flags: "--tls-key <file>", about: "private key, PEM" },
      { flags: "--behind-proxy <address>", about: "the proxy in front, whose Forwarded header alone is believed" },
      { flags: "--profile <name>", about: "what is started: minimal, development, full or testing" },
      { flags: "--config <file>", about: "configuration (default config/daybook.yaml)" },
      { flags: "--stack <file>", about: "services to run (default: those of the configuration)" },
    ],
    examples: ["start", "start --data /var/lib/daybook --port 8080", "start --data :memory: --port 0"],
    memory: true,
    configured: true,
    needs: (call, settings) => {
      const { host, port } = settings?.config.server ?? { host: HOST, port: PORT };
      const { files: read, variables: env } = settings ? pointedAt(settings) : { files: [], variables: [] };
      const kept = call.data === ":memory:" ? [] : [call.data];
      const serving = settings !== undefined && (settings.stack ?? text(call, "stack")) !== undefined;
      const agent = serving ? { agent: true as const } : {};
      // Its services listen on ports of their own, which probes ask.
      const net = serving ? [address(host, port), HOST] : [address(host, port)];
      const out = settings ? sinkGrants(settings, call.data) : { net: [], write: [] };
      const vouching = settings ? providerGrants(settings).net : [];
      return {
        read: [...kept, ...read, ...out.write],
        write: [...kept, ...out.write],
        net: [...net, ...out.net, ...vouching],
        env,
        ...agent,
      };
    },
    load: async () => (await import("./commands/start.ts")).start,
  },
  {
    name: "demo",
    opens: true,
    about: "See it work: import a git repository, follow it through actors and projections, verify and replay",
    args: [["[repository]", "folder of a git repository (default: the one you stand in)"]],
    options: [{ flags: "--range <revisions>", about: "only these commits, as git log takes them" }],
    examples: ["demo", "demo ~/src/linux --range v6.0..v6.1", "demo --json"],
    needs: (call) => ({ ...writes(call), run: ["git"] }),
    load: async () => (await import("./commands/demo.ts")).demo,
  },
  ...IMPORTS,
  {
    name: "status",
    reads: true,
    about: "Size, checkpoint, health and projections of a log, running or not",
    examples: ["status", "status --json --data /var/lib/daybook"],
    needs: reads,
    load: async () => (await import("./commands/status.ts")).status,
  },
  {
    name: "view",
    reads: true,
    about: "Read a view; without a name, list them",
    args: [["[name]", "such as commits.hotspots"], ["[key]", "one row"]],
    options: [
      { flags: "--at <moment>", about: "as of after this position was applied, or as of this recorded time" },
      {
        flags: "--where <field=value>",
        about: "only rows with this value in an indexed field; may be repeated",
        collect: true,
      },
      { flags: "--text <words>", about: "only rows with all these words, where the view has full text" },
      { flags: "--prefix <text>", about: "only keys that begin so" },
      { flags: "--sort <field>", about: "an indexed field (default: key)" },
      { flags: "--descending", about: "largest first" },
      { flags: "--limit <rows>", about: "1 to 1000 (default 50)" },
      { flags: "--after <cursor>", about: "next page, as the page before told" },
      PERSONAL,
      ARCHIVE,
    ],
    examples: [
      "view",
      "view commits.hotspots --sort churn --descending --limit 10",
      "view commits.repository linux --at 90412",
      "view audit.trail --where type=commits.branch.moved --json",
    ],
    needs: readsArchive,
    load: async () => (await import("./commands/view.ts")).view,
  },
  {
    name: "events",
    reads: true,
    about: "Read the log: the newest 50 events, or from a position or time on",
    options: [
      {
        flags: "--follow",
        about: "go on with new events as they come, until interrupted; with --json one event a line",
      },
      { flags: "--since <moment>", about: "from this position or recorded time on" },
      { flags: "--stream <stream>", about: "only this stream, such as commits/linux" },
      { flags: "--type <type>", about: "only this type; may be repeated", collect: true },
      { flags: "--correlation <id>", about: "only what belongs to this piece of work" },
      { flags: "--limit <events>", about: "at most so many" },
      PERSONAL,
      ARCHIVE,
    ],
    examples: [
      "events",
      "events --follow --type commits.branch.moved",
      "events --since 2026-11-20T09:00:00Z --stream commits/linux --json",
    ],
    needs: readsArchive,
    load: async () => (await import("./commands/events.ts")).events,
  },
  {
    name: "send",
    opens: true,
    about: "Send a command to an entity and tell what came of it",
    args: [["<type>", "command type, such as commits.branch.move"], ["<id>", "the entity, such as linux"], [
      "[json]",
      "the command's data; - for standard input, @file for a file (default {})",
    ]],
    options: [
      {
        flags: "--id <id>",
        about: "your own id of the command: the same again returns the first outcome (default: a fresh one)",
      },
      { flags: "--expect <revision>", about: "refuse unless this is the entity's last revision" },
      { flags: "--deadline <ms>", about: "how long to wait (default 5000)" },
    ],
    examples: [
      `send commits.branch.move linux '{"branch":"main","to":"831ae6…"}'`,
      "send commits.branch.move linux @move.json --id push-1 --expect 17",
    ],
    needs: (call) => ({
      ...writes(call),
      read: [call.data, ...(call.args[2]?.startsWith("@") ? files(call, call.args[2].slice(1)) : [])],
    }),
    load: async () => (await import("./commands/send.ts")).send,
  },
  {
    name: "verify",
    reads: true,
    about: "Recompute chain, tree and signatures from the entries; exit 1 if anything is wrong",
    options: [
      { flags: "--key <vkey>", about: "public key of the log, from somewhere you trust (C2SP note verifier key)" },
      {
        flags: "--against <file>",
        about: "a checkpoint kept elsewhere that the log must agree with; may be repeated",
        collect: true,
      },
      ARCHIVE,
      { flags: "--tiles <folder>", about: "verify this folder of tiles instead (export --format tlog-tiles)" },
    ],
    examples: [
      "verify",
      "verify --data ./evidence --key 'daybook+1a2b3c4d+AbC…' --against kept/checkpoint.txt --json",
      "verify --tiles ./log --key 'daybook+1a2b3c4d+AbC…'",
    ],
    needs: (call) => {
      const tiles = text(call, "tiles");
      const read = tiles === undefined ? [call.data] : files(call, tiles);
      const wide = tiles === undefined ? { wide: true as const } : {};
      return { read: [...read, ...files(call, text(call, "archive"), ...list(call, "against"))], ...wide };
    },
    load: async () => (await import("./commands/verify.ts")).verify,
  },
  {
    name: "replay",
    reads: true,
    about: "Fold the log again from the beginning; with --check compare with the stored views, exit 1 if they differ",
    options: [
      { flags: "--view <name>", about: "only this view; may be repeated", collect: true },
      { flags: "--until <moment>", about: "stop before this position or recorded time" },
      { flags: "--check", about: "compare with the stored views" },
      ARCHIVE,
    ],
    examples: ["replay --check", "replay --view commits.hotspots --until 90000 --json"],
    needs: readsArchive,
    load: async () => (await import("./commands/replay.ts")).replay,
  },
  {
    name: "explain",
    reads: true,
    about: "The chain of causes and effects of an event, as a tree",
    args: [["<position>", "position of the event"]],
    options: [{ flags: "--limit <events>", about: "at most so many in the tree (default 1000)" }, PERSONAL, ARCHIVE],
    examples: ["explain 90412", "explain 90412 --json"],
    needs: readsArchive,
    load: async () => (await import("./commands/explain.ts")).explain,
  },
  {
    name: "receipt",
    reads: true,
    about: "Write the proof that an event is in the log (C2SP tlog-proof), or check one; exit 1 if it proves nothing",
    args: [["[position]", "position of the event"]],
    options: [
      { flags: "--out <file|->", about: "write here instead of to standard output" },
      { flags: "--check <file>", about: "check this receipt instead; needs no log, only --key" },
      {
        flags: "--key <vkey>",
        about: "with --check: public key of the log, from somewhere you trust (C2SP note verifier key)",
      },
      { flags: "--cosigned <file>", about: "prove it by this checkpoint, which a witness has cosigned (anchor --out)" },
      {
        flags: "--witness <vkey>",
        about: "with --check: public key of a witness whose cosignatures are believed; may be repeated",
        collect: true,
      },
      ARCHIVE,
    ],
    examples: [
      "receipt 90412 --out order.tlog-proof",
      "receipt 90412 --cosigned anchored.txt --out order.tlog-proof",
      "receipt --check order.tlog-proof --key 'daybook+1a2b3c4d+AbC…'",
      "receipt --check order.tlog-proof --json",
    ],
    needs: (call) => {
      const checked = text(call, "check");
      if (checked === undefined) {
        const { read = [] } = readsArchive(call);
        return { read: [...read, ...files(call, text(call, "cosigned")), ...drafts(call)], write: drafts(call) };
      }
      // Whose key is given needs no folder.
      return { read: [...files(call, checked), ...(text(call, "key") === undefined ? [call.data] : [])] };
    },
    load: async () => (await import("./commands/receipt.ts")).receipt,
  },
  {
    name: "anchor",
    reads: true,
    about: "Have a witness cosign the newest checkpoint (C2SP tlog-witness); exit 1 if it has seen another past",
    args: [["<url>", "where the witness takes checkpoints"]],
    options: [
      { flags: "--key <vkey>", about: "public key of the witness" },
      { flags: "--out <file>", about: "where to keep the cosigned checkpoint, for verify --against" },
    ],
    examples: ["anchor http://127.0.0.1:7374 --key 'witness+1a2b3c4d+BAb…' --out anchored.txt"],
    needs: (call) => ({ read: [call.data, ...drafts(call)], write: drafts(call), net: [hostOf(call.args[0]!)] }),
    load: async () => (await import("./commands/anchor.ts")).anchor,
  },
  {
    name: "witness",
    about:
      "A tiny witness for logs that run elsewhere: cosigns what extends what it has seen, until SIGINT, SIGTERM or SIGHUP",
    args: [["<folder>", "its own: its key, and what it has seen"]],
    options: [
      { flags: "--log <vkey>", about: "public key of a log that it is to know; may be repeated", collect: true },
      { flags: "--name <name>", about: "its name in signatures (default witness)" },
      { flags: "--port <number>", about: `port of ${HOST} to listen on, 0 for any free one (default ${WITNESS_PORT})` },
    ],
    examples: ["witness ~/witness --name witness.example/w1 --log 'daybook+1a2b3c4d+AbC…'"],
    needs: (call) => ({
      read: files(call, call.args[0]),
      write: files(call, call.args[0]),
      net: [address(HOST, witnessPort(call))],
    }),
    load: async () => (await import("./commands/witness.ts")).witness,
  },
  {
    name: "export",
    reads: true,
    about: "Write events as NDJSON, each line an entry exactly as it is hashed; or the log as a folder of tiles",
    options: [
      {
        flags: "--format <name>",
        about: "ndjson (default), ocsf, syslog (RFC 5424), cef or csv, or tlog-tiles: a folder that other tools read",
      },
      { flags: "--out <path|->", about: "write here instead of to standard output; of tlog-tiles a folder to make" },
      { flags: "--from <moment>", about: "from this position or recorded time on" },
      { flags: "--to <moment>", about: "up to, not including, this position or recorded time" },
      { flags: "--type <type>", about: "only this type; may be repeated", collect: true },
      { flags: "--stream <stream>", about: "only this stream" },
      { flags: "--personal", about: "personal values in plain text: for people, no longer what the hashes are over" },
      { flags: "--blobs <folder>", about: "every blob of the log too, as files named by their SHA-256" },
      ARCHIVE,
    ],
    examples: [
      "export > log.ndjson",
      "export --out november.ndjson --from 2026-11-01 --to 2026-12-01",
      "export --stream commits/linux | head",
      "export --format ocsf --from 2026-11-01 --type identity.signin.failed --out signins.ndjson",
      "export --format tlog-tiles --out /mnt/log",
    ],
    needs: (call) => {
      const out = files(call, text(call, "out"));
      if (text(call, "format") !== "tlog-tiles") {
        // A folder that is there is looked at.
        const made = [...drafts(call), ...files(call, text(call, "blobs"))];
        return { read: [...readsArchive(call).read!, ...made], write: made };
      }
      const beside = out.map((path) => dirname(path));
      return { read: [...readsArchive(call).read!, ...beside], write: beside };
    },
    load: async () => (await import("./commands/export.ts")).exportLog,
  },
  AUDIT,
  {
    name: "backup",
    reads: true,
    about: "A verified copy of log, index and checkpoints, while running or not",
    args: [["<folder>", "where to; must be missing or empty"]],
    options: [
      { flags: "--with-keys", about: "the keys too, encrypted under a passphrase" },
      { flags: "--passphrase-file <file>", about: "first line is the passphrase (else DAYBOOK_PASSPHRASE)" },
    ],
    examples: [
      "backup /mnt/backup/2026-11-20",
      "backup /mnt/backup/whole --with-keys --passphrase-file ~/.daybook-passphrase",
    ],
    needs: (call) => {
      const beside = files(call, call.args[0]).map((path) => dirname(path));
      return { read: [call.data, ...beside, ...files(call, text(call, "passphraseFile"))], write: beside };
    },
    load: async () => (await import("./commands/backup.ts")).backup,
  },
  {
    name: "restore",
    reads: true,
    opens: true,
    about: "Bring a backup back into an empty data folder, verified",
    args: [["<folder>", "the backup"]],
    options: [
      {
        flags: "--passphrase-file <file>",
        about: "first line is the passphrase of the keys (else DAYBOOK_PASSPHRASE)",
      },
      {
        flags: "--against <file>",
        about: "a checkpoint kept elsewhere that the backup must agree with; may be repeated",
        collect: true,
      },
      {
        flags: "--replaces <folder>",
        about:
          "the data folder that this one takes the place of: every erasure it knows is applied again, and its newest " +
          "checkpoint is one that is known",
      },
      {
        flags: "--account <name>",
        about: "your account in the backup, unless you are asked by the folder of --replaces, of the same log",
      },
      ...PROOF,
      { ...ARCHIVE, about: "where what was archived of the log can be read, to know the accounts in it" },
      {
        flags: "--erasure <file>",
        about: "certificate of an erasure that is applied again; may be repeated",
        collect: true,
      },
      {
        flags: "--new-origin <name>",
        about: "go on as another log of this name, which says what it left; needs the keys",
      },
    ],
    examples: [
      "restore /mnt/backup/2026-11-20 --data /var/lib/daybook",
      "restore backup --data new --against kept/checkpoint.txt",
      "restore backup --data new --account ada --code 123456",
      "restore backup --data new --replaces /var/lib/daybook --erasure erasure-s_1a2B3c4D5e6F7g8H.json",
      "restore backup --data new --against kept/checkpoint.txt --new-origin example.com/after-the-flood",
    ],
    needs: (call) => {
      const given = files(
        call,
        ...[
          call.args[0],
          text(call, "passphraseFile"),
          text(call, "passwordFile"),
          text(call, "archive"),
          text(call, "replaces"),
        ],
        ...[...list(call, "against"), ...list(call, "erasure")],
      );
      const replaced = files(call, text(call, "replaces"));
      return {
        read: [dirname(call.data), ...given],
        write: [dirname(call.data), ...replaced],
        net: replaced.flatMap((folder) => [`unix:${socketOf(folder)}`, SOCKET_HOST]),
      };
    },
    load: async () => (await import("./commands/backup.ts")).restore,
  },
  {
    name: "token create",
    opens: true,
    dangerous: () => true,
    about: "Make an access token; it is printed once",
    args: [["<name>", "what it is for"]],
    options: [
      { flags: "--scopes <list>", about: "comma-separated: ingest, command, read, personal, admin (default read)" },
      { flags: "--expires <when>", about: "30d, 12h, 45m, or an RFC 3339 time (default: never)" },
      { flags: "--tenant <name>", about: "whose it is (default: default, the installation itself)" },
      ...PROOF,
    ],
    examples: ["token create ci --scopes ingest --expires 30d", "token create me --scopes read,command --json"],
    needs: writes,
    load: async () => (await import("./commands/token.ts")).create,
  },
  {
    name: "token list",
    reads: true,
    about: "Names, scopes and ends of all tokens",
    examples: ["token list", "token list --json"],
    needs: reads,
    load: async () => (await import("./commands/token.ts")).listAll,
  },
  {
    name: "token revoke",
    about: "End a token now",
    args: [["<id>", "its id or, if only one has it, its name"]],
    examples: ["token revoke ci"],
    needs: writes,
    load: async () => (await import("./commands/token.ts")).revoke,
  },
  ...ALERTS,
  ...ACCESS,
  ...IDENTITY,
  ...PRIVACY,
  ...RETENTION,
  ...CERTIFICATES,
  ...SERVICES,
];
