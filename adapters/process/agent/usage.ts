/** What an instance takes: of its control group where it has one, else of its processes as `/proc` has them, which forgets the dead. */
import { countedIn, groupOf, joinGroup, pidsIn } from "./cgroups.ts";
import { type Present, remainsOf, statOf } from "./proc.ts";
import type { Answer, ProcessOf } from "./protocol.ts";

/** `among`: those that are there. */
export const usageOf = (process: ProcessOf, among: readonly Present[]): Answer<"usage">["usage"][number] => {
  const { nonce } = process;
  const group = groupOf(process.pid, nonce);
  const all = [statOf(process.pid), ...remainsOf(process, { known: true, group, among })].filter((stat) =>
    stat !== undefined
  );
  if (group !== undefined) {
    // Those that it had started before it was in the group itself.
    const grouped = new Set(pidsIn(group));
    for (const { pid } of all) if (!grouped.has(pid)) void joinGroup(group, pid);
  }
  const space_bytes = Math.max(0, ...all.map((stat) => stat.space_bytes));
  const counted = group === undefined ? undefined : countedIn(group);
  if (counted?.rss_bytes !== undefined) {
    const { rss_bytes, cpu_ms } = counted;
    return { nonce, rss_bytes, space_bytes, cpu_ms, processes: all.length, cpu_from: "cgroup", memory_from: "cgroup" };
  }
  return {
    nonce,
    space_bytes,
    rss_bytes: all.reduce((sum, { rss_bytes }) => sum + rss_bytes, 0),
    cpu_ms: counted?.cpu_ms ?? Math.round(all.reduce((sum, { cpu_ms }) => sum + cpu_ms, 0)),
    processes: all.length,
    cpu_from: counted ? "cgroup" : "proc",
    memory_from: "proc",
  };
};
