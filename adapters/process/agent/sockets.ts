/** Where processes listen, as the kernel says it (proc(5): `/proc/PID/fd`, `/proc/PID/net/tcp`, `/proc/PID/net/tcp6`). TCP alone. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { PROTOCOL } from "./protocol.ts";

export interface Listening {
  readonly address: string;
  readonly port: number;
}

/** Of `include/net/tcp_states.h`. */
const TCP_LISTEN = "0A";

type Place = Listening & { readonly inode: string };

/**
 * What is listened on in the networks of processes. The kernel takes some ten milliseconds to tell, however many ask, so one look at a
 * network is good for all who ask within `good_ms`.
 */
export class Networks {
  private readonly looked = new Map<string, { readonly at: number; readonly places: readonly Place[] }>();

  constructor(
    private readonly good_ms: number,
    private readonly world: {
      readonly now: () => number;
      readonly networkOf: (pid: number) => string | undefined;
      readonly placesOf: (pid: number) => readonly Place[];
    } = { now: () => performance.now(), networkOf, placesOf },
  ) {}

  readonly placesOf = (pid: number): readonly Place[] => {
    const { now, networkOf, placesOf } = this.world;
    const network = networkOf(pid);
    if (network === undefined) return placesOf(pid);
    const at = now();
    for (const [name, { at: then }] of this.looked) if (at - then > this.good_ms) this.looked.delete(name);
    const places = this.looked.get(network)?.places ?? placesOf(pid);
    if (!this.looked.has(network)) this.looked.set(network, { at, places });
    return places;
  };
}

/** Of all these processes, each place once; no more than are told at once. */
export const listeningOf = (pids: readonly number[], networks = new Networks(0)): Listening[] => {
  const inodes = new Set(pids.flatMap(socketsOf));
  if (inodes.size === 0) return [];
  const found = new Map<string, Listening>();
  for (const pid of pids) {
    for (const { inode, ...place } of networks.placesOf(pid)) {
      if (inodes.has(inode)) found.set(`${place.address} ${place.port}`, place);
    }
  }
  return [...found.values()].slice(0, PROTOCOL.sockets_max);
};

const socketsOf = (pid: number): readonly string[] => {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => inodeOf(`${folder}/${fd}`) ?? []);
  } catch {
    return []; // gone, or not ours to read
  }
};

const inodeOf = (link: string): string | undefined => {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1];
  } catch {
    return undefined;
  }
};

const networkOf = (pid: number): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
};

const placesOf = (pid: number): readonly Place[] =>
  ["tcp", "tcp6"].flatMap((table) => placesIn(`/proc/${pid}/net/${table}`));

const placesIn = (table: string): readonly Place[] => {
  try {
    return readFileSync(table, "utf8").split("\n").slice(1).flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (state !== TCP_LISTEN) return [];
      const [address = "", port = ""] = local.split(":");
      return [{ address: addressOf(address), port: parseInt(port, 16), inode }];
    });
  } catch {
    return [];
  }
};

/** Each four bytes are a number of the machine, the least byte first on all that Deno runs on. */
const addressOf = (hex: string): string => {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    word.match(/../g)!.toReversed().map((byte) => parseInt(byte, 16))
  );
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.every((byte) => byte === 0)) return "::";
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255) return bytes.slice(12).join(".");
  const words = Array.from({ length: 8 }, (_, at) => (bytes[2 * at]! * 256 + bytes[2 * at + 1]!).toString(16));
  return words.join(":").replace(/\b(?:0:){2,}/, ":").replace(/^:(?!:)/, "::");
};
