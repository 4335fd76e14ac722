/** The row of `audit` in the table of commands. */
import { dirname } from "node:path";
import { list, text } from "./call.ts";
import { files, readsArchive } from "./grants.ts";
import type { CommandSpec } from "./command.ts";

export const AUDIT: CommandSpec = {
  name: "audit",
  reads: true,
  about:
    "Evaluate the controls over the log; write the evidence as a folder, or check such a folder; exit 1 where wanting",
  options: [
    { flags: "--framework <name>", about: "only controls of this framework, such as 'SOC 2'" },
    { flags: "--from <moment>", about: "the period audited: from this position or recorded time on" },
    { flags: "--to <moment>", about: "up to this position or recorded time" },
    { flags: "--at <time>", about: "judge as of this time (default: when the newest event was recorded)" },
    { flags: "--controls <folder>", about: "catalogue of controls, YAML files (default: the program's)" },
    { flags: "--archive <folder>", about: "where what was archived of the log can be read" },
    { flags: "--out <folder>", about: "write the evidence here; must be missing or empty" },
    {
      flags: "--cosigned <file>",
      about: "with --out: a cosigned checkpoint, as anchor keeps it, to go into the folder; may be repeated",
      collect: true,
    },
    {
      flags: "--witness <vkey>",
      about: "public key of a witness whose cosignatures are believed; may be repeated",
      collect: true,
    },
    { flags: "--check <folder>", about: "check such a folder instead; needs no log and no server" },
    {
      flags: "--key <vkey>",
      about: "public key of the log: with --check from somewhere you trust, with --out where its keys are not there",
    },
    {
      flags: "--against <file>",
      about: "with --check: a checkpoint kept elsewhere that the folder must agree with; may be repeated",
      collect: true,
    },
  ],
  examples: [
    "audit",
    "audit --framework 'SOC 2' --from 2026-10-01 --to 2027-01-01 --out evidence",
    "audit --out evidence --cosigned anchored.txt --witness 'witness+1a2b3c4d+BAb…'",
    "audit --check evidence --key 'daybook+1a2b3c4d+AbC…' --json",
  ],
  needs: (call) => {
    const checked = text(call, "check");
    if (checked !== undefined) return { read: files(call, checked, ...list(call, "against")) };
    const beside = files(call, text(call, "out")).map((path) => dirname(path));
    const given = files(call, text(call, "controls"), ...list(call, "cosigned"));
    return { read: [...readsArchive(call).read!, ...beside, ...given], write: beside };
  },
  load: async () => (await import("./commands/audit.ts")).audit,
};
