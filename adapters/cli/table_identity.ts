/** Rows of the table of commands about who stands before it. */
import { writes } from "./grants.ts";
import type { CommandSpec } from "./table.ts";

/** Of commands that cannot be undone. */
export const CODE = { flags: "--code <code>", about: "a code of your second factor, once accounts want one" } as const;

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
];
