/** What an instance takes: of its control group where it has one, else of its processes as `/proc` has them, which forgets the dead. */
import { countedIn, groupOf } from "./cgroups.ts";
import { remainsOf, statOf } from "./proc.ts";
import type { Answer, ProcessOf } from "./protocol.ts";

export const usageOf = (process: ProcessOf): Answer<"usage">["usage"][number] => {
  const { nonce } = process;
  const group = groupOf(process.pid, nonce);
  const counted = group === undefined ? undefined : countedIn(group);
  if (counted?.rss_bytes !== undefined) {
    const { rss_bytes } = counted;
    return { nonce, ...counted, rss_bytes, cpu_from: "cgroup", memory_from: "cgroup" };
  }
  const all = [statOf(process.pid), ...remainsOf(process, { known: true, group })].filter((stat) => stat !== undefined);
  return {
    nonce,
    rss_bytes: all.reduce((sum, { rss_bytes }) => sum + rss_bytes, 0),
    cpu_ms: counted?.cpu_ms ?? Math.round(all.reduce((sum, { cpu_ms }) => sum + cpu_ms, 0)),
    processes: all.length,
    cpu_from: counted ? "cgroup" : "proc",
    memory_from: "proc",
  };
};
