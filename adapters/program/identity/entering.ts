/** Who has shown all that was asked for comes in: the account decides, and what its session needs is handed out. */
import type { IdentityCommand } from "../../../actors/identity/commands.ts";
import type { From, SignedIn } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import type { Second } from "./codes.ts";
import { freshId, type Parts } from "./parts.ts";
import { userOf } from "./sessions.ts";
import { methodOf } from "./second_factors.ts";
import type { Refusal, Tries } from "./tries.ts";

export type SessionKind = "browser" | "program" | "terminal";
export type Passkey = Second & { readonly kind: "passkey" };

/** What was proven first. */
export type First =
  /** The password that was right. */
  | { readonly is: "password"; readonly credential: string }
  | { readonly is: "passkey"; readonly passkey: Passkey }
  /** Whom a provider vouches for. */
  | { readonly is: "oidc" | "saml"; readonly link: string };

export interface Entrance {
  readonly account: string;
  readonly kind: SessionKind;
  readonly first: First;
  readonly second?: Second;
  /** As it was typed. */
  readonly name?: string;
  /** Who has vouched. */
  readonly provider?: string;
}

/** What the account says, as a refused try has it. */
const REASONS: Readonly<Record<string, Refusal["reason"]>> = {
  changed_meanwhile: "changed_meanwhile",
  used_before: "used_before",
  clone_suspected: "clone_suspected",
};

export class Entering {
  constructor(private readonly parts: Parts, private readonly tries: Tries) {}

  enter(entrance: Entrance, from: From): Promise<SignedIn> {
    const { states, withinQuota } = this.parts;
    return withinQuota(states.of(entrance.account).tenant, () => this.begin(entrance, from));
  }

  private async begin(entrance: Entrance, from: From): Promise<SignedIn> {
    const { account, kind, first, second, name, provider } = entrance;
    const { states, sessions, policy } = this.parts;
    const { idle_ms, absolute_ms, concurrent_max } = policy(states.of(account).tenant);
    const session = freshId(this.parts);
    const asked = { session, kind, idle_ms, absolute_ms, sessions_max: concurrent_max, ...from };
    const outcome = await states.ask(account, commandOf(first, second, asked), userOf(account));
    if (outcome.is === "rejected") {
      const shown = second ?? (first.is === "passkey" ? first.passkey : undefined);
      await this.tries.refuse({
        account,
        name,
        ...(provider !== undefined && { provider }),
        reason: REASONS[outcome.code] ?? "wrong_secret",
        method: shown ? methodOf(shown) : first.is,
        ...(outcome.code === "clone_suspected" && shown && { clone: shown }),
      }, from);
      return { is: "refused" };
    }
    if (outcome.is !== "accepted") throw notDone(outcome);
    const begun = states.of(account).sessions.find((each) => each.session === session);
    // Somebody has ended it already.
    if (!begun) return { is: "refused" };
    if (kind === "browser") {
      return { is: "in_page", account, session, cookie: sessions.cookie({ account, session }), until: begun.until };
    }
    return { is: "in", account, session, tokens: await sessions.tokens(account, begun) };
  }
}

type Asked = Omit<Extract<IdentityCommand, { type: "identity.signin.allow" }>["data"], "by">;

const commandOf = (first: First, second: Second | undefined, asked: Asked): IdentityCommand => {
  switch (first.is) {
    case "password":
      return {
        type: "identity.signin.complete",
        data: { credential: first.credential, ...(second && { second }), ...asked },
      };
    case "oidc":
    case "saml":
      return {
        type: "identity.signin.federate",
        data: { link: first.link, ...(second && { second }), ...asked },
      };
    case "passkey":
      return { type: "identity.signin.present", data: { passkey: first.passkey, ...asked } };
  }
};
