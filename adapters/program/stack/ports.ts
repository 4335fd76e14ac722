/** Ports of a stack: those it states, and free ones that stay the same as long as the folder is there. */
import { join } from "node:path";
import type { StackSettings } from "../../../config/stack.ts";
import { HOST, type Ports } from "./launch.ts";

const FILE = "ports.json";

/** A port nobody listens on now; another one may come before its service does. */
const freePort = (): number => {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
};

/**
 * Remembered in `folder`, written whole or not at all; an unreadable memory is one that is not there. `keep` false: only to look at.
 * Default true.
 */
export const portsOf = async (
  stack: StackSettings,
  folder: string,
  { keep = true }: { readonly keep?: boolean } = {},
): Promise<Ports> => {
  const path = join(folder, `${stack.name}.${FILE}`);
  const remembered = await read(path);
  const stated = new Set(stack.services.flatMap(({ ports }) => Object.values(ports)));
  const taken = new Set([...remembered.values(), ...stated]);
  const ports = new Map<string, number>();
  for (const { name, replicas, ports: own } of stack.services) {
    for (const [port, number] of Object.entries(own)) {
      const keys = Array.from({ length: replicas }, (_, replica) => `${name}/${replica}/${port}`);
      // Where one has to go all go, so that the first tells whether there is a change (`apply.ts`).
      const stays = !keys.some((key) => remembered.has(key) && stated.has(remembered.get(key)!));
      for (const key of keys) {
        ports.set(key, number === "random" ? (stays ? remembered.get(key) : undefined) ?? free(taken) : number);
      }
    }
  }
  if (keep) await keepPorts(stack, folder, ports);
  return ports;
};

/** Remembers them; the ports of services that are not in the stack are forgotten. */
export const keepPorts = async ({ name }: Pick<StackSettings, "name">, folder: string, ports: Ports): Promise<void> => {
  const path = join(folder, `${name}.${FILE}`);
  const remembered = await read(path);
  if (![...ports].some(([key, port]) => remembered.get(key) !== port) && remembered.size === ports.size) return;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(Object.fromEntries(ports)), { mode: 0o600 });
  await Deno.rename(`${path}.new`, path);
};

/** One that is not taken; from now on it is. */
const free = (taken: Set<number | "random">): number => {
  for (;;) {
    const port = freePort();
    if (taken.has(port)) continue;
    taken.add(port);
    return port;
  }
};

const isPort = (value: unknown): boolean => Number.isInteger(value) && value as number > 0 && value as number < 65_536;

const read = async (path: string): Promise<Ports> => {
  try {
    const said: [string, unknown][] = Object.entries(JSON.parse(await Deno.readTextFile(path)));
    return new Map(said.filter((entry): entry is [string, number] => isPort(entry[1])));
  } catch {
    return new Map();
  }
};
