/** The edge of a folder without its keys: what is personal stays sealed, for everybody. */
import { isSealed, SEALED_TEXT } from "../../events/personal.ts";
import type { Edge } from "./runtime.ts";

const covered = <T>(value: T): T => {
  if (typeof value === "string") return (isSealed(value) ? SEALED_TEXT : value) as T;
  if (Array.isArray(value)) return value.map(covered) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, covered(member)])) as T;
};

export const sealedEdge: Edge = { unseal: covered, redact: covered, close: () => {} };
