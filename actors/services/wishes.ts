/**
 * What is to be done in the world as a stack stands: a function of the state, not of what just happened, so that whoever comes after a
 * crash reads it off the log. Each may be done again: a start finds what was started under its nonce, a signal is one more signal.
 */
import type { ServiceSpec, SignalName } from "../../events/services.ts";
import { isAlive, type Life, type Process, type Stack } from "./state.ts";

/** Which start of which instance. */
export interface StartOf {
  readonly service: string;
  readonly replica: number;
  readonly nonce: string;
}

export type Wish =
  /** `digest`: of what it is to be started with. */
  | (StartOf & { readonly wish: "start"; readonly digest: string })
  /** Told to stop before anybody told of its start: whether there is a process is to be found out. */
  | (StartOf & { readonly wish: "find" })
  | (StartOf & {
    readonly wish: "end";
    readonly process: Process;
    readonly digest: string;
    readonly signal: SignalName;
    /** Not before, ms since 1970. */
    readonly due: number;
  })
  /** To be told of its end, its line unless that is known, and what its probes say. */
  | (StartOf & { readonly wish: "watch"; readonly process: Process; readonly digest: string; readonly lined: boolean });

export const wishesOf = ({ order, services }: Stack): readonly Wish[] =>
  order.flatMap((service) => {
    const { lives, spec } = services[service]!;
    return lives.flatMap((life, replica) => wishOf(life, { service, replica }, spec.stop) ?? []);
  });

const wishOf = (
  life: Life,
  of: { readonly service: string; readonly replica: number },
  { signal, grace_ms }: ServiceSpec["stop"],
): Wish | undefined => {
  if (life.is === "starting") return { wish: "start", ...of, nonce: life.nonce, digest: life.digest };
  if (isAlive(life)) {
    const { process, digest, line: lined } = life;
    return { wish: "watch", ...of, nonce: process.nonce, process, digest, lined };
  }
  if (life.is !== "stopping") return undefined;
  const { nonce, process, overdue, digest, until } = life;
  if (!process) return { wish: "find", ...of, nonce };
  const end = { wish: "end" as const, ...of, nonce, process, digest };
  return overdue ? { ...end, signal: "SIGKILL", due: until } : { ...end, signal, due: until - grace_ms };
};
