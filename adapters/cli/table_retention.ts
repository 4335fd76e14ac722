/** Rows of the table of commands about what a log keeps and for how long, and who signs it. */
import { text } from "./call.ts";
import { files, reads, writes } from "./grants.ts";
import { PROOF } from "./table_identity.ts";
import type { CommandSpec } from "./command.ts";

export const RETENTION: readonly CommandSpec[] = [
  {
    name: "keys rotate-log",
    opens: true,
    existing: true,
    dangerous: () => true,
    about: "Change the key that signs the log's checkpoints; recorded in the log, signed by the old and the new key",
    options: [
      { flags: "--overlap <span>", about: "how long the old key signs too: 45m, 12h, 30d, or 0 (default 30d)" },
      ...PROOF,
    ],
    examples: ["keys rotate-log", "keys rotate-log --overlap 90d --json"],
    needs: writes,
    load: async () => (await import("./commands/rotate_log.ts")).rotateLog,
  },
  {
    name: "archive",
    opens: true,
    existing: true,
    dangerous: () => true,
    about:
      "Move whole bundles of the log's beginning to a folder (C2SP tlog-tiles), verified before they are let go of",
    options: [
      { flags: "--before <moment>", about: "what lies before this position, or was recorded before this time" },
      { flags: "--to <folder>", about: "the archive; made if missing, and gone on with if it is this log's" },
      {
        flags: "--archive <folder>",
        about: "where what was archived before can be read, to take it along to a new archive",
      },
      ...PROOF,
    ],
    examples: [
      "archive --before 2026-01-01 --to /mnt/archive/daybook",
      "archive --before 1000000 --to ~/archive --json",
      "archive --before 1000000 --to ~/archive-2 --archive ~/archive",
    ],
    needs: (call) => {
      const to = files(call, text(call, "to"));
      return { read: [call.data, ...to, ...files(call, text(call, "archive"))], write: [call.data, ...to] };
    },
    load: async () => (await import("./commands/archive.ts")).archive,
  },
  {
    name: "hold place",
    opens: true,
    about: "Forbid erasing and archiving: of everything, or of persons and types of events",
    args: [["<name>", "what it is called, such as a case number"]],
    options: [
      { flags: "--reason <text>", about: "why; it is recorded and told in refusals, so nothing personal" },
      {
        flags: "--subject <who>",
        about: "only this person: opaque id or what leads to it; may be repeated",
        collect: true,
      },
      { flags: "--type <type>", about: "only events of this type; may be repeated", collect: true },
      { flags: "--until <when>", about: "it ends by itself then: 90d, 12h, or an RFC 3339 time" },
    ],
    examples: [
      "hold place case-2026-17 --reason 'preservation letter of 2026-11-20'",
      "hold place case-2026-18 --reason 'dispute' --subject ada@example.com --until 365d",
    ],
    needs: writes,
    load: async () => (await import("./commands/hold.ts")).place,
  },
  {
    name: "hold lift",
    opens: true,
    dangerous: () => true,
    about: "End a hold",
    args: [["<name>", "what it is called"]],
    options: [{ flags: "--reason <text>", about: "why; it is recorded" }, ...PROOF],
    examples: ["hold lift case-2026-17 --reason 'closed'"],
    needs: writes,
    load: async () => (await import("./commands/hold.ts")).lift,
  },
  {
    name: "hold list",
    reads: true,
    about: "Holds that stand, since when and why",
    examples: ["hold list", "hold list --json"],
    needs: reads,
    load: async () => (await import("./commands/hold.ts")).listAll,
  },
  {
    name: "retention apply",
    opens: true,
    existing: true,
    about:
      "Destroy the keys of months whose time is over (retention.types in the configuration); exit 1 where a hold forbids it",
    examples: ["retention apply", "retention apply --json"],
    needs: writes,
    load: async () => (await import("./commands/retention.ts")).apply,
  },
];
