/**
 * Access: that the policies of now, and every token there is, are on record. Policies lie in files and tokens in the key database; only the
 * program, which has read them, says so here (`inside`).
 */
import { z } from "zod";
import { type AccessFact, accessFacts } from "../events/access.ts";
import { accept, type Actor, type Commands, type CommandSchemas, type Decision, reject } from "./types.ts";

const {
  "access.policies.activated": activated,
  "access.token.issued": issued,
  "access.token.revoked": revoked,
  "access.secret.stored": stored,
  "access.requests.refused": refused,
} = accessFacts;

const commands = {
  "access.policies.activate": activated.omit({ replaced: true }),
  "access.token.issue": issued.omit({ token: true }),
  "access.token.revoke": z.strictObject({}),
  "access.secret.store": stored.omit({ secret: true }),
  "access.secret.delete": z.strictObject({}),
  "access.requests.refuse": refused,
} satisfies CommandSchemas;

export type AccessCommand = Commands<typeof commands>;
/** Of `policies`: the digest of what counts. Of a token: whether it was made, and revoked. Of a secret: its version, 0 for none. */
export interface Access {
  readonly digest: string | null;
  readonly token: "unknown" | "issued" | "revoked";
  readonly secret: number;
}

/** Streams of their own: `policies`, `t_…`, `secret.NAME`, `requests`. */
const nounOf = (id: string): string | undefined => {
  if (id === "policies" || id === "requests") return id;
  if (revoked.shape.token.safeParse(id).success) return "token";
  return id.startsWith(SECRET) && stored.shape.secret.safeParse(id.slice(SECRET.length)).success ? "secret" : undefined;
};
const SECRET = "secret.";

export const access: Actor<Access, AccessCommand, AccessFact> = {
  domain: "access",
  version: 2,
  inside: true,
  commands,
  facts: [
    "access.policies.activated",
    "access.token.issued",
    "access.token.revoked",
    "access.secret.stored",
    "access.secret.deleted",
    "access.requests.refused",
  ],
  initial: { digest: null, token: "unknown", secret: 0 },

  decide({ digest, token, secret }, { type, data }, { id }): Decision<AccessFact> {
    if (nounOf(id) !== type.split(".")[1]) {
      return reject("wrong_stream", "Policies, every token and every secret have a stream of their own");
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
      case "access.secret.store": {
        if (secret === data.version) return accept();
        return accept({ type: "access.secret.stored", data: { ...data, secret: id.slice(SECRET.length) } });
      }
      case "access.requests.refuse":
        return accept({ type: "access.requests.refused", data });
      case "access.secret.delete":
        return secret > 0
          ? accept({ type: "access.secret.deleted", data: { secret: id.slice(SECRET.length) } })
          : accept();
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
      case "access.secret.stored":
        return { ...state, secret: fact.data.version };
      case "access.secret.deleted":
        return { ...state, secret: 0 };
      case "access.requests.refused":
        return state;
    }
  },
};
