/**
 * Probes of running instances: a startup probe first, which holds the others back, then readiness and liveness beside each other.
 * Told is only what changes something.
 */
import { AgentGone } from "./agent/line.ts";
import { accepted, type Asked, get } from "./loopback.ts";
import { judge, UNJUDGED } from "./thresholds.ts";
import { type Clock, pause } from "../../actors/kernel/world.ts";
import type { ProbeName } from "../../events/services.ts";

export interface ProbeTimes {
  readonly interval_ms: number;
  readonly timeout_ms: number;
  readonly initial_delay_ms: number;
  readonly failures: number;
  readonly successes: number;
}

/** One answer; `because` says what came instead, for people. */
export interface Probed {
  readonly ok: boolean;
  readonly because: string;
}

export interface Probe extends ProbeTimes {
  readonly name: ProbeName;
  /** One look. Ends soon after the signal aborts; what it throws is a failure. */
  look(signal: AbortSignal): Promise<Probed>;
}

/** Until the first verdict it is looked so soon again, then ever later, and more often than it was asked for: others wait. */
const EARLY_MS = 10;

/** Told of each change; what it rejects with ends the probing of this instance. */
export type Tell = (name: ProbeName, probed: Probed) => Promise<void>;

export const probing = async (
  probes: readonly Probe[],
  { clock, tell, signal }: { readonly clock: Clock; readonly tell: Tell; readonly signal: AbortSignal },
): Promise<void> => {
  const startup = probes.find(({ name }) => name === "startup");
  if (startup && !await series(startup, { clock, tell, signal })) return;
  await Promise.all(
    probes.filter((probe) => probe !== startup).map((probe) => series(probe, { clock, tell, signal })),
  );
};

/** Resolves when it is of no use to go on: true where that is because a startup probe has succeeded. */
const series = async (
  probe: Probe,
  { clock, tell, signal }: { readonly clock: Clock; readonly tell: Tell; readonly signal: AbortSignal },
): Promise<boolean> => {
  await pause(clock, probe.initial_delay_ms, signal);
  let judgement = UNJUDGED;
  let counted = -Infinity;
  for (let early = EARLY_MS; !signal.aborted; early *= 2) {
    const at = clock.monotonic();
    const probed = await looked(probe, clock, signal);
    if (signal.aborted) return false;
    const before = judgement.well;
    // A look between two that were asked for can only bring good news, and that once: more of it must be as far apart as was asked.
    if (at - counted >= probe.interval_ms || probed.ok && judgement.streak <= 0) {
      counted = at;
      judgement = judge(judgement, probed.ok, probe);
    }
    if (judgement.well !== undefined && judgement.well !== before) {
      await tell(probe.name, probed);
      if (probe.name === "startup") return judgement.well;
      if (probe.name === "liveness" && !judgement.well) return false;
    }
    await pause(clock, judgement.well === undefined ? Math.min(early, probe.interval_ms) : probe.interval_ms, signal);
  }
  return false;
};

const looked = async (probe: Probe, clock: Clock, stopped: AbortSignal): Promise<Probed> => {
  const over = new AbortController();
  const late = Promise.withResolvers<Probed>();
  const end = () => {
    over.abort();
    late.resolve({ ok: false, because: `no answer within ${probe.timeout_ms} ms` });
  };
  const cancel = clock.schedule(probe.timeout_ms, end);
  // Not by `AbortSignal.any`: while somebody listens to what that makes, it is kept for as long as `stopped` is.
  stopped.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([probe.look(over.signal), late.promise]);
  } catch (error) {
    if (error instanceof AgentGone) throw error; // that says nothing of the instance
    return { ok: false, because: firstLine(error) };
  } finally {
    cancel();
    stopped.removeEventListener("abort", end);
  }
};

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]!.slice(0, 300) || "it failed";

/** Well is any status that was named, or 200 to 399 (as the kubelet has it); redirects are not followed. */
export const httpProbe = (
  url: string,
  { status: well, trusted }: { readonly status?: readonly number[]; readonly trusted?: Asked["trusted"] } = {},
) =>
async (signal: AbortSignal): Promise<Probed> => {
  const { status, close } = await get(url, { signal, trusted });
  close();
  const ok = well ? well.includes(status) : status >= 200 && status < 400;
  return { ok, because: `status ${status}` };
};

/** Well is that somebody accepts the connection. */
export const tcpProbe = (hostname: string, port: number) => async (signal: AbortSignal): Promise<Probed> => {
  const connection = await accepted(hostname, port, signal);
  const { localAddress, localPort, remoteAddress, remotePort } = connection;
  connection.destroy();
  // Where nobody listens the kernel may give us that very port to come from, and TCP has us meet ourselves (RFC 9293 section 3.5).
  const ourselves = localPort === remotePort && localAddress === remoteAddress;
  return ourselves ? { ok: false, because: "connection refused" } : { ok: true, because: "accepted" };
};
