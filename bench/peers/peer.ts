/**
 * Peers: other people's packages that do what we do, each in a process of its own with its own lock file, so that the program
 * neither has nor loads them. Told on standard input what to measure, a line each; a line of JSON is the answer.
 */
import { fileURLToPath } from "node:url";
import type { Worked } from "../workload.ts";

export interface Peer {
  measure(what: string): Promise<Worked>;
  stop(): Promise<void>;
  kill(): void;
}

const inFolder = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** How a peer is started, and what makes that possible. */
interface Way {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly advice?: string;
}

const NACT: Way = {
  name: "nact",
  command: Deno.execPath(),
  args: ["run", "-q", "-A", "--no-config", `--lock=${inFolder("nact.lock")}`, "--frozen", inFolder("nact.ts")],
};
const EMMETT: Way = {
  name: "emmett-sqlite",
  command: "node",
  args: [inFolder("emmett/emmett.mjs")],
  advice: "npm ci in bench/peers/emmett",
};

/** Why a peer cannot be measured here: its package cannot be had. Asked once. */
const withoutPeer = ({ name, command, args, advice }: Way): () => string | undefined => {
  let because: string | undefined | null = null;
  const ask = (): string | undefined => {
    try {
      // Started with nothing to answer, it loads its package and ends.
      const env = { NO_COLOR: "1" };
      const { success, stderr } = new Deno.Command(command, { args: [...args], env }).outputSync();
      if (success) return undefined;
      const said = new TextDecoder().decode(stderr).split("\n").find((line) => /^\w*error/i.test(line));
      return `${name} cannot be had: ${advice ?? said}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return `${name} cannot be had: ${command} is missing`;
      throw error;
    }
  };
  return () => because === null ? because = ask() : because;
};

const start = async ({ name, command, args }: Way): Promise<Peer> => {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const line = async (): Promise<string> => {
    let text = "";
    while (!text.endsWith("\n")) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`${name} ended`);
      text += value;
    }
    return text;
  };
  await line(); // it is ready
  return {
    async measure(what) {
      await writer.write(new TextEncoder().encode(`${what}\n`));
      return JSON.parse(await line());
    },
    async stop() {
      await writer.close();
      await lines.cancel();
      await child.status;
    },
    kill: () => child.kill("SIGKILL"),
  };
};

export const nact = (): Promise<Peer> => start(NACT);
export const withoutNact = withoutPeer(NACT);
export const emmett = (): Promise<Peer> => start(EMMETT);
export const withoutEmmett = withoutPeer(EMMETT);
