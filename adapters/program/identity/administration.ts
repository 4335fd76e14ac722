/** What an administrator does about accounts. */
import type { IdentityCommand } from "../../../actors/identity/commands.ts";
import type { Outcome, Principal } from "../../../actors/kernel/daybook.ts";
import type { Roles } from "../../../config/access.ts";
import { BCRYPT_COST_MAX, bcryptCost } from "../../hash_wasm/formats.ts";
import type { AccountChange, Created, Issued, NewAccount } from "../../http/identity/port.ts";
import { accountName } from "./names.ts";
import type { OwnPasswords } from "./own_passwords.ts";
import { freshId, type Parts } from "./parts.ts";

export class Administration {
  constructor(private readonly parts: Parts, private readonly own: OwnPasswords) {}

  /**
   * The name is kept in the key database before the account is in the log, and leads nowhere until then. An account that was made
   * and has not got the hash that was brought along, because the process died between the two, gets it when this is repeated.
   */
  async create({ bcrypt, ...asked }: NewAccount, by: Principal): Promise<Created> {
    const { vault, states } = this.parts;
    const name = accountName(asked.name);
    if (name === undefined) {
      return { is: "invalid", path: "/name", message: "a name has ASCII letters, digits and . _ - + @ within" };
    }
    if (bcrypt !== undefined && bcryptCost(bcrypt) === undefined) {
      return {
        is: "invalid",
        path: "/bcrypt",
        message: `expected a bcrypt hash: $2b$, cost of at most ${BCRYPT_COST_MAX}, salt and hash`,
      };
    }
    if (bcrypt !== undefined && asked.kind === "service") {
      return { is: "invalid", path: "/bcrypt", message: "a service signs in with keys, not with a password" };
    }
    const account = vault.reserve(name);
    const outcome = await states.ask(account, { type: "identity.account.create", data: { ...asked, name } }, by);
    const half = bcrypt !== undefined && outcome.is === "rejected" && outcome.code === "account_exists" &&
      states.of(account).password === null;
    if (outcome.is !== "accepted" && !half) return { is: "not_done", outcome };
    if (asked.kind === "service") return { is: "created", account };
    if (bcrypt !== undefined) return await this.bring(account, bcrypt, by);
    const issued = await this.issue(account, "activation", by);
    return issued.is === "issued" ? { is: "created", account, code: issued.code } : { is: "not_done", outcome: issued };
  }

  private async bring(account: string, bcrypt: string, by: Principal): Promise<Created> {
    const kept = this.parts.passwords.bring(account, bcrypt)!;
    const outcome = await this.own.settle(account, kept, { is: "import" }, by);
    return outcome.is === "accepted" ? { is: "created", account } : { is: "not_done", outcome };
  }

  /** A code to set a password with; one that was handed out before counts no more. */
  async issue(
    account: string,
    purpose: "activation" | "reset" | "upgrade",
    by: Principal,
  ): Promise<Issued | Outcome> {
    const { states, tickets, config, erased } = this.parts;
    if (erased(account)) return GONE;
    const invitation = freshId(this.parts);
    const outcome = await states.ask(account, {
      type: "identity.invitation.issue",
      data: { invitation, purpose, valid_ms: config.invitation_ms },
    }, by);
    if (outcome.is !== "accepted") return outcome;
    return { is: "issued", code: tickets.make("invitation", [account, invitation]) };
  }

  /** Of who was erased may be taken away what they have. */
  change(account: string, change: AccountChange, by: Principal): Promise<Outcome> {
    const { states, roles, erased } = this.parts;
    if ((change.is === "enable" || change.is === "grant") && erased(account)) return Promise.resolve(GONE);
    return states.ask(account, commandOf(change, roles), by);
  }
}

/** Nothing lets them in any more, whatever the log has. */
const GONE: Outcome = {
  is: "rejected",
  code: "account_erased",
  because: "Its holder was erased; make a new account",
  revision: -1,
};

const commandOf = (change: AccountChange, roles: Roles): IdentityCommand => {
  switch (change.is) {
    case "disable":
      return { type: "identity.account.disable", data: why(change) };
    case "enable":
      return { type: "identity.account.enable", data: why(change) };
    case "offboard":
      return {
        type: "identity.account.offboard",
        data: { ...(change.left === undefined ? {} : { left: change.left }), ...why(change) },
      };
    case "unlock":
      return { type: "identity.account.unlock", data: {} };
    case "sign_out":
      return { type: "identity.session.end_all", data: { because: "revoked" } };
    case "grant":
      return {
        type: "identity.role.grant",
        data: { role: change.role, privileged: roles[change.role]!.privileged, ...agreed(change) },
      };
    case "revoke":
      return { type: "identity.role.revoke", data: { role: change.role, ...agreed(change) } };
  }
};

const agreed = ({ approvedby }: { readonly approvedby?: string }) => (approvedby === undefined ? {} : { approvedby });

const why = ({ reason }: { readonly reason?: string }) => (reason === undefined ? {} : { reason });
