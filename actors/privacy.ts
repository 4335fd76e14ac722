/**
 * Privacy: decides what may be erased while holds stand, and keeps in mind what was begun. Stream: `privacy/register`.
 *
 * Its commands tell of work that the program does on keys and files, so only the program gives them (`inside`).
 */
import { z } from "zod";
import { PRIVACY_LIMITS, type PrivacyFact, privacyFacts, PSEUDONYMS, subjectId } from "../events/privacy.ts";
import { accept, type Actor, type Commands, type CommandSchemas, type Decision, reject } from "./types.ts";

/** Holds that may stand, and erasures that may be under way: the state of this actor. */
export const HOLDS_MAX = 200;
export const ERASURES_MAX = 1_000;

const requested = privacyFacts["privacy.subject.erasure_requested"];

export const privacyCommands = {
  /** `types`: those of the events that tell of the person; absent: not known, so a hold on any type counts. */
  "privacy.subject.erase": requested.extend({
    types: z.array(z.string()).max(PRIVACY_LIMITS.hold_names_max).optional(),
  }),
  /** The key was destroyed: what a request began is done. */
  "privacy.subject.finish_erasure": z.strictObject({
    subject: subjectId,
    key: z.enum(["destroyed", "none"]),
    because: z.enum(["restore"]).optional(),
  }),
  "privacy.erasure.certify": privacyFacts["privacy.erasure.certified"],
  "privacy.subject.export": privacyFacts["privacy.subject.exported"],
  "privacy.hold.place": privacyFacts["privacy.hold.placed"],
  "privacy.hold.lift": privacyFacts["privacy.hold.lifted"],
  "privacy.period.destroy": privacyFacts["privacy.period.destroyed"],
  "privacy.root_key.rotate": privacyFacts["privacy.root_key.rotated"],
} satisfies CommandSchemas;

export type PrivacyCommand = Commands<typeof privacyCommands>;
export type Hold = Extract<PrivacyFact, { type: "privacy.hold.placed" }>["data"];

export interface Register {
  readonly holds: readonly Hold[];
  /** Subjects whose erasure was requested and is not done. */
  readonly erasing: readonly string[];
}

/** What something that is to be erased, archived or destroyed concerns; what is absent may be anything. */
export interface Concern {
  readonly subject?: string;
  readonly types?: readonly string[];
}

/** The first hold in force that forbids it; `undefined` when none does. `at` in ms since 1970. */
export const heldBy = (holds: readonly Hold[], { subject, types }: Concern, at: number): Hold | undefined =>
  holds.find((hold) => {
    if (hold.until !== undefined && Date.parse(hold.until) <= at) return false;
    if (hold.subjects === undefined && hold.types === undefined) return true;
    if (hold.subjects && (subject === undefined || hold.subjects.includes(subject))) return true;
    return hold.types !== undefined && (types === undefined || types.some((type) => hold.types!.includes(type)));
  });

export const privacy: Actor<Register, PrivacyCommand, PrivacyFact> = {
  domain: "privacy",
  version: 1,
  inside: true,
  // Nothing is archived while a hold stands or an erasure is under way.
  settled: true,
  commands: privacyCommands,
  facts: Object.keys(privacyFacts) as (keyof typeof privacyFacts)[],
  initial: { holds: [], erasing: [] },

  decide(state, { type, data }, { at }): Decision<PrivacyFact> {
    switch (type) {
      case "privacy.subject.erase": {
        const { types, ...request } = data;
        const hold = heldBy(state.holds, { subject: data.subject, types }, at);
        if (hold) return reject("held", `The legal hold ${hold.hold} forbids it: ${hold.reason}`);
        if (state.erasing.includes(data.subject)) return accept(); // already asked for: the work goes on
        if (state.erasing.length >= ERASURES_MAX) {
          return reject("too_many_erasures", `There are ${ERASURES_MAX} erasures under way already`);
        }
        return accept({ type: "privacy.subject.erasure_requested", data: request });
      }
      case "privacy.subject.finish_erasure":
        if (data.because === undefined && !state.erasing.includes(data.subject)) {
          return reject("not_requested", "No erasure of this person is under way");
        }
        return accept({ type: "privacy.subject.erased", data });
      case "privacy.erasure.certify":
        return accept({ type: "privacy.erasure.certified", data });
      case "privacy.subject.export":
        return accept({ type: "privacy.subject.exported", data });
      case "privacy.hold.place": {
        const over = state.holds.filter(({ until }) => until !== undefined && Date.parse(until) <= at);
        if (state.holds.some((hold) => hold.hold === data.hold && !over.includes(hold))) {
          return reject("hold_exists", `A hold ${data.hold} stands already; lift it first, or give another name`);
        }
        if (data.until !== undefined && Date.parse(data.until) <= at) {
          return reject("hold_over", "The hold would have ended already");
        }
        if (state.holds.length - over.length >= HOLDS_MAX) {
          return reject("too_many_holds", `There are ${HOLDS_MAX} holds already`);
        }
        // Those that ended by themselves make room.
        const lifted = over.map(({ hold }): PrivacyFact => ({
          type: "privacy.hold.lifted",
          data: { hold, reason: "its time is over" },
        }));
        return accept(...lifted, { type: "privacy.hold.placed", data });
      }
      case "privacy.hold.lift":
        if (!state.holds.some(({ hold }) => hold === data.hold)) {
          return reject("no_such_hold", `There is no hold ${data.hold}`);
        }
        return accept({ type: "privacy.hold.lifted", data });
      case "privacy.period.destroy": {
        // Whoever is told of in it may be held; and pseudonyms stand in events of any type.
        const hold = heldBy(state.holds, data.type === PSEUDONYMS ? {} : { types: [data.type] }, at);
        if (hold) return reject("held", `The legal hold ${hold.hold} forbids it: ${hold.reason}`);
        return accept({ type: "privacy.period.destroyed", data });
      }
      case "privacy.root_key.rotate":
        return accept({ type: "privacy.root_key.rotated", data });
    }
  },

  evolve(state, fact): Register {
    switch (fact.type) {
      case "privacy.subject.erasure_requested":
        return { ...state, erasing: [...without(state.erasing, fact.data.subject), fact.data.subject] };
      case "privacy.subject.erased":
        return { ...state, erasing: without(state.erasing, fact.data.subject) };
      case "privacy.hold.placed":
        return { ...state, holds: [...state.holds.filter(({ hold }) => hold !== fact.data.hold), fact.data] };
      case "privacy.hold.lifted":
        return { ...state, holds: state.holds.filter(({ hold }) => hold !== fact.data.hold) };
      case "privacy.erasure.certified":
      case "privacy.subject.exported":
      case "privacy.period.destroyed":
      case "privacy.root_key.rotated":
        return state;
    }
  },
};

const without = (subjects: readonly string[], gone: string): readonly string[] =>
  subjects.filter((subject) => subject !== gone);
