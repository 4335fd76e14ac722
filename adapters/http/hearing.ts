/**
 * Whether a listener of `node:net` takes connections yet. Where the process may open no more files the platform gives it up for good,
 * and tells nobody: the kernel goes on to open connections that nobody takes. So the listener opens one to itself when none has come
 * for a while.
 */
import { connect, type Server, type Socket } from "node:net";
import type { Clock } from "../../actors/kernel/world.ts";

export const HEARING = {
  /** So long nobody has come before it is looked at. */
  quiet_ms: 5_000,
  /** So long our own connection may wait to be taken. */
  within_ms: 5_000,
} as const;

export interface HearingOptions {
  /** Where it listens, as it was told to: whoever may listen there may connect to it. */
  readonly host: string;
  readonly clock: Clock;
  /** Called once, then nothing more is looked at. */
  deaf(error: Error): void;
}

export class Hearing {
  private port = 0;
  private heard = true;
  /** Our own connection has not been told of yet as a handshake that failed. */
  private asking = false;
  private socket: Socket | undefined;
  private cancel: () => void = () => {};
  private stopped = false;

  constructor(server: Server, private readonly options: HearingOptions) {
    server.on("connection", () => this.heard = true);
  }

  /** `port`: where it listens. */
  begin(port: number): void {
    this.port = port;
    this.look();
  }

  /** Whether our own is to be left out where connections are counted that end before they say anything; each is once. */
  isOwn(): boolean {
    const { asking } = this;
    this.asking = false;
    return asking;
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
    this.socket?.destroy();
  }

  private look(): void {
    if (this.stopped) return;
    this.heard = false;
    this.cancel = this.options.clock.schedule(HEARING.quiet_ms, () => this.heard ? this.look() : this.ask());
  }

  private ask(): void {
    const { host, clock } = this.options;
    const socket = this.socket = connect({ host, port: this.port });
    this.asking = true;
    socket.on("error", (error) => {
      // Who may listen and not connect is not told that it is deaf.
      if (error instanceof Deno.errors.NotCapable) this.stop();
      else if (!this.heard) this.tell(error);
    });
    // What came while the process stood still is taken in one more round of the event loop.
    this.cancel = clock.schedule(HEARING.within_ms, () => void (this.cancel = clock.schedule(0, () => this.judge())));
  }

  private judge(): void {
    this.socket?.destroy();
    if (this.heard) this.look();
    else this.tell(new Error("it takes no connections any more, as after EMFILE"));
  }

  private tell(error: Error): void {
    if (this.stopped) return;
    this.stop();
    this.options.deaf(error);
  }
}
