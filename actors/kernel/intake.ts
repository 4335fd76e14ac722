/** What importers of files have in common: bytes as they were before they were packed, and events on their way into the log. */
import type { EventLog } from "../../events/log.ts";
import { LogFault } from "../../events/log.ts";
import type { Daybook, Incoming, Principal } from "./daybook.ts";
import { isRecorded } from "./kept.ts";
import { type Clock, pause } from "./world.ts";

export interface IntakeTarget extends Pick<Daybook, "ingest"> {
  readonly log: Pick<EventLog, "find">;
}

export interface IntakeOptions {
  readonly by: Principal;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** One ingest: below the log's bounds of an append, with room for what sealing adds. */
  readonly batch_events_max: number;
  readonly batch_chars_max: number;
}

/** Said of a file that was there when it was looked for: logs are rotated, and those beside it come in. */
export const GONE = "it is not there any more";

/** Times an overloaded log is tried again, after 40 ms, 80 ms … */
const TRIES_MAX = 8;

/** Hands events to the log, many at once. What the log has, or the batch, is passed over, so an import may be stopped and repeated. */
export class Intake {
  events = 0;
  known = 0;
  private batch: Incoming[] = [];
  private chars = 0;
  private readonly ids = new Set<string>();

  constructor(private readonly target: IntakeTarget, private readonly options: IntakeOptions) {}

  /** Whether the event is there already; then it is counted as known. */
  has(event: Pick<Incoming, "source" | "id">): boolean {
    const there = this.ids.has(`${event.source} ${event.id}`) || isRecorded(this.target.log, event);
    if (there) this.known++;
    return there;
  }

  /** Takes an event that `has` does not know; resolves when there is room for the next, at once where nothing is given back. */
  add(event: Incoming, chars: number): Promise<void> | undefined {
    this.ids.add(`${event.source} ${event.id}`);
    this.batch.push(event);
    this.chars += chars;
    const full = this.batch.length >= this.options.batch_events_max || this.chars >= this.options.batch_chars_max;
    return full ? this.flush() : undefined;
  }

  /** Everything that was taken is in the log. Throws `LogFault` when it cannot be written. */
  async flush(): Promise<void> {
    let left: readonly Incoming[] = this.batch;
    this.batch = [];
    this.chars = 0;
    this.ids.clear();
    for (let tries = 1; left.length > 0;) {
      try {
        const taken = await this.target.ingest(left, this.options.by);
        if (taken.ok) {
          this.events += taken.accepted;
          this.known += taken.duplicates;
          return;
        }
        if (taken.conflict !== "id") {
          throw new LogFault("invalid", `an event could not be recorded: ${JSON.stringify(taken)}`);
        }
        // Somebody else recorded it while we looked, by another version of this importer.
        left = left.filter(({ id }) => id !== taken.id);
        this.known++;
      } catch (error) {
        const passing = error instanceof LogFault && (error.kind === "overloaded" || error.kind === "locked");
        if (!passing || tries >= TRIES_MAX || this.options.signal?.aborted) throw error;
        await pause(this.options.clock, 20 * 2 ** tries++, this.options.signal);
      }
    }
  }
}

const GZIP = [0x1f, 0x8b] as const;

/** What is wrong with the bytes of a file, of what `unpackedOf` and a decoder of text have thrown; `undefined` when it is not about them. */
export const flawOfBytes = (error: unknown): string | undefined => {
  if (error instanceof TypeError && error.message.includes("encoded data")) return "it is not UTF-8";
  const isOfZlib = error instanceof Error && "code" in error && /^Z_/.test(String(error.code));
  return isOfZlib ? "its gzip data is truncated or damaged" : undefined;
};

/** What the system says of a file that is open, with its name, for the platform does not say it; anything else as it is. */
export const ofOpen = (error: unknown, name: string): unknown => {
  if (error instanceof Error && /\(os error \d+\)$/.test(error.message)) error.message += `: read '${name}'`;
  return error;
};

type Pieces = AsyncIterable<Uint8Array<ArrayBuffer>>;

/**
 * Bytes of a file that may be gzip, by what it begins with, whatever it is called. `gunzip` takes several members after each other (RFC 1952 section
 * 2.2), as `cat` makes them, and unpacks no more than is asked for; `DecompressionStream` does neither.
 */
export async function* unpackedOf(
  bytes: ReadableStream<Uint8Array<ArrayBuffer>>,
  gunzip: (packed: Pieces) => Pieces,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const pieces = bytes[Symbol.asyncIterator]();
  const head: Uint8Array<ArrayBuffer>[] = [];
  const begin = () => head.flatMap((piece) => [...piece.subarray(0, GZIP.length)]);
  const whole = async function* () {
    yield* head;
    yield* pieces;
  };
  try {
    while (begin().length < GZIP.length) {
      const { done, value } = await pieces.next();
      if (done) break;
      head.push(value);
    }
    yield* GZIP.every((byte, i) => begin()[i] === byte) ? gunzip(whole()) : whole();
  } finally {
    await pieces.return!();
  }
}
