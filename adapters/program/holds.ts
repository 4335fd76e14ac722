/** Legal holds: placed and lifted in the register that erasures, archives and the destruction of periods ask (`actors/privacy.ts`). */
import { keptFrom, readableFrom } from "../../actors/kernel/kept.ts";
import { type Hold, privacy, type Register } from "../../actors/privacy.ts";
import { PRIVACY_STREAM, type PrivacyFact, privacyFacts } from "../../events/privacy.ts";
import type { EventLog } from "../../events/log.ts";
import type { FactType } from "../../events/event.ts";
import { events } from "../../events/mod.ts";
import { Usage } from "../cli/call.ts";
import type { Held } from "../cli/runtime.ts";
import { misspelt } from "./misspelt.ts";
import { operation } from "./operation.ts";
import { decide } from "./privacy/register.ts";

export const placeHold = operation({
  about: "Places a legal hold.",
  input: privacyFacts["privacy.hold.placed"],
  async run(opened, { input: data }) {
    for (const type of data.types ?? []) expectType(opened.daybook.log, type);
    return { position: await decide(opened, { type: "privacy.hold.place", data }) };
  },
});

/** A hold on a misspelt type would hold nothing, and nobody would notice. */
const expectType = (log: Pick<EventLog, "read">, type: string): void => {
  const message = misspelt(type, events);
  if (message === undefined) return;
  const [recorded] = log.read({ types: [type as FactType], from: readableFrom(log), limit: 1 });
  if (!recorded?.length) throw new Usage(message);
};

export const liftHold = operation({
  about: "Lifts a legal hold.",
  input: privacyFacts["privacy.hold.lifted"],
  async run(opened, { input: data }) {
    return { position: await decide(opened, { type: "privacy.hold.lift", data }) };
  },
});

const TYPES = ["privacy.hold.placed", "privacy.hold.lifted"] as const;

/** Those that stand, the oldest first; `now` in ms since 1970. None of them was ever archived: nothing is while one stands. */
export const holdsIn = (log: Pick<EventLog, "head" | "read">, now: number): readonly Held[] => {
  let state: Register = privacy.initial;
  const placed = new Map<string, { readonly position: number; readonly recordedat: string }>();
  for (const page of log.read({ stream: PRIVACY_STREAM, revision: keptFrom(log, PRIVACY_STREAM) })) {
    for (const event of page) {
      if (!(TYPES as readonly string[]).includes(event.type)) continue;
      state = privacy.evolve(state, { type: event.type, data: event.data } as PrivacyFact);
      placed.set((event.data as Hold).hold, { position: event.position, recordedat: event.recordedat });
    }
  }
  const over = ({ until }: Hold): boolean => until !== undefined && Date.parse(until) <= now;
  return state.holds.filter((hold) => !over(hold)).map((hold) => ({ ...hold, ...placed.get(hold.hold)! }));
};
