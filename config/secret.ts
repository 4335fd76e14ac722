/** Where a secret lies. Never the secret itself: a configuration is read aloud, copied and committed. */
import { z } from "zod";

export type RootReference = { readonly env: string } | { readonly file: string };
/** `stored`: under a name in the key database (`daybook secret set`). */
export type SecretReference = RootReference | { readonly stored: string };

const env = z.strictObject({ env: z.string().min(1) });
const file = z.strictObject({ file: z.string().min(1) });
const stored = z.strictObject({ stored: z.string().max(64).regex(/^[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/) });

export const secret = z.union([env, file, stored]).nullable().default(null);

/** What opens the key database cannot lie in it. */
export const rootSecret = z.union([env, file]).nullable().default(null);
