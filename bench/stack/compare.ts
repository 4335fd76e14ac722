/**
 * `deno run -A bench/stack/compare.ts [rounds]`: the reference stack started cold and warm by Daybook, and cold by supervisord with a wait
 * script, in turn; ms until everything is well as seen from outside, and medians. As JSON with `--json`.
 */
import { fileURLToPath } from "node:url";
import { asStack, asSupervisord, freePorts, missing, type Ports, prepare, untilWell } from "./reference.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

const spawn = (command: string, args: readonly string[]) =>
  new Deno.Command(command, { args: [...args], stdin: "null", stdout: "null", stderr: "null" }).spawn();

const daybook = (...args: readonly string[]) =>
  spawn(Deno.execPath(), [
    "run",
    "-q",
    "-A",
    "--v8-flags=--no-allocation-site-pretenuring",
    "--config",
    CONFIG,
    MAIN,
    ...args,
  ]);

/** Ms until everything is well; `warm`: the services run already, and are to be found. */
const byDaybook = async (folder: string, ports: Ports): Promise<{ readonly cold: number; readonly warm: number }> => {
  const [data, file] = [`${folder}/data`, `${folder}/stack.yaml`];
  await Deno.writeTextFile(file, asStack(folder, ports));
  const start = () => daybook("start", "--data", data, "--port", "0", "--stack", file);
  const known = async () => {
    const { code } = await daybook("up", "--data", data).status;
    if (code !== 0) throw new Error("not all services are well");
  };
  let began = performance.now();
  let server = start();
  await untilWell(ports);
  const cold = performance.now() - began;
  await known();
  server.kill("SIGTERM");
  await server.status;
  began = performance.now();
  server = start();
  // It has found them when it answers, which is after it has applied the stack and everything in it is as it was.
  while (!await Deno.stat(`${data}/control.sock`).then(() => true, () => false)) {
    await new Promise((r) => setTimeout(r, 5));
  }
  await untilWell(ports);
  const warm = performance.now() - began;
  await known();
  await daybook("down", "--data", data).status;
  server.kill("SIGTERM");
  await server.status;
  return { cold, warm };
};

const bySupervisord = async (folder: string, ports: Ports): Promise<number> => {
  await Deno.writeTextFile(`${folder}/supervisord.conf`, asSupervisord(folder, ports));
  const began = performance.now();
  const server = spawn("/usr/bin/supervisord", ["-c", `${folder}/supervisord.conf`]);
  await untilWell(ports);
  const took = performance.now() - began;
  server.kill("SIGTERM");
  await server.status;
  return took;
};

const inFolder = async <T>(body: (folder: string, ports: Ports) => Promise<T>): Promise<T> => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-reference-" });
  try {
    await prepare(folder);
    return await body(folder, freePorts());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

export interface Round {
  readonly cold: number;
  readonly warm: number;
  readonly supervisord: number;
}

/** One after the other, each in a fresh folder. */
export const compare = async (rounds: number): Promise<readonly Round[]> => {
  const all: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    const ours = await inFolder(byDaybook);
    all.push({ ...ours, supervisord: await inFolder(bySupervisord) });
  }
  return all;
};

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

if (import.meta.main) {
  const absent = missing();
  if (absent.length > 0) {
    console.error(`not installed: ${absent.join(", ")}`);
    Deno.exit(3);
  }
  const json = Deno.args.includes("--json");
  const rounds = await compare(Number(Deno.args.find((arg) => /^\d+$/.test(arg)) ?? 3));
  const of = (key: keyof Round) => Math.round(median(rounds.map((round) => round[key])));
  const [cold, warm, supervisord] = [of("cold"), of("warm"), of("supervisord")];
  if (json) console.log(JSON.stringify({ rounds, medians: { cold, warm, supervisord } }));
  else {
    for (const round of rounds) {
      console.log(
        `cold ${Math.round(round.cold)} ms, warm ${Math.round(round.warm)} ms, supervisord ${
          Math.round(round.supervisord)
        } ms`,
      );
    }
    console.log(
      `medians: cold ${cold} ms, warm ${warm} ms (${
        (warm / cold).toFixed(2)
      } of cold), supervisord ${supervisord} ms (ours ${(cold / supervisord).toFixed(2)} of it)`,
    );
  }
}
