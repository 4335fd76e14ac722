/** What a request would like (RFC 7240), of what is known here. */
import type { Exchange } from "./route.ts";

export interface Preferences {
  readonly minimal: boolean;
  readonly representation: boolean;
  /** Wait for the signed checkpoint that covers the answer. */
  readonly checkpoint: boolean;
}

const NO_PREFERENCE: Preferences = { minimal: false, representation: false, checkpoint: false };

/** RFC 7240: unknown preferences are passed over; of two that contradict each other the first counts. */
export const preferences = (header: string | null): Preferences => {
  if (header === null) return NO_PREFERENCE;
  // Section 2: a comma and a semicolon in quotes part nothing, and an empty value is none.
  const asked = (header.toLowerCase().match(/(?:[^",]|"(?:[^"\\]|\\.)*"?)+/g) ?? []).map((part) =>
    part.match(/^(?:[^";]|"(?:[^"\\]|\\.)*"?)*/)![0].replaceAll(/[\s"]/g, "").replace(/=$/, "")
  );
  const answer = asked.find((preference) => preference.startsWith("return="));
  return {
    minimal: answer === "return=minimal",
    representation: answer === "return=representation",
    checkpoint: asked.includes("checkpoint"),
  };
};

/** What an answer about the first `size` events is provable against. */
export interface Covered {
  /** The newest checkpoint, where it covers them; null where none does yet. */
  readonly checkpoint: { readonly size: number; readonly root: string; readonly note: string } | null;
  readonly headers: Record<string, string>;
}

/** With `Prefer: checkpoint` one that covers the answer is waited for; it is signed about a second after the log has grown. */
export const covered = async ({ request, site }: Exchange, size: number): Promise<Covered> => {
  const waits = preferences(request.headers.get("prefer")).checkpoint;
  const newest = await site.daybook.checkpoint(waits ? size : undefined);
  if (newest === undefined || newest.size < size) return { checkpoint: null, headers: {} };
  const { root, note } = newest;
  return {
    checkpoint: { size: newest.size, root, note },
    headers: waits ? { "preference-applied": "checkpoint" } : {},
  };
};
