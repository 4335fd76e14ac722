/** Run under the kernel of `stack_limits_test.ts`, in a folder with room: starts as the agent starts, and tells what the kernel then does. */
import { readFileSync } from "node:fs";
import { countedIn, groupOf, makeHeldGroup, unheldOf } from "../../adapters/process/agent/cgroups.ts";
import { groupIn, Starting } from "../../adapters/process/agent/starting.ts";
import { until } from "../until.ts";

const [folder = "", ...names] = Deno.args;
const starting = new Starting((name) => Deno.env.get(name));
const shell = async (nonce: string, script: string, limits: { cpus?: number; resident_bytes?: number }) => {
  const answer = await starting.start({
    ask: "start",
    id: 1,
    nonce,
    command: "/bin/sh",
    arguments: ["-c", script],
    folder,
    environment: {},
    inherit: ["PATH"],
    limits,
    leftovers: [],
    traces: `${folder}/traces`,
    log: { path: `${folder}/${nonce}.log`, bytes_max: 1_000_000, keep: 1 },
  });
  if ("refused" in answer) throw new Error(answer.refused);
  return answer.process;
};
const read = (group: string | undefined, file: string) => group && readFileSync(`${group}/${file}`, "utf8").trim();
const throttled = (group: string) => Number(/^nr_throttled (\d+)$/m.exec(read(group, "cpu.stat")!)?.[1] ?? 0);

/** What is held, and by what. */
const held = async () => {
  const { pid, nonce } = await shell("busy", "while :; do :; done", { cpus: 0.2, resident_bytes: 200_000_000 });
  const group = await until("it has joined", () => groupOf(pid, nonce), (found) => found !== undefined);
  await until("it is throttled", () => throttled(group!), (times) => times > 3);
  const large = await shell("large", "tail /dev/zero & wait; exec sleep 600", { resident_bytes: 30_000_000 });
  const how = await starting.endOf(large.nonce);
  const plain = await shell("plain", "exec sleep 600", {});
  return {
    cpu: read(group, "cpu.max"),
    memory: read(group, "memory.max"),
    counted: (countedIn(group!)?.cpu_ms ?? 0) > 0,
    known: groupIn(nonce, `${folder}/traces`) === group,
    how,
    plain: groupOf(plain.pid, plain.nonce) ?? null,
  };
};

const unheld = async () => ({
  because: unheldOf({ cpus: 1 }) ?? null,
  group: await makeHeldGroup("n", { cpus: 1 }) ?? null,
});

for (const name of names) console.log(`<${name}>${JSON.stringify(name === "held" ? await held() : await unheld())}</>`);
Deno.exit(0);
