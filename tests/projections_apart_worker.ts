/** The thread of `projections_apart_test.ts`: counts a log that the settings describe, and misbehaves when they say so. */
import { SqliteViews } from "../adapters/sqlite/views.ts";
import { MemoryLog } from "../adapters/memory/log.ts";
import { systemClock } from "../adapters/system/world.ts";
import { lineToParent } from "../adapters/system/thread.ts";
import { PROJECT_APART, Projector } from "../actors/kernel/project.ts";
import { feedOfFile } from "../actors/kernel/project_feed.ts";
import type { FromProjections, ToProjections } from "../actors/kernel/project_line.ts";
import { serveProjections } from "../actors/kernel/project_serve.ts";
import { counted, counts } from "./projections_given.ts";

export interface Settings {
  readonly path: string;
  /** The file that says how the log stands: its length is the number of events. */
  readonly log: string;
  /** File whose presence makes the thread die at the next news. */
  readonly die: string;
}

if (import.meta.main) {
  await serveProjections(lineToParent<FromProjections, ToProjections>(), {
    clock: systemClock,
    async compose(settings, home) {
      const { path, log, die } = settings as Settings;
      const views = new SqliteViews({ path, notes: false });
      const written = new MemoryLog(systemClock);
      await counted(written, Deno.statSync(log).size);
      const feed = feedOfFile({
        get size() {
          return written.size;
        },
        read: (range) => written.read(range),
        refresh: () => true,
      });
      const projections = new Projector({
        projections: [counts],
        feed,
        views,
        clock: systemClock,
        bounds: PROJECT_APART,
        ...home,
      });
      return {
        projections,
        grown(size) {
          if (exists(die)) {
            Deno.removeSync(die);
            throw new Error("the thread dies as it was told");
          }
          void counted(written, Math.max(0, size - written.size)).then(() => feed.grew());
        },
        // deno-lint-ignore require-await
        close: async () => views.close(),
      };
    },
  });
  self.close();
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
