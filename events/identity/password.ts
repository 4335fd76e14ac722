/** Passwords: which one counts, and how it is hashed. The hash lies in the key database under the id `credential`. */
import { z } from "zod";
import type { FactSchemas } from "../event.ts";
import { accountId, count, opaqueId } from "./shape.ts";

/** How a hash was made; enough to tell whether it is still as strong as wanted. */
export const scheme = z.discriminatedUnion("algorithm", [
  /** RFC 9106; version 0x13. */
  z.strictObject({ algorithm: z.literal("argon2id"), memory_kib: count, passes: count, lanes: count }),
  z.strictObject({ algorithm: z.literal("bcrypt"), cost: count }),
]);
export type Scheme = z.output<typeof scheme>;

export const passwordFacts = {
  /** From here on this one counts and no other. */
  "identity.password.set": z.strictObject({
    account: accountId,
    credential: opaqueId,
    scheme,
    /** `raised`: the same password hashed with higher parameters; `upgraded`: an imported one hashed as ours are. */
    because: z.enum(["chosen", "changed", "reset", "imported", "raised", "upgraded"]),
    /** The one that counted before. */
    replaced: opaqueId.optional(),
  }),
} satisfies FactSchemas;

export const passwordAbout: Readonly<Record<keyof typeof passwordFacts, string>> = {
  "identity.password.set":
    "A password was set, changed, imported, or hashed anew; where its hash lies and how it was made.",
};
