/**
 * Who is asked before what cannot be undone: accounts that may do what the operator's commands do, by the policies that the log says
 * count, and that have something to show. Where one of them has a second factor, one is wanted; until then the password is.
 */
import { type Account, isPrivileged, rolesIn, wantsSecond } from "../../../actors/identity/account.ts";
import { type EventLog, LogFault } from "../../../events/log.ts";
import { LOG } from "../../http/authority.ts";
import { CedarAuthority } from "../access/authority.ts";
import { type Model, shippedModel } from "../access/model.ts";
import { userOf } from "./sessions.ts";

export interface Asking {
  /** What is wanted of them; `nothing` where there is nobody to ask. */
  readonly wanted: "nothing" | "password" | "second_factor";
  readonly accounts: ReadonlyMap<string, Account>;
}

export const askingOf = async (
  all: Iterable<readonly [string, Account]>,
  log: Pick<EventLog, "read">,
): Promise<Asking> => {
  const able = [...all].filter(([, state]) => state.is === "active" && (wantsSecond(state) || state.password !== null));
  if (able.length === 0) return { wanted: "nothing", accounts: new Map() };
  const model = modelOf(log);
  const authority = model && new CedarAuthority(model);
  await authority?.ready();
  const accounts = new Map(able.filter(([id, state]) => mayOperate(id, state, authority)));
  const second = accounts.values().some(wantsSecond);
  return { wanted: accounts.size === 0 ? "nothing" : second ? "second_factor" : "password", accounts };
};

/** With all roles that it has: what is shown is what they count by. Where policies cannot be read, who has privileges may. */
const mayOperate = (id: string, account: Account, authority: CedarAuthority | undefined): boolean => {
  if (!authority) return isPrivileged(account);
  const roles = rolesIn(account, ["passkey"]).map(({ role }) => role);
  const own = { account: id, session: "" };
  const asker = { id, tenant: account.tenant, scopes: [], roles, own, principal: userOf(id) };
  return authority.decide(asker, "operations.run", LOG).allowed;
};

/** `undefined` where it lies in an archive that is not attached. */
const modelOf = (log: Pick<EventLog, "read">): Model | undefined => {
  try {
    for (const [event] of log.read({ types: ["access.policies.activated"], backward: true, limit: 1 })) {
      return event!.data as unknown as Model;
    }
    return shippedModel();
  } catch (error) {
    if (error instanceof LogFault && error.kind === "archived") return undefined;
    throw error;
  }
};
