/** Between what was proven first and the second factor lies a ticket, which says what was proven, by whom, and until when it counts. */
import type { Millis } from "../../../events/event.ts";
import type { First, SessionKind } from "./entering.ts";
import type { Parts } from "./parts.ts";

/** How long after the first the second may come. */
const TICKET_MS = 5 * 60_000;
const PARTS = 5;

/** What was proven, and may be by now. */
export interface FirstStep {
  readonly account: string;
  readonly kind: SessionKind;
  readonly first: First;
  readonly until: Millis;
}

export class SecondStep {
  constructor(private readonly parts: Pick<Parts, "tickets" | "clock">) {}

  ticket({ account, kind, first }: Omit<FirstStep, "until">): string {
    const { tickets, clock } = this.parts;
    const until = String(clock.now() + TICKET_MS);
    return tickets.make("second", [account, first.is, idOf(first), kind, until]);
  }

  /** `undefined` for what is no ticket of ours. */
  read(ticket: string): FirstStep | undefined {
    const [account, is, id, kind, until] = this.parts.tickets.read("second", ticket, PARTS) ?? [];
    if (account === undefined || id === undefined) return undefined;
    const first: First = is === "oidc" || is === "saml" ? { is, link: id } : { is: "password", credential: id };
    return { account, kind: kind as SessionKind, first, until: Number(until) };
  }

  isOver({ until }: FirstStep): boolean {
    return this.parts.clock.now() >= until;
  }
}

const idOf = (first: First): string => {
  if (first.is === "password") return first.credential;
  return first.is === "passkey" ? first.passkey.factor : first.link;
};
