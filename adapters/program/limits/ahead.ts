/**
 * What callers use between two snapshots, told before they are let in and in steps, so that it costs little: a line of a file each. Two files
 * take turns, as a snapshot is written while callers go on to come. Whoever dies by `kill -9` has told; what the system had not written
 * to the disk when power failed has not been.
 */
import { z } from "zod";

const line = z.tuple([z.int().nonnegative(), z.string(), z.string(), z.int().positive()]);

export const AHEAD = {
  /** Of a file. It takes the more, the longer no snapshot can be written; of one that is full nobody knows what else was used. */
  bytes_max: 4 * 1024 * 1024,
} as const;

/** Callers that nothing may be kept of: each is held to have used what the one of them did that used most. */
export const ANYBODY = "";

export interface Ahead {
  readonly turn: number;
  readonly limit: string;
  /** As the snapshot has it. */
  readonly caller: string;
  /** At most so much was used since the turn began. */
  readonly used: number;
}

export class AheadFiles {
  private turn = 0;
  /** Of the file of this turn. */
  private bytes = 0;
  private readonly most = new Map<string, number>();

  constructor(private readonly file: string) {}

  get isFull(): boolean {
    return this.bytes >= AHEAD.bytes_max;
  }

  /** Throws what the disk says, and of a file that is full. */
  tell(limit: string, caller: string, used: number): void {
    // Of callers that are nobody in particular only the most counts.
    if (caller === ANYBODY && (this.most.get(limit) ?? 0) >= used) return;
    // Begun anew, for the last may have been cut off.
    const text = new TextEncoder().encode(`\n${JSON.stringify([this.turn, limit, caller, used])}`);
    const path = this.path(this.turn);
    const fitting = text.subarray(0, AHEAD.bytes_max - this.bytes);
    if (!this.isFull) Deno.writeFileSync(path, fitting, { append: true, mode: 0o600 });
    this.bytes += fitting.byteLength;
    if (fitting.byteLength < text.byteLength) throw new Error(`${path} is full`);
    if (caller === ANYBODY) this.most.set(limit, used);
  }

  /** The next turn; what was told two turns ago must be in a snapshot that is there. */
  next(): number {
    remove(this.path(this.turn + 1));
    this.most.clear();
    this.bytes = 0;
    return ++this.turn;
  }

  /** All that is there, the most of each turn. `unread`: of a file that cannot be read, or that had no room for all. */
  read(unread: (error: Error) => void): readonly Ahead[] {
    const most = new Map<string, Ahead>();
    for (const path of [this.path(0), this.path(1)]) {
      for (const one of linesOf(path, unread)) {
        const key = `${one.turn} ${one.caller} ${one.limit}`;
        if ((most.get(key)?.used ?? 0) < one.used) most.set(key, one);
      }
    }
    return [...most.values()];
  }

  /** Turns go on with this one. */
  begin(turn: number): void {
    this.turn = turn;
    this.bytes = sizeOf(this.path(turn));
  }

  clear(): void {
    for (const path of [this.path(0), this.path(1)]) remove(path);
    this.bytes = 0;
  }

  private path(turn: number): string {
    return `${this.file}.ahead${turn % 2}`;
  }
}

const remove = (path: string): void => {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
};

/** 0 where nothing is; what else cannot be looked at takes no line either. */
const sizeOf = (path: string): number => {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
};

/** Nobody was let in by a line that was cut off. */
const linesOf = (path: string, unread: (error: Error) => void): readonly Ahead[] => {
  let text: string;
  try {
    if (sizeOf(path) >= AHEAD.bytes_max) throw new Error(`${path} is full`);
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) unread(error as Error);
    return [];
  }
  return text.split("\n").flatMap((one) => {
    try {
      const [turn, limit, caller, used] = line.parse(JSON.parse(one));
      return [{ turn, limit, caller, used }];
    } catch {
      return [];
    }
  });
};
