/** What the orchestrator tells the decider of a stack: of starts, ends, probes. Each is told until it is taken. */
import type { Daybook, Outcome } from "../../../actors/kernel/daybook.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { ORCHESTRATOR, type ServiceCommand } from "../../../actors/services/stack.ts";
import { type Finding, type FindingCheck, type ProbeName, SERVICE_LIMITS } from "../../../events/services.ts";
import type { ProcessOf } from "../../process/agent/protocol.ts";
import type { Taken } from "./usage.ts";

const REPORTS = {
  /** A command that could not be taken is given again after so long, then ever later. */
  retry_first_ms: 50,
  retry_last_ms: 5_000,
} as const;

/** An instance. */
export interface Of {
  readonly service: string;
  readonly replica: number;
}

export interface ReportsOptions {
  readonly daybook: Pick<Daybook, "ask">;
  readonly clock: Clock;
  /** Name of the stack. */
  readonly name: string;
  readonly report: (line: string) => void;
}

export class Reports {
  /** Of the present run; what is not taken when it aborts is told by the next. */
  signal: AbortSignal = AbortSignal.abort();

  constructor(private readonly options: ReportsOptions) {}

  /** Until it is taken, or this run is over: then false. What another has told already, or is no longer so, is passed over by the decider. */
  async tell(command: ServiceCommand, id?: string): Promise<boolean> {
    const outcome = await this.ask(command, id);
    if (outcome.is === "rejected" || outcome.is === "invalid" || outcome.is === "unknown_command") {
      this.options.report(`services: "${command.type}" was not taken: ${JSON.stringify(outcome)}`);
    }
    return outcome.is !== "unavailable";
  }

  async ask({ type, data }: ServiceCommand, id?: string): Promise<Outcome> {
    const { daybook, clock, name } = this.options;
    for (let wait: number = REPORTS.retry_first_ms;; wait = Math.min(2 * wait, REPORTS.retry_last_ms)) {
      const outcome = await daybook.ask({
        type,
        id: name,
        data,
        by: { authtype: "system", authid: ORCHESTRATOR },
        ...(id === undefined ? {} : { command: id }),
      });
      if (outcome.is !== "unavailable" || this.signal.aborted) return outcome;
      await pause(clock, wait, this.signal);
    }
  }

  async started(of: Of, { nonce, pid, boot, ticks }: ProcessOf, adopted: boolean): Promise<void> {
    const data = { ...of, nonce, pid, boot, ticks, adopted };
    await this.tell({ type: "services.process.record_start", data }, `start.${nonce}`);
  }

  async refused(of: Of, nonce: string, because: string): Promise<void> {
    const said = because.slice(0, SERVICE_LIMITS.cause_chars_max);
    await this.tell(
      { type: "services.process.record_refusal", data: { ...of, nonce, because: said } },
      `refusal.${nonce}`,
    );
  }

  async probed(
    of: Of,
    nonce: string,
    data: { readonly probe: ProbeName; readonly ok: boolean; readonly because: string },
  ) {
    const because = data.because.slice(0, SERVICE_LIMITS.cause_chars_max) || "no reason";
    await this.tell({ type: "services.process.record_probe", data: { ...of, nonce, ...data, because } });
  }

  async found(of: Of, checks: readonly FindingCheck[], findings: readonly Finding[]): Promise<void> {
    const data = { ...of, checks: [...checks], findings: [...findings] };
    await this.tell({ type: "services.process.record_findings", data });
  }

  async used(of: Of, nonce: string, taken: Taken): Promise<void> {
    const { samples, rss_peak_bytes, space_peak_bytes, cpu_ms, cpus_peak } = taken;
    const cpus_peak_milli = Math.round(cpus_peak * 1_000);
    const data = { ...of, nonce, samples, rss_peak_bytes, space_peak_bytes, cpu_ms, cpus_peak_milli };
    await this.tell({ type: "services.process.record_usage", data });
  }
}
