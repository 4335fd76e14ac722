/** Rows of the table of commands about what a log keeps and for how long, and who signs it. */
import { writes } from "./grants.ts";
import type { CommandSpec } from "./table.ts";

export const RETENTION: readonly CommandSpec[] = [
  {
    name: "keys rotate-log",
    opens: true,
    about: "Change the key that signs the log's checkpoints; recorded in the log, signed by the old and the new key",
    options: [
      { flags: "--overlap <span>", about: "how long the old key signs too: 45m, 12h, 30d, or 0 (default 30d)" },
    ],
    examples: ["keys rotate-log", "keys rotate-log --overlap 90d --json"],
    needs: writes,
    load: async () => (await import("./commands/rotate_log.ts")).rotateLog,
  },
];
