/** The other end of `project_apart.ts`: projections in a thread of their own, as that thread sees it. */
import type { Millis } from "../../events/event.ts";
import type { KernelFact } from "../../events/kernel.ts";
import { causeOf } from "./cause.ts";
import type { ProjectionState } from "./daybook.ts";
import type { Projections } from "./project.ts";
import { type FromProjections, type Line, PROJECTIONS_APART, type ToProjections } from "./project_line.ts";
import { type Clock, pause } from "./world.ts";

/** What the composer in this thread has put together. */
export interface Composed {
  readonly projections: Pick<Projections, "children"> & { hurry(name: string, position: number, ms: Millis): void };
  /** Takes in what the log has by now. */
  grown(size: number): void;
  close(): Promise<void>;
}

/** What the thread hands the composer: how states and facts get home. */
export interface Home {
  readonly onState: (state: ProjectionState, served: number) => void;
  readonly record: (fact: KernelFact, child: string) => void;
  readonly onDamaged: (cause: string) => void;
}

/** Serves projections in this thread to the one at the other end of the line; resolves when it was closed. */
export const serveProjections = (
  line: Line<FromProjections, ToProjections>,
  { compose, clock }: { readonly compose: (settings: unknown, home: Home) => Promise<Composed>; readonly clock: Clock },
): Promise<void> =>
  new Promise((resolve, reject) => {
    const running = new Map<string, { readonly stop: AbortController; readonly run: Promise<void> }>();
    const over = new AbortController();
    let composed: Composed | undefined;
    const home: Home = {
      onState: (state, served) => line.send({ from: "state", state, served }),
      record: (fact, child) => line.send({ from: "fact", fact, child }),
      onDamaged: (cause) => line.send({ from: "damaged", cause }),
    };
    const start = (name: string, path: string) => {
      const child = composed!.projections.children.find(({ id }) => id === name);
      if (child === undefined) {
        return line.send({ from: "ended", name, cause: `there is no projection ${name} in this thread` });
      }
      const stop = new AbortController();
      const run = child.run(stop.signal, { path, ready() {} }).then(
        () => line.send({ from: "ended", name }),
        (error) => line.send({ from: "ended", name, cause: causeOf(error) }),
      ).finally(() => running.delete(name));
      running.set(name, { stop, run });
    };
    const open = async (settings: unknown) => {
      composed = await compose(settings, home);
      line.send({ from: "opened" });
      while (!over.signal.aborted) {
        await pause(clock, PROJECTIONS_APART.beat_ms, over.signal);
        line.send({ from: "beat" });
      }
    };
    const close = async () => {
      over.abort();
      for (const { stop } of running.values()) stop.abort();
      await Promise.all([...running.values()].map(({ run }) => run));
      const closing = composed;
      composed = undefined; // news may still be on their way
      await closing?.close();
      line.send({ from: "closed" });
      resolve();
    };
    line.listen((message) => {
      if (message.to === "open") open(message.settings).catch(reject);
      else if (message.to === "start") start(message.name, message.path);
      else if (message.to === "stop") running.get(message.name)?.stop.abort();
      else if (message.to === "grown") composed?.grown(message.size);
      else if (message.to === "hurry") composed?.projections.hurry(message.name, message.position, message.ms);
      else close().catch(reject);
    }, (cause) => reject(new Error(cause)));
  });
