/** The reference stack, on real servers: up from nothing, found again by the next run, stopped without an orphan. */
import assert from "node:assert/strict";
import { asStack, freePorts, missing, prepare, SERVICES, untilWell } from "../../bench/stack/reference.ts";
import { inFolder } from "../folder_given.ts";
import { Program, run } from "./program.ts";

interface Instance {
  readonly service: string;
  readonly state: string;
  readonly pid: number;
  readonly starts: number;
}

const EDGES = { dashboard: ["prometheus"], retrieval: ["vectors", "redis", "prometheus"] } as const;

Deno.test("redis, PostgreSQL, prometheus and those that need them come up in order, and are all found again", async (t) => {
  const absent = missing().filter((name) => name !== "supervisor");
  if (absent.length > 0) {
    assert.notEqual(Deno.env.get("CI"), "true", `not installed: ${absent.join(", ")}`);
    return console.log(`skipped, not installed: ${absent.join(", ")} (${t.name})`);
  }
  await inFolder(async (folder) => {
    await prepare(folder);
    const ports = freePorts();
    const [data, file] = [`${folder}/data`, `${folder}/stack.yaml`];
    await Deno.writeTextFile(file, asStack(folder, ports));
    const start = () => Program.start(data, {}, { more: ["--stack", file, "--profile", "full"] });
    const graph = await run("stack", "graph", "--stack", file, "--json");
    const { nodes } = JSON.parse(graph.out) as { nodes: { service: string; needs: { service: string }[] }[] };
    assert.deepEqual(
      Object.fromEntries(nodes.map(({ service, needs }) => [service, needs.map((need) => need.service)])),
      { redis: [], postgres: [], prometheus: [], vectors: [], ...EDGES },
    );
    const instances = async (): Promise<readonly Instance[]> => {
      const { services } = JSON.parse((await run("ps", "--json", "--data", data)).out) as {
        services: { instances: Instance[] }[];
      };
      return services.flatMap(({ instances }) => instances);
    };
    let program = await start();
    let pids: readonly number[] = [];
    try {
      const up = await run("up", "--data", data);
      assert.equal(up.code, 0, up.err);
      await untilWell(ports);
      const cold = await instances();
      assert.deepEqual(cold.map(({ service }) => service).sort(), [...SERVICES].sort());
      const { out } = await run("events", "--stream", "services/reference", "--json", "--data", data);
      const { events } = JSON.parse(out) as { events: { type: string; data: { service: string } }[] };
      const at = (type: string, name: string) =>
        events.findIndex((event) => event.type === type && event.data.service === name);
      for (const [name, needs] of Object.entries(EDGES)) {
        for (const need of needs) {
          assert.ok(
            at("services.health.confirmed", need) < at("services.instance.announced", name),
            `${need} before ${name}`,
          );
        }
      }
      await program.end("SIGKILL");
      program = await start();
      await untilWell(ports);
      assert.equal((await run("up", "--data", data)).code, 0);
      const warm = await instances();
      pids = warm.map(({ pid }) => pid);
      assert.deepEqual(
        warm.map(({ pid, starts }) => [pid, starts]),
        cold.map(({ pid }) => [pid, 1]),
        "none was started again",
      );
      const path = await run("stack", "critical-path", "--stack", file, "--data", data, "--json");
      assert.deepEqual(JSON.parse(path.out).measured, SERVICES.length);
    } finally {
      await run("down", "--data", data);
      await program.end("SIGTERM");
    }
    const shown = async (program: string, ...args: readonly string[]) =>
      new TextDecoder().decode((await new Deno.Command(program, { args: [...args] }).output()).stdout);
    assert.equal(pids.length, SERVICES.length);
    const left = await shown("ps", "-o", "stat=,pid=,args=", "-p", pids.join(","));
    assert.deepEqual(left.split("\n").filter((line) => line !== "" && !line.startsWith("Z")), []);
    assert.equal(await shown("pgrep", "-f", folder), "");
  });
});
