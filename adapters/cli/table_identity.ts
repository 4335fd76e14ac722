/** Rows of the table of commands about who stands before it. */
import { text } from "./call.ts";
import { files, writes } from "./grants.ts";
import type { CommandSpec } from "./command.ts";

/** Of commands that cannot be undone. */
export const PROOF = [
  { flags: "--code <code>", about: "a code of your second factor, once accounts want one" },
  {
    flags: "--password-file <file|->",
    about: "first line is your password, wanted while no such account has a second factor; - for standard input",
  },
] as const;

export const IDENTITY: readonly CommandSpec[] = [
  {
    name: "login",
    about: "Sign this terminal in to an account: shows a code, which you allow in a browser that is signed in",
    examples: ["login", "login --data /var/lib/daybook --json"],
    needs: writes,
    load: async () => (await import("./commands/login.ts")).login,
  },
  {
    name: "logout",
    opens: true,
    about: "End this terminal's session",
    examples: ["logout", "logout --json"],
    needs: writes,
    load: async () => (await import("./commands/login.ts")).logout,
  },
  {
    name: "factors list",
    opens: true,
    about: "The second factors of who is signed in here",
    examples: ["factors list", "factors list --json"],
    needs: writes,
    load: async () => (await import("./commands/factors.ts")).list,
  },
  {
    name: "factors add",
    opens: true,
    about: "Set up one-time codes: shows a QR code for an authenticator; they count once one was confirmed",
    options: [
      { flags: "--password-file <file|->", about: "first line is your password; - for standard input" },
      { flags: "--code <code>", about: "a code of a second factor that is set up already" },
    ],
    examples: ["factors add --password-file -", "factors add --password-file ~/.secret --code 123456"],
    needs: (call) => ({ ...writes(call), read: [call.data, ...files(call, text(call, "passwordFile"))] }),
    load: async () => (await import("./commands/factors.ts")).add,
  },
  {
    name: "factors confirm",
    opens: true,
    about: "Show the first code, so that they count; prints ten backup codes once",
    args: [["<factor>", "its id, as `factors add` has told it"], ["<code>", "what the authenticator shows"]],
    examples: ["factors confirm 1xV0bQ3kzq9E5mT7yRdW 123456"],
    needs: writes,
    load: async () => (await import("./commands/factors.ts")).confirm,
  },
];
