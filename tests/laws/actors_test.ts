import assert from "node:assert/strict";
import fc from "fast-check";
import { actors } from "../../actors/mod.ts";
import type { Actor, Command, CommandType, Context } from "../../actors/types.ts";
import { canonical } from "../../events/canonical.ts";
import type { Fact } from "../../events/event.ts";
import { events } from "../../events/mod.ts";
import { arbitraryOf, freeze } from "./arbitrary.ts";

const context: fc.Arbitrary<Context> = fc.record({
  at: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  by: fc.constantFrom("u_1", "t_2"),
  fresh: fc.uuid(),
  id: fc.constantFrom("one", "two", "u_aaaaaaaaaaaaaaaa", "keys", "policies", "t_aaaaaaaaaaaaaaaa"),
});

const commandsOf = (actor: Actor): fc.Arbitrary<Command> =>
  fc.oneof(
    ...Object.entries(actor.commands).map(([type, schema]) =>
      arbitraryOf(schema).map((data) => ({ type: type as CommandType, data }))
    ),
  );

/** Facts the actor folds, in any order: history is not up for debate. */
const factsOf = (actor: Actor): fc.Arbitrary<Fact> =>
  fc.oneof(...actor.facts.map((type) => arbitraryOf(events.spec(type)!.schema).map((data) => ({ type, data }))));

for (const actor of actors) {
  const { domain } = actor;
  const states = fc.array(factsOf(actor), { maxLength: 12 }).map((facts) =>
    facts.reduce((state, fact) => freeze(actor.evolve(state, freeze(fact))), freeze(actor.initial))
  );

  Deno.test(`${domain}: what its timers bring at a date are commands of its own`, () => {
    assert.deepEqual((actor.dated ?? []).filter((type) => !Object.hasOwn(actor.commands, type)), []);
  });

  Deno.test(`${domain}: evolve takes any fact in any order, changes no input and always says the same`, () => {
    fc.assert(fc.property(states, factsOf(actor), (state, fact) => {
      const next = actor.evolve(state, freeze(fact));
      assert.deepEqual(actor.evolve(state, fact), next);
      canonical(next);
    }));
  });

  Deno.test(`${domain}: a state that was written down and read again goes on as if it had not been, wherever that was`, () => {
    const evolve = (state: unknown, facts: readonly Fact[]) =>
      facts.reduce((state, fact) => actor.evolve(state, fact), state);
    fc.assert(fc.property(fc.array(factsOf(actor), { maxLength: 24 }), fc.array(fc.nat(24)), (facts, cuts) => {
      const whole = evolve(actor.initial, facts);
      let [state, at] = [actor.initial, 0];
      for (const cut of cuts.toSorted((a, b) => a - b)) {
        state = JSON.parse(canonical(evolve(state, facts.slice(at, cut))));
        at = cut;
      }
      assert.deepEqual(evolve(state, facts.slice(at)), whole);
    }));
  });

  Deno.test(`${domain}: decide answers any command in any state, changes no input and always says the same`, () => {
    fc.assert(fc.property(states, commandsOf(actor), context, (state, command, context) => {
      const decision = actor.decide(state, freeze(command), freeze(context));
      assert.deepEqual(actor.decide(state, command, context), decision);
      if (!decision.ok) {
        assert.match(decision.rejection.code, /^[a-z][a-z0-9_]*$/);
        assert.notEqual(decision.rejection.because, "");
        return;
      }
      let after = state;
      for (const fact of decision.facts) {
        const spec = events.spec(fact.type);
        assert.equal(spec?.kind, "decided", `${fact.type} is decided`);
        assert.ok(actor.facts.includes(fact.type), `${fact.type} is folded`);
        spec!.schema.parse(fact.data);
        after = freeze(actor.evolve(after, freeze(fact)));
      }
    }));
  });

  Deno.test(`${domain}: commands are named domain.noun.verb in the imperative`, () => {
    for (const type of Object.keys(actor.commands)) {
      assert.match(type, /^[a-z]+\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/);
      assert.equal(type.slice(0, type.indexOf(".")), domain);
      assert.doesNotMatch(type, /ed$/);
    }
    assert.ok(Number.isInteger(actor.version) && actor.version >= 1);
  });
}

Deno.test("a domain has one actor", () => {
  assert.equal(new Set(actors.map(({ domain }) => domain)).size, actors.length);
});
