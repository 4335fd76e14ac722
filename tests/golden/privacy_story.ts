/** What was asked for and done about persons and keys, in every form that readers tell apart. */
import type { NewEvent } from "../../events/log.ts";
import { PRIVACY_STREAM, type PrivacyFact } from "../../events/privacy.ts";

type Told = (at: number) => NewEvent;

const ONE = "s_goldengoldengold", TWO = "u_goldengoldengold";
const ROOT = `${"A".repeat(43)}=`;
const DIGEST = "0123456789abcdef".repeat(4);

const FACTS: readonly PrivacyFact[] = [
  { type: "privacy.hold.placed", data: { hold: "case-7", reason: "a lawsuit" } },
  { type: "privacy.hold.lifted", data: { hold: "case-7", reason: "settled" } },
  {
    type: "privacy.hold.placed",
    data: {
      hold: "case-8",
      reason: "an inspection",
      subjects: [TWO],
      types: ["commits.commit.recorded"],
      until: "2027-01-01T00:00:00Z",
    },
  },
  { type: "privacy.subject.exported", data: { subject: ONE, size: 90, events: 3, values: 7, blobs: 1 } },
  { type: "privacy.subject.erasure_requested", data: { subject: ONE } },
  { type: "privacy.subject.erased", data: { subject: ONE, key: "destroyed" } },
  {
    type: "privacy.erasure.certified",
    data: { subject: ONE, certificate: DIGEST, size: 95, root: ROOT, unreadable: 3, files: 8, found: 0 },
  },
  { type: "privacy.subject.erased", data: { subject: TWO, key: "none", because: "restore" } },
  {
    type: "privacy.subject.erasure_requested",
    data: {
      subject: TWO,
      due: "2026-02-01T08:00:00Z",
      reason: "asked for in writing",
      before: { size: 96, root: ROOT },
    },
  },
  {
    type: "privacy.root_key.rotated",
    data: { from: 1, to: 2, keys: { tenants: 1, subjects: 3, periods: 12, secrets: 2 } },
  },
];

/** One step after the other; the last request is not done. */
export const privacyStory = (): readonly (readonly Told[])[] =>
  FACTS.map((fact, n): readonly Told[] => [(at) => ({
    ...fact,
    id: `operator:golden-${n}/0`,
    source: PRIVACY_STREAM,
    stream: PRIVACY_STREAM,
    authtype: "user",
    authid: "operator",
    time: new Date(at).toISOString(),
    version: 1,
  })]);
