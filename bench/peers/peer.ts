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

const flags = (name: string): string[] => [
  "run",
  "-q",
  "-A",
  "--no-config",
  `--lock=${inFolder(`${name}.lock`)}`,
  "--frozen",
  inFolder(`${name}.ts`),
];

/** Why a peer cannot be measured here: its package cannot be had. Asked once. */
export const withoutPeer = (name: string): () => string | undefined => {
  let because: string | undefined | null = null;
  return () => {
    if (because !== null) return because;
    // Started with nothing to answer, it loads its package and ends.
    const { success, stderr } = new Deno.Command(Deno.execPath(), { args: flags(name), env: { NO_COLOR: "1" } })
      .outputSync();
    const said = new TextDecoder().decode(stderr).split("\n").find((line) => line.startsWith("error"));
    return because = success ? undefined : `${name} cannot be had: ${said}`;
  };
};

const start = async (name: string): Promise<Peer> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: flags(name),
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

export const nact = (): Promise<Peer> => start("nact");
export const withoutNact = withoutPeer("nact");
