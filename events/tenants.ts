/**
 * Whose what is. Accounts and tokens say their tenant themselves; streams and sources belong by how they begin, so whose an event is
 * follows from its name alone, for everything that was ever recorded.
 *
 * Tenants are a tree of two levels: `default`, the installation itself, is above all others, and has what no other has.
 */
import type { StreamId } from "./event.ts";

export const HOUSE = "default";

/** Beginnings of what a tenant has. */
export interface Belongings {
  readonly streams: readonly string[];
  readonly sources: readonly string[];
}

export interface Owners {
  /** Whether any tenant but `default` has anything: if not, nothing need be asked. */
  readonly divided: boolean;
  ofStream(stream: StreamId): string;
  ofSource(source: string): string;
}

const INBOX = "inbox/";

/** The longest beginning counts. `inbox/{source}` goes with its source, unless a beginning of streams names it. */
export const ownersOf = (tenants: Readonly<Record<string, Belongings>>): Owners => {
  const sorted = (of: keyof Belongings) =>
    Object.entries(tenants).flatMap(([tenant, has]) => has[of].map((prefix) => ({ tenant, prefix })))
      .sort((a, b) => b.prefix.length - a.prefix.length);
  const [streams, sources] = [sorted("streams"), sorted("sources")];
  const find = (all: typeof streams, name: string) => all.find(({ prefix }) => name.startsWith(prefix))?.tenant;
  const ofSource = (source: string): string => find(sources, source) ?? HOUSE;
  return {
    divided: streams.length + sources.length > 0,
    ofSource,
    ofStream: (stream) =>
      find(streams, stream) ?? (stream.startsWith(INBOX) ? ofSource(stream.slice(INBOX.length)) : HOUSE),
  };
};
