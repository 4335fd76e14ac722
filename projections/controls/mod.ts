/** What others need of controls: their shape, and the fold that decides them; and what each source can be vouched for. */
export * from "./control.ts";
export { ControlsFold, evaluate, type EvaluateOptions } from "./evaluate.ts";
export { gapsOf } from "./complete.ts";
export { spanText } from "./findings.ts";
export { signDue, type SourceState } from "../source_numbers.ts";
export { type SourceRow, type Vouched, vouchedFor } from "../sources.ts";
