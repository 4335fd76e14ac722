/** Rows of the table of commands about services. */
import { text } from "./call.ts";
import { files, reads } from "./grants.ts";
import type { CommandSpec } from "./table.ts";

const NAME = { flags: "--name <stack>", about: "which stack, where there are several" };
const WAIT = { flags: "--wait <seconds>", about: "how long to wait until nothing more happens (default 120)" };
const STACK = { flags: "--stack <file>", about: "the services (default: those of the configuration)" };
const CONFIG = { flags: "--config <file>", about: "configuration (default config/daybook.yaml)" };

export const SERVICES: readonly CommandSpec[] = [
  {
    name: "up",
    reads: true,
    about: "Ask for services and what they need, and wait until they are well or given up (exit 1)",
    args: [["[service...]", "default: all"]],
    options: [NAME, WAIT],
    examples: ["up", "up api --wait 30", "up --json"],
    needs: reads,
    load: async () => (await import("./commands/services.ts")).up,
  },
  {
    name: "down",
    reads: true,
    about: "Stop services, those that need others first, and wait until they have ended",
    args: [["[service...]", "default: all"]],
    options: [NAME, WAIT],
    examples: ["down", "down api worker"],
    needs: reads,
    load: async () => (await import("./commands/services.ts")).down,
  },
  {
    name: "restart",
    reads: true,
    about: "Restart services and wait until they are well",
    args: [["<service...>", "their names"]],
    options: [NAME, WAIT],
    examples: ["restart api"],
    needs: reads,
    load: async () => (await import("./commands/services.ts")).restart,
  },
  {
    name: "ps",
    reads: true,
    about: "How every instance of every service stands; exit 1 when one is not well",
    options: [NAME, { flags: "--watch", about: "a board that is drawn again as things change, until interrupted" }],
    examples: ["ps", "ps --watch", "ps --json"],
    needs: reads,
    load: async () => (await import("./commands/services.ts")).ps,
  },
  {
    name: "logs",
    reads: true,
    about: "What a service has written",
    args: [["<service>", "its name"]],
    options: [
      NAME,
      { flags: "--follow", about: "go on as it writes, until interrupted" },
      { flags: "--lines <number>", about: "the last so many (default 100)" },
      { flags: "--replica <number>", about: "which of several, from 0 (default 0)" },
    ],
    examples: ["logs api", "logs api --follow --lines 20"],
    needs: reads,
    load: async () => (await import("./commands/services_why.ts")).logs,
  },
  {
    name: "why",
    reads: true,
    about: "Why a service is as it is: what went wrong with it and what it needs, the first of it first",
    args: [["<service>", "its name"]],
    options: [NAME],
    examples: ["why api", "why api --json"],
    needs: reads,
    load: async () => (await import("./commands/services_why.ts")).why,
  },
  {
    name: "stack plan",
    configured: true,
    about: "In which order services would start, and with what; nothing is started",
    options: [STACK, CONFIG],
    examples: ["stack plan --stack services.yaml"],
    needs: () => ({}),
    load: async () => (await import("./commands/stack.ts")).plan,
  },
  {
    name: "stack update",
    reads: true,
    about: "Have the server run another file of services: what changed takes the place of what runs, or is undone",
    args: [["<file>", "the services"]],
    options: [
      { flags: "--plan", about: "only say what would change" },
      { flags: "--again", about: "try changes once more that were undone" },
      NAME,
      WAIT,
    ],
    examples: ["stack update services.yaml --plan", "stack update services.yaml --wait 300"],
    needs: (call) => ({ read: [call.data, ...files(call, call.args[0])] }),
    load: async () => (await import("./commands/services.ts")).update,
  },
  {
    name: "stack graph",
    configured: true,
    about: "Who needs whom, as text or as a picture",
    options: [STACK, CONFIG, { flags: "--svg <file>", about: "write a picture instead" }],
    examples: ["stack graph --stack services.yaml", "stack graph --svg graph.svg"],
    needs: (call) => ({ write: files(call, text(call, "svg")) }),
    load: async () => (await import("./commands/stack.ts")).graph,
  },
  {
    name: "stack import",
    about: "Turn a file of process-compose or compose into services of ours, and say what has no place in them",
    args: [["<file>", "the file; - for standard input"]],
    options: [{ flags: "--out <file>", about: "write them here (default: standard output)" }],
    examples: ["stack import process-compose.yaml --out services.yaml", "stack import compose.yaml > services.yaml"],
    needs: (call) => ({ read: files(call, call.args[0]), write: files(call, text(call, "out")) }),
    load: async () => (await import("./commands/stack.ts")).importFile,
  },
  {
    name: "stack critical-path",
    configured: true,
    reads: true,
    about: "The chain of services that a start takes longest for, by how long each took before",
    options: [STACK, CONFIG, { flags: "--svg <file>", about: "write a picture with that chain marked instead" }],
    examples: ["stack critical-path --stack services.yaml"],
    needs: (call) => ({ ...reads(call), write: files(call, text(call, "svg")) }),
    load: async () => (await import("./commands/stack.ts")).criticalPath,
  },
];
