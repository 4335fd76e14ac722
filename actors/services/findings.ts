/** What was found about instances: told when it is new, is another, or is gone. */
import type { Finding, FindingCheck } from "../../events/services.ts";
import type { Draft } from "./settle.ts";
import { findingsOf } from "./state.ts";

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

/** Of a service that goes, or of those of its replicas that do: nothing is known of what is not there. */
export const clearFindings = (draft: Draft, service: string, from: number): void => {
  for (const [replica, findings] of Object.entries(draft.service(service)?.findings ?? {})) {
    if (Number(replica) < from) continue;
    for (const { check } of findings) {
      draft.add({ type: "services.finding.cleared", data: { service, replica: Number(replica), check } });
    }
  }
};

const isSame = (a: Finding, b: Finding): boolean =>
  a.severity === b.severity && a.policy === b.policy && a.because === b.because;
