/**
 * A simulated disk and the store a process opens on it. What is committed survives the process; what is not yet, when the
 * process dies, is there or not as the seed decides, and never by half.
 */
import type { Batch, Key, Span, Store } from "../../events/store.ts";
import { LogFault } from "../../events/log.ts";
import type { Clock } from "../../actors/kernel/world.ts";
import type { Faults } from "./faults.ts";
import type { SeededRandom } from "./random.ts";

/** Survives every process that opens it. */
export class SimulatedDisk {
  /** By all parts of a key but the last; in the order of the last. */
  private readonly folders = new Map<string, { readonly last: (string | number)[]; readonly values: Uint8Array[] }>();
  private used = 0;
  /** While true every commit throws `full`; for a disk that stays full until somebody makes room. */
  full = false;

  bytes(): number {
    return this.used;
  }

  has(key: Key): boolean {
    return this.get(key) !== undefined;
  }

  get(key: Key): Uint8Array | undefined {
    const folder = this.folders.get(folderOf(key));
    const at = folder ? place(folder.last, key[key.length - 1]!) : 0;
    return folder && folder.last[at] === key[key.length - 1] ? folder.values[at] : undefined;
  }

  /** All or none; false when `absent` is there. */
  apply({ absent, puts, deletes = [] }: Batch): boolean {
    if (absent && this.has(absent)) return false;
    for (const [key, value] of puts) this.put(key, value.slice());
    for (const key of deletes) this.remove(key);
    return true;
  }

  list(
    { prefix, from = 0, until = Infinity, backward = false, limit = Infinity }: Span,
  ): readonly (readonly [number, Uint8Array])[] {
    const folder = this.folders.get(prefix.map(partText).join(""));
    if (!folder) return [];
    const [first, end] = [place(folder.last, from), place(folder.last, until)];
    const found: (readonly [number, Uint8Array])[] = [];
    for (let i = 0; i < end - first && found.length < limit; i++) {
      const at = backward ? end - 1 - i : first + i;
      const name = folder.last[at]!;
      if (typeof name === "number") found.push([name, folder.values[at]!]);
    }
    return found;
  }

  private put(key: Key, value: Uint8Array): void {
    const path = folderOf(key);
    let folder = this.folders.get(path);
    if (!folder) this.folders.set(path, folder = { last: [], values: [] });
    const name = key[key.length - 1]!;
    const at = place(folder.last, name);
    const there = folder.last[at] === name;
    this.used += value.length - (there ? folder.values[at]!.length : 0);
    folder.last.splice(at, there ? 1 : 0, name);
    folder.values.splice(at, there ? 1 : 0, value);
  }

  private remove(key: Key): void {
    const folder = this.folders.get(folderOf(key));
    const name = key[key.length - 1]!;
    const at = folder ? place(folder.last, name) : 0;
    if (!folder || folder.last[at] !== name) return;
    this.used -= folder.values[at]!.length;
    folder.last.splice(at, 1);
    folder.values.splice(at, 1);
  }
}

export interface SimulatedStoreOptions {
  /** The process's share of the clock. */
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly faults: Faults;
  /** Told when a fault kills the process; it must call `crash` here and end everything else of the process. */
  readonly died: () => void;
}

/** One process's handle on the disk. */
export class SimulatedStore implements Store {
  private readonly inFlight = new Set<Batch>();
  private open = true;
  /** Set once the disk has failed to flush. */
  private failed: LogFault | undefined;

  constructor(private readonly disk: SimulatedDisk, private readonly options: SimulatedStoreOptions) {}

  commit(batch: Batch): Promise<boolean> {
    const { clock, faults, died } = this.options;
    if (!this.open) return Promise.reject(closed());
    if (this.failed) return Promise.reject(this.failed);
    return new Promise((resolve, reject) => {
      this.inFlight.add(batch);
      const later = (call: () => void) => clock.schedule(faults.latency(), () => this.open && call());
      // A batch that leaves the set is decided: on the disk, or refused. A crash decides those still in it.
      const decide = () => this.inFlight.delete(batch);
      later(() => {
        if (this.failed) return (decide(), reject(this.failed));
        const fault = this.disk.full ? "full" : faults.draw("locked", "full", "io_before", "flush", "crash_before");
        // What was not flushed is undecided until the process ends.
        if (fault === "flush") return reject(this.failed = new LogFault("fenced", "simulated: the disk failed"));
        if (fault) decide();
        if (fault === "crash_before") return died();
        if (fault === "io_before") return reject(new LogFault("io", "simulated: disk I/O error, outcome unknown"));
        if (fault) return reject(new LogFault(fault, `simulated: database or disk is ${fault}`));
        const written = this.disk.apply(batch);
        decide();
        const after = faults.draw("io_after", "crash_after");
        if (after === "crash_after") return died();
        later(() =>
          after ? reject(new LogFault("io", "simulated: disk I/O error, outcome unknown")) : resolve(written)
        );
      });
    });
  }

  /** The disk has failed; the process must end before anything more is written. */
  get broken(): boolean {
    return this.failed !== undefined;
  }

  get(key: Key): Uint8Array | undefined {
    if (!this.open) throw closed();
    return this.disk.get(key);
  }

  list(span: Span): Iterable<readonly [number, Uint8Array]> {
    if (!this.open) throw closed();
    return this.disk.list(span);
  }

  bytes(): number {
    return this.disk.bytes();
  }

  /** The process dies: nothing it awaits ever settles, and each commit on its way is on the disk or is not. */
  crash(): void {
    this.end();
  }

  close(): Promise<void> {
    this.end();
    return Promise.resolve();
  }

  private end(): void {
    this.open = false;
    for (const batch of this.inFlight) if (this.options.random.strikes(0.5)) this.disk.apply(batch);
    this.inFlight.clear();
  }
}

const closed = () => new LogFault("closed", "simulated: the store is closed");
const partText = (part: string | number) => typeof part === "number" ? `#${part};` : `$${part.length}:${part};`;
const folderOf = (key: Key) => key.slice(0, -1).map(partText).join("");

const isBefore = (a: string | number, b: string | number) => typeof a === typeof b ? a < b : typeof a === "number";

/** First index whose part is not before `part`. */
function place(sorted: readonly (string | number)[], part: string | number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(sorted[middle]!, part)) low = middle + 1;
    else high = middle;
  }
  return low;
}
