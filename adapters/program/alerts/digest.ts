/** Names of alerts and of what is told together. */
import { createHash } from "node:crypto";

const DIGITS = 12;

export const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, DIGITS);
