/** What a program is given as its environment. */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { NoText } from "../variables.ts";
import type { Environment } from "./protocol.ts";

interface Given {
  readonly environment: Environment;
  readonly inherit: readonly string[];
  readonly folder: string;
}

/** Bytes of a file with a secret: Linux takes no longer variable than 131,072 (execve(2)). */
export const SECRET_BYTES_MAX = 65_536;

type Meant = { readonly variables: Record<string, string> } | { readonly refused: string };

/** What is meant by it, or which secret is not there; never what one is. A file's last line feed is not part of it. */
export const environmentOf = (given: Given, own: (name: string) => string | undefined): Meant => {
  try {
    return meant(given, own);
  } catch (error) {
    if (error instanceof NoText) return { refused: error.message };
    throw error;
  }
};

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const meant = ({ environment, inherit, folder }: Given, own: (name: string) => string | undefined): Meant => {
  const variables: Record<string, string> = {};
  for (const name of inherit) {
    const value = own(name);
    if (value !== undefined) variables[name] = value;
  }
  for (const [name, value] of Object.entries(environment)) {
    if (typeof value === "string") variables[name] = value;
    else if ("env" in value) {
      const secret = own(value.env);
      if (secret === undefined) return { refused: `${name}: the variable ${value.env} is not set` };
      variables[name] = secret;
    } else {
      const read = secretIn(resolve(folder, value.file), value.file);
      if ("refused" in read) return { refused: `${name}: ${read.refused}` };
      variables[name] = read.secret;
    }
  }
  // Whoever starts it with one would be told its value by the platform, and would tell it on.
  const [unfit] = Object.entries(variables).find(([, value]) => value.includes("\0")) ?? [];
  return unfit === undefined ? { variables } : { refused: `${unfit}: a variable holds no zero byte` };
};

/** `stated`: how the file is told of. */
const secretIn = (path: string, stated: string): { readonly secret: string } | { readonly refused: string } => {
  let bytes: Uint8Array;
  try {
    const stat = statSync(path);
    // A pipe would be waited for.
    if (!stat.isFile()) return { refused: `${stated} is no regular file` };
    if (stat.size > SECRET_BYTES_MAX) return { refused: `the file ${stated} has more than ${SECRET_BYTES_MAX} bytes` };
    bytes = readFileSync(path);
  } catch {
    return { refused: `the file ${stated} cannot be read` };
  }
  try {
    return { secret: strict.decode(bytes).replace(/\r?\n$/, "") };
  } catch {
    // It would be handed on as something else than what is in the file.
    return { refused: `the file ${stated} is not UTF-8` };
  }
};
