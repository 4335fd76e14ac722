/** What routes of accounts say of their path and their small JSON body in the description of the interface. */
import type { z } from "zod";
import { content, inPath, schemaOf } from "../openapi_parts.ts";

export const anAccount = inPath("account", "Id of the account, u_….");

export const takes = (schema: z.ZodType, required = true) => ({
  required,
  content: content("application/json", schemaOf(schema, "input")),
});

/** Problems of a body that is none, or is not as it should be. */
export const body = ["malformed_json", "invalid_data", "too_large", "unsupported_media_type", "slow_request"] as const;
