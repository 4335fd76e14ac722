/**
 * Reads the entries of a tlog-tiles folder back, as a log does. It believes what is there as far as that has the form of entries: who wants
 * to know whether they are the right ones asks the verifier.
 */
import { join } from "node:path";
import type { Catalogue } from "../../events/catalogue.ts";
import type { Event } from "../../events/event.ts";
import { LogFault, type Range } from "../../events/log.ts";
import { readBundle, TILE_WIDTH, tileName } from "../../events/tiles.ts";
import { raised } from "../../events/upcast.ts";

/** A bundle that is longer holds something else. */
const BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + 65_535);

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The first `size` entries of a folder; one bundle is held at a time. Reading throws `LogFault`: `truncated` for what is missing or no bundle. */
export class TlogFolder {
  private held: { readonly index: number; readonly entries: readonly Uint8Array[] } | undefined;

  constructor(
    private readonly folder: string,
    readonly size: number,
    private readonly catalogue: Pick<Catalogue, "spec">,
  ) {}

  /** The exact bytes of one entry. */
  entry(position: number): Uint8Array | undefined {
    if (position < 0 || position >= this.size) return undefined;
    return this.bundle(Math.floor(position / TILE_WIDTH))[position % TILE_WIDTH];
  }

  /** Entries of a bundle, as far as they are among the first `size`. */
  bundle(index: number): readonly Uint8Array[] {
    if (this.held?.index === index) return this.held.entries;
    const width = Math.min(TILE_WIDTH, this.size - index * TILE_WIDTH);
    const name = `tile/entries/${tileName({ index, width })}`;
    const entries = readBundle(this.bytes(name));
    if (entries?.length !== width) {
      throw new LogFault("truncated", `Cannot read ${name}: expected a bundle of ${width} entries`);
    }
    this.held = { index, entries };
    return entries;
  }

  private bytes(name: string): Uint8Array {
    const path = join(this.folder, name);
    try {
      const { size, isFile } = Deno.statSync(path);
      if (!isFile) throw new LogFault("truncated", `Cannot read ${name}: it is no file`);
      if (size > BUNDLE_BYTES_MAX) {
        throw new LogFault("truncated", `Cannot read ${name}: it is longer than any entry bundle`);
      }
      return Deno.readFileSync(path);
    } catch (error) {
      if (error instanceof LogFault) throw error;
      const kind = error instanceof Deno.errors.NotFound ? "truncated" : "io";
      throw new LogFault(kind, `Cannot read ${name}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Events in the shapes that the catalogue has now, a bundle at a time; forward, by position and type alone. */
  *read({ from = 0, until = this.size, types }: Pick<Range, "from" | "until" | "types"> = {}): Generator<
    readonly Event[]
  > {
    const end = Math.min(until, this.size);
    for (let at = from; at < end;) {
      const index = Math.floor(at / TILE_WIDTH);
      const first = index * TILE_WIDTH;
      const entries = this.bundle(index).slice(at - first, end - first);
      const events = entries.map((entry, i) => eventOf(entry, at + i));
      const wanted = types ? events.filter(({ type }) => types.includes(type)) : events;
      if (wanted.length > 0) yield raised(this.catalogue, wanted);
      at += entries.length;
    }
  }

  /** Position of the first event recorded at or after this RFC 3339 time; `size` when there is none. */
  positionAt(time: string): number {
    const wanted = Date.parse(time);
    let [low, high] = [0, this.size];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      Date.parse(eventOf(this.entry(middle)!, middle).recordedat) < wanted ? low = middle + 1 : high = middle;
    }
    return low;
  }
}

const TEXTS = ["type", "stream", "id", "source", "recordedat"] as const;

const eventOf = (entry: Uint8Array, position: number): Event => {
  let event: Event | undefined;
  try {
    event = JSON.parse(utf8.decode(entry));
  } catch {
    event = undefined;
  }
  if (event?.position !== position || TEXTS.some((name) => typeof event[name] !== "string")) {
    throw new LogFault("truncated", `Cannot read the entry at position ${position}: it is not that event`);
  }
  return event;
};
