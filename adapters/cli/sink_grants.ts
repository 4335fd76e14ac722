/** What the sinks of a configuration may touch: the addresses they deliver to, and the files they append to. */
import { resolve, sep } from "node:path";
import type { Grants } from "./call.ts";
import { Usage } from "./call.ts";
import { address, hostOf } from "./grants.ts";
import { inFolderOf, type Settings } from "./settings.ts";

/** `data` is absolute, or `:memory:`. `Usage` for a file within it: what is appended there would be taken for the log's own. */
export const sinkGrants = (settings: Settings, data: string): Pick<Grants, "net" | "write"> => {
  const [net, write]: [string[], string[]] = [[], []];
  for (const sink of settings.config.sinks) {
    if (sink.kind === "webhook" || sink.kind === "pagerduty") net.push(hostOf(sink.url));
    else if (sink.kind === "syslog" || sink.kind === "email") net.push(address(sink.host, sink.port));
    // Its URL is a secret, which is not read for this.
    else if (sink.kind === "slack") net.push(hostOf(`https://${sink.host}/`));
    else {
      const path = inFolderOf(settings.file, sink.path);
      if (path === data || path.startsWith(resolve(data) + sep)) {
        throw new Usage(`sink ${sink.name}: ${path} lies within the data folder; events go out to somewhere else`);
      }
      write.push(path);
    }
  }
  return { net: [...new Set(net)], write };
};
