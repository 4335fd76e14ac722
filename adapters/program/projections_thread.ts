/**
 * Projections in a thread of their own. This file is also the module that thread runs: it reads the log's file and writes the
 * views, while the one that started it appends.
 */
import { PROJECT_APART, Projector } from "../../actors/kernel/project.ts";
import { PACE, PACE_AWAITED } from "../../actors/kernel/project_pace.ts";
import { feedOfFile } from "../../actors/kernel/project_feed.ts";
import type { FromProjections, Line, ToProjections } from "../../actors/kernel/project_line.ts";
import { serveProjections } from "../../actors/kernel/project_serve.ts";
import type { Config } from "../../config/config.ts";
import { events } from "../../events/mod.ts";
import { projections } from "../../projections/mod.ts";
import type { AnyProjection } from "../../projections/projection.ts";
import { ArchivedReader } from "../kv/archive.ts";
import { LogReader } from "../kv/reader.ts";
import { SealedReader } from "../kv/sealed_store.ts";
import { KvReader } from "../kv/store.ts";
import { crashAt } from "../process/crash.ts";
import { SqliteViews } from "../sqlite/views.ts";
import { giveWay, lineToParent, lineToWorker } from "../system/thread.ts";
import { systemClock } from "../system/world.ts";
import { crashInViews } from "./crash_points.ts";
import { archiveIn } from "./archive_source.ts";
import { sealedBy } from "./at_rest.ts";
import { FILES } from "./files.ts";
import { telemetryOf } from "./telemetry.ts";

/** What the thread of the projections opens. */
export interface ThreadSettings {
  readonly data: string;
  readonly cacheBytesMax: number;
  readonly projections: Config["projections"];
  /** Where to die, as `crashAt` reads it. */
  readonly crashAt?: string;
  /** What log and views are sealed under. Default: they are clear. */
  readonly key?: Uint8Array;
  /** Folder of what was archived. Default: none is attached. */
  readonly archive?: string | null;
  /** Whoever appends waits for the views in the end, so they do not give way. Default: they do. */
  readonly awaited?: boolean;
  /** Only what the program itself asks for is folded. Default: all. */
  readonly neededAlone?: boolean;
}

/** What tells of health, what commands begin with (`adapters/cli/standing.ts`), what sessions are counted by and branches moved by. */
const NEEDED = [
  "alerts.inbox",
  "alerts.silences",
  "certificates.current",
  "commits.branches",
  "health.children",
  "health.sinks",
  "health.threats",
  "health.tree",
  "identity.sessions",
  "services.board",
  "services.definitions",
  "services.findings",
];

/** Of Daybook's own. */
export const folded = (neededAlone = false): readonly AnyProjection[] =>
  neededAlone ? projections.filter(({ name }) => NEEDED.includes(name)) : projections;

/** What becomes of a projection that meets an event it cannot apply. */
export const withPolicies = (
  projections: readonly AnyProjection[],
  { poison, policies }: Config["projections"],
): readonly AnyProjection[] =>
  projections.map((projection) => ({
    ...projection,
    poison: policies[projection.name] ?? projection.poison ?? poison,
  }));

const THREAD = "projections";

/** Starts the thread. */
export const projectionsThread = (): Line<ToProjections, FromProjections> =>
  lineToWorker(new Worker(import.meta.url, { type: "module", name: THREAD }));

/** The thread itself: it reads the log's file and writes the views. */
const serve = async (): Promise<void> => {
  await serveProjections(lineToParent<FromProjections, ToProjections>(), {
    clock: systemClock,
    async compose(settings, home) {
      const { data, cacheBytesMax, projections: stated, crashAt: point, key, archive, awaited, neededAlone } =
        settings as ThreadSettings;
      if (!awaited) giveWay(10);
      const sealed = key && await sealedBy(key);
      const store = new KvReader(`${data}/${FILES.log}`);
      const lies = sealed ? new SealedReader(store, sealed.sealing) : store;
      const file = new LogReader(new ArchivedReader(lies, archiveIn(archive)), {
        catalogue: events,
        index: false,
        cacheBytesMax,
      });
      file.refresh();
      const feed = feedOfFile(file);
      const views = new SqliteViews({ path: data, notes: false, sealed });
      if (point !== undefined) crashInViews(views, crashAt(point));
      return {
        projections: new Projector({
          projections: withPolicies(folded(neededAlone), stated),
          feed,
          views,
          clock: systemClock,
          bounds: { ...PROJECT_APART, batch_events: stated.batch_events_max },
          pace: awaited ? PACE_AWAITED : PACE,
          telemetry: await telemetryOf(),
          ...home,
        }),
        grown: () => feed.grew(),
        async close() {
          views.close();
          await file.close();
        },
      };
    },
  });
  close();
};

// A worker has no window, and this one has a name.
if ("WorkerGlobalScope" in globalThis && (globalThis as { name?: string }).name === THREAD) await serve();
