/** Runs the services of a configuration, as children of the tree: the agent, and who tells it what to do. */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { Supervisor } from "../../../actors/kernel/supervisor.ts";
import { isLive } from "../../../actors/services/state.ts";
import { Usage } from "../../cli/call.ts";
import type { Io } from "../../cli/runtime.ts";
import type { Settings } from "../../cli/settings.ts";
import { systemClock } from "../../system/world.ts";
import type { Opened } from "../daybook.ts";
import { OPERATOR } from "../operator.ts";
import { Orchestrator } from "./orchestrator.ts";
import { portsOf } from "./ports.ts";

/** Below the data folder: what services write, and what is left of their starts. */
const FOLDER = "services";

export interface RunningStack {
  /** Before the tree is stopped: services are left running, or stopped first, as the configuration says. */
  stop(): Promise<void>;
}

/** Throws `Usage` when the stack is refused. */
export const runStack = async (
  { daybook, tree, supervision }: Pick<Opened, "daybook" | "tree" | "supervision">,
  { data, stack: { settings, file }, profile }: {
    readonly data: string;
    readonly stack: NonNullable<Settings["stack"]>;
    readonly profile: string;
  },
  io: Pick<Io, "err">,
): Promise<RunningStack> => {
  const folder = resolve(data, FOLDER);
  const placed = { stack: settings, file, ports: await portsOf(settings, folder) };
  const report = (line: string) => io.err(`daybook: ${line}\n`);
  const orchestrator = new Orchestrator({
    daybook,
    clock: systemClock,
    placed,
    hash: (text) => createHash("sha256").update(text).digest("hex"),
    folder,
    report,
  });
  await tree.add(
    new Supervisor(
      { id: "services", strategy: "one_for_one", ...supervision.bounds, children: [orchestrator.agent, orchestrator] },
      supervision.world,
    ),
  );
  const wanted = settings.services.filter(({ profiles }) => !profiles || profiles.some((name) => name === profile));
  const outcome = await orchestrator.apply(wanted.map(({ name }) => name), profile);
  if (outcome.is === "rejected") throw new Usage(`${file}: ${outcome.because}`);
  if (outcome.is !== "accepted") throw new Error(`the services could not be applied: ${outcome.is}`);
  return {
    async stop() {
      if (settings.on_exit === "leave") return;
      const { name } = settings;
      const down = await daybook.ask({
        type: "services.stack.down",
        id: name,
        data: { because: "shutdown" },
        by: OPERATOR.principal,
      });
      if (down.is !== "accepted") return report(`the services could not be told to stop: ${down.is}`);
      await orchestrator.until(({ services }) => Object.values(services).every(({ lives }) => !lives.some(isLive)));
    },
  };
};
