/**
 * Answers that go on: bytes go out as fast as they are taken and no faster.
 *
 * The stream asks for the next frame only when the one before was taken, so what is unsent is at most one frame; the
 * source is read as frames are asked for, never ahead. A frame that nobody takes for 30 s ends the stream.
 */
import type { Clock } from "../../actors/kernel/world.ts";
import { HTTP_LIMITS } from "./bounds.ts";
import { Problem } from "./problem.ts";
import { retryAfter } from "./rate.ts";
import { tooMany } from "./too_many.ts";

/** A stream may end meanwhile. */
const AGAIN_MS = 10_000;

/** Frames, each at most `unsent_bytes_max`; ends when the signal aborts. */
export type Source = (signal: AbortSignal) => AsyncIterator<Frame>;
export type Frame = string | Uint8Array;

export interface OutflowOptions {
  /** Sent when there was nothing else for `comment_every_ms`. Absent: nothing is. */
  readonly comment?: string;
  /** Asked with each comment, and as often while there is always something to send; false ends the stream. */
  readonly granted?: () => boolean;
}

const encoder = new TextEncoder();

/** The open streams of a server: counted, and ended together when it stops. */
export class Streams {
  private readonly open = new Set<(reason: string) => void>();
  private stopped = false;

  /** `report` is told why a stream broke off, when it was not its reader's doing. */
  constructor(private readonly clock: Clock, private readonly report: (error: unknown) => void = () => {}) {}

  get count(): number {
    return this.open.size;
  }

  /** Ends all; those waiting for events end cleanly, others where they are. */
  stop(): void {
    this.stopped = true;
    for (const end of [...this.open]) end("the server is stopping");
  }

  /** Throws `too_many_requests` over `streams_max`. */
  start(source: Source, options: OutflowOptions = {}): ReadableStream<Uint8Array> {
    if (this.stopped) throw new Problem("stopping", "The server is stopping.", { headers: retryAfter(1000) });
    if (this.open.size >= HTTP_LIMITS.streams_max) {
      const { streams_max: max } = HTTP_LIMITS;
      throw tooMany({ limit: { name: "streams", max }, ms: AGAIN_MS, detail: `At most ${max} streams may be open.` });
    }
    const { clock } = this;
    const stopping = new AbortController();
    const frames = source(stopping.signal);
    let next: Promise<IteratorResult<Frame>> | undefined;
    let stall: (() => void) | undefined;
    let out: ReadableStreamDefaultController<Uint8Array>;
    let asked = clock.monotonic();
    const isRefused = () => {
      asked = clock.monotonic();
      return options.granted?.() === false;
    };
    const end = (reason?: string, error?: unknown) => {
      if (!this.open.delete(end)) return;
      stall?.();
      stopping.abort(reason);
      // `return` waits for a generator that is in the middle of something; nobody needs to wait for that.
      frames.return?.()?.catch(() => {});
      try {
        error === undefined ? out.close() : out.error(error);
      } catch { /* it was cancelled by its reader */ }
    };
    const send = (frame: Frame) => {
      out.enqueue(typeof frame === "string" ? encoder.encode(frame) : frame);
      stall = clock.schedule(HTTP_LIMITS.stall_ms_max, () => end("stalled", new Error("nothing was taken")));
    };
    this.open.add(end);
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        out = controller;
      },
      pull: async () => {
        stall?.();
        stall = undefined;
        next ??= frames.next();
        const quiet = options.comment === undefined ? undefined : alarm(clock, HTTP_LIMITS.comment_every_ms);
        try {
          const first = await (quiet ? Promise.race([next, quiet.rings]) : next);
          if (!this.open.has(end)) return;
          const due = first === "rings" || clock.monotonic() - asked >= HTTP_LIMITS.comment_every_ms;
          if (due && isRefused()) return end("no longer granted");
          if (first === "rings") return send(options.comment!);
          next = undefined;
          if (first.done) return end("done");
          send(first.value);
        } catch (error) {
          this.report(error);
          end("fault", error);
        } finally {
          quiet?.cancel();
        }
      },
      cancel: () => end("the reader left"),
    }, { highWaterMark: 0 });
  }
}

const alarm = (clock: Clock, ms: number): { readonly rings: Promise<"rings">; readonly cancel: () => void } => {
  let cancel = () => {};
  const rings = new Promise<"rings">((resolve) => {
    cancel = clock.schedule(ms, () => resolve("rings"));
  });
  return { rings, cancel };
};
