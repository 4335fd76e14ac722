/** Bugs to plant into a simulated process, each at a port: a simulation that does not find them proves nothing. */
import type { Append, Appended, EventLog } from "../../events/log.ts";
import type { Views } from "../../projections/views.ts";

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
] as const;
export type Plant = typeof PLANTS[number];

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
    default:
      return log;
  }
};

/** The log as the process has it. */
export const hastyLog = (log: EventLog, plant: Plant | undefined): EventLog => {
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
    setNotes: (entries: readonly (readonly [string, unknown])[]) =>
      views.setNotes(entries.flatMap(([key, value]) => changed(key, value))),
  });
};
