/** Whether somebody has said a secret, in a time that tells nothing of how much of it was right. */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";

/** How long the secret is may be known. */
export const sameText = (said: string | null | undefined, secret: string): boolean => {
  const [given, expected] = [Buffer.from(said ?? ""), Buffer.from(secret)];
  return given.length === expected.length && timingSafeEqual(given, expected);
};
