/** Erasures that a folder knows of, and how they are applied to keys that were put back. */
import type { PrivacyFact } from "../../../events/privacy.ts";
import { LogFault } from "../../../events/log.ts";
import type { Kept } from "../../cli/reader.ts";
import type { Keys } from "../../keys/keys.ts";
import type { RetentionPeriod } from "../../keys/retention_periods.ts";
import { type Folders, withLog } from "../folder.ts";
import { checkCertificate } from "./certificate.ts";

const TYPES = ["privacy.subject.erasure_requested", "privacy.subject.erased", "privacy.period.destroyed"] as const;

/** What was destroyed, so that nobody reads it. */
export interface Erasures {
  /** Opaque ids. */
  readonly subjects: readonly string[];
  /** Months of types that are kept for a shorter time. */
  readonly periods: readonly RetentionPeriod[];
}

/**
 * All that was destroyed, or whose erasure was asked for, by the log of a folder and by its keys; one of the two may be damaged. Throws
 * `LogFault` where neither can be read.
 */
export const erasuresIn = async (
  folders: Pick<Folders, "log" | "keys">,
  folder: string,
): Promise<Erasures> => {
  const subjects = new Set<string>();
  const periods: RetentionPeriod[] = [];
  const [byLog, byKeys] = await Promise.allSettled([
    withLog(folders, folder, (log) => {
      for (const batch of log.read({ types: TYPES })) {
        for (const { data } of batch) {
          const destroyed = data as Extract<PrivacyFact, { type: typeof TYPES[number] }>["data"];
          if ("subject" in destroyed) subjects.add(destroyed.subject);
          else periods.push({ type: destroyed.type, period: destroyed.period });
        }
      }
    }),
    (async () => {
      const keys = await folders.keys(folder);
      if (!keys) throw new LogFault("missing", "there are no keys");
      try {
        for (const subject of keys.erased()) subjects.add(subject);
        periods.push(...keys.periods.ended);
      } finally {
        keys.close();
      }
    })(),
  ]);
  if (byLog.status === "rejected" && byKeys.status === "rejected") {
    const { reason } = byLog;
    const because = reason instanceof Error ? reason.message : String(reason);
    throw new LogFault(
      reason instanceof LogFault ? reason.kind : "io",
      `what ${folder} knows of erasures cannot be read: ${because}`,
    );
  }
  return { subjects: [...subjects], periods };
};

/** Whom a certificate says to be erased. Throws `LogFault` `invalid` for one that this log's key has not signed. */
export const erasedBy = (keys: Pick<Keys, "logKey">, { name, text }: Kept): string => {
  const checked = checkCertificate(text, keys.logKey.vkeys);
  if (checked.ok) return checked.certificate.subject;
  throw new LogFault("invalid", `${name} is no certificate of an erasure in this log: ${checked.because}`);
};
