/**
 * `deno run -A bench/stack/makespan.ts [rounds] [--json]`: how long random stacks take to come up, as services start the moment they may
 * and in strict batches, beside the longest chain of what they need, which nothing can beat. Real processes, real log, one run.
 *
 * A service sleeps for 0.1 to 1 s and then says that it is ready: shorter than most real ones take (PostgreSQL 0.3 s, what runs on a JVM
 * several), so that what starting costs weighs more here than it does there. How long each takes by itself, started by nobody but a shell,
 * is measured beside it; the longest chain is of these times. What it is of the sleeps alone stands beside it.
 */
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../adapters/process/reexec.ts";
import { criticalPath, graphOf } from "../../actors/services/graph.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const SERVICES = 24;
/** By themselves so many run at a time: they only sleep. */
const ALONE = 4;

interface Drawn {
  readonly name: string;
  readonly ms: number;
  readonly needs: readonly string[];
}

/** Each needs up to three of those before it. */
const draw = (seed: number): readonly Drawn[] => {
  const random = seededRandom(seed);
  const whole = (below: number) => Math.floor(random.next() * below);
  return Array.from({ length: SERVICES }, (_, i) => ({
    name: `s${i}`,
    ms: 100 + whole(900),
    needs: [...new Set(Array.from({ length: i === 0 ? 0 : whole(4) }, () => `s${whole(i)}`))],
  }));
};

const scriptOf = ({ ms }: Drawn): string => `sleep ${ms / 1_000}; echo ready; exec sleep 1000`;

/** How long a service takes until it says that it is ready, from when its process is there; ms. */
const alone = async (drawn: Drawn): Promise<number> => {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", scriptOf(drawn)],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const began = performance.now();
  const said = child.stdout.getReader();
  await said.read();
  const took = performance.now() - began;
  child.kill("SIGKILL");
  await said.cancel();
  await child.status;
  return took;
};

const allAlone = async (drawn: readonly Drawn[]): Promise<ReadonlyMap<string, number>> => {
  const took = new Map<string, number>();
  const rest = [...drawn];
  const one = async () => {
    for (let next; (next = rest.shift());) took.set(next.name, await alone(next));
  };
  await Promise.all(Array.from({ length: ALONE }, one));
  return took;
};

const stackOf = (drawn: readonly Drawn[], order: string): string =>
  JSON.stringify({
    stack: { name: "drawn", order },
    services: Object.fromEntries(drawn.map((each) => [each.name, {
      command: "/bin/sh",
      arguments: ["-c", scriptOf(each)],
      ready_line: "^ready",
      depends_on: Object.fromEntries(each.needs.map((need) => [need, { condition: "healthy" }])),
      stop: { grace_ms: 1_000 },
    }])),
  });

const daybook = (...args: readonly string[]) =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", V8_FLAGS, "--config", CONFIG, MAIN, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });

/** From the first announcement to the last that is well, as the log has it; ms. `least`: it cannot be sooner. */
const takes = async (drawn: readonly Drawn[], order: string, least: number): Promise<number> => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-makespan-" });
  try {
    const [data, file] = [`${folder}/data`, `${folder}/stack.json`];
    await Deno.writeTextFile(file, stackOf(drawn, order));
    const server = daybook("start", "--data", data, "--port", "0", "--stack", file).spawn();
    const listening = server.stdout.getReader();
    await listening.read();
    // Whoever asks meanwhile is in the way of what is measured.
    await new Promise((resolve) => setTimeout(resolve, least));
    const up = await daybook("up", "--data", data, "--wait", "120").output();
    if (!up.success) throw new Error(new TextDecoder().decode(up.stdout));
    const { stdout } = await daybook(
      "events",
      "--data",
      data,
      "--stream",
      "services/drawn",
      "--limit",
      "100000",
      "--json",
    ).output();
    const { events } = JSON.parse(new TextDecoder().decode(stdout)) as {
      events: readonly { readonly type: string; readonly time: string }[];
    };
    const times = (type: string) => events.filter((event) => event.type === type).map(({ time }) => Date.parse(time));
    await daybook("down", "--data", data).output();
    server.kill("SIGTERM");
    await listening.cancel();
    await server.status;
    return Math.max(...times("services.health.confirmed")) - Math.min(...times("services.instance.announced"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

const rounds = Number(Deno.args.find((arg) => /^\d+$/.test(arg)) ?? 5);
const rows = [];
for (let seed = 1; seed <= rounds; seed++) {
  const drawn = draw(seed);
  const graph = graphOf(drawn);
  if (!graph.ok) throw new Error("a drawn stack has a cycle");
  const { length: sleeps } = criticalPath(drawn, graph, (name) => drawn.find((each) => each.name === name)!.ms);
  const own = await allAlone(drawn);
  const { length: bound, path } = criticalPath(drawn, graph, (name) => own.get(name)!);
  const ready = await takes(drawn, "ready", sleeps);
  rows.push({ seed, links: path.length, sleeps, bound, ready, batches: await takes(drawn, "batches", sleeps) });
}
if (Deno.args.includes("--json")) console.log(JSON.stringify(rows));
else {
  for (const { seed, links, sleeps, bound, ready, batches } of rows) {
    console.log(
      `stack ${seed}: longest chain ${Math.round(bound)} ms (${links} links, ${sleeps} ms of sleep), ` +
        `as they may ${ready} ms (${(ready / bound).toFixed(3)}; ${(ready / sleeps).toFixed(3)} of the sleep), ` +
        `in batches ${batches} ms (${(batches / bound).toFixed(3)})`,
    );
  }
}
