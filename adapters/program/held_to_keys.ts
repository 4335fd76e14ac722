/** The report about a log with what is wrong in the key database beside it. */
import { pause } from "../../actors/kernel/world.ts";
import type { VerifyReport } from "../cli/runtime.ts";
import { KeysFault } from "../keys/fault.ts";
import type { Keys } from "../keys/keys.ts";
import { systemClock } from "../system/world.ts";
import type { Subjects } from "../verify/subjects.ts";

type Report = VerifyReport & { readonly failed: number; readonly origin?: string; readonly checkpoint?: number };

/** Somebody whose personal values the log holds, and the first event that does. */
export interface Missed {
  readonly subject: string;
  readonly position: number;
}

/** What the verifier asks of keys; those of whom they know nothing are added. */
export const subjectsOf = (keys: Keys, missed: Missed[]): Subjects => ({
  has(subject) {
    try {
      return keys.has(subject);
    } catch (error) {
      // Whoever looks at all of the keys meets the same, and says so.
      if (error instanceof KeysFault) return true;
      throw error;
    }
  },
  missed: (subject, position) => void missed.push({ subject, position }),
});

/** `open`: the keys of the folder; each is closed when it was looked at. `missed`: of whom they knew nothing when the log was walked. */
export const heldToKeys = async (
  report: Report,
  open: () => Promise<Keys | undefined>,
  missed: readonly Missed[] = [],
): Promise<VerifyReport> => {
  const look = () => wrongBeside(report, missed, open);
  const first = await look();
  if (first.length === 0) return report;
  // Keys that were being replaced meanwhile open the second time.
  const texts = new Set(first.map(textOf));
  const wrong = (await look()).filter((one) => texts.has(textOf(one)));
  if (wrong.length === 0) return report;
  const failures = [...report.failures, ...wrong].sort((a, b) => a.position - b.position);
  const failed = report.failed + wrong.length;
  const held: Report = { ...report, ok: false, failures, failed };
  return held;
};

type Failure = VerifyReport["failures"][number];

const textOf = ({ kind, expected, found }: Failure): string => `${kind}\n${expected}\n${found}`;

const wrongBeside = async (
  { size, origin, checkpoint = 0 }: Report,
  missed: readonly Missed[],
  open: () => Promise<Keys | undefined>,
): Promise<readonly Failure[]> => {
  const keys = await open();
  if (!keys) return [];
  try {
    const looking = keys.wrong();
    let step = looking.next();
    for (; !step.done; step = looking.next()) await pause(systemClock, 0);
    const last = Math.max(0, size - 1);
    const wrong: Failure[] = step.value.map((one) => ({ ...one, position: one.kind === "key" ? 0 : last }));
    for (const { subject, position } of missed) {
      if (keys.has(subject)) continue;
      const expected = `the key of subject ${subject}, of whom there are personal values, or that it was erased`;
      wrong.push({ kind: "key", position, expected, found: "none" });
    }
    // It is remembered before it is written to the log.
    if (checkpoint === 0 || origin !== keys.logKey.signer.name || keys.logKey.latest()) return wrong;
    const expected = "the newest checkpoint in the key database";
    return [...wrong, { kind: "checkpoint", position: last, expected, found: "none" }];
  } finally {
    keys.close();
  }
};
