/** What a call may touch, worked out before anything is opened. */
import { join } from "node:path";
import type { Call, Grants } from "./call.ts";
import { pathOf, text, Usage, whole } from "./call.ts";
import { draftOf } from "./draft.ts";
import type { Pointed, Settings } from "./settings.ts";
import type { CommandSpec } from "./command.ts";

export const HOST = "127.0.0.1";
export const PORT = 7373;
/** Where a witness listens unless it is told. */
export const WITNESS_PORT = 7374;

/** Where a witness is to listen; 0 is any free port. */
export const witnessPort = (call: Call): number => whole(call, "port", { min: 0, max: 65_535 }) ?? WITNESS_PORT;

/** `HOST:PORT` as Deno's permission flags write it. Port 0 is `HOST`: whoever was given a free one listens there again, by its number. */
export const address = (host: string, port: string | number): string => {
  const name = host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host;
  return port === 0 ? name : `${name}:${port}`;
};

/** A name, or an address; of version 6 in brackets. What else a URL takes for one no permission can be given for. */
const HOST_NAME = /^[\w.-]+$|^\[[0-9a-f:.]+\]$/i;

/** Host and port of a URL as typed. `Usage` for what is none of HTTP. */
export const hostOf = (url: string): string => {
  const { protocol, hostname, port } = URL.parse(url) ?? {};
  if (protocol !== "http:" && protocol !== "https:") throw new Usage(`${JSON.stringify(url)} is not a URL of HTTP`);
  if (!HOST_NAME.test(hostname!)) throw new Usage(`${JSON.stringify(url)} names no host that there can be`);
  return address(hostname!, port || (protocol === "http:" ? 80 : 443));
};

export const reads = (call: Call): Partial<Grants> => ({ read: [call.data] });
export const readsArchive = (call: Call): Partial<Grants> => {
  const { archive } = call.options;
  return { read: [call.data, ...(typeof archive === "string" ? files(call, archive) : [])] };
};
export const writes = (call: Call): Partial<Grants> => ({ read: [call.data], write: [call.data] });
/** Paths as typed, made absolute; `-` and what was not given left out. */
export const files = (call: Call, ...names: readonly (string | undefined)[]): readonly string[] =>
  names.filter((name) => name !== undefined && name !== "-").map((name) => pathOf(call, name!));

/** For the file of an option that is written as a draft: it is given its name by renaming, for which it must be read, too. */
export const drafts = (call: Call, option = "out"): readonly string[] =>
  files(call, text(call, option)).flatMap((path) => [path, draftOf(path)]);

/** What `main.ts` may always read from the environment; everything else looks unset. */
export const ENVIRONMENT = ["NO_COLOR", "INIT_CWD", "TMPDIR", "DAYBOOK_*"] as const;

/** Name that stands in URLs over the socket; `.invalid` (RFC 6761 section 6.4) resolves nowhere, so the grant opens nothing. */
export const SOCKET_HOST = "control.invalid";
export const socketOf = (data: string): string => join(data, "control.sock");

/** What of the program itself is read while it runs; absolute paths. */
export interface House {
  /** The folder of the default configuration. */
  readonly config: string;
  /** Its source: what one command alone needs is read when it is used, and so are a worker's modules. */
  readonly own: readonly string[];
}

/** All that a call may touch: what its command needs, the configuration, and the socket of a server that may have the folder. */
export const grantsOf = (
  spec: CommandSpec,
  call: Call,
  { house, settings, scratch, root }: {
    readonly house: House;
    readonly settings?: Settings;
    /** Where a copy may be made of what its writer left open; absent where none is needed. */
    readonly scratch?: string;
    /** Where the root key is, when it is not in the folder; and the archive. */
    readonly root?: Pointed;
  },
): Grants => {
  const { read = [], write = [], net = [], run = [], env = [], agent, wide } = spec.needs(call, settings);
  const socket = call.data === ":memory:" ? [] : [socketOf(call.data)];
  // Where a password is shown first (`PROOF`).
  const shown = spec.dangerous?.(call) ? files(call, text(call, "passwordFile")) : [];
  const config = settings ? [settings.file, ...(settings.stack ? [settings.stack.file] : [])] : [];
  const copy = scratch === undefined ? [] : [scratch];
  return {
    read: [
      ...new Set([
        ...read,
        house.config,
        ...config,
        ...house.own,
        ...socket,
        ...copy,
        ...shown,
        ...(root?.files ?? []),
      ]),
    ],
    write: [...new Set([...write, ...socket, ...copy])],
    ...(spec.opens ? { threads: true as const } : {}),
    ...(agent ? { agent } : {}),
    ...(wide ? { wide } : {}),
    net: [...net, ...(socket.length > 0 ? [`unix:${socket[0]}`, SOCKET_HOST] : [])],
    run,
    env: [...env, ...(root?.variables ?? [])],
  };
};
