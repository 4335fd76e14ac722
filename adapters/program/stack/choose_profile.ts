/** `choose-profile`: which services of the stack are to run, by the profile they name. */
import { z } from "zod";
import { PROFILES } from "../../../config/stack.ts";
import { Refused } from "../../cli/runtime.ts";
import { operation } from "../operation.ts";
import { runningStack } from "./stack.ts";

export const chooseProfile = operation({
  about: "Runs the services of a profile, with what they need, and stops the others.",
  input: z.strictObject({ profile: z.enum(PROFILES) }),
  async run({ daybook }, { input: { profile } }) {
    const running = runningStack(daybook);
    if (!running) throw new Refused("usage", "this server runs no services: deno task start --stack FILE does");
    await running.choose(profile);
    return { stack: running.name, profile };
  },
});
