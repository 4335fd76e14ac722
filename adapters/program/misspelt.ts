/** Types of events as they are named by people, in the configuration or a command. */
import type { Catalogue } from "../../events/catalogue.ts";
import { nearest } from "../cli/nearest.ts";

/** Says that there is no such type, and which was meant; undefined for one that there is, or of a domain that is not here and may be yet to come. */
export const misspelt = (type: string, { spec, domains }: Catalogue): string | undefined => {
  const [domain, ...rest] = type.split(".");
  if (spec(type) || (rest.length > 1 && !domains.some(({ name }) => name === domain))) return undefined;
  const meant = nearest(type, typesOf(domains));
  return `there is no type ${JSON.stringify(type)}${meant ? `; did you mean ${meant}?` : ""}`;
};

/** The same of how types begin, such as `identity.`. */
export const misspeltPrefix = (prefix: string, { domains }: Catalogue): string | undefined => {
  const types = typesOf(domains);
  if (types.some((type) => type.startsWith(prefix)) || !domains.some(({ name }) => prefix.startsWith(`${name}.`))) {
    return undefined;
  }
  const meant = nearest(prefix, types);
  return `no type begins with ${JSON.stringify(prefix)}${meant ? `; did you mean ${meant}?` : ""}`;
};

const typesOf = (domains: Catalogue["domains"]): readonly string[] =>
  domains.flatMap(({ facts }) => Object.keys(facts));
