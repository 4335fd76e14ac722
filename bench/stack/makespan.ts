/**
 * `deno run -A bench/stack/makespan.ts [rounds] [--json]`: how long random stacks take to come up, as services start the moment they may
 * and in strict batches, beside the longest chain of what they need, which nothing can beat. Real processes, real log, one run.
 *
 * A service sleeps for a while and then says that it is ready; the longest chain is of these sleeps alone.
 */
import { fileURLToPath } from "node:url";
import { criticalPath, graphOf } from "../../actors/services/graph.ts";
import { seededRandom } from "../../adapters/simulation/random.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
const SERVICES = 24;

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

const stackOf = (drawn: readonly Drawn[], order: string): string =>
  JSON.stringify({
    stack: { name: "drawn", order },
    services: Object.fromEntries(drawn.map(({ name, ms, needs }) => [name, {
      command: "/bin/sh",
      arguments: ["-c", `sleep ${ms / 1_000}; echo ready; exec sleep 1000`],
      ready_line: "^ready",
      depends_on: Object.fromEntries(needs.map((need) => [need, { condition: "healthy" }])),
      stop: { grace_ms: 1_000 },
    }])),
  });

const daybook = (...args: readonly string[]) =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--v8-flags=--no-allocation-site-pretenuring", "--config", CONFIG, MAIN, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });

/** From the first announcement to the last that is well, as the log has it; ms. */
const takes = async (drawn: readonly Drawn[], order: string): Promise<number> => {
  const folder = await Deno.makeTempDir({ prefix: "daybook-makespan-" });
  try {
    const [data, file] = [`${folder}/data`, `${folder}/stack.json`];
    await Deno.writeTextFile(file, stackOf(drawn, order));
    const server = daybook("start", "--data", data, "--port", "0", "--stack", file).spawn();
    const listening = server.stdout.getReader();
    await listening.read();
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
  const { length: bound, path } = criticalPath(drawn, graph, (name) => drawn.find((each) => each.name === name)!.ms);
  const ready = await takes(drawn, "ready");
  rows.push({ seed, links: path.length, bound, ready, batches: await takes(drawn, "batches") });
}
if (Deno.args.includes("--json")) console.log(JSON.stringify(rows));
else {
  for (const { seed, links, bound, ready, batches } of rows) {
    console.log(
      `stack ${seed}: longest chain ${bound} ms (${links} links), as they may ${ready} ms (${
        (ready / bound).toFixed(3)
      }), ` +
        `in batches ${batches} ms (${(batches / bound).toFixed(3)})`,
    );
  }
}
