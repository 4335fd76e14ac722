/** A store that lives and dies with the process: every promise of the port but durability. */
import { LogFault } from "../../events/log.ts";
import { type Batch, type Key, type Span, type Store, VALUE_BYTES_MAX } from "../../events/store.ts";

/** A sorted list of numbers with their values; additions are nearly always at the end. */
class Shelf {
  readonly numbers: number[] = [];
  readonly values = new Map<number, Uint8Array>();

  put(number: number, value: Uint8Array): void {
    if (!this.values.has(number)) {
      if (number > (this.numbers.at(-1) ?? -1)) this.numbers.push(number);
      else this.numbers.splice(this.place(number), 0, number);
    }
    this.values.set(number, value);
  }

  delete(number: number): void {
    if (this.values.delete(number)) this.numbers.splice(this.place(number), 1);
  }

  /** Index of the first number not below. */
  place(number: number): number {
    let low = 0;
    let high = this.numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      this.numbers[middle]! < number ? low = middle + 1 : high = middle;
    }
    return low;
  }
}

export class MemoryStore implements Store {
  private readonly shelves = new Map<string, Shelf>();
  private readonly single = new Map<string, Uint8Array>();
  private total = 0;

  // Asynchronous as the port is, though nothing here waits.
  // deno-lint-ignore require-await
  async commit({ absent, puts, deletes = [] }: Batch): Promise<boolean> {
    const large = puts.find(([, value]) => value.length > VALUE_BYTES_MAX);
    if (large) {
      throw new LogFault("too_large", `a value has at most ${VALUE_BYTES_MAX} bytes, this one ${large[1].length}`);
    }
    if (absent && this.get(absent) !== undefined) return false;
    for (const key of deletes) this.remove(key);
    for (const [key, value] of puts) this.put(key, value);
    return true;
  }

  get(key: Key): Uint8Array | undefined {
    const last = key.at(-1);
    return typeof last === "number"
      ? this.shelves.get(prefixOf(key))?.values.get(last)
      : this.single.get(JSON.stringify(key));
  }

  list(
    { prefix, from = 0, until = Infinity, backward = false, limit = Infinity }: Span,
  ): (readonly [number, Uint8Array])[] {
    const shelf = this.shelves.get(JSON.stringify(prefix));
    if (!shelf) return [];
    const low = shelf.place(from);
    const high = until === Infinity ? shelf.numbers.length : shelf.place(until);
    const numbers = backward
      ? shelf.numbers.slice(Math.max(low, high - limit), high).reverse()
      : shelf.numbers.slice(low, Math.min(high, low + limit));
    return numbers.map((number) => [number, shelf.values.get(number)!] as const);
  }

  bytes(): number {
    return this.total;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private put(key: Key, value: Uint8Array): void {
    this.remove(key);
    this.total += value.length;
    const last = key.at(-1);
    if (typeof last !== "number") return void this.single.set(JSON.stringify(key), value);
    const prefix = prefixOf(key);
    let shelf = this.shelves.get(prefix);
    if (!shelf) this.shelves.set(prefix, shelf = new Shelf());
    shelf.put(last, value);
  }

  private remove(key: Key): void {
    const before = this.get(key);
    if (before === undefined) return;
    this.total -= before.length;
    const last = key.at(-1);
    typeof last === "number" ? this.shelves.get(prefixOf(key))?.delete(last) : this.single.delete(JSON.stringify(key));
  }
}

const prefixOf = (key: Key): string => JSON.stringify(key.slice(0, -1));
