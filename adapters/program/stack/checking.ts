/**
 * Looks at instances: before a start, and again and again while they run. Told is what is found; refused is only what would be started,
 * or has just been: what was well once is not ended because its certificate has ended since.
 */
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import type { Finding } from "../../../events/services.ts";
import type { AgentLine } from "../../process/agent/line.ts";
import type { ProcessOf } from "../../process/agent/protocol.ts";
import type { Trusted } from "../../process/loopback.ts";
import { handshake } from "../../x509/handshake.ts";
import {
  type Checked,
  checksBefore,
  checksRunning,
  type Found,
  foundBefore,
  foundListening,
  foundShown,
  judged,
  mayRefuse,
} from "./checked.ts";
import { HOST } from "./launch.ts";
import type { Prepared } from "./prepared.ts";
import { programOf } from "./program_of.ts";
import type { Of, Reports } from "./reports.ts";

export const CHECKING = {
  /** After a start it is looked so soon, then ever later, until it listens. */
  early_ms: 1_000,
  handshake_ms: 5_000,
} as const;

export interface CheckingOptions {
  readonly agent: Pick<AgentLine, "ask">;
  readonly reports: Pick<Reports, "found" | "probed">;
  readonly clock: Clock;
  /** What is known of an instance, as far as was read. */
  readonly known: (of: Of) => readonly Finding[];
  /** The folder's own authority, PEM, as soon as there is one. */
  readonly authority: () => string | undefined;
}

/** What a certificate must be for where nothing is said of it, as in `tls`. */
const NAME = "localhost";

export class Checking {
  constructor(private readonly options: CheckingOptions) {}

  /**
   * Why it is not to be started, if so, which is told by then; else `tell` tells of the rest, when nobody waits for the start any more.
   * Where no finding may refuse it, the answer is not waited for: what the agent is asked next it does when it has looked.
   */
  async before(
    of: Of,
    prepared: Prepared,
  ): Promise<{ readonly refused?: string; readonly tell: () => Promise<void> }> {
    const instance = prepared.checks?.instances[of.replica];
    if (!prepared.checks || !instance) return { tell: () => Promise.resolve() };
    const { checks } = prepared;
    const looking = this.given(of, prepared, checks);
    const judging = looking.then(({ found }) => judged(checks, found));
    const tell = async () => await this.tell(of, checksBefore(instance), await judging);
    judging.catch(() => {}); // told of by `tell`, or by what it is made of
    if (!mayRefuse(checks, instance)) return { tell };
    const refused = (await looking).refused ?? refusedBy(await judging);
    if (refused === undefined) return { tell };
    await tell();
    return { refused, tell };
  }

  /** Until the signal aborts. `started`: ms since 1970. */
  async running(
    of: Of,
    { process, prepared, started, signal }: {
      readonly process: ProcessOf;
      readonly prepared: Prepared;
      readonly started: number;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { checks } = prepared;
    const instance = checks?.instances[of.replica];
    if (!checks || !instance) return;
    const { clock, agent, reports } = this.options;
    // One that is found again was looked at when it was started.
    let fresh = clock.now() - started < checks.every_ms;
    for (
      let wait = fresh ? CHECKING.early_ms : 0;;
      wait = fresh ? Math.min(2 * wait, checks.every_ms) : checks.every_ms
    ) {
      await pause(clock, Math.min(wait, checks.every_ms), signal);
      if (signal.aborted) return;
      const { sockets } = await agent.ask("listening", { process });
      const { authority, found: given, refused } = await this.given(of, prepared, checks);
      if (refused !== undefined) continue; // what was found before stands
      const shows = [...foundListening(sockets), ...await this.shown(instance, checks, { authority, signal })];
      if (signal.aborted) return;
      await this.tell(of, checksRunning(instance), judged(checks, [...given, ...shows]));
      if (!fresh || sockets.length === 0) continue;
      fresh = false;
      const because = refusedBy(judged(checks, shows));
      if (because === undefined) continue;
      return await reports.probed(of, process.nonce, { probe: "liveness", ok: false, because });
    }
  }

  /** `refused`: it could not be looked at. */
  private async given(
    of: Of,
    prepared: Prepared,
    checks: Checked,
  ): Promise<{ readonly found: readonly Found[]; readonly authority?: string; readonly refused?: string }> {
    const { files } = checks.instances[of.replica]!;
    const found = await this.options.agent.ask("inspect", {
      ...programOf(prepared.instances[of.replica]!.launch),
      requires: [...checks.requires],
      held: heldOf(prepared),
      tls: { ...files },
    });
    if ("refused" in found) return { found: [], refused: found.refused };
    return { found: foundBefore(found, checks, { files, at: this.options.clock.now() }), authority: found.authority };
  }

  /** Who an instance may be when it shows a certificate. */
  async trusted({ replica }: Of, { checks, instances }: Prepared): Promise<Trusted> {
    const { agent, authority } = this.options;
    const { files } = checks?.instances[replica] ?? {};
    const stated = files?.authority === undefined ? undefined : await agent.ask("inspect", {
      ...programOf(instances[replica]!.launch),
      environment: {},
      requires: [],
      held: {},
      tls: { authority: files.authority },
    });
    const all = [authority(), stated && !("refused" in stated) ? stated.authority : undefined];
    return { name: checks?.name ?? NAME, authorities: [...new Set(all.flatMap((pem) => pem ?? []))] };
  }

  /** What it shows to whoever connects. */
  private async shown(
    { port }: Checked["instances"][number],
    checks: Checked,
    { authority, signal }: { readonly authority?: string; readonly signal: AbortSignal },
  ): Promise<readonly Found[]> {
    if (port === undefined) return [];
    const { clock } = this.options;
    const late = new AbortController();
    const cancel = clock.schedule(CHECKING.handshake_ms, () => late.abort());
    try {
      const either = AbortSignal.any([late.signal, signal]);
      const shown = await handshake({ host: HOST, port, name: checks.name, authority, signal: either });
      return foundShown(shown, checks, { port, authority, at: clock.now() });
    } finally {
      cancel();
    }
  }

  /** Nothing is told of an instance of which nothing was ever found. */
  private async tell(of: Of, checks: Parameters<Reports["found"]>[1], findings: readonly Finding[]): Promise<void> {
    if (findings.length === 0 && this.options.known(of).length === 0) return;
    await this.options.reports.found(of, checks, findings);
  }
}

const heldOf = ({ limits: { cpus, resident_bytes } }: Prepared) => ({ cpus, resident_bytes });

const refusedBy = (findings: readonly Finding[]): string | undefined => {
  const refused = findings.filter(({ policy }) => policy === "refuse");
  return refused.length === 0 ? undefined : refused.map(({ check, because }) => `${check}: ${because}`).join("; ");
};
