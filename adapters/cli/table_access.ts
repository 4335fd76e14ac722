/** Rows of the table of commands about who may do what. */
import { text } from "./call.ts";
import { files, reads, writes } from "./grants.ts";
import { PROOF } from "./table_identity.ts";
import type { CommandSpec } from "./command.ts";

export const ACCESS: readonly CommandSpec[] = [
  {
    name: "who-could",
    reads: true,
    about: "Who could do something to something, now or at any time, by the policies, roles and tokens of then",
    args: [
      ["<action>", "as docs/access.md lists them: accounts.create, commands.send, events.read …"],
      ["<resource>", "log, a stream (commits/shop), an account (u_…), view:NAME, operation:NAME or tenant:NAME"],
    ],
    options: [{ flags: "--at <moment>", about: "after this position, or at this recorded time (default: now)" }],
    examples: [
      "who-could commands.send commits/shop",
      "who-could roles.grant tenant:acme --at 2026-11-17T09:00:00Z --json",
    ],
    needs: reads,
    load: async () => (await import("./commands/who_could.ts")).whoCould,
  },
  ...(["set", "rotate"] as const).map((verb): CommandSpec => ({
    name: `secret ${verb}`,
    opens: true,
    dangerous: () => true,
    about: verb === "set"
      ? "Keep a secret under a name, for the configuration to point at: { stored: NAME }"
      : "Keep another secret in the place of one; what uses it reads it when the server starts",
    args: [["<name>", "small letters, digits, - and _"]],
    options: [{ flags: "--file <file|->", about: "where it stands (default: standard input)" }, ...PROOF],
    examples: [`secret ${verb} siem --file whsec.txt`, `secret ${verb} siem < whsec.txt`],
    needs: (call) => ({ read: [call.data, ...files(call, text(call, "file"))], write: [call.data] }),
    load: async () => (await import("./commands/secret.ts"))[verb],
  })),
  {
    name: "secret delete",
    opens: true,
    dangerous: () => true,
    about: "Destroy a secret that is stored",
    args: [["<name>", "as secret list has it"]],
    options: PROOF,
    examples: ["secret delete siem"],
    needs: writes,
    load: async () => (await import("./commands/secret.ts")).remove,
  },
  {
    name: "secret list",
    reads: true,
    about: "Names of stored secrets, and when each was changed",
    examples: ["secret list", "secret list --json"],
    needs: reads,
    load: async () => (await import("./commands/secret.ts")).listAll,
  },
];
