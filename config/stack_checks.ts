/** Security checks of services: their names, and what a stack or a service may say is to be done about them. */
import { z } from "zod";

/** What is looked at before a start and while it runs (docs/services.md). */
const CHECKS = [
  "secret_readable",
  "secret_missing",
  "url_plain",
  "runs_as_root",
  "certificate_expired",
  "certificate_expiring",
  "certificate_unfit",
  "listens_everywhere",
  "limit_not_held",
] as const;
export type CheckName = typeof CHECKS[number];

/** `refuse`: it is not started, or is ended where it shows only while it runs. */
export const policy = z.enum(["ignore", "warn", "refuse"]);
export type CheckPolicy = z.output<typeof policy>;
export const policies = z.partialRecord(z.enum(CHECKS), policy).default({});
