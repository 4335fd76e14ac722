/** Rules and responses of a running server, as children of its tree. */
import { threatResponses } from "../../../actors/threats/responses.ts";
import { type Journey, threatRules } from "../../../actors/threats/rules.ts";
import { RULES_BY } from "../../../actors/threats/threat.ts";
import { wantsSecond } from "../../../actors/identity/account.ts";
import { type Perform, Undeliverable } from "../../../actors/kernel/perform.ts";
import type { ProcessManager } from "../../../actors/types.ts";
import { systemClock } from "../../system/world.ts";
import type { Opened } from "../opened.ts";
import { followers } from "../followers.ts";
import type { AccountStates } from "../identity/accounts.ts";
import { Enforced } from "./enforced.ts";
import { sightingOf } from "./journeys.ts";

/** What stands already, for the door. */
export const enforcedIn = (
  { keys, daybook, config, outbound: { views } }: Opened,
): { readonly enforced: Enforced; readonly from: number } => {
  const enforced = new Enforced({
    log: daybook.log,
    views,
    clock: systemClock,
    never: config.threats.never,
    pseudonym: (address, time) => keys.pseudonym(address, time),
  });
  return { enforced, from: enforced.begin() };
};

/** Rules and responses, as configured. */
export const rulesOf = ({ config: { threats } }: Pick<Opened, "config">): readonly ProcessManager[] => {
  const { respond, first_ms, most_ms, ...thresholds } = threats;
  const rules = threatRules({ ...thresholds, respond: respond ? { first_ms, most_ms } : null });
  return [...rules, threatResponses] as unknown as readonly ProcessManager[];
};

/** A rule that is new looks at what comes from now on: nobody is locked out for what was long ago. */
export const plantThreats = async (
  opened: Opened,
  { enforced, from }: ReturnType<typeof enforcedIn>,
  states: AccountStates,
): Promise<void> => {
  const { supervision: { bounds, world }, tree, managed } = opened;
  const perform = performing(opened, states);
  const children = rulesOf(opened).map((manager) => managed({ manager, perform, from: "end", keptIsEnough: true }));
  await tree.add(followers("threats", [...children, enforced.child(from)], bounds, world));
};

const performing =
  ({ daybook, entities }: Opened, states: AccountStates): Perform => async (effect, { position, index }) => {
    const command = `${position}.${index}`;
    switch (effect.type as string) {
      case "threats.journey.measure": {
        const journey = effect.data as unknown as Journey;
        const data = sightingOf(journey, (text) => daybook.unseal(text));
        if (data === undefined) return;
        const outcome = await entities.ask({
          type: "threats.threat.detect",
          id: `name:${journey.name}`,
          data,
          by: { authtype: "system", authid: `${RULES_BY}impossible_travel` },
          command,
        });
        if (outcome.is !== "accepted") throw new Error(`a journey was answered "${outcome.is}"`);
        return;
      }
      case "threats.session.challenge": {
        const { account } = effect.data as { readonly account: string };
        const state = states.of(account);
        // Who has a second factor shows it at the door; who has none signs in again.
        if (state.is === "unknown" || wantsSecond(state)) return;
        const by = { authtype: "system", authid: `${RULES_BY}responses` } as const;
        const outcome = await states.ask(
          account,
          { type: "identity.session.end_all", data: { because: "threat" } },
          by,
          { command },
        );
        if (outcome.is === "unavailable") throw new Error(`sessions could not be ended: ${outcome.reason}`);
        return;
      }
      default:
        throw new Undeliverable(`nothing performs "${effect.type}"`);
    }
  };
