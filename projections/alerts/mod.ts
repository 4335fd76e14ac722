/** What others need of rules for alerts: their shape, and the folds that find cases. */
export { CONDITION_LIMITS, ConditionsFold } from "./conditions.ts";
export { caseOfRow, casesIn } from "./rows.ts";
export { casesAmong } from "./series.ts";
export * from "./rule.ts";
