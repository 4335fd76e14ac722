/** Logs of OpenSSH's server, and a daybook to import them into. */
import { type CheckedLogs, checkLogs, importLogs, type SshdImported } from "../adapters/sshd/import.ts";
import type { Daybook } from "../actors/kernel/daybook.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { Event } from "../events/event.ts";
import type { IdentityData } from "../events/identity/mod.ts";

/** What the real server wrote while `tests/sshd/attempts.sh` had it attacked. */
export const AUTH_LOG = new URL("./sshd/auth.log", import.meta.url);

/** Checks and imports, as the command does. */
export const importedLogs = async (
  daybook: Pick<Daybook, "ingest" | "log">,
  ...paths: readonly string[]
): Promise<{ readonly found: CheckedLogs; readonly done: SshdImported }> => await importedLogsOf(daybook, "UTC", paths);

export const importedLogsOf = async (
  daybook: Pick<Daybook, "ingest" | "log">,
  zone: string,
  paths: readonly string[],
): Promise<{ readonly found: CheckedLogs; readonly done: SshdImported }> => {
  const found = await checkLogs(paths, { zone, told: () => {} });
  const by = { authtype: "user", authid: "operator" } as const;
  return { found, done: await importLogs(daybook, found, { by, clock: systemClock, told: () => {} }) };
};

export type Observed = Event & { readonly data: IdentityData<"identity.signin.observed"> };

export const observedIn = (daybook: Pick<Daybook, "log">): readonly Observed[] =>
  [...daybook.log.read({ types: ["identity.signin.observed"] })].flat() as unknown as readonly Observed[];
