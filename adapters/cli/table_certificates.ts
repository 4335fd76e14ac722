/** Rows of the table of commands about certificates. */
import type { Call, Grants } from "./call.ts";
import { text } from "./call.ts";
import { files, reads, writes } from "./grants.ts";
import { PROOF } from "./table_identity.ts";
import type { CommandSpec } from "./command.ts";

const OUT = { flags: "--out <folder>", about: "where its files go (default: certificates/<name> in the data folder)" };
const VALID = { flags: "--valid <span>", about: "how long: 12h, 30d (default: certificates.valid_ms)" };

const writesOut = (call: Call): Partial<Grants> => {
  const out = files(call, text(call, "out"));
  return { read: [call.data, ...out], write: [call.data, ...out] };
};

export const CERTIFICATES: readonly CommandSpec[] = [
  {
    name: "cert issue",
    opens: true,
    dangerous: () => true,
    about: "Make a key, and a certificate for it of the folder's own authority",
    args: [["<name>", "what it is called; nothing personal, for it is recorded as it is"]],
    options: [
      { flags: "--host <name>", about: "name or address it is reached by; may be repeated", collect: true },
      { flags: "--for <use>", about: "server, client or both (default server)" },
      VALID,
      OUT,
      ...PROOF,
    ],
    examples: [
      "cert issue api --host localhost --host 127.0.0.1",
      "cert issue laptop --for client --valid 90d --out ~/daybook",
    ],
    needs: writesOut,
    load: async () => (await import("./commands/cert.ts")).issue,
  },
  {
    name: "cert renew",
    opens: true,
    about: "Another key and certificate in place of one before; one that a running server keeps is taken up at once",
    args: [["<name>", "what it is called"]],
    options: [VALID, OUT],
    examples: ["cert renew api", "cert renew listener"],
    needs: writesOut,
    load: async () => (await import("./commands/cert.ts")).renew,
  },
  {
    name: "cert list",
    reads: true,
    about: "Certificates, for what and until when; exit 1 when one has ended",
    examples: ["cert list", "cert list --json"],
    needs: reads,
    load: async () => (await import("./commands/cert.ts")).listAll,
  },
  {
    name: "cert authority",
    opens: true,
    about: "Print the certificate of the folder's own authority, for those who are to trust it",
    examples: ["cert authority > daybook-authority.pem", "cert authority --json"],
    needs: writes,
    load: async () => (await import("./commands/cert.ts")).authority,
  },
];
