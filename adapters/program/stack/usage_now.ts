/** `stack-usage`: what the running instances take, as they were looked at last; nothing where no services are run. */
import { z } from "zod";
import { isAlive } from "../../../actors/services/state.ts";
import { operation } from "../operation.ts";
import { runningStack } from "./stack.ts";

export const stackUsage = operation({
  about: "What the instances of services take of memory and CPU, and who has counted it.",
  input: z.strictObject({}),
  run({ daybook }) {
    const running = runningStack(daybook)?.orchestrator;
    const services = Object.entries(running?.present.services ?? {});
    const instances = services.flatMap(([service, { lives }]) =>
      lives.flatMap((life, replica) => {
        const taken = isAlive(life) ? running!.usage.of(life.process.nonce) : undefined;
        if (!taken) return [];
        const { rss_bytes: memory_bytes, cpus, processes, cpu_from, memory_from } = taken;
        return [{ service, replica, memory_bytes, cpus, processes, cpu_from, memory_from }];
      })
    );
    return Promise.resolve({ instances });
  },
});
