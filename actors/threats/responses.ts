/** What is done about threats: a process manager that hears which responses were taken, and has accounts locked and sessions challenged. */
import type { Event } from "../../events/event.ts";
import type { IdentityFact } from "../../events/identity/mod.ts";
import { type ThreatFact, threatStream } from "../../events/threats.ts";
import type { Effect, ProcessManager } from "../types.ts";

type Heard = Extract<
  ThreatFact | IdentityFact,
  { type: "threats.response.taken" | "threats.response.lifted" | "identity.account.unlocked" }
>;

/** Blocks of addresses, and which sessions show a second factor, are held to at the door, which follows the same facts. */
export const threatResponses: ProcessManager<null, Heard> = {
  name: "threats.responses",
  version: 1,
  hears: ["threats.response.taken", "threats.response.lifted", "identity.account.unlocked"],
  initial: null,
  key: ({ stream }) => stream,
  react: (state, event) => ({ state, effects: effectsOf(event) }),
};

const effectsOf = (event: Event<Heard>): readonly Effect[] => {
  switch (event.type) {
    case "threats.response.taken": {
      const { response, subject: { kind, id }, until } = event.data;
      if (kind !== "account") return [];
      if (response === "step_up") return [{ type: "threats.session.challenge", data: { account: id } }];
      if (response !== "lockout") return [];
      const data = { because: "threat", until };
      return [{ type: "command", stream: `identity/${id}`, command: { type: "identity.account.lock", data } }];
    }
    case "threats.response.lifted": {
      const { response, subject: { kind, id } } = event.data;
      if (kind !== "account" || response !== "lockout") return [];
      return [{
        type: "command",
        stream: `identity/${id}`,
        command: { type: "identity.account.unlock", data: { because: "threat" } },
      }];
    }
    case "identity.account.unlocked": {
      // Who unlocks an account takes back what was done about it; where nothing was, nothing is recorded.
      const stream = threatStream({ kind: "account", id: event.data.account });
      return [{
        type: "command",
        stream,
        command: { type: "threats.response.lift", data: { response: "lockout" } },
      }];
    }
  }
};
