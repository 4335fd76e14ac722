/** Rows of the table of commands about who may do what. */
import { reads } from "./grants.ts";
import type { CommandSpec } from "./table.ts";

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
];
