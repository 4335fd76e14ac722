/** Sinks in the memory, under virtual time, and a receiver that can be told how to behave. */
import assert from "node:assert/strict";
import { MemoryLog } from "../../adapters/memory/log.ts";
import { MemoryViews } from "../../adapters/memory/views.ts";
import { DeadLetters } from "../../actors/kernel/dead_letters.ts";
import { FactRecorder } from "../../actors/kernel/recorder.ts";
import { Sink, type SinkOptions } from "../../actors/kernel/sink.ts";
import type { Connection, Parcel, Refusal, Transport } from "../../actors/kernel/transport.ts";
import type { Event } from "../../events/event.ts";
import { rig } from "./rig.ts";

/** Remembers what it took; `misfortune` is asked before each act and may throw, wait or refuse. */
export class Receiver implements Transport {
  readonly taken: number[] = [];
  connections = 0;
  closed = 0;
  settleMs = 0;
  stays = true;
  misfortune: (act: "connect" | "send" | "sent" | "settle") => void | Promise<void> = () => {};
  refuses: (parcel: Parcel) => boolean = () => false;
  /** Answers each parcel by itself, as one of HTTP does; `each` is asked before it, and may throw or wait. */
  answers = false;
  each: (parcel: Parcel) => void | Promise<void> = () => {};
  private lose: ((cause: Error) => void) | undefined;

  async connect(): Promise<Connection> {
    await this.misfortune("connect");
    this.connections++;
    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => {});
    this.lose = lost.reject;
    return {
      settleMs: this.settleMs,
      stays: this.stays,
      ...(this.stays ? {} : { lost: lost.promise }),
      send: async (parcels, _signal, answered) => {
        await this.misfortune("send");
        const refused: Refusal[] = [];
        for (const parcel of parcels) {
          await this.each(parcel);
          const refusal = this.refuses(parcel) ? { position: parcel.position, because: "not that one" } : undefined;
          if (refusal) refused.push(refusal);
          else this.taken.push(parcel.position);
          if (this.answers) answered?.(parcel, refusal);
        }
        await this.misfortune("sent");
        return refused;
      },
      settle: async () => void await this.misfortune("settle"),
      close: () => void this.closed++,
    };
  }

  /** The receiver goes away while nobody sends. */
  leave(): void {
    this.lose?.(new Error("it has gone"));
  }

  /** Each once, in the order in which they came first. */
  get first(): readonly number[] {
    return [...new Set(this.taken)];
  }
}

export const world = (seed = 1) => {
  const { clock, random } = rig(seed);
  const log = new MemoryLog(clock);
  const recorder = new FactRecorder({ clock, random, log });
  const deadLetters = new DeadLetters({ clock, random, recorder });
  const views = new MemoryViews();
  let n = 0;
  const append = async (count: number, type = "things.thing.seen") => {
    const events = Array.from({ length: count }, () => ({
      id: `e${n++}`,
      source: "s",
      type,
      time: "2026-01-01T00:00:00Z",
      stream: "things/a" as const,
      version: 1,
      authtype: "user",
      authid: "u",
      data: {},
    }));
    await log.append({ events });
    await clock.settle();
  };
  const facts = (type: string) => [...log.read({ types: [type] })].flat() as Event[];
  const ours = () => facts("things.thing.seen").map(({ position }) => position);
  const start = async (transport: Transport, options: Partial<SinkOptions> = {}) => {
    const sink = new Sink({
      name: "siem",
      log,
      views,
      clock,
      random,
      recorder,
      deadLetters,
      transport,
      types: ["things."],
      from: "beginning",
      line: ({ id }) => id,
      batchEventsMax: 10,
      deliverMs: 1_000,
      retry: { first_ms: 100, max_ms: 5_000, attempts_max: null },
      ...options,
    });
    const stopping = new AbortController();
    let ended = "running";
    const run = sink.run(stopping.signal).then(() => ended = "stopped", (error) => ended = `crashed: ${error}`);
    await clock.settle();
    const stop = async () => {
      stopping.abort();
      await clock.until(run);
      await clock.until(recorder.flush());
      assert.equal(ended, "stopped");
    };
    return { sink, stop };
  };
  return { clock, random, log, recorder, deadLetters, views, append, facts, ours, start };
};
