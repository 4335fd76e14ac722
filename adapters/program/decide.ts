/** What the program itself has an entity decide. */
import type { Entities } from "../../actors/kernel/entities.ts";
import type { Command } from "../../actors/types.ts";
import { LogFault } from "../../events/log.ts";
import { Refused } from "../cli/runtime.ts";
import { OPERATOR } from "./operator.ts";

/** A disk that is slow for a while is waited for. */
const DEADLINE_MS = 30_000;

/**
 * Decides and records, durable when it resolves; the position of the last fact, `undefined` where nothing had to happen. `once`: an
 * own name of this wish, so that it may be repeated.
 *
 * Throws `Refused` where the entity says no, `LogFault` where nothing could be decided now.
 */
export const decideIn = async (
  { entities }: { readonly entities: Pick<Entities, "ask"> },
  command: Command & { readonly id: string },
  once?: string,
): Promise<number | undefined> => {
  const outcome = await entities.ask({
    ...command,
    by: OPERATOR.principal,
    deadline: DEADLINE_MS,
    ...(once === undefined ? {} : { command: once }),
  });
  switch (outcome.is) {
    case "accepted":
      return outcome.facts.at(-1)?.position;
    case "rejected":
      throw new Refused(outcome.code, outcome.because);
    case "unavailable":
      if (outcome.reason === "archived") {
        throw new LogFault(
          "archived",
          `what was decided of ${command.id} before was archived; attach the archive: log.archive in the configuration`,
        );
      }
      throw new LogFault(outcome.reason === "log" ? "io" : "overloaded", "it could not be recorded now; ask again");
    case "invalid":
      throw new LogFault("invalid", `${outcome.issues[0]!.path}: ${outcome.issues[0]!.message}`);
    default:
      throw new LogFault("invalid", `it could not be recorded: ${outcome.is}`);
  }
};
