/** Rows of the table of commands about alerts, and about the configuration that says which there are. */
import { drafts, files, reads, writes } from "./grants.ts";
import type { CommandSpec } from "./command.ts";

const ALERT: readonly (readonly [string, string])[] = [[
  "<alert>",
  "RULE/ALERT as alerts list has it; or RULE, all of it",
]];
const NOTE = { flags: "--note <text>", about: "what to remember of it; it is recorded as it is, so nothing personal" };

export const ALERTS: readonly CommandSpec[] = [
  {
    name: "alerts list",
    reads: true,
    about: "What somebody should look at, the worst first; exit 1 where something was raised and nobody has it",
    options: [{ flags: "--all", about: "also what waits to be an alert, and what is over" }],
    examples: ["alerts list", "alerts list --all --json"],
    needs: reads,
    load: async () => (await import("./commands/alerts.ts")).listAll,
  },
  {
    name: "alerts acknowledge",
    opens: true,
    about: "Say that somebody looks at it; channels are told",
    args: ALERT,
    options: [NOTE],
    examples: ["alerts acknowledge service-failed", "alerts acknowledge service-failed/3f2a91c0b7d4 --note 'on it'"],
    needs: writes,
    load: async () => (await import("./commands/alerts.ts")).acknowledge,
  },
  {
    name: "alerts resolve",
    opens: true,
    about: "Say that it is over; it is raised again when it happens again",
    args: ALERT,
    options: [NOTE],
    examples: ["alerts resolve dead-letters", "alerts resolve service-failed/3f2a91c0b7d4 --json"],
    needs: writes,
    load: async () => (await import("./commands/alerts.ts")).resolve,
  },
  {
    name: "alerts silence",
    opens: true,
    about: "Tell nobody of an alert, or of a rule, until then; what stands then is told",
    args: ALERT,
    options: [
      { flags: "--until <when>", about: "2h, 30m, 7d, or an RFC 3339 time" },
      { flags: "--reason <text>", about: "why; it is recorded as it is, so nothing personal" },
    ],
    examples: ["alerts silence service-unhealthy --until 2h --reason 'the cluster is moved'"],
    needs: writes,
    load: async () => (await import("./commands/alerts.ts")).silence,
  },
  {
    name: "alerts unsilence",
    opens: true,
    about: "End a silence before its time",
    args: ALERT,
    examples: ["alerts unsilence service-unhealthy"],
    needs: writes,
    load: async () => (await import("./commands/alerts.ts")).unsilence,
  },
  {
    name: "config schema",
    about: "The JSON Schema of daybook.yaml, with services and rules for alerts: editors complete and check with it",
    options: [{ flags: "--out <file|->", about: "write it here (default: standard output)" }],
    examples: ["config schema --out .vscode/daybook.schema.json", "config schema > daybook.schema.json"],
    needs: (call) => ({ read: drafts(call), write: drafts(call) }),
    load: async () => (await import("./commands/config.ts")).schema,
  },
  {
    name: "config check",
    about: "Whether a configuration, or a file of services, can be; each problem with file, line and column (exit 1)",
    args: [["<file>", "the file"]],
    examples: ["config check config/daybook.yaml", "config check services.yaml --json"],
    needs: (call) => ({ read: files(call, call.args[0]) }),
    load: async () => (await import("./commands/config.ts")).check,
  },
];
