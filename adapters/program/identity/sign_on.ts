/**
 * Signing in by somebody else's word (OpenID Connect, SAML). What was begun lies nowhere: the browser keeps a ticket under a key of this
 * process, from which all that goes with it follows, and what comes back for it counts once.
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { sessionOf, wantsSecond } from "../../../actors/identity/account.ts";
import type { Principal } from "../../../actors/kernel/daybook.ts";
import type { Millis } from "../../../events/event.ts";
import type { Back, From, Outset, OwnSession, SignedOn, SignOnBegun, SignOnPort } from "../../http/identity/port.ts";
import { notDone } from "./accounts.ts";
import type { Entering } from "./entering.ts";
import { accountName } from "./names.ts";
import { Once } from "./once.ts";
import { BUSY_MS, freshId, type Parts } from "./parts.ts";
import { sameText } from "./same_text.ts";
import type { Provider, Vouched } from "./providers.ts";
import { userOf } from "./sessions.ts";
import type { SecondStep } from "./second_step.ts";
import { Tickets } from "./tickets.ts";
import type { Refusal, Tries } from "./tries.ts";

export const SIGN_ON = {
  /** Answers that came and whose time is not over; one more is 503. */
  answered_max: 100_000,
  key_bytes: 32,
  next_chars_max: 60,
} as const;
const PARTS = 6;

/** What was begun: to come in and go on to `next`, or to link the account of a session. */
type Errand =
  | { readonly is: "in"; readonly next: string }
  | { readonly is: "link"; readonly own: OwnSession };

interface Flow {
  readonly provider: string;
  readonly id: string;
  readonly until: Millis;
  readonly errand: Errand;
}

export class SignOn implements SignOnPort {
  private readonly secret: Uint8Array;
  private readonly tickets: Tickets;
  private readonly answered: Once;

  constructor(
    private readonly parts: Parts,
    private readonly desk: {
      readonly tries: Tries;
      readonly entering: Entering;
      readonly step: SecondStep;
      readonly providers: ReadonlyMap<string, Provider>;
    },
  ) {
    const { random, clock } = parts;
    this.secret = random(SIGN_ON.key_bytes);
    this.tickets = new Tickets(() => this.secret);
    this.answered = new Once({ max: SIGN_ON.answered_max, now: () => clock.now() });
  }

  get providers(): SignOnPort["providers"] {
    return [...this.desk.providers.values()].map(({ name, title, protocol }) => ({ name, title, protocol }));
  }

  /** `next` is left out where it is too long to be kept. */
  async begin(name: string, { next, own, ...site }: Outset, from: From): Promise<SignOnBegun> {
    const provider = this.desk.providers.get(name)!;
    const wait = this.desk.tries.wait(own?.account, from);
    if (wait) return wait;
    const id = freshId(this.parts);
    const until = this.parts.clock.now() + this.parts.config.away_ms;
    const ticket = this.tickets.make("flow", [
      own ? "link" : "in",
      name,
      id,
      String(until),
      own ? own.account : Buffer.from((next ?? "").slice(0, SIGN_ON.next_chars_max + 1)).toString("base64url") || "-",
      own ? own.session : "-",
    ]);
    const location = await provider.begin(this.drawn(id), site);
    return location === undefined ? { is: "unavailable" } : { is: "away", location, ticket };
  }

  /** What the browser has brought back, with the ticket that it was given. */
  async finish(name: string, { ticket, answer, ...site }: Back, from: From): Promise<SignedOn> {
    const provider = this.desk.providers.get(name)!;
    const refused = async (reason: Refusal["reason"], account?: string): Promise<SignedOn> => {
      await this.desk.tries.refuse({ account, method: provider.protocol, provider: name, reason }, from);
      return { is: "not_signed_on", reason };
    };
    const wait = this.desk.tries.wait(undefined, from);
    if (wait) return wait;
    const flow = ticket === undefined ? undefined : this.flowOf(ticket);
    if (!flow) return await refused("wrong_state");
    const drawn = this.drawn(flow.id);
    if (flow.provider !== name) return await refused("mixed_up");
    if (!sameText(provider.stateOf(answer), drawn.state)) return await refused("wrong_state");
    if (this.parts.clock.now() >= flow.until) return await refused("expired");
    const taken = this.answered.take(flow.id, flow.until);
    if (taken === "full") return { is: "wait", because: "busy", ms: BUSY_MS };
    if (!taken) return await refused("replayed");
    const vouched = await provider.finish(answer, drawn, site);
    if (vouched.is === "unavailable") return vouched;
    if (vouched.is === "refused") return await refused(vouched.reason);
    if (flow.errand.is === "link") return await this.link(provider, vouched, flow.errand.own, refused);
    const found = this.linkedTo(provider, vouched.subject) ?? await this.create(provider, vouched);
    if (!found) return await refused("not_linked");
    return await this.enter(provider, { ...found, vouched, next: flow.errand.next }, from);
  }

  async metadata(name: string, site: Pick<Outset, "origin">): Promise<string | undefined> {
    return await this.desk.providers.get(name)!.metadata?.(site);
  }

  links(account: string): ReturnType<SignOnPort["links"]> {
    return this.parts.states.of(account).links;
  }

  async unlink({ account, session }: OwnSession, link: string): ReturnType<SignOnPort["unlink"]> {
    const { states, vault } = this.parts;
    const kept = vault.read(account, link);
    const data = { link, session };
    const outcome = await states.ask(account, { type: "identity.link.remove", data }, userOf(account));
    if (outcome.is !== "accepted") return outcome;
    if (kept) vault.unlead(Buffer.from(kept).toString(), account);
    vault.drop(account, [link]);
    return outcome;
  }

  private async enter(
    provider: Provider,
    { account, link, vouched, next }: {
      readonly account: string;
      readonly link: string;
      readonly vouched: Extract<Vouched, { is: "vouched" }>;
      readonly next: string;
    },
    from: From,
  ): Promise<SignedOn> {
    const { states } = this.parts;
    await this.syncRoles(provider, account, vouched.groups);
    const first = { is: provider.protocol, link } as const;
    if (states.of(account).is === "active" && wantsSecond(states.of(account))) {
      return { is: "factor_wanted", next, ticket: this.desk.step.ticket({ account, kind: "browser", first }) };
    }
    const signed = await this.desk.entering.enter({ account, kind: "browser", first, provider: provider.name }, from);
    return signed.is === "in_page" ? { ...signed, next } : { is: "not_signed_on", reason: "disabled" };
  }

  /** Of the roles that the configuration names for this provider, the account has those of its groups. */
  private async syncRoles(provider: Provider, account: string, groups: readonly string[]): Promise<void> {
    const managed = [...new Set(Object.values(provider.roles))];
    if (managed.length === 0 || this.parts.states.of(account).is !== "active") return;
    const given = managed
      .filter((role) => groups.some((group) => Object.hasOwn(provider.roles, group) && provider.roles[group] === role))
      .map((role) => ({ role, privileged: this.parts.roles[role]!.privileged }));
    const command = { type: "identity.role.sync", data: { managed, given } } as const;
    const outcome = await this.parts.states.ask(account, command, wordOf(provider));
    if (outcome.is !== "accepted" && outcome.is !== "rejected") throw notDone(outcome);
  }

  private async link(
    provider: Provider,
    { subject }: Extract<Vouched, { is: "vouched" }>,
    { account, session }: OwnSession,
    refused: (reason: Refusal["reason"], account?: string) => Promise<SignedOn>,
  ): Promise<SignedOn> {
    const { states, clock } = this.parts;
    if (!sessionOf(states.of(account), session, clock.now())) return await refused("changed_meanwhile", account);
    const linked = this.linkedTo(provider, subject);
    if (linked) return linked.account === account ? { is: "linked" } : await refused("used_before", account);
    return await this.add(provider, { account, subject, because: "asked" }, userOf(account)) === undefined
      ? await refused("used_before", account)
      : { is: "linked" };
  }

  /** An account of a name that nobody has; a name that is taken may be somebody else's, so nothing is linked by it. */
  private async create(provider: Provider, { subject, name }: Extract<Vouched, { is: "vouched" }>) {
    const { states, vault } = this.parts;
    const known = provider.create && name !== undefined ? accountName(name) : undefined;
    if (known === undefined) return undefined;
    const account = vault.reserve(known);
    const data = { name: known, tenant: provider.tenant, kind: "person" } as const;
    const outcome = await states.ask(account, { type: "identity.account.create", data }, wordOf(provider));
    // One that was made for this sign-in, by a process that died before it was linked, has nothing that lets anybody in.
    if (outcome.is === "rejected" && !this.isBare(account, provider)) return undefined;
    if (outcome.is !== "accepted" && outcome.is !== "rejected") throw notDone(outcome);
    const link = await this.add(provider, { account, subject, because: "created" }, wordOf(provider));
    return link === undefined ? undefined : { account, link };
  }

  private isBare(account: string, provider: Provider): boolean {
    const { is, kind, tenant, password, links, factors, invitation, roles } = this.parts.states.of(account);
    return is === "active" && kind === "person" && tenant === provider.tenant && password === null &&
      invitation === null &&
      links.length + factors.length + roles.length === 0;
  }

  /** What is kept is there before the fact that names it. */
  private async add(
    provider: Provider,
    { account, subject, because }: {
      readonly account: string;
      readonly subject: string;
      readonly because: "created" | "asked";
    },
    by: Principal,
  ): Promise<string | undefined> {
    const { states, vault } = this.parts;
    const known = knownAs(provider, subject);
    const before = vault.find(known);
    // It leads to an account that has let go of it.
    if (before !== undefined && before !== account) vault.unlead(known, before);
    if (!vault.lead(known, account)) return undefined;
    const link = vault.keep(account, Buffer.from(known));
    const data = { link, provider: provider.name, protocol: provider.protocol, because };
    const outcome = await states.ask(account, { type: "identity.link.add", data }, by);
    if (outcome.is === "accepted") return link;
    if (outcome.is !== "rejected") throw notDone(outcome);
    vault.drop(account, [link]);
    return undefined;
  }

  /** The account that has said that this is its holder. */
  private linkedTo(
    provider: Provider,
    subject: string,
  ): { readonly account: string; readonly link: string } | undefined {
    const { states, vault } = this.parts;
    const known = knownAs(provider, subject);
    const account = vault.find(known);
    if (account === undefined) return undefined;
    const held = states.of(account).links.find(({ link, provider: name }) => {
      const kept = name === provider.name ? vault.read(account, link) : undefined;
      return kept !== undefined && Buffer.from(kept).toString() === known;
    });
    return held && { account, link: held.link };
  }

  private drawn(id: string) {
    const draw = (what: string) => createHmac("sha256", this.secret).update(`${what}\n${id}`).digest("base64url");
    return { state: draw("state"), nonce: draw("nonce"), verifier: draw("verifier") };
  }

  private flowOf(ticket: string): Flow | undefined {
    const [is, provider, id, until, a, b] = this.tickets.read("flow", ticket, PARTS) ?? [];
    if (provider === undefined || id === undefined || a === undefined || b === undefined) return undefined;
    const next = a === "-" ? "" : Buffer.from(a, "base64url").toString();
    const errand: Errand = is === "link"
      ? { is, own: { account: a, session: b } }
      : { is: "in", next: next.length > SIGN_ON.next_chars_max ? "" : next };
    return { provider, id, until: Number(until), errand };
  }
}

/** As whom a provider changes an account. */
const wordOf = ({ name }: Provider): Principal => ({ authtype: "system", authid: `identity.${name}` });

/** No account's name has a line break, so that none of them leads here. */
const knownAs = ({ protocol, name }: Provider, subject: string): string => `${protocol}\n${name}\n${subject}`;
