/**
 * Access: that the policies of now, and every token there is, are on record. Policies lie in files and tokens in the key database; only the
 * program, which has read them, says so here (`inside`).
 */
import { z } from "zod";
import { type AccessFact, accessFacts } from "../events/access.ts";
import { accept, type Actor, type Commands, type CommandSchemas, type Decision, reject } from "./types.ts";

const { "access.policies.activated": activated, "access.token.issued": issued, "access.token.revoked": revoked } =
  accessFacts;

const commands = {
  "access.policies.activate": activated.omit({ replaced: true }),
  "access.token.issue": issued.omit({ token: true }),
  "access.token.revoke": z.strictObject({}),
} satisfies CommandSchemas;

export type AccessCommand = Commands<typeof commands>;
/** Of `policies`: the digest of what counts. Of a token: whether it was made, and revoked. */
export interface Access {
  readonly digest: string | null;
  readonly token: "unknown" | "issued" | "revoked";
}

const POLICIES = "policies";

export const access: Actor<Access, AccessCommand, AccessFact> = {
  domain: "access",
  version: 1,
  inside: true,
  commands,
  facts: ["access.policies.activated", "access.token.issued", "access.token.revoked"],
  initial: { digest: null, token: "unknown" },

  decide({ digest, token }, { type, data }, { id }): Decision<AccessFact> {
    if ((id === POLICIES) !== (type === "access.policies.activate")) {
      return reject("wrong_stream", "Policies have a stream of their own, and so has every token");
    }
    if (id !== POLICIES && !revoked.shape.token.safeParse(id).success) {
      return reject("not_a_token", "A token is called t_ and 16 letters");
    }
    switch (type) {
      case "access.policies.activate": {
        if (digest === data.digest) return accept();
        const replaced = digest === null ? {} : { replaced: digest };
        return accept({ type: "access.policies.activated", data: { ...data, ...replaced } });
      }
      case "access.token.issue":
        return token === "unknown" ? accept({ type: "access.token.issued", data: { ...data, token: id } }) : accept();
      case "access.token.revoke":
        return token === "issued" ? accept({ type: "access.token.revoked", data: { token: id } }) : accept();
    }
  },

  evolve(state, fact): Access {
    switch (fact.type) {
      case "access.policies.activated":
        return { ...state, digest: fact.data.digest };
      case "access.token.issued":
        return { ...state, token: "issued" };
      case "access.token.revoked":
        return { ...state, token: "revoked" };
    }
  },
};
