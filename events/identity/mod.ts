/**
 * Identity: who may come in, how they proved it, what they may do, for how long.
 *
 * Streams: `identity/{account}` for all of one account, so that a lock, a session and a password are decided one after the other;
 * `identity/nobody` for attempts on names that nobody has; `identity/keys` for the keys that sign access tokens;
 * `identity/observed` for what other programs tell. Secrets, hashes and seeds are in none of them: facts name where they lie.
 */
import { type Domain, type FactSpec, unchanged } from "../catalogue.ts";
import type { Facts, StreamId } from "../event.ts";
import { accessAbout, accessFacts } from "./access.ts";
import { accountAbout, accountFacts } from "./account.ts";
import { linkAbout, linkFacts } from "./link.ts";
import { passwordAbout, passwordFacts } from "./password.ts";
import { sessionAbout, sessionFacts } from "./session.ts";
import { signinAbout, signinFacts } from "./signin.ts";

export const identityFacts = {
  ...accountFacts,
  ...passwordFacts,
  ...signinFacts,
  ...sessionFacts,
  ...accessFacts,
  ...linkFacts,
};

export type IdentityFact = Facts<typeof identityFacts>;
export type IdentityFactType = IdentityFact["type"];
/** The data of one type. */
export type IdentityData<T extends IdentityFactType> = Extract<IdentityFact, { type: T }>["data"];

const about: Readonly<Record<IdentityFactType, string>> = {
  ...accountAbout,
  ...passwordAbout,
  ...signinAbout,
  ...sessionAbout,
  ...accessAbout,
  ...linkAbout,
};

const SPECS: Readonly<Partial<Record<IdentityFactType, Omit<FactSpec, "schema" | "about">>>> = {
  "identity.signin.observed": {
    kind: "observed",
    stream: (): StreamId => "identity/observed",
    version: 2,
    // The second has more to say: `noted`, `message`, `place`.
    upcasts: [unchanged("identity.signin.observed")],
  },
  "identity.account.unlocked": {
    kind: "decided",
    version: 2,
    // The second knows `threat`, which leaves other locks as they are.
    upcasts: [unchanged("identity.account.unlocked")],
  },
};

export const identity: Domain = {
  name: "identity",
  facts: Object.fromEntries(
    (Object.keys(identityFacts) as IdentityFactType[]).map((type) => [type, {
      schema: identityFacts[type],
      kind: "decided" as const,
      ...SPECS[type],
      about: about[type],
    }]),
  ),
};
