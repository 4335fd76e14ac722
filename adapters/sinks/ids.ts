/** What tells messages of one log from those of another. */
import { createHash } from "node:crypto";

/** 12 characters of base64url, the same for a log for ever. */
export const prefixOf = (origin: string): string =>
  createHash("sha256").update(origin).digest("base64url").slice(0, 12);
