/** Cases of rules over views: rows read page by page, as far as the view has come. */
import type { Daybook } from "../../../actors/kernel/daybook.ts";
import { firstReadable, isArchived } from "../../../actors/kernel/kept.ts";
import type { Event } from "../../../events/event.ts";
import { ViewQuestion } from "../../../projections/views.ts";
import { type Case, caseOfRow, casesIn, type Digest, type ViewRule } from "../../../projections/alerts/mod.ts";

/** Rows of one view that are looked at; further ones are not. */
const ROWS_MAX = 10_000;
const PAGE_ROWS = 1_000;

export interface RowParts {
  readonly daybook: Pick<Daybook, "log" | "view">;
  readonly digest: Digest;
}

export interface RowsFound {
  readonly rule: ViewRule;
  readonly cases: readonly Case[];
  /** What cases of the rows that were looked at are called, where there are more: of others nobody knows whether they hold. */
  readonly looked: ReadonlySet<string> | undefined;
}

/** `size`: how far the view that lags most has come. */
export const rowCases = async (
  rules: readonly ViewRule[],
  parts: RowParts,
): Promise<{
  readonly size: number;
  readonly found: readonly RowsFound[];
  /** Names of rules over views that have more rows. */
  readonly cut: readonly string[];
  /** Why a view cannot be read now; its rules are left as they are. */
  readonly troubles: readonly string[];
}> => {
  let least = Infinity;
  const [cut, troubles]: [string[], string[]] = [[], []];
  const found: RowsFound[] = [];
  for (const rule of rules) {
    try {
      const { size, cases, looked } = await casesOf(rule, parts);
      if (looked) cut.push(rule.name);
      least = Math.min(least, size);
      found.push({ rule, cases, looked });
    } catch (error) {
      least = -1;
      // One that is begun, or built again, will come.
      if (error instanceof ViewQuestion && (error.code === "not_yet" || error.code === "rebuilding")) continue;
      troubles.push(`${rule.view}: ${(error as Error).message}`);
    }
  }
  return { size: least, found, cut, troubles };
};

const casesOf = async (rule: ViewRule, { daybook, digest }: RowParts) => {
  const { log } = daybook;
  /** In place of what lies in an archive that is not attached, the first event behind it: so long a row is so at least. */
  let first: Event | undefined;
  const sinceOf = (position: number): string => {
    if (first && position < first.position) return first.recordedat;
    try {
      for (const [event] of log.read({ from: position, limit: 1 })) if (event) return event.recordedat;
    } catch (error) {
      if (!isArchived(error)) throw error;
      first = firstReadable(log);
      if (first) return first.recordedat;
    }
    throw new Error(`event ${position} of a row cannot be read`);
  };
  const caseIn = casesIn(rule, digest, sinceOf);
  const [cases, keys]: [Case[], string[]] = [[], []];
  let [after, size]: [string | undefined, number] = [undefined, Infinity];
  for (let rows = 0; rows < ROWS_MAX; rows += PAGE_ROWS) {
    const page = await daybook.view(rule.view, { limit: PAGE_ROWS, ...(after === undefined ? {} : { after }) });
    size = Math.min(size, page.size);
    for (const row of page.rows) {
      keys.push(row.key);
      const found = caseIn(row);
      if (found) cases.push(found);
    }
    after = page.next;
    if (after === undefined) break;
  }
  const looked = after === undefined ? undefined : new Set(keys.map((key) => caseOfRow(rule, key, digest)));
  return { size, cases, looked };
};
