/**
 * What looks like a secret in the parameters of a call, by its name or by its shape. AWS masks most of its own; what people put into
 * variables, user data and templates it does not know. A mask that hides too much costs a look at the trail itself; one that hides too
 * little is for ever.
 */

import { looksSealed } from "../../events/personal.ts";

/** What stands in its place. */
export const NOT_TAKEN = "[not taken]";

/** Names in lower case, without separators. */
const SECRET =
  /passw|passphrase|passcode|pwd|secret|token|credential|privatekey|apikey|accesskey$|sharedkey|signingkey|encryptionkey$|keymaterial|plaintext|authorization|authparameters|bearer|cookie|connectionstring|signature|userdata|mfacode|tokencode|otp$|pin$/;
/** What is called after a secret and is none: names of requests, pages, kinds and places. */
const HARMLESS =
  /^(?:client(?:request)?token|next(?:page)?token|pagination(?:token)?|continuationtoken|idempotency(?:token|key)|tokentype|credentialscope|signatureversion|secret(?:id|arn|name|versionid)|httptokens|passwordlastused|passwordresetrequired|passwordpolicy|sessioncredentialfromconsole|mfaauthenticated|accesskeyid|credentials)$|(?:arn|policy|enabled|required|expiry|expiration|age|lastused|type|scope|version)$/;
/** IAM's answer to who makes a key: whose it is and what it is called. The half that is secret has its own name in it. */
const isMade = (name: string, held: unknown): boolean =>
  plainName(name) === "accesskey" && typeof held === "object" && held !== null && "accessKeyId" in held;
/** Members of which every value is taken for a secret: they are what people fill in. */
const FILLED_IN = /^(?:environment|environmentvariables|variables)$/;
const NAMING = ["name", "Name", "key", "Key", "parameterKey", "ParameterKey", "parameterName"] as const;
const VALUES = ["value", "Value", "values", "Values", "parameterValue", "ParameterValue"] as const;

/** A private key in PEM, a JSON web token, AWS's and GitHub's own keys, a URL with a password or a signature in it. */
const SHAPE =
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY|\beyJ[\w-]{8,1000}\.eyJ[\w-]{8,1000}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abprs]-[\w-]{10,}|:\/\/[^/\s:@]{1,200}:[^/\s@]{1,200}@|[?&](?:X-Amz-Signature|X-Amz-Security-Token|sig|Signature)=/;

const plainName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, "");

export const isSecretName = (name: string): boolean => {
  const plain = plainName(name);
  return SECRET.test(plain) && !HARMLESS.test(plain);
};

/** A copy without what looks like a secret, and how many values that were. The value is JSON, of bounded depth. */
export const withoutSecrets = (value: unknown): { readonly value: unknown; readonly notTaken: number } => {
  let notTaken = 0;
  const masked = (held: unknown): unknown => {
    // Whether something is there, and nothing else, is told of numbers and truths, too.
    if (held === null || held === "") return held;
    notTaken++;
    return NOT_TAKEN;
  };
  const filledIn = (held: unknown): unknown => {
    if (Array.isArray(held)) return held.map(copy);
    if (typeof held !== "object" || held === null) return masked(held);
    return Object.fromEntries(
      Object.entries(held).map((
        [key, member],
      ) => [key, typeof member === "object" ? filledIn(member) : masked(member)]),
    );
  };
  const copy = (held: unknown): unknown => {
    if (typeof held === "string") return SHAPE.test(held) || looksSealed(held) ? masked(held) : held;
    if (Array.isArray(held)) return held.map(copy);
    if (typeof held !== "object" || held === null) return held;
    const members = held as Readonly<Record<string, unknown>>;
    const named = NAMING.some((key) => typeof members[key] === "string" && isSecretName(members[key]));
    return Object.fromEntries(
      Object.entries(members).map(([key, member]) => {
        const secret = isSecretName(key) && !isMade(key, member);
        if (secret || (named && (VALUES as readonly string[]).includes(key))) return [key, masked(member)];
        return [key, FILLED_IN.test(plainName(key)) ? filledIn(member) : copy(member)];
      }),
    );
  };
  return { value: copy(value), notTaken };
};
