/** Erasures that a folder knows of, and how they are applied to keys that were put back. */
import type { PrivacyFact } from "../../../events/privacy.ts";
import { LogFault } from "../../../events/log.ts";
import type { Kept } from "../../cli/runtime.ts";
import type { Keys } from "../../keys/keys.ts";
import type { Folders } from "../folder.ts";
import { checkCertificate } from "./certificate.ts";

const TYPES = ["privacy.subject.erasure_requested", "privacy.subject.erased"] as const;

/**
 * Opaque ids of all whose erasure was done or asked for, by the log of a folder and by its keys; one of the two may be damaged. Throws
 * `LogFault` where neither can be read.
 */
export const erasuresIn = async (
  folders: Pick<Folders, "log" | "keys">,
  folder: string,
): Promise<readonly string[]> => {
  const found = new Set<string>();
  const [byLog, byKeys] = await Promise.allSettled([
    (async () => {
      const log = await folders.log(folder);
      try {
        for (const batch of log.read({ types: TYPES })) {
          for (const { data } of batch) {
            found.add((data as Extract<PrivacyFact, { type: typeof TYPES[1] }>["data"]).subject);
          }
        }
      } finally {
        await log.close();
      }
    })(),
    (async () => {
      const keys = await folders.keys(folder);
      if (!keys) throw new LogFault("missing", "there are no keys");
      try {
        for (const subject of keys.erased()) found.add(subject);
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
  return [...found];
};

/** Whom a certificate says to be erased. Throws `LogFault` `invalid` for one that this log's key has not signed. */
export const erasedBy = (keys: Pick<Keys, "logKey">, { name, text }: Kept): string => {
  const checked = checkCertificate(text, keys.logKey.vkeys);
  if (checked.ok) return checked.certificate.subject;
  throw new LogFault("invalid", `${name} is no certificate of an erasure in this log: ${checked.because}`);
};
