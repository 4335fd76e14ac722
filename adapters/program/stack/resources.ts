/** Whether there is what a start needs, when those that run are counted with all that they may still take of what they need. */
import type { AgentLine } from "../../process/agent/line.ts";
import type { ProcessOf } from "../../process/agent/protocol.ts";
import type { Prepared } from "./prepared.ts";

export interface Shortage {
  readonly resource: "memory" | "cpus" | "disk";
  /** Bytes, or cores. */
  readonly needed: number;
  readonly free: number;
}

/** `folder`: whose file system the room on the disk is of. */
export const shortageOf = async (
  agent: Pick<AgentLine, "ask">,
  { needs, folder, running }: {
    readonly needs: Prepared["needs"];
    readonly folder: string;
    /** Without a process: one that is about to be started. */
    readonly running: readonly { readonly process?: ProcessOf; readonly needs: Prepared["needs"] | undefined }[];
  },
): Promise<Shortage | undefined> => {
  const free = await agent.ask("free", { folder });
  const { usage } = await agent.ask("usage", {
    processes: running.flatMap(({ process }) => process ? [{ ...process }] : []),
  });
  let { memory_bytes, cpus } = free;
  for (const { process, needs } of running) {
    if (!needs) continue;
    const { rss_bytes = 0 } = usage.find(({ nonce }) => nonce === process?.nonce) ?? {};
    memory_bytes -= Math.max(0, needs.memory_bytes - rss_bytes);
    cpus -= needs.cpus;
  }
  const at = (resource: Shortage["resource"], needed: number, free: number): Shortage | undefined =>
    needed > free ? { resource, needed, free: Math.max(0, free) } : undefined;
  return at("memory", needs.memory_bytes, memory_bytes) ?? at("cpus", needs.cpus, cpus) ??
    at("disk", needs.disk_bytes, free.disk_bytes);
};
