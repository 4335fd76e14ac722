/** What could not be done for now, and may be asked again. */
import type { Outcome } from "../../actors/kernel/daybook.ts";
import { LogFault } from "../../events/log.ts";

type Reason = Extract<Outcome, { is: "unavailable" }>["reason"];

const WHY: Readonly<Record<Reason, string>> = {
  mailbox_full: "too much is asked at once; ask again",
  deadline: "it was not done in time, as far as is known; ask again",
  contention: "somebody else was first, again and again; ask again",
  log: "the log cannot be written now, status says why; ask again when it can",
  archived: "what it goes by was archived; attach the archive: log.archive in the configuration",
  stopping: "the server is stopping; ask again when it is back",
};

export const notDone = ({ reason }: { readonly reason: Reason }): LogFault =>
  new LogFault(reason === "archived" ? "archived" : "io", `not done: ${WHY[reason]}`);
