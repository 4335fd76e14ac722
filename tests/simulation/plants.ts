/** Bugs to plant into a simulated process, each at a port: a simulation that does not find them proves nothing. */
import type { Append, Appended, EventLog } from "../../events/log.ts";
import type { Store } from "../../events/store.ts";
import type { Child } from "../../actors/kernel/child.ts";
import type { Views, ViewStore } from "../../projections/views.ts";

export const PLANTS = [
  /** The idempotency index knows nothing. */
  "ids_forgotten",
  /** The expected revision is not checked. */
  "revision_unchecked",
  /** The answer leaves before the commit. */
  "acknowledged_early",
  /** A repeat gets another id, and so is recorded again. */
  "ids_renewed",
  /** The cursor of a process manager is noted one ahead. */
  "cursor_ahead",
  /** One in ten standing timers is not noted. */
  "timers_lost",
  /** Snapshots are of another state. */
  "snapshots_wrong",
  /** A writer that is one event behind is let through. */
  "head_stale",
  /** Every twentieth append uses the ids of another. */
  "ids_reused",
  /** Every tenth transaction of a projection moves its cursor and leaves its rows behind. */
  "rows_behind",
  /** A follower is not told of every thirtieth batch. */
  "news_lost",
  /** The signal to stop does not reach a child. */
  "signal_dropped",
  /** A commit is answered before the disk has it. */
  "flush_skipped",
] as const;
export type Plant = typeof PLANTS[number];
/** Those that lie below the log can only be planted where there is a store. */
export const GROUND_OF: Partial<Readonly<Record<Plant, "kv">>> = { flush_skipped: "kv" };

/** Overrides members of a port; the rest goes to the port within. */
const over = <T extends object>(port: T, members: Partial<T>): T =>
  new Proxy(port, {
    get: (target, name) => {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name);
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });

/** The log below the faults. */
export const plantedLog = (log: EventLog, plant: Plant | undefined): EventLog => {
  let count = 0;
  switch (plant) {
    case "ids_forgotten":
      return over(log, { find: () => undefined });
    case "revision_unchecked":
      return over(log, { append: ({ events }: Append) => log.append({ events }) });
    case "ids_renewed": {
      const renewed = (source: string, id: string) => log.find(source, id) ? `${id}~${++count}` : id;
      return over(log, {
        append: (batch: Append) =>
          log.append({
            ...batch,
            events: batch.events.map((event) => ({ ...event, id: renewed(event.source, event.id) })),
          }),
        find: () => undefined,
      });
    }
    case "head_stale":
      return over(log, {
        append: ({ events, expected = [] }: Append) =>
          log.append({
            events,
            expected: expected.map((
              [stream, wanted],
            ) => [stream, wanted === log.head(stream) - 1 ? wanted + 1 : wanted]),
          }),
      });
    default:
      return log;
  }
};

/** The log as the process has it. */
export const hastyLog = (log: EventLog, plant: Plant | undefined): EventLog => {
  let count = 0;
  if (plant === "ids_reused") {
    let last = "";
    return over(log, {
      append(batch: Append) {
        const reused = last !== "" && ++count % 20 === 0 ? last : undefined;
        last = batch.events[0]!.id;
        return log.append(
          reused === undefined ? batch : { ...batch, events: batch.events.map((event) => ({ ...event, id: reused })) },
        );
      },
    });
  }
  if (plant === "news_lost") {
    return over(log, {
      async *follow(from: number, signal: AbortSignal) {
        for await (const batch of log.follow(from, signal)) if (++count % 30 !== 0) yield batch;
      },
    });
  }
  if (plant !== "acknowledged_early") return log;
  return over(log, {
    append: (batch: Append): Promise<Appended> => {
      log.append(batch).catch(() => {});
      const { length } = batch.events;
      const receipts = batch.events.map(({ id, source, stream }, i) => ({
        id,
        source,
        stream,
        revision: log.head(stream) + 1 + i,
        position: log.size + i,
        duplicate: false,
      }));
      return Promise.resolve({
        ok: true,
        receipts,
        accepted: length,
        duplicates: 0,
        size: log.size + length,
        recordedat: "",
      });
    },
  });
};

export const plantedViews = (views: Views, plant: Plant | undefined): Views => {
  let count = 0;
  const stores = new Map<ViewStore, ViewStore>();
  const changed = (key: string, value: unknown): readonly (readonly [string, unknown])[] => {
    if (plant === "cursor_ahead" && key.startsWith("manager/") && key.endsWith("/cursor")) {
      const cursor = value as { size: number };
      return [[key, { ...cursor, size: cursor.size + 1 }]];
    }
    if (plant === "timers_lost" && value !== undefined && key.startsWith("timers/standing/") && ++count % 10 === 0) {
      return [];
    }
    if (plant === "snapshots_wrong" && key.startsWith("snapshot/")) {
      const note = value as { revision: number; state: string };
      return [[key, { ...note, state: JSON.stringify({ ...JSON.parse(note.state), total: 10_000 }) }]];
    }
    return [[key, value]];
  };
  return over(views, {
    open(projection: Parameters<Views["open"]>[0]) {
      const store = views.open(projection);
      if (plant !== "rows_behind") return store;
      const commit: typeof store.commit = (changes, size) => store.commit(++count % 10 === 0 ? [] : changes, size);
      const planted = over(store, { commit });
      stores.set(planted, store);
      return planted;
    },
    swap: (store: Parameters<Views["swap"]>[0]) => views.swap(stores.get(store) ?? store),
    setNotes: (entries: readonly (readonly [string, unknown])[]) =>
      views.setNotes(entries.flatMap(([key, value]) => changed(key, value))),
  });
};

/** A part of the tree. */
export const plantedChild = (child: Child, plant: Plant | undefined): Child =>
  plant === "signal_dropped"
    ? over(child, {
      run: (_: AbortSignal, self?: Parameters<Child["run"]>[1]) => child.run(new AbortController().signal, self!),
    })
    : child;

/** The disk below the log. */
export const plantedStore = (store: Store, plant: Plant | undefined): Store =>
  plant === "flush_skipped"
    ? over(store, {
      commit(batch) {
        store.commit(batch).catch(() => {});
        return Promise.resolve(true);
      },
    })
    : store;
