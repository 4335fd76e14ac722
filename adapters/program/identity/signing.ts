/** The keys that sign access tokens: which one does, is in the log; the keys themselves lie in the key database. */
import { LRUCache } from "lru-cache";
import { KEYS } from "../../../actors/identity/actor.ts";
import { SIGNING_KEYS_MAX, signingKey, verifyingKeys } from "../../../actors/identity/signing_keys.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Millis } from "../../../events/event.ts";
import { newSigningKey, type SigningKey, signingKeyOf } from "../../jose/access_tokens.ts";
import type { Accounts } from "../../keys/accounts.ts";
import { type AccountStates, notDone } from "./accounts.ts";

export interface SigningKeysOptions {
  readonly states: AccountStates;
  readonly vault: Accounts;
  readonly overlap: Millis;
  readonly now: () => Millis;
}

const PROGRAM: Principal = { authtype: "system", authid: "identity" };

export class SigningKeys {
  private readonly opened = new LRUCache<string, SigningKey>({ maxSize: SIGNING_KEYS_MAX, sizeCalculation: () => 1 });

  constructor(private readonly options: SigningKeysOptions) {}

  /** The one that signs; the first is made when it is first wanted. Throws the problem when it cannot be made. */
  async signing(): Promise<SigningKey> {
    const { states } = this.options;
    const known = signingKey(states.keys);
    if (known) return this.open(known.key);
    const key = this.draw();
    const outcome = await states.ask(KEYS, { type: "identity.key.issue", data: { key } }, PROGRAM);
    // Somebody else was first, and then there is one.
    if (outcome.is === "rejected") this.options.vault.drop(KEYS, [key]);
    const now = signingKey(states.keys);
    if (!now) throw notDone(outcome);
    return this.open(now.key);
  }

  /** The key of this name, if what it signed still counts. */
  verifying(kid: string): SigningKey | undefined {
    const { states, now } = this.options;
    return verifyingKeys(states.keys, now()).some(({ key }) => key === kid) ? this.open(kid) : undefined;
  }

  /** All that verify now. */
  all(): readonly SigningKey[] {
    const { states, now } = this.options;
    return verifyingKeys(states.keys, now()).map(({ key }) => this.open(key));
  }

  /** A new one signs from now on; what the old one signed counts for the overlap. */
  async rotate(by: Principal): Promise<Outcome> {
    const { states, vault, overlap } = this.options;
    const { key } = signingKey(states.keys) ?? { key: (await this.signing()).kid };
    const next = this.draw();
    const outcome = await states.ask(KEYS, {
      type: "identity.key.rotate",
      data: { key, by: next, overlap_ms: overlap },
    }, by);
    if (outcome.is === "rejected") vault.drop(KEYS, [next]);
    if (outcome.is === "accepted") vault.drop(KEYS, revokedIn(outcome));
    return outcome;
  }

  private draw(): string {
    return this.options.vault.keep(KEYS, newSigningKey());
  }

  private open(kid: string): SigningKey {
    let key = this.opened.get(kid);
    if (!key) {
      const kept = this.options.vault.read(KEYS, kid);
      if (!kept) throw new Error(`the key "${kid}" that signs access tokens is not in the key database; rotate it`);
      this.opened.set(kid, key = signingKeyOf(kid, kept));
    }
    return key;
  }
}

const revokedIn = ({ facts }: Extract<Outcome, { is: "accepted" }>): readonly string[] =>
  facts.filter(({ type }) => type === "identity.key.revoked").map(({ data }) => (data as { readonly key: string }).key);
