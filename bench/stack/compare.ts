/**
 * `deno run -A bench/stack/compare.ts [rounds]`: the reference stack started cold and warm by Daybook, and cold by supervisord with a wait
 * script, in turn; ms until everything is well as seen from outside, and medians. As JSON with `--json`.
 *
 * Daybook is started as its users start it, by its task and with that task's permissions.
 */
import { fileURLToPath } from "node:url";
import { median } from "../samples.ts";
import {
  asStack,
  asSupervisord,
  begunFile,
  freePorts,
  missing,
  type Name,
  type Ports,
  prepare,
  SERVICES,
  untilWell,
} from "./reference.ts";

const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const STACK = "reference";

const spawn = (command: string, args: readonly string[]) =>
  new Deno.Command(command, { args: [...args], stdin: "null", stdout: "null", stderr: "null" }).spawn();

const taskArguments = (args: readonly string[]) => ["task", "-q", "--config", CONFIG, ...args];
const task = (...args: readonly string[]) => spawn(Deno.execPath(), taskArguments(args));

/** Ms until everything is well; `warm`: the services run already, and are to be found. `begun`: which was begun after which, cold. */
const byDaybook = async (
  folder: string,
  ports: Ports,
): Promise<{ readonly cold: number; readonly warm: number; readonly begun: readonly Name[] }> => {
  const [data, file] = [`${folder}/data`, `${folder}/stack.yaml`];
  await Deno.writeTextFile(file, asStack(folder, ports));
  const start = () => task("start", "--data", data, "--port", "0", "--stack", file);
  const known = async () => {
    const { code } = await task("up", "--data", data).status;
    if (code !== 0) throw new Error("not all services are well");
  };
  let began = performance.now();
  let server = start();
  await untilWell(ports);
  const cold = performance.now() - began;
  await known();
  const begun = await begunIn(data);
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
  await task("down", "--data", data).status;
  server.kill("SIGTERM");
  await server.status;
  return { cold, warm, begun };
};

/** As its log has it. */
const begunIn = async (data: string): Promise<readonly Name[]> => {
  const args = taskArguments(["events", "--data", data, "--stream", `services/${STACK}`, "--limit", "1000", "--json"]);
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, stdin: "null", stderr: "null" }).output();
  const { events } = JSON.parse(new TextDecoder().decode(stdout)) as {
    events: readonly { readonly type: string; readonly data: { readonly service: Name } }[];
  };
  return events.filter(({ type }) => type === "services.instance.started").map(({ data: { service } }) => service);
};

const bySupervisord = async (
  folder: string,
  ports: Ports,
): Promise<{ readonly took: number; readonly begun: readonly Name[] }> => {
  await Deno.writeTextFile(`${folder}/supervisord.conf`, asSupervisord(folder, ports));
  const began = performance.now();
  const server = spawn("/usr/bin/supervisord", ["-c", `${folder}/supervisord.conf`]);
  await untilWell(ports);
  const took = performance.now() - began;
  server.kill("SIGTERM");
  await server.status;
  const times = await Promise.all(SERVICES.map(async (name) => {
    const at = BigInt((await Deno.readTextFile(begunFile(folder, name))).trim());
    return { name, at };
  }));
  return { took, begun: times.sort((a, b) => a.at < b.at ? -1 : 1).map(({ name }) => name) };
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
  /** Services in the order in which they were begun. */
  readonly begun: { readonly daybook: readonly Name[]; readonly supervisord: readonly Name[] };
}

/** One after the other, each in a fresh folder. */
export const compare = async (rounds: number): Promise<readonly Round[]> => {
  const all: Round[] = [];
  for (let i = 0; i < rounds; i++) {
    const { cold, warm, begun } = await inFolder(byDaybook);
    const other = await inFolder(bySupervisord);
    all.push({ cold, warm, supervisord: other.took, begun: { daybook: begun, supervisord: other.begun } });
  }
  return all;
};

export const mediansOf = (rounds: readonly Round[]) => {
  const of = (key: "cold" | "warm" | "supervisord") => Math.round(median(rounds.map((round) => round[key])));
  return { cold: of("cold"), warm: of("warm"), supervisord: of("supervisord") };
};

/** For people: a line a round, and one of medians and ratios. */
export const comparedText = (rounds: readonly Round[]): string => {
  const { cold, warm, supervisord } = mediansOf(rounds);
  return [
    ...rounds.map((round) => {
      const [cold, warm, other] = [round.cold, round.warm, round.supervisord].map(Math.round);
      return `cold ${cold} ms, warm ${warm} ms, supervisord ${other} ms`;
    }),
    `medians: cold ${cold} ms, warm ${warm} ms (${(warm / cold).toFixed(2)} of cold), ` +
    `supervisord ${supervisord} ms (ours ${(cold / supervisord).toFixed(2)} of it)`,
  ].join("\n");
};

if (import.meta.main) {
  const absent = missing();
  if (absent.length > 0) {
    console.error(`not installed: ${absent.join(", ")}`);
    Deno.exit(3);
  }
  const rounds = await compare(Number(Deno.args.find((arg) => /^\d+$/.test(arg)) ?? 3));
  const json = Deno.args.includes("--json");
  console.log(json ? JSON.stringify({ rounds, medians: mediansOf(rounds) }) : comparedText(rounds));
}
