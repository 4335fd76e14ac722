/** What was found about instances: told when it is new, is another, or is gone. */
import type { Finding, FindingCheck } from "../../events/services.ts";
import type { Draft } from "./draft.ts";
import { findingsOf, isOver } from "./state.ts";

/** `checks`: those that were looked at; what is known of the others stays as it is. */
export const recordFindings = (
  draft: Draft,
  { service, replica, checks, findings }: {
    readonly service: string;
    readonly replica: number;
    readonly checks: readonly FindingCheck[];
    readonly findings: readonly Finding[];
  },
): void => {
  const lives = draft.service(service)?.lives;
  if (!lives || replica >= lives.length) return;
  const known = findingsOf(draft.stack, service, replica);
  for (const check of new Set(checks)) {
    const before = known.find((finding) => finding.check === check);
    const now = findings.find((finding) => finding.check === check);
    if (before && !now) draft.add({ type: "services.finding.cleared", data: { service, replica, check } });
    if (!now || before && isSame(before, now)) continue;
    draft.add({ type: "services.finding.reported", data: { service, replica, ...now } });
  }
};

/** Of instances that are stopped, and of those that are not there any more, nothing is found. */
export const clearFindings = (draft: Draft, service: string): void => {
  const { lives = [], findings = {}, spec, unwanted } = draft.service(service) ?? {};
  for (const [replica, known] of Object.entries(findings)) {
    const life = lives[Number(replica)];
    const leaves = unwanted === "removed" || Number(replica) >= (spec?.replicas ?? 0);
    const gone = !life || life.is === "stopped" || leaves && isOver(life);
    if (!gone) continue;
    for (const { check } of known) {
      draft.add({ type: "services.finding.cleared", data: { service, replica: Number(replica), check } });
    }
  }
};

const isSame = (a: Finding, b: Finding): boolean =>
  a.severity === b.severity && a.policy === b.policy && a.because === b.because;
