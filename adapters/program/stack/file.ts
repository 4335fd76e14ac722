/** A file of services, read and checked. */
import { parseStack, problemText } from "../../../config/stack.ts";
import { Usage } from "../../cli/call.ts";
import type { Settings } from "../../cli/settings.ts";
import { faultsOfStack } from "./launch.ts";

/** Throws `Usage` with every reason why it cannot be. */
export const stackIn = async (file: string): Promise<NonNullable<Settings["stack"]>> => {
  const text = await Deno.readTextFile(file).catch((error) => {
    throw new Usage(`cannot read the services: ${error.message}`);
  });
  const parsed = parseStack(text, file, faultsOfStack(file));
  if (!parsed.ok) throw new Usage(parsed.problems.map(problemText).join("; "));
  return { settings: parsed.stack, file };
};
