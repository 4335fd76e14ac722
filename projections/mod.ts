/** The catalogue of views: one line per domain. */
import { alertsViews } from "./alerts.ts";
import { accessViews, accessWhoCould } from "./access.ts";
import { auditTrail } from "./audit.ts";
import { benchmarksViews } from "./benchmarks.ts";
import { certificatesCurrent } from "./certificates.ts";
import { commitsViews } from "./commits.ts";
import { controlsStatus } from "./controls.ts";
import { healthViews } from "./health.ts";
import { identityViews } from "./identity.ts";
import { healthSinks } from "./health_sinks.ts";
import type { Computed } from "./computed.ts";
import type { AnyProjection } from "./projection.ts";
import { servicesViews } from "./services.ts";
import { auditSources } from "./sources.ts";
import { threatsViews } from "./threats.ts";

export const projections: readonly AnyProjection[] = [
  ...accessViews,
  auditTrail,
  auditSources,
  ...alertsViews,
  controlsStatus,
  ...commitsViews,
  ...benchmarksViews,
  ...healthViews,
  healthSinks,
  ...identityViews,
  ...threatsViews,
  ...servicesViews,
  certificatesCurrent,
];

/** Those that are made when they are asked. */
export const computed: readonly Computed[] = [accessWhoCould];
