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

/** Remembered in `folder`, written whole or not at all; an unreadable memory is one that is not there. */
export const portsOf = async (stack: StackSettings, folder: string): Promise<Ports> => {
  const path = join(folder, `${stack.name}.${FILE}`);
  const remembered = await read(path);
  const ports = new Map<string, number>();
  for (const { name, replicas, ports: own } of stack.services) {
    for (const [port, number] of Object.entries(own)) {
      for (let replica = 0; replica < replicas; replica++) {
        const key = `${name}/${replica}/${port}`;
        ports.set(key, number === "random" ? remembered.get(key) ?? free(ports, remembered) : number);
      }
    }
  }
  if ([...ports].some(([key, port]) => remembered.get(key) !== port) || remembered.size !== ports.size) {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    await Deno.writeTextFile(`${path}.new`, JSON.stringify(Object.fromEntries(ports)), { mode: 0o600 });
    await Deno.rename(`${path}.new`, path);
  }
  return ports;
};

const free = (taken: Ports, remembered: Ports): number => {
  for (;;) {
    const port = freePort();
    if (![...taken.values(), ...remembered.values()].includes(port)) return port;
  }
};

const read = async (path: string): Promise<Ports> => {
  try {
    return new Map(Object.entries(JSON.parse(await Deno.readTextFile(path)) as Record<string, number>));
  } catch {
    return new Map();
  }
};
