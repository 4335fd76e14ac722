/** A file of services, read and checked. */
import { parseStack, problemsText, problemText } from "../../../config/stack.ts";
import { Usage } from "../../cli/call.ts";
import type { StatedStack } from "../../cli/settings.ts";
import { regularText } from "../../cli/terminal.ts";
import { faultsOfStack } from "./launch.ts";

/** Throws `Usage` with every reason why it cannot be. */
export const stackIn = async (file: string): Promise<StatedStack> => {
  const text = await regularText(file).catch((error) => {
    throw new Usage(`cannot read the services: ${error.message}`);
  });
  const parsed = parseStack(text, file, faultsOfStack(file));
  if (!parsed.ok) throw new Usage(problemsText(parsed.problems));
  // A named file without services would have nothing started, and nobody told.
  if (parsed.missing) throw new Usage(problemText(parsed.missing));
  return { settings: parsed.stack, file, problemAt: parsed.problemAt };
};

/**
 * The stack of a file that was named goes before that of the configuration; two of one name are refused, for the one would take the
 * place of all that the other runs. One that is not enabled is none.
 */
export const onlyStack = (own: StatedStack | undefined, named: StatedStack | undefined): StatedStack | undefined => {
  const [stack, other] = named ? [named, own] : [own, undefined];
  if (!stack?.settings.enabled) return undefined;
  if (other?.settings.enabled && other.file !== stack.file && other.settings.name === stack.settings.name) {
    const { name } = stack.settings;
    throw new Usage(`two stacks are called "${name}": ${stack.file} and ${other.file}; give one another stack.name`);
  }
  return stack;
};
