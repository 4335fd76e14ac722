/** What a configuration calls by name, types and views: its shape cannot know which there are. */
import type { Config } from "../../config/config.ts";
import type { Catalogue } from "../../events/catalogue.ts";
import { projections } from "../../projections/mod.ts";
import { Usage } from "../cli/call.ts";
import { nearest } from "../cli/nearest.ts";
import { isMisspelt, typesOf } from "./misspelt.ts";

/** What there is to be called. */
export interface Named {
  readonly events: Catalogue;
  /** Beside those of Daybook's own. */
  readonly views: readonly string[];
}

export interface Misnamed {
  /** To the key that is the name. */
  readonly path: readonly string[];
  readonly expected: string;
  readonly meant?: string;
}

/** Names that nothing has. A type of a domain that is not here may be yet to come. */
export const misnamed = (
  { retention: { types }, projections: { policies } }: Config,
  named: Named,
): readonly Misnamed[] => {
  const views = [...projections.map(({ name }) => name), ...named.views];
  const wrong = (section: string, expected: string, name: string, names: readonly string[]): Misnamed => {
    const meant = nearest(name, names);
    return { path: [...section.split("."), name], expected, ...(meant === undefined ? {} : { meant }) };
  };
  return [
    ...Object.keys(types).filter((type) => isMisspelt(type, named.events)).map((type) =>
      wrong("retention.types", "a type of events", type, typesOf(named.events))
    ),
    ...Object.keys(policies).filter((view) => !views.includes(view)).map((view) =>
      wrong("projections.policies", "the name of a view", view, views)
    ),
  ];
};

/** Throws `Usage`. */
export const expectNamed = (config: Config, named: Named): void => {
  for (const { path, expected, meant } of misnamed(config, named)) {
    const found = JSON.stringify(path.at(-1));
    const guess = meant === undefined ? "" : `; did you mean ${meant}?`;
    throw new Usage(`${path.slice(0, -1).join(".")}: expected ${expected}, not ${found}${guess}`);
  }
};
