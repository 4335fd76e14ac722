/** The report about a log with what is wrong in the key database beside it. */
import { pause } from "../../actors/kernel/world.ts";
import type { VerifyReport } from "../cli/runtime.ts";
import type { Keys } from "../keys/keys.ts";
import { systemClock } from "../system/world.ts";

type Report = VerifyReport & { readonly failed: number; readonly origin?: string; readonly checkpoint?: number };

/** `open`: the keys of the folder; each is closed when it was looked at. */
export const heldToKeys = async (
  report: Report,
  open: () => Promise<Keys | undefined>,
): Promise<VerifyReport> => {
  const first = await wrongIn(report, open);
  if (first.length === 0) return report;
  // Keys that were being replaced meanwhile open the second time.
  const texts = new Set(first.map(textOf));
  const wrong = (await wrongIn(report, open)).filter((one) => texts.has(textOf(one)));
  if (wrong.length === 0) return report;
  const failures = [...report.failures, ...wrong].sort((a, b) => a.position - b.position);
  const failed = report.failed + wrong.length;
  const held: Report = { ...report, ok: false, failures, failed };
  return held;
};

type Failure = VerifyReport["failures"][number];

const textOf = ({ kind, expected, found }: Failure): string => `${kind}\n${expected}\n${found}`;

const wrongIn = async (
  { size, origin, checkpoint = 0 }: Report,
  open: () => Promise<Keys | undefined>,
): Promise<readonly Failure[]> => {
  const keys = await open();
  if (!keys) return [];
  try {
    const looking = keys.wrong();
    let step = looking.next();
    for (; !step.done; step = looking.next()) await pause(systemClock, 0);
    const last = Math.max(0, size - 1);
    const wrong = step.value.map((one) => ({ ...one, position: one.kind === "key" ? 0 : last }));
    // It is remembered before it is written to the log.
    if (checkpoint === 0 || origin !== keys.logKey.signer.name || keys.logKey.latest()) return wrong;
    const expected = "the newest checkpoint in the key database";
    return [...wrong, { kind: "checkpoint", position: last, expected, found: "none" }];
  } finally {
    keys.close();
  }
};
