/** Whether the programs of services are there, before any is started. */
import type { StackFault } from "../../../config/stack.ts";
import { AgentGone, type AgentLine } from "../../process/agent/line.ts";
import type { Change } from "./apply.ts";
import { type Launch, type Placed } from "./launch.ts";
import { prepare } from "./prepared.ts";

/** New or changed; a program that is made only when something else has run its course is not looked for yet. */
const isLookedFor = ({ stack }: Placed, changes: readonly Change[]) => {
  const fresh = new Set(changes.filter(({ change }) => change === "new" || change === "changed").map((c) => c.service));
  const ends = (name: string): boolean =>
    stack.services.find((service) => service.name === name)!.needs.some(({ service, condition }) =>
      condition.startsWith("completed") || ends(service)
    );
  return (name: string, hooked: boolean) => fresh.has(name) && !hooked && !ends(name);
};

/** One fault for each program that is not there, or may not be executed. */
export const absentPrograms = async (
  placed: Placed,
  { agent, changes }: { readonly agent: Pick<AgentLine, "ask" | "there">; readonly changes: readonly Change[] },
): Promise<readonly StackFault[]> => {
  const looked = isLookedFor(placed, changes);
  const places = placed.stack.services.flatMap((service) => {
    if (!looked(service.name, service.hooks.before_start !== undefined)) return [];
    const [first] = prepare(service, placed).instances;
    const { launch, probes, hooks } = first!;
    const of = (path: readonly string[], launch: Launch) => ({ path: [service.name, ...path, "command"], launch });
    return [
      of([], launch),
      ...Object.entries(probes).flatMap(([name, { exec }]) => exec ? [of(["probes", name, "exec"], exec)] : []),
      ...Object.entries(hooks).map(([name, hook]) => of(["hooks", name], hook)),
    ];
  });
  if (places.length === 0) return [];
  const look = async ({ path, launch }: typeof places[number]): Promise<StackFault[]> => {
    const { command, folder, environment: { PATH }, inherit } = launch;
    const { refused } = await agent.ask("look", {
      command,
      folder,
      ...(typeof PATH === "string" ? { path: PATH } : {}),
      inherited: PATH === undefined && inherit.includes("PATH"),
    });
    return refused === undefined ? [] : [{ path, expected: "a program that can be started", found: refused }];
  };
  for (;;) {
    await agent.there();
    try {
      return (await Promise.all(places.map(look))).flat();
    } catch (error) {
      if (!(error instanceof AgentGone)) throw error; // the next one is asked
    }
  }
};
