/**
 * Passkeys of accounts. Public keys lie in the key database under the factor's id; counters are in the account's history. A challenge is
 * nowhere kept: it is ours by its ticket, under a key of this process, and is answered once.
 */
import { Buffer } from "node:buffer";
import type { Outcome } from "../../../actors/kernel/daybook.ts";
import type { From, OwnSession, PasskeyAsking, PasskeyPort, Proof, SignedIn } from "../../http/identity/port.ts";
import {
  type Asserted,
  creationOptions,
  type KeptPasskey,
  requestOptions,
  type Site,
  verifyAsserted,
  verifyCreated,
} from "../../webauthn/passkeys.ts";
import { notDone } from "./accounts.ts";
import type { Second } from "./codes.ts";
import { Once } from "./once.ts";
import { BUSY_MS, freshId, type Parts } from "./parts.ts";
import { userOf } from "./sessions.ts";
import type { Desk } from "./signing_in.ts";
import { Tickets } from "./tickets.ts";
import type { Refusal } from "./tries.ts";

const PASSKEYS = {
  /** Challenges that were answered and whose time is not over; one more is 503. */
  answered_max: 100_000,
  key_bytes: 32,
} as const;

/** What a challenge is for; one of another purpose, or of somebody else's, is none. */
type Purpose = "in" | "second" | "enroll" | "verify";
const ANYBODY = "-";
const PARTS = 4;

type Answered =
  | { readonly is: "shown"; readonly account: string; readonly passkey: Second & { readonly kind: "passkey" } }
  | { readonly is: "refused"; readonly refusal: Refusal }
  | { readonly is: "full" };

export class Passkeys implements PasskeyPort {
  private readonly tickets: Tickets;
  private readonly answered: Once;

  constructor(
    private readonly parts: Parts,
    private readonly desk: Desk,
  ) {
    const { random, clock } = parts;
    // What was asked before a restart is not remembered, so it is answered in vain.
    const secret = random(PASSKEYS.key_bytes);
    this.tickets = new Tickets(() => secret);
    this.answered = new Once({ max: PASSKEYS.answered_max, now: () => clock.now() });
  }

  asking(site: Site): PasskeyAsking {
    const { challenge, ticket } = this.begin("in", ANYBODY);
    return { ticket, options: requestOptions({ site, challenge, timeout: this.valid }) };
  }

  askingSecond(step: string, site: Site): PasskeyAsking | undefined {
    const first = this.desk.step.read(step);
    return first && this.askingOf("second", first.account, site);
  }

  askingProof({ account }: OwnSession, site: Site): PasskeyAsking | undefined {
    return this.askingOf("verify", account, site);
  }

  askingNew({ account }: OwnSession, site: Site): PasskeyAsking {
    const { challenge, ticket } = this.begin("enroll", account);
    const name = this.parts.nameOf(account) ?? account;
    const has = this.heldBy(account).map(({ passkey }) => passkey);
    return { ticket, options: creationOptions({ site, challenge, account, name, has, timeout: this.valid }) };
  }

  /** The account is told by the passkey itself: by the user handle that it was made with. */
  async signIn(
    { ticket, response, kind }: Parameters<PasskeyPort["signIn"]>[0],
    site: Site,
    from: From,
  ): Promise<SignedIn> {
    const wait = this.desk.tries.wait(undefined, from);
    if (wait) return wait;
    const account = Buffer.from(response.response.userHandle ?? "", "base64url").toString();
    const shown = await this.shown(response, { ticket, purpose: "in", bound: ANYBODY, account, site });
    if (shown.is === "full") return { is: "wait", because: "busy", ms: BUSY_MS };
    if (shown.is === "refused") {
      await this.desk.tries.refuse(shown.refusal, from);
      return { is: "refused" };
    }
    return await this.desk.entering.enter({ account, kind, first: { is: "passkey", passkey: shown.passkey } }, from);
  }

  async second(
    { step, ticket, response }: Parameters<PasskeyPort["second"]>[0],
    site: Site,
    from: From,
  ): Promise<SignedIn> {
    const first = this.desk.step.read(step);
    if (!first) return { is: "refused" };
    const { account } = first;
    const wait = this.desk.tries.wait(account, from);
    if (wait) return wait;
    const shown = await this.shown(response, { ticket, purpose: "second", bound: account, account, site });
    if (shown.is === "full") return { is: "wait", because: "busy", ms: BUSY_MS };
    const late = this.desk.step.isOver(first);
    if (shown.is === "refused" || late) {
      const expired = { account, method: "passkey", reason: "expired" } as const;
      await this.desk.tries.refuse(shown.is === "refused" ? shown.refusal : expired, from);
      return { is: "refused" };
    }
    return await this.desk.entering.enter({ ...first, second: shown.passkey }, from);
  }

  /** Once more within a session; then it counts as fresh for a while. */
  async verify(
    own: OwnSession,
    { ticket, response }: Parameters<PasskeyPort["verify"]>[1],
    site: Site,
    from: From,
  ): Promise<Proof> {
    const { account } = own;
    const wait = this.desk.tries.wait(account, from);
    if (wait) return wait;
    const shown = await this.shown(response, { ticket, purpose: "verify", bound: account, account, site });
    if (shown.is === "full") return { is: "wait", because: "busy", ms: BUSY_MS };
    if (shown.is === "refused") {
      await this.desk.tries.refuse(shown.refusal, from);
      return { is: "refused" };
    }
    return await this.desk.factors.verify(own, shown.passkey, from);
  }

  /** For who shows the password again, where there is one. The first second factor of an account brings backup codes. */
  async enroll(
    own: OwnSession,
    { ticket, response, label, password }: Parameters<PasskeyPort["enroll"]>[1],
    site: Site,
    from: From,
  ): Promise<Proof> {
    const { account } = own;
    const { states, vault } = this.parts;
    if (states.of(account).password !== null) {
      const right = await this.desk.own.isRight(own, password ?? "", from);
      if (right !== "right") return right === "refused" ? { is: "refused" } : right;
    }
    const challenge = this.challengeOf(ticket, "enroll", account);
    if (!challenge || challenge.over) return { is: "refused" };
    const created = await verifyCreated(response, { challenge: challenge.text, site });
    if (typeof created === "string" || this.heldBy(account).some(({ passkey }) => passkey.id === created.passkey.id)) {
      return { is: "refused" };
    }
    const taken = this.answered.take(challenge.text, challenge.until);
    if (taken !== true) return taken === "full" ? { is: "wait", because: "busy", ms: BUSY_MS } : { is: "refused" };
    const factor = vault.keep(account, Buffer.from(JSON.stringify(created.passkey)));
    const data = { factor, kind: "passkey", counter: created.counter, label } as const;
    const outcome = await states.ask(account, { type: "identity.factor.enroll", data }, userOf(account));
    if (outcome.is === "rejected") {
      vault.drop(account, [factor]);
      return { is: "refused" };
    }
    if (outcome.is !== "accepted") throw notDone(outcome);
    const hasCodes = states.of(account).factors.some(({ kind }) => kind === "backup_codes");
    return hasCodes ? { is: "proven" } : await this.desk.factors.newBackupCodes(account);
  }

  rename({ account }: OwnSession, factor: string, label: string): Promise<Outcome> {
    return this.parts.states.ask(account, { type: "identity.factor.rename", data: { factor, label } }, userOf(account));
  }

  private get valid(): number {
    return this.parts.config.passkeys.challenge_ms;
  }

  private begin(purpose: Purpose, bound: string): { readonly challenge: string; readonly ticket: string } {
    const challenge = freshId(this.parts);
    const until = String(this.parts.clock.now() + this.valid);
    return { challenge, ticket: this.tickets.make("passkey", [purpose, bound, challenge, until]) };
  }

  private askingOf(purpose: Purpose, account: string, site: Site): PasskeyAsking | undefined {
    const allowed = this.heldBy(account).map(({ passkey }) => passkey).filter(({ rp }) => rp === site.rp);
    if (allowed.length === 0) return undefined;
    const { challenge, ticket } = this.begin(purpose, account);
    return { ticket, options: requestOptions({ site, challenge, allowed, timeout: this.valid }) };
  }

  private challengeOf(ticket: string, purpose: Purpose, bound: string) {
    const [is, of, text, until] = this.tickets.read("passkey", ticket, PARTS) ?? [];
    if (is !== purpose || of !== bound || text === undefined) return undefined;
    return { text, until: Number(until), over: this.parts.clock.now() >= Number(until) };
  }

  private heldBy(account: string) {
    const { factors } = this.parts.states.of(account);
    return factors.filter(({ kind }) => kind === "passkey").flatMap(({ factor }) => {
      const kept = this.parts.vault.read(account, factor);
      return kept ? [{ factor, passkey: JSON.parse(Buffer.from(kept).toString()) as KeptPasskey }] : [];
    });
  }

  /** Whether a passkey of the account has answered a challenge of ours; whether its counter grew is the account's to say. */
  private async shown(
    response: Asserted,
    { ticket, purpose, bound, account, site }: {
      readonly ticket: string;
      readonly purpose: Purpose;
      readonly bound: string;
      readonly account: string;
      readonly site: Site;
    },
  ): Promise<Answered> {
    const { states } = this.parts;
    const known = /^u_[\w-]+$/.test(account) && states.of(account).is !== "unknown";
    const refused = (reason: Refusal["reason"]): Answered => ({
      is: "refused",
      refusal: { account: known ? account : undefined, method: "passkey", reason },
    });
    const challenge = this.challengeOf(ticket, purpose, bound);
    if (!challenge) return refused("wrong_secret");
    if (challenge.over) return refused("expired");
    const held = known ? this.heldBy(account).find(({ passkey }) => passkey.id === response.id) : undefined;
    if (!held) return refused("not_enrolled");
    const { factor, passkey } = held;
    const verified = purpose === "in";
    const counter = await verifyAsserted(response, { challenge: challenge.text, site, passkey, verified });
    if (typeof counter === "string") return refused(counter);
    const taken = this.answered.take(challenge.text, challenge.until);
    if (taken === "full") return { is: "full" };
    if (!taken) return refused("replayed");
    return { is: "shown", account, passkey: { factor, kind: "passkey", counter } };
  }
}
