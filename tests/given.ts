/** Given these facts, when this command, then that: how the decisions of every domain are told in tests. */
import assert from "node:assert/strict";
import type { Fact } from "../events/event.ts";
import type { Actor, Command, Context, Decision, Timer } from "../actors/types.ts";

const CONTEXT: Context = { at: Date.UTC(2026, 0, 5, 9), by: "u_tester", fresh: "fresh-1", id: "it" };

/** What was decided; each check says what it expected and what came instead. */
export interface Then<S, F extends Fact> {
  /** Exactly these facts, in this order. Without any: the command is fine and nothing had to happen. */
  accepted(...facts: readonly F[]): Then<S, F>;
  rejected(code: string): Then<S, F>;
  /** The command's data does not even parse; `path` as in a JSON Pointer. */
  invalid(path: string): Then<S, F>;
  sets(...timers: readonly Timer[]): Then<S, F>;
  /** The state after the facts of the decision. */
  readonly state: S;
}

/** The entity as its history has made it. */
export const given = <S, C extends Command, F extends Fact>(actor: Actor<S, C, F>, ...history: readonly F[]) => {
  const state = history.reduce((before, fact) => actor.evolve(before, fact), actor.initial);
  return {
    state,
    when: (command: C, context: Partial<Context> = {}): Then<S, F> => {
      const schema = actor.commands[command.type];
      assert.ok(schema, `${actor.domain} has no command ${command.type}`);
      const parsed = schema.safeParse(command.data);
      if (!parsed.success) {
        const paths = parsed.error.issues.map(({ path }) => path.map((step) => `/${String(step)}`).join(""));
        return then(actor, state, { paths, message: parsed.error.message });
      }
      const kept = structuredClone(state);
      const decision = actor.decide(state, { ...command, data: parsed.data }, { ...CONTEXT, ...context });
      assert.deepEqual(state, kept, "deciding left the state as it was");
      return then(actor, state, decision);
    },
  };
};

type Outcome<F extends Fact> = Decision<F> | { readonly paths: readonly string[]; readonly message: string };

const then = <S, F extends Fact>(actor: Actor<S, never, F>, before: S, outcome: Outcome<F>): Then<S, F> => {
  const facts = "ok" in outcome && outcome.ok ? outcome.facts : [];
  const checks: Then<S, F> = {
    accepted(...expected) {
      assert.ok("ok" in outcome && outcome.ok, `expected acceptance, came ${JSON.stringify(outcome)}`);
      assert.deepEqual(outcome.facts, expected);
      return checks;
    },
    rejected(code) {
      assert.ok("ok" in outcome && !outcome.ok, `expected the rejection ${code}, came ${JSON.stringify(outcome)}`);
      assert.equal(outcome.rejection.code, code);
      assert.match(outcome.rejection.because, /^[A-Z].{8,}/s, "a rejection says why in a sentence");
      return checks;
    },
    invalid(path) {
      assert.ok("paths" in outcome, `expected data that does not parse, came ${JSON.stringify(outcome)}`);
      assert.ok(outcome.paths.includes(path), `expected an issue at ${path}, came ${outcome.message}`);
      return checks;
    },
    sets(...timers) {
      assert.ok("ok" in outcome && outcome.ok, `expected acceptance, came ${JSON.stringify(outcome)}`);
      assert.deepEqual(outcome.timers ?? [], timers);
      return checks;
    },
    state: facts.reduce((state, fact) => actor.evolve(state, fact), before),
  };
  return checks;
};
