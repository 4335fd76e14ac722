/** Facts about persons and keys, which the program decides in the one stream of `actors/privacy.ts`. */
import type { Entities } from "../../../actors/kernel/entities.ts";
import type { PrivacyCommand } from "../../../actors/privacy.ts";
import { PRIVACY_STREAM } from "../../../events/privacy.ts";
import { decideIn } from "../decide.ts";

const ID = PRIVACY_STREAM.slice(PRIVACY_STREAM.indexOf("/") + 1);

export type Asks = Pick<Entities, "ask">;

/**
 * Decides and records, durable when it resolves; the position of the last fact, `undefined` where nothing had to happen. `once`: an
 * own name of this wish, so that it may be repeated.
 *
 * Throws `Refused` where the register says no, `LogFault` where nothing could be decided now.
 */
export const decide = async (
  { entities }: { readonly entities: Asks },
  command: PrivacyCommand,
  once?: string,
): Promise<number | undefined> => {
  return await decideIn({ entities }, { ...command, id: ID }, once);
};
