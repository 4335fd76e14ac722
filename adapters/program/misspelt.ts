/** Types of events as they are named by people, in the configuration or a command. */
import type { Catalogue } from "../../events/catalogue.ts";
import { nearest } from "../cli/nearest.ts";

/** Whether there is no such type; one of a domain that is not here may be yet to come. */
export const isMisspelt = (type: string, { spec, domains }: Catalogue): boolean => {
  const [domain, ...rest] = type.split(".");
  return !spec(type) && (rest.length < 2 || domains.some(({ name }) => name === domain));
};

/** Says so, and which was meant. */
export const misspelt = (type: string, catalogue: Catalogue): string | undefined => {
  if (!isMisspelt(type, catalogue)) return undefined;
  const meant = nearest(type, typesOf(catalogue));
  return `there is no type ${JSON.stringify(type)}${meant ? `; did you mean ${meant}?` : ""}`;
};

/** The same of how types begin, such as `identity.`. */
export const misspeltPrefix = (prefix: string, catalogue: Catalogue): string | undefined => {
  const types = typesOf(catalogue);
  if (
    types.some((type) => type.startsWith(prefix)) ||
    !catalogue.domains.some(({ name }) => prefix.startsWith(`${name}.`))
  ) {
    return undefined;
  }
  const meant = nearest(prefix, types);
  return `no type begins with ${JSON.stringify(prefix)}${meant ? `; did you mean ${meant}?` : ""}`;
};

export const typesOf = ({ domains }: Catalogue): readonly string[] =>
  domains.flatMap(({ facts }) => Object.keys(facts));
