/**
 * Terminals that somebody who is signed in elsewhere signs in (RFC 8628). What waits lies in memory: after a restart a terminal asks
 * anew.
 */
import type { Outcome } from "../../../actors/kernel/daybook.ts";
import type { Millis } from "../../../events/event.ts";
import type { DeviceAsked, DevicePolled, DeviceWaiting, From, OwnSession, Wait } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import { BUSY_MS, freshId, type Parts } from "./parts.ts";
import { userOf } from "./sessions.ts";
import type { Tries } from "./tries.ts";

export const DEVICES = {
  /** Terminals that wait at the same time. */
  waiting_max: 1_000,
  expires_ms: 10 * 60_000,
  /** A terminal asks no more often. */
  interval_ms: 5_000,
} as const;

/** RFC 8628 section 6.1: letters without vowels, so that no word comes of them; eight of twenty are 34 bits. */
const LETTERS = "BCDFGHJKLMNPQRSTVWXZ";
const CODE_LETTERS = 8;

interface Device {
  readonly id: string;
  readonly from: From;
  readonly user_code: string;
  readonly until: Millis;
  asked: Millis;
  /** Who is allowing it, and what its session will be called, also when that is tried again. */
  own?: OwnSession;
  answering?: boolean;
  /** Absent: nobody has answered it yet. */
  allowed?: boolean;
}

/** A terminal asks once in so long. */
const POLLS = { name: "device_polls", max: 1, window_ms: DEVICES.interval_ms };

export class Devices {
  /** By the code that a person types; the oldest first. */
  private readonly byCode = new Map<string, Device>();
  private readonly codes = new Map<string, string>();

  constructor(private readonly parts: Parts, private readonly tries: Tries) {}

  begin(from: From): DeviceAsked | Wait {
    const { clock, tickets } = this.parts;
    const wait = this.tries.wait(undefined, from);
    if (wait) return wait;
    this.forgetOver();
    if (this.byCode.size >= DEVICES.waiting_max) return { is: "wait", because: "busy", ms: BUSY_MS };
    const id = freshId(this.parts);
    const code = this.draw();
    const user_code = `${code.slice(0, CODE_LETTERS / 2)}-${code.slice(CODE_LETTERS / 2)}`;
    const device = { id, from, user_code, until: clock.now() + DEVICES.expires_ms, asked: -Infinity };
    this.byCode.set(code, device);
    this.codes.set(id, code);
    return {
      is: "asked",
      device_code: tickets.make("device", [id]),
      user_code,
      expires_in: DEVICES.expires_ms / 1_000,
      interval: DEVICES.interval_ms / 1_000,
    };
  }

  /** Tokens are handed out once. */
  async poll(device_code: string): Promise<DevicePolled> {
    const { clock, tickets, states, sessions } = this.parts;
    const [id] = tickets.read("device", device_code, 1) ?? [];
    this.forgetOver();
    const code = id === undefined ? undefined : this.codes.get(id);
    const device = code === undefined ? undefined : this.byCode.get(code);
    if (!device) return { is: "refused" };
    const now = clock.now();
    const early = device.asked + DEVICES.interval_ms - now;
    if (device.allowed === undefined && early > 0) return { is: "wait", because: "rate", ms: early, limit: POLLS };
    device.asked = now;
    if (device.allowed === undefined) return { is: "pending" };
    this.forget(code!);
    if (!device.allowed) return { is: "refused" };
    const { account, session } = device.own!;
    const begun = states.of(account).sessions.find((each) => each.session === session);
    if (!begun) return { is: "refused" };
    return { is: "in", account, session, tokens: await sessions.tokens(account, begun) };
  }

  /** Guessing codes counts as trying passwords. */
  waiting({ account }: OwnSession, user_code: string, from: From): DeviceWaiting | Wait | undefined {
    const wait = this.tries.wait(account, from);
    if (wait) return wait;
    return this.find(user_code);
  }

  /** What was proven in the session that allows it counts in the new one. */
  async answer({ account, session: by }: OwnSession, user_code: string, allowed: boolean): Promise<boolean> {
    const device = this.find(user_code);
    if (!device || device.answering || device.allowed !== undefined) return false;
    if (!allowed) {
      device.allowed = false;
      return true;
    }
    const { states, policy } = this.parts;
    // Before anybody else can: one code is one session.
    device.answering = true;
    if (device.own?.account !== account) device.own = { account, session: freshId(this.parts) };
    const { own } = device;
    let outcome: Outcome;
    try {
      const { idle_ms, absolute_ms, concurrent_max } = policy(states.of(account).tenant);
      outcome = await states.ask(account, {
        type: "identity.signin.allow",
        data: {
          by,
          session: own.session,
          kind: "terminal",
          idle_ms,
          absolute_ms,
          sessions_max: concurrent_max,
          ...device.from,
        },
      }, userOf(account));
    } finally {
      device.answering = false;
    }
    // It was done the first time, and nobody could tell.
    const isDone = outcome.is === "accepted" || (outcome.is === "rejected" && outcome.code === "session_exists");
    if (outcome.is !== "unavailable") device.allowed = isDone;
    if (isDone) return true;
    throw notDone(outcome);
  }

  private find(user_code: string): Device | undefined {
    this.forgetOver();
    return this.byCode.get(user_code.toUpperCase().replace(/[^A-Z]/g, ""));
  }

  private draw(): string {
    for (;;) {
      const code = Array.from({ length: CODE_LETTERS }, () => LETTERS[this.below(LETTERS.length)]!).join("");
      if (!this.byCode.has(code)) return code;
    }
  }

  /** A number below, each as likely: bytes beyond a whole multiple are drawn again. */
  private below(count: number): number {
    for (;;) {
      const [byte] = this.parts.random(1);
      if (byte! < 256 - (256 % count)) return byte! % count;
    }
  }

  private forgetOver(): void {
    const now = this.parts.clock.now();
    for (const [code, { until }] of this.byCode) {
      if (now < until) return;
      this.forget(code);
    }
  }

  private forget(code: string): void {
    this.codes.delete(this.byCode.get(code)!.id);
    this.byCode.delete(code);
  }
}
