/** What the command line asks about access of who has the folder. */
import { z } from "zod";
import { type Operation, operation } from "../operation.ts";
import { OPERATOR } from "../operator.ts";
import { recordTokens } from "./record.ts";

export const recordTokensNow: Operation = operation({
  about: "Puts tokens on record that were made or revoked beside this process.",
  input: z.strictObject({}),
  async run(opened) {
    await recordTokens(opened, OPERATOR.principal);
    return {};
  },
});
