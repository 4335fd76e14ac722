/** Where a secret lies. Never the secret itself: a configuration is read aloud, copied and committed. */
import { z } from "zod";

export type SecretReference = { readonly env: string } | { readonly file: string };

export const secret = z.union([z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })])
  .nullable().default(null);
