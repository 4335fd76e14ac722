/** Rows of the table of commands: persons, and the key that all keys lie under. */
import { dirname } from "node:path";
import { text } from "./call.ts";
import { drafts, files } from "./grants.ts";
import type { CommandSpec } from "./command.ts";
import { PROOF } from "./table_identity.ts";

const WHO: readonly [string, string] = [
  "<who>",
  "opaque id (s_…, u_…), or what leads to it, such as an e-mail address",
];

const ARCHIVE = {
  flags: "--archive <folder>",
  about: "what was archived of the log, to read it with the rest",
} as const;

export const PRIVACY: readonly CommandSpec[] = [
  {
    name: "erase",
    opens: true,
    dangerous: (call) => text(call, "check") === undefined,
    about: "Destroy a person's key, so that nobody can read what is sealed under it, and certify it; exit 1 if wanting",
    args: [["[who]", WHO[1]]],
    options: [
      { flags: "--reason <text>", about: "why, for the record; nothing personal" },
      ...PROOF,
      { flags: "--due <when>", about: "until when it had to be done: 30d, 12h, or an RFC 3339 time" },
      { flags: "--out <file>", about: "where to write the certificate (default erasure-<id>.json in the folder)" },
      {
        flags: "--look-for <text>",
        about: "look for this in the folder's files, too; may be repeated",
        collect: true,
      },
      ARCHIVE,
      { flags: "--certify", about: "only make the certificate of an erasure that is done" },
      { flags: "--check <file>", about: "check this certificate instead; needs no log, only --key" },
      {
        flags: "--key <vkey>",
        about: "with --check: public key of the log, from somewhere you trust (C2SP note verifier key)",
      },
    ],
    examples: [
      "erase ada@example.com --reason 'asked for on 2026-11-20' --due 30d",
      "erase s_1a2B3c4D5e6F7g8H --certify --look-for ada@example.com --out erasure.json",
      "erase --check erasure.json --key 'daybook+1a2b3c4d+AbC…'",
    ],
    needs: (call) => {
      const checked = text(call, "check");
      if (checked !== undefined) {
        return { read: [...files(call, checked), ...(text(call, "key") === undefined ? [call.data] : [])] };
      }
      return {
        read: [call.data, ...files(call, text(call, "archive")), ...drafts(call)],
        write: [call.data, ...drafts(call)],
      };
    },
    load: async () => (await import("./commands/erase.ts")).erase,
  },
  {
    name: "subject",
    opens: true,
    reads: true,
    about: "What the log holds of a person: counted, or all of it readable, to answer their request for access",
    args: [WHO],
    options: [
      { flags: "--export", about: "hand it out as JSON, which is recorded" },
      { flags: "--text", about: "with --export: for reading, instead of JSON" },
      { flags: "--out <file|->", about: "with --export: write here instead of to standard output" },
      { flags: "--blobs <folder>", about: "with --export: what blobs hold of them, as files" },
      ARCHIVE,
    ],
    examples: [
      "subject ada@example.com",
      "subject ada@example.com --export --out ada.json",
      "subject s_1a2B3c4D5e6F7g8H --export --text",
    ],
    needs: (call) => {
      const read = [call.data, ...files(call, text(call, "archive"))];
      if (call.options.export !== true) return { read };
      const handed = [...drafts(call), ...files(call, text(call, "blobs"))];
      return { read: [...read, ...handed], write: [call.data, ...handed] };
    },
    load: async () => (await import("./commands/subject.ts")).subject,
  },
  {
    name: "keys rotate",
    opens: true,
    existing: true,
    dangerous: () => true,
    about: "Replace the root key: wrap every key anew, and prove that none was left under the old one",
    options: [
      {
        flags: "--to-file <file>",
        about: "the root key in this file, made if it is missing (default: a new one in the place of the old)",
      },
      { flags: "--to-env <name>", about: "the root key in this variable: 32 bytes in base64 or hexadecimal" },
      { flags: "--to-passphrase-file <file>", about: "a root key out of the passphrase on the first line" },
      ...PROOF,
    ],
    examples: ["keys rotate", "keys rotate --to-file /run/secrets/daybook-root.key", "keys rotate --json"],
    needs: (call) => {
      // A key that is made there is written beside its name.
      const beside = files(call, text(call, "toFile")).map((path) => dirname(path));
      const name = text(call, "toEnv");
      return {
        read: [call.data, ...beside, ...files(call, text(call, "toPassphraseFile"))],
        write: [call.data, ...beside],
        env: name === undefined ? [] : [name],
      };
    },
    load: async () => (await import("./commands/rotate_root.ts")).rotateRoot,
  },
];
