/** Audit folders to check, and the means of somebody who changes one and makes its manifest anew. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { cosigner } from "../adapters/keys/note.ts";
import type { AuditOptions } from "../adapters/program/audit.ts";
import { checkAudit } from "../adapters/program/audit_check.ts";
import type { AuditChecked } from "../adapters/cli/audits.ts";
import { LogFault } from "../events/log.ts";
import { type Audited, controls, makeAudited, VERSION, writeAuditOf } from "./audit_given.ts";
import { inFolder } from "./folder_given.ts";

const silent = () => {};
export const witness = cosigner("witness", new Uint8Array(32).fill(5));

const cosignedBy = (note: string): string =>
  note + witness.cosign(note.slice(0, note.lastIndexOf("\n\n") + 1), 1_700_000_000);

/** A log, and its audit folder with an older checkpoint that a witness has cosigned. */
export const withAudit = (
  use: (folder: string, made: Audited, scratch: string) => Promise<void>,
  { falsely = false } = {},
): Promise<void> =>
  inFolder(async (scratch) => {
    const { made, files } = falsely ? await audited({ falsely }) : sound;
    for (const [path, bytes] of files) {
      await Deno.mkdir(dirname(join(scratch, path)), { recursive: true });
      await Deno.writeFile(join(scratch, path), bytes);
    }
    await use(join(scratch, "audit"), { ...made, data: join(scratch, "data") }, scratch);
  });

/** With an older checkpoint that a witness has cosigned. */
export const written = (made: Audited, folder: string, more: Partial<AuditOptions> = {}) =>
  writeAuditOf(made, folder, {
    cosigned: [{ name: "kept", text: cosignedBy(made.notes[0]!) }],
    witnesses: [witness.vkey],
    ...more,
  });

/** One, as the bytes of all files. */
const audited = (given: Parameters<typeof makeAudited>[1] = {}) =>
  inFolder(async (scratch) => {
    const made = await makeAudited(join(scratch, "data"), given);
    await written(made, join(scratch, "audit"));
    const files = new Map<string, Uint8Array>();
    for (const path of await filesIn(scratch)) files.set(path, await Deno.readFile(join(scratch, path)));
    return { made, files };
  });

export const checked = (folder: string, more: Partial<Parameters<typeof checkAudit>[0]> = {}): Promise<AuditChecked> =>
  checkAudit({ folder, key: undefined, witnesses: [], against: [], version: VERSION, own: controls, ...more }, silent);

/** Every kind of failure, each once, with where it is. */
export const failuresOf = async (
  folder: string,
  more: Parameters<typeof checked>[1] = {},
): Promise<readonly string[]> => {
  const { ok, failures } = await checked(folder, more);
  assert.equal(ok, failures.length === 0);
  return [...new Set(failures.map(({ kind, path, position }) => `${kind} ${path ?? position}`))];
};

export const faultOf = async (call: () => Promise<unknown>): Promise<string> => {
  try {
    await call();
    return "none";
  } catch (error) {
    return error instanceof LogFault ? error.kind : String(error);
  }
};

export const filesIn = async (folder: string, below = ""): Promise<readonly string[]> => {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    paths.push(...(isDirectory ? await filesIn(folder, path) : [path]));
  }
  return paths.sort();
};

export const copied = async (from: string, to: string): Promise<string> => {
  for (const path of await filesIn(from)) {
    await Deno.mkdir(dirname(join(to, path)), { recursive: true });
    await Deno.copyFile(join(from, path), join(to, path));
  }
  return to;
};

/** As somebody would who changes a file and knows that there is a manifest. */
export const manifestAnew = async (folder: string): Promise<void> => {
  const files: Record<string, unknown> = {};
  for (const path of (await filesIn(folder)).toSorted()) {
    if (path === "manifest.json") continue;
    const bytes = await Deno.readFile(join(folder, path));
    files[path] = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  }
  await Deno.writeTextFile(join(folder, "manifest.json"), `${JSON.stringify({ format: 1, files }, undefined, 2)}\n`);
};

export const edit = async (path: string, change: (text: string) => string): Promise<void> => {
  const text = await Deno.readTextFile(path);
  const other = change(text);
  assert.notEqual(other, text, `${path} is changed`);
  await Deno.writeTextFile(path, other);
};

/** Another root in a checkpoint, that is one all the same. */
export const otherRoot = (text: string): string => {
  const [origin, size, root, ...rest] = text.split("\n");
  return [origin, size, (root!.startsWith("A") ? "B" : "A") + root!.slice(1), ...rest].join("\n");
};

export const flip = async (path: string, where: (text: string) => number): Promise<void> => {
  const bytes = await Deno.readFile(path);
  bytes[where(new TextDecoder("latin1").decode(bytes))]! ^= 1;
  await Deno.writeFile(path, bytes);
};

/** Made once: it takes longer than what is asked of it. */
const sound = await audited();
