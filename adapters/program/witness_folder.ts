/** What the tiny witness keeps in its folder: its key, made on first start, and what it has seen of each log. */
import { pause } from "../../actors/kernel/world.ts";
import { LogFault } from "../../events/log.ts";
import { type Cosigner, cosigner, isKeyName } from "../keys/note.ts";
import type { Witnessing } from "../cli/runtime.ts";
import { systemClock } from "../system/world.ts";
import { verifyNote } from "../verify/library.ts";
import { unheard } from "./listener.ts";
import { type Seen, witnessHandler, type WitnessOptions } from "./witness.ts";

const KEY = "witness.key";
const SEEN = "witness.json";
/** Stopping, whoever is still asking has so long; the platform would wait for them without an end. */
const GRACE_MS = 2_000;

/** A witness that listens, until it is stopped. Throws `LogFault` as `openWitnessFolder` does. */
export const openWitness = async (
  { dir, name, logs, host, port }: {
    readonly dir: string;
    readonly name: string;
    readonly logs: readonly string[];
    readonly host: string;
    readonly port: number;
  },
): Promise<Witnessing> => {
  for (const vkey of logs) checkKey(vkey);
  const { cosigner, memory, close } = await openWitnessFolder(dir, name);
  const handler = witnessHandler({ logs, cosigner, memory, now: () => Math.floor(Date.now() / 1000) });
  try {
    const server = Deno.serve({ hostname: host, port, onListen() {} }, handler);
    const url = `http://${host}:${server.addr.port}`;
    const stop = async () => {
      const over = new AbortController();
      await Promise.race([server.shutdown(), pause(systemClock, GRACE_MS, over.signal)]).finally(close);
      over.abort();
    };
    return { url, vkey: cosigner.vkey, stop };
  } catch (error) {
    close();
    throw unheard(error, { hostname: host, port });
  }
};

const checkKey = (vkey: string): void => {
  try {
    verifyNote("", [vkey]);
  } catch (error) {
    if (error instanceof TypeError) throw new LogFault("invalid", `Cannot know a log: ${error.message}`);
  }
};

/** Throws `LogFault`: `invalid` for a name or what a folder holds that is none, `locked` where another witness has the folder. */
export const openWitnessFolder = async (
  dir: string,
  name: string,
): Promise<{ readonly cosigner: Cosigner; readonly memory: WitnessOptions["memory"]; close(): void }> => {
  if (!isKeyName(name)) {
    throw new LogFault("invalid", "Cannot name the witness: a name has no spaces and no plus signs");
  }
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  const lock = await Deno.open(`${dir}/lock`, { create: true, write: true, mode: 0o600 });
  try {
    if (!await lock.tryLock(true)) throw new LogFault("locked", `${dir} belongs to a witness that is running`);
    const seen = seenIn(dir);
    let closed = false;
    return {
      cosigner: cosigner(name, keyIn(dir)),
      memory: {
        get: (origin) => seen.get(origin),
        set(origin, newest) {
          // By now the folder may be another's.
          if (closed) throw new LogFault("closed", "the witness is stopped");
          seen.set(origin, newest);
          writeDurably(dir, SEEN, new TextEncoder().encode(JSON.stringify(Object.fromEntries(seen))));
        },
      },
      close() {
        closed = true;
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
};

const keyIn = (dir: string): Uint8Array => {
  const path = `${dir}/${KEY}`;
  try {
    const seed = Deno.readFileSync(path);
    if (seed.length !== 32) throw new LogFault("invalid", `${path} is not the key of a witness`);
    return seed;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const seed = crypto.getRandomValues(new Uint8Array(32));
    writeDurably(dir, KEY, seed);
    return seed;
  }
};

/** What a witness forgot it would cosign anew, whatever its past: nothing seen is only believed where there is no key yet, and then said. */
const seenIn = (dir: string): Map<string, Seen> => {
  const path = `${dir}/${SEEN}`;
  const text = textIn(path);
  if (text === undefined) {
    if (isThere(`${dir}/${KEY}`)) throw new LogFault("invalid", `${path} is missing beside ${KEY}; ${AGAIN}`);
    writeDurably(dir, SEEN, new TextEncoder().encode("{}"));
    return new Map();
  }
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, Seen>));
  } catch {
    throw new LogFault("invalid", `${path} is damaged; ${AGAIN}`);
  }
};

const AGAIN = "put back a copy of it, or begin with a new key in a new folder";

const textIn = (path: string): string | undefined => {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

const isThere = (path: string): boolean => {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};

/** Whole or not at all, and there after a power cut. */
const writeDurably = (dir: string, name: string, bytes: Uint8Array): void => {
  const fresh = `${dir}/${name}.new`;
  {
    using file = Deno.openSync(fresh, { create: true, truncate: true, write: true, mode: 0o600 });
    for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
    file.syncSync();
  }
  Deno.renameSync(fresh, `${dir}/${name}`);
  using folder = Deno.openSync(dir, { read: true });
  folder.syncSync();
};
