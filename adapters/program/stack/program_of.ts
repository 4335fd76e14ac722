/** What of a launch the agent is told; a copy, for what is sent is parsed as its own. */
import type { Launch } from "./launch.ts";

export const programOf = ({ command, arguments: given, folder, environment, inherit }: Launch) => ({
  command,
  arguments: [...given],
  folder,
  environment: { ...environment },
  inherit: [...inherit],
});
