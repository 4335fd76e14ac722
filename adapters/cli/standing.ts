/**
 * Views as they stand now, with a running server and without one: what is stored of them, and what came since folded on top. So it
 * costs what is new, and nothing is asked of a log's beginning, which may lie in an archive.
 */
import { isArchived } from "../../actors/kernel/kept.ts";
import type { Event } from "../../events/event.ts";
import { LogFault, type Range } from "../../events/log.ts";
import { folder } from "../../projections/fold.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { type ViewPage, ViewsFault } from "../../projections/views.ts";
import type { Call } from "./call.ts";
import type { Runtime, StoredViews } from "./runtime.ts";
import type { Reader } from "./reader.ts";
import { pagesOf, passedOver, readableViews, sizeOf } from "./stored.ts";

interface View {
  readonly name: string;
  readonly rows: Map<string, unknown>;
  /** Position of the first event that is not in what was stored. */
  readonly from: number;
  take(event: Event): void;
}

/** For views that keep history and have no working rows. */
export class Standing {
  private read: number;

  private constructor(
    private readonly reader: Reader,
    private readonly views: readonly View[],
    private readonly heard: readonly string[],
  ) {
    this.read = Math.min(...views.map(({ from }) => from));
  }

  /** Nothing is folded yet: `catchUp` does. */
  static async of(
    names: readonly string[],
    { reader, call, runtime }: { readonly reader: Reader; readonly call: Call; readonly runtime: Runtime },
  ): Promise<Standing> {
    const projections = (await runtime.projections()).filter(({ name }) => names.includes(name));
    const stored = await readableViews(runtime, call.data);
    try {
      // Views that a server has gone on with are of what the log has by now.
      await reader.renew();
      const views = projections.map((one) => begun(one, stored, { reader, runtime }));
      return new Standing(reader, views, projections.flatMap(({ hears }) => hears as readonly string[]));
    } finally {
      stored?.close();
    }
  }

  /** Folds what has come since, or only what is in `stream`; that, in order. `reader.renew` before it where time has passed. */
  catchUp(
    range: Pick<Range, "stream"> | { readonly types: readonly string[] } = { types: this.heard },
  ): readonly Event[] {
    const { size } = this.reader;
    const fresh: Event[] = [];
    for (const page of this.kept({ ...range, from: this.read, until: size })) {
      for (const event of page) {
        for (const { from, take } of this.views) if (event.position >= from) take(event);
        fresh.push(event);
      }
    }
    this.read = Math.max(this.read, size);
    return fresh;
  }

  /** Events that were looked at. */
  get size(): number {
    return this.read;
  }

  /** By key, in the order in which they came to be. */
  rows(name: string): ReadonlyMap<string, unknown> {
    return this.views.find((view) => view.name === name)!.rows;
  }

  private *kept(range: Range): Iterable<readonly Event[]> {
    try {
      yield* this.reader.read(range);
    } catch (error) {
      if (!isArchived(error)) throw error;
      const names = this.views.filter(({ from }) => from <= range.from!).map(({ name }) => name).join(", ");
      throw new LogFault(
        "archived",
        `no stored view can be gone on with (${names}), and ${error.message}; \`start\` with log.archive builds it again`,
        { cause: error.cause },
      );
    }
  }
}

const begun = (
  projection: AnyProjection,
  stored: StoredViews | undefined,
  { reader, runtime }: { readonly reader: Reader; readonly runtime: Runtime },
): View => {
  const { size, rows: found } = seedOf(projection, stored, { reader, runtime });
  const rows = new Map(found.map(({ key, row }) => [key, row]));
  const take = folder(projection, {
    get: (key) => rows.get(key),
    set: ({ key, row }) => void (row === undefined ? rows.delete(key) : rows.set(key, row)),
  });
  return { name: projection.name, rows, from: size, take };
};

const NOTHING = { size: 0, rows: [] };

const seedOf = (
  projection: AnyProjection,
  stored: StoredViews | undefined,
  { reader, runtime }: { readonly reader: Reader; readonly runtime: Runtime },
): Pick<ViewPage, "size" | "rows"> => {
  try {
    if (!stored || sizeOf(stored, projection, { reader, runtime }) === undefined) return NOTHING;
    const pages = [...pagesOf(stored, projection.name)];
    return { size: pages[0]!.size, rows: pages.flatMap(({ rows }) => rows) };
  } catch (error) {
    if (!(error instanceof ViewsFault)) throw error;
    // Pages deep in the file may be damaged although it opened.
    passedOver(runtime, error.message);
    return NOTHING;
  }
};
