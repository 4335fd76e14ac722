/**
 * What a domain says of its facts, and all domains together. The catalogue is data: routes, OpenAPI, laws, sealing and
 * upcasts are derived from it.
 */
import type { z } from "zod";
import type { Event, FactType, Json, StreamId } from "./event.ts";

/**
 * An old shape to one or more newer ones of the same type, applied on read, never on disk: `upcasts[0]` turns version 1 into
 * version 2. Together they keep the recorded event's place, id and header.
 */
export type Upcast = (data: Json) => readonly { readonly type: FactType; readonly data: Json }[];

/** Where a newer shape only has more to say: what was recorded says the same in it. A program that knows the older alone tells that it is newer. */
export const unchanged = (type: FactType): Upcast => (data) => [{ type, data }];

/** What the catalogue knows of one type of facts. */
export interface FactSpec {
  readonly schema: z.ZodType;
  /** `decided`: only its own actor records it. `observed`: it happened elsewhere and may be ingested. */
  readonly kind: "decided" | "observed";
  /** Current version of the shape. Default 1. */
  readonly version?: number;
  readonly upcasts?: readonly Upcast[];
  /** Observed types: the stream, from what the sender says. */
  readonly stream?: (event: { readonly source: string; readonly subject?: string; readonly data: unknown }) => StreamId;
  /** One line for people: OpenAPI and docs show it. */
  readonly about: string;
}

/** The facts of one field, by their types; `name` is the first part of each. */
export interface Domain {
  readonly name: string;
  readonly facts: Readonly<Record<FactType, FactSpec>>;
}

export interface Catalogue {
  readonly domains: readonly Domain[];
  spec(type: string): FactSpec | undefined;
}

/** Throws `TypeError` for a name or a type that two domains have: which of them would count? */
export const catalogue = (...domains: readonly Domain[]): Catalogue => {
  const names = domains.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new TypeError(`Two domains are called "${twice}"`);
  const specs = new Map<string, FactSpec>();
  for (const [type, spec] of domains.flatMap(({ facts }) => Object.entries(facts))) {
    if (specs.has(type)) throw new TypeError(`Two domains have the fact "${type}"`);
    specs.set(type, spec);
  }
  return { domains, spec: (type) => specs.get(type) };
};

export type { Event };
