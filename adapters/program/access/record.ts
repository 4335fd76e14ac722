/** What decides who may do what is on record: policies, and every token there is. */
import type { Account } from "../../../actors/identity/account.ts";
import type { Principal } from "../../../actors/kernel/daybook.ts";
import type { AccessCommand } from "../../../actors/access.ts";
import type { Opened } from "../opened.ts";
import { digestOf, type Model } from "./model.ts";

const PROGRAM: Principal = { authtype: "system", authid: "access" };

type Recording = Pick<Opened, "entities" | "keys">;

const tell = async ({ entities }: Recording, id: string, command: AccessCommand, by = PROGRAM): Promise<void> => {
  const outcome = await entities.ask({ ...command, id, by });
  if (outcome.is !== "accepted" && outcome.is !== "unavailable") throw new Error(`access/${id}: ${outcome.is}`);
};

/** Nothing where the same counts already. Where the log cannot be written it is told with the next start. */
export const recordModel = async (opened: Recording, model: Model): Promise<void> => {
  const { policies, roles, tenants } = model;
  const digest = digestOf(model);
  if ((opened.entities.look("access/policies").state as { readonly digest: string | null }).digest === digest) return;
  const data = { digest, policies, roles, tenants } as never;
  await tell(opened, "policies", { type: "access.policies.activate", data });
};

/** Keys are their accounts' to tell of; one that was revoked beside this process is not known to be. */
const tellAccount = async ({ entities }: Recording, account: string, key: string): Promise<void> => {
  if (!(entities.look(`identity/${account}`).state as Account).keys.some((each) => each.key === key)) return;
  const command = { type: "identity.api_key.revoke", data: { key, because: "asked" } } as const;
  await entities.ask({ ...command, id: account, by: PROGRAM });
};

/** Tokens of which the log does not know yet that they were made, or that they are revoked. May be repeated. */
export const recordTokens = async (opened: Recording, by?: Principal): Promise<void> => {
  for (const { id, tenant, account, scopes, expires, revoked } of opened.keys.tokens.list()) {
    if (account !== undefined) {
      if (revoked !== undefined) await tellAccount(opened, account, id);
      continue;
    }
    const { token } = opened.entities.look(`access/${id}`).state as { readonly token: string };
    if (token === "unknown") {
      const until = expires === undefined ? {} : { until: expires };
      await tell(opened, id, { type: "access.token.issue", data: { tenant, scopes: [...scopes], ...until } }, by);
    }
    if (revoked !== undefined && token !== "revoked") {
      await tell(opened, id, { type: "access.token.revoke", data: {} }, by);
    }
  }
};
