/** Cases of a rule over a view: each row of which it holds. */
import { faultIn, fieldOf } from "../controls/match.ts";
import type { Event } from "../../events/event.ts";
import type { Row } from "../views.ts";
import type { Case, Digest, ViewRule } from "./rule.ts";
import { becauseOf, labelsOf } from "./told.ts";

/** What the case of a row is called. */
export const caseOfRow = ({ name }: Pick<ViewRule, "name">, key: string, digest: Digest): string =>
  digest(`${name}\n${JSON.stringify([key])}`);

/** `sinceOf`: when the event at a position was recorded. */
export const casesIn = (
  rule: ViewRule,
  digest: Digest,
  sinceOf: (position: number) => string,
): (row: Row) => Case | undefined => {
  const { name, where, show, tell, title } = rule;
  // A field of a row is looked up as one of an event is.
  const fault = faultIn(where);
  const shown = show.map(fieldOf);
  const told = tell === undefined ? () => undefined : fieldOf(tell);
  const group = digest(`${name}\n[]`);
  return ({ key, row, position }) => {
    const fields = row as Event;
    if (fault(fields) !== undefined) return undefined;
    return {
      alert: caseOfRow(rule, key, digest),
      group,
      labels: labelsOf(["key", ...show], [key, ...shown.map((field) => field(fields) ?? null)]),
      because: becauseOf(told(fields), title),
      since: sinceOf(position),
      position,
    };
  };
};
