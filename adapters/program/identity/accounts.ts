/** States of accounts as they are in the log, for who acts on them: read when they are asked for, and kept while they are used. */
import { LRUCache } from "lru-cache";
import type { Account } from "../../../actors/identity/account.ts";
import { KEYS, NOBODY } from "../../../actors/identity/actor.ts";
import type { IdentityCommand } from "../../../actors/identity/commands.ts";
import type { Entities } from "../../../actors/kernel/entities.ts";
import type { Ask, Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Held } from "../../../actors/kernel/held.ts";
import type { StreamId } from "../../../events/event.ts";
import { acceptedOf } from "../../http/commands.ts";

/** Accounts whose state is held; a further one is read again. */
const ACCOUNTS_HELD_MAX = 10_000;

/** What is asked of the entities; sessions of `identity` alone. */
export type Asks = Pick<Entities, "ask" | "look">;

/** What a caller is told where nothing was decided: try again, or why not. */
export const notDone = (outcome: Outcome): unknown => {
  try {
    acceptedOf(outcome, undefined);
  } catch (problem) {
    return problem;
  }
  return new Error("a decision was accepted that was not expected");
};

export class AccountStates {
  private readonly held = new LRUCache<string, Held>({ maxSize: ACCOUNTS_HELD_MAX, sizeCalculation: () => 1 });

  constructor(private readonly entities: Asks) {}

  /** As it is in the log now. */
  of(account: string): Account {
    const stream: StreamId = `identity/${account}`;
    const known = this.held.get(account);
    const held = this.entities.look(stream, known);
    // What does not exist is asked for by guessing, and fills nothing.
    if (held !== known && held.revision >= 0) this.held.set(account, held);
    return held.state as Account;
  }

  get keys(): Account {
    return this.of(KEYS);
  }

  ask(id: string, command: IdentityCommand, by: Principal, more: Pick<Ask, "command"> = {}): Promise<Outcome> {
    return this.entities.ask({ ...command, id, by, ...more });
  }

  /** Of a try on a name that nobody has. */
  askNobody(command: IdentityCommand, by: Principal): Promise<Outcome> {
    return this.ask(NOBODY, command, by);
  }
}
