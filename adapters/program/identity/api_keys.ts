/**
 * Keys of accounts at work. The hash is kept in the key database first, and counts by the account's fact alone: whoever dies between leaves a
 * row that opens nothing.
 */
import { apiKeyOf } from "../../../actors/identity/account.ts";
import type { IdentityCommand } from "../../../actors/identity/commands.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Grant } from "../../http/access.ts";
import type { KeyMade, KeyShown, NewKey } from "../../http/identity/port.ts";
import type { Bearer, Keys } from "../../keys/keys.ts";
import type { Parts } from "./parts.ts";

/** Id and secret are apart by the second underscore; what goes before is no secret. */
const prefixOf = (token: string): string => token.slice(0, token.lastIndexOf("_"));

export class ApiKeys {
  constructor(private readonly parts: Parts, private readonly tokens: Keys["tokens"]) {}

  /** Whom a key lets in: as its account says now. */
  granted({ account, authid, tenant }: Bearer): Grant | undefined {
    const { states, clock, erased } = this.parts;
    if (account === undefined || erased(account)) return undefined;
    const state = states.of(account);
    const key = apiKeyOf(state, authid, clock.now());
    if (!key) return undefined;
    const roles = state.roles.map(({ role }) => role);
    const principal = { authtype: "api_key", authid, account } as const;
    return { id: authid, scopes: key.scopes, roles, account, tenant, principal };
  }

  shown(account: string): readonly KeyShown[] {
    const { states, clock } = this.parts;
    const state = states.of(account);
    return this.tokens.listOf(account).flatMap(({ id, name, created, used }) => {
      const key = apiKeyOf(state, id, clock.now());
      if (!key) return [];
      return [{
        key: id,
        prefix: `dbk_${id.slice(2)}`,
        name,
        scopes: key.scopes,
        created,
        ...(key.until === null ? {} : { until: new Date(key.until).toISOString() }),
        ...(used === undefined ? {} : { used }),
        ...(key.by === null ? {} : { by: key.by }),
      }];
    });
  }

  issue(account: string, { name, scopes, valid_ms }: NewKey, by: Principal): Promise<KeyMade | Outcome> {
    const { api_keys: { valid_ms: usual, valid_ms_max, each_max } } = this.parts.config;
    return this.make(account, { name, scopes, valid_ms: Math.min(valid_ms ?? usual, valid_ms_max) }, by, (made) => ({
      type: "identity.api_key.issue",
      data: { ...made, scopes: [...scopes], each_max },
    }));
  }

  async rotate(account: string, key: string, by: Principal): Promise<KeyMade | Outcome> {
    const { api_keys: { valid_ms: usual, valid_ms_max, overlap_ms, each_max } } = this.parts.config;
    const row = this.tokens.listOf(account).find(({ id }) => id === key);
    if (!row) {
      // There is none to copy from; the account says so in its own words.
      const data = { key, by: "none_no_such_key_", prefix: "none", valid_ms: usual, overlap_ms, each_max };
      return await this.parts.states.ask(account, { type: "identity.api_key.rotate", data }, by);
    }
    const until = apiKeyOf(this.parts.states.of(account), key, this.parts.clock.now())?.until;
    // As long as it was made for itself: who asked for a short one is not given a long one.
    const valid_ms = until ? Math.min(until - Date.parse(row.created), valid_ms_max) : usual;
    return await this.make(account, { ...row, valid_ms }, by, ({ key: next, ...made }) => ({
      type: "identity.api_key.rotate",
      data: { ...made, key, by: next, overlap_ms, each_max },
    }));
  }

  async revoke(account: string, key: string, because: "asked" | "compromised", by: Principal): Promise<Outcome> {
    const outcome = await this.parts.states.ask(
      account,
      { type: "identity.api_key.revoke", data: { key, because } },
      by,
    );
    const whose = this.tokens.listOf(account).some(({ id }) => id === key);
    if (outcome.is === "accepted" && whose) this.tokens.revoke(key);
    return outcome;
  }

  /** What no fact names opens nothing, and would fill the table; but another call may be about to name the newest. */
  private prune(account: string): void {
    const { states, clock } = this.parts;
    const named = new Set(states.of(account).keys.map(({ key }) => key));
    for (const row of this.tokens.listOf(account)) {
      if (named.has(row.id)) continue;
      if (clock.now() - Date.parse(row.created) > GRACE_MS) this.tokens.drop(row.id);
    }
  }

  private async make(
    account: string,
    { name, scopes, valid_ms }: Required<NewKey>,
    by: Principal,
    command: (made: { readonly key: string; readonly prefix: string; readonly valid_ms: number }) => IdentityCommand,
  ): Promise<KeyMade | Outcome> {
    const { states, clock } = this.parts;
    const { tenant } = states.of(account);
    this.prune(account);
    // A little longer than the fact says, which alone counts.
    const ends = clock.now() + valid_ms + GRACE_MS;
    const { id, token } = this.tokens.create(name, scopes, ends, { tenant, account });
    const outcome = await states.ask(account, command({ key: id, prefix: prefixOf(token), valid_ms }), by);
    if (outcome.is !== "accepted") {
      // One whose outcome is unknown stays: the fact may be in the log.
      if (outcome.is !== "unavailable") this.tokens.drop(id);
      return outcome;
    }
    // By now the account may have let go of it again.
    const { until } = outcome.facts.find(({ type }) => type === "identity.key.issued")!.data as {
      readonly until: string;
    };
    return { is: "made", key: id, token, until };
  }
}

const GRACE_MS = 60_000;
