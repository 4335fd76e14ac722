/** `update-stack`: another file of services for the server that runs them, looked at first. */
import { z } from "zod";
import { parseStack, problemsText, problemText, STACK_LIMITS } from "../../../config/stack.ts";
import { Refused } from "../../cli/runtime.ts";
import { operation } from "../operation.ts";
import { faultsOfStack } from "./launch.ts";
import { runningStack } from "./stack.ts";

export const updateStack = operation({
  about: "Says anew which services a stack has; what changed takes the place of what runs.",
  input: z.strictObject({
    /** The file's text; who asks may read it, the server need not. */
    text: z.string().max(STACK_LIMITS.file_chars_max),
    /** Absolute: relative paths in it count from its folder. */
    file: z.string().startsWith("/").max(4_096),
    /** Only tell what would change. */
    plan: z.boolean(),
    /** Try changes that were undone once more. */
    again: z.boolean(),
  }),
  async run({ daybook }, { input: { text, file, plan, again } }) {
    const running = runningStack(daybook);
    if (!running) throw new Refused("usage", "this server runs no services: deno task start --stack FILE does");
    const parsed = parseStack(text, file, faultsOfStack(file));
    if (!parsed.ok) throw new Refused("usage", problemsText(parsed.problems));
    // All that runs would be stopped by a file of something else.
    if (parsed.missing) throw new Refused("usage", problemText(parsed.missing));
    const { stack } = parsed;
    if (stack.name !== running.name) {
      throw new Refused("usage", `${file}: the stack is called "${stack.name}", the server runs "${running.name}"`);
    }
    if (!stack.enabled) throw new Refused("usage", `${file}: the stack is not enabled; "down" stops what runs`);
    const settings = { settings: stack, file, problemAt: parsed.problemAt };
    const changes = plan ? await running.changes(settings) : await running.apply(settings, again);
    return { stack: stack.name, changes };
  },
});
