/** What processes of services take: looked at every few seconds, the newest and the most of it kept by nonce. */
import type { AgentLine } from "../../process/agent/line.ts";
import type { CountedBy, ProcessOf } from "../../process/agent/protocol.ts";

export const USAGE = {
  look_ms: 5_000,
  /** What long runs took is put on record so often, and when they end. */
  record_ms: 3_600_000,
} as const;

export interface Taken {
  /** Resident memory of the process and all below it. */
  readonly rss_bytes: number;
  readonly rss_peak_bytes: number;
  /** Address space of the process that had most. */
  readonly space_peak_bytes: number;
  /** CPU time since its start. */
  readonly cpu_ms: number;
  /** Cores it took between the last two looks. */
  readonly cpus: number;
  /** The most cores it took between two looks. */
  readonly cpus_peak: number;
  readonly processes: number;
  readonly samples: number;
  readonly cpu_from: CountedBy;
  readonly memory_from: CountedBy;
}

interface Sample extends Taken {
  /** Monotonic, ms. */
  readonly at: number;
}

export class Usage {
  private readonly taken = new Map<string, Sample>();

  async look(agent: Pick<AgentLine, "ask">, processes: readonly ProcessOf[], now: () => number): Promise<void> {
    if (processes.length === 0) return;
    const { usage } = await agent.ask("usage", { processes: processes.map((process) => ({ ...process })) });
    const at = now();
    for (const { nonce, ...now } of usage) {
      const { space_bytes, ...rest } = now;
      const { rss_bytes, cpu_ms } = rest;
      const before = this.taken.get(nonce);
      const cpus = before && at > before.at ? Math.max(0, cpu_ms - before.cpu_ms) / (at - before.at) : 0;
      this.taken.set(nonce, {
        ...rest,
        at,
        space_peak_bytes: Math.max(space_bytes, before?.space_peak_bytes ?? 0),
        rss_peak_bytes: Math.max(rss_bytes, before?.rss_peak_bytes ?? 0),
        cpus,
        cpus_peak: Math.max(cpus, before?.cpus_peak ?? 0),
        samples: (before?.samples ?? 0) + 1,
      });
    }
  }

  of(nonce: string): Taken | undefined {
    return this.taken.get(nonce);
  }

  forget(nonce: string): void {
    this.taken.delete(nonce);
  }
}
