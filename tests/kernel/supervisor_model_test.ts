/** Supervision against OTP's table, as a model: who runs, who was started and stopped in which order, when it gives up. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Child, SupervisorSpec } from "../../actors/kernel/child.ts";
import { Puppet, rig, supervise } from "./rig.ts";

type Kind = Child["restart"];
type Strategy = SupervisorSpec["strategy"];
interface Step {
  readonly who: number;
  readonly how: "exit" | "crash";
  /** Time passes before it, ms. */
  readonly after: number;
}

/** What OTP's supervisor does (stdlib, supervisor.erl), in as few words as it takes. */
class Model {
  readonly journal: string[] = [];
  readonly running: boolean[];
  gone = false;
  private restarts: number[] = [];

  constructor(
    readonly kinds: readonly Kind[],
    readonly strategy: Strategy,
    readonly max: number,
    readonly within: number,
  ) {
    this.running = kinds.map(() => true);
    for (const i of kinds.keys()) this.journal.push(`+${i}`);
  }

  end(who: number, how: Step["how"], now: number): void {
    this.running[who] = false;
    if (this.kinds[who] === "temporary" || (this.kinds[who] === "transient" && how === "exit")) return;
    this.restarts = [...this.restarts.filter((at) => at >= now - this.within), now];
    if (this.restarts.length > this.max) {
      this.gone = true;
      return this.stop(this.all);
    }
    const group = this.strategy === "one_for_one"
      ? [who]
      : this.strategy === "one_for_all"
      ? this.all
      : this.all.slice(who);
    this.stop(group);
    for (const i of group) {
      if (this.kinds[i] === "temporary") continue;
      this.running[i] = true;
      this.journal.push(`+${i}`);
    }
  }

  get all(): number[] {
    return [...this.kinds.keys()];
  }

  stop(group: readonly number[]): void {
    for (const i of [...group].reverse()) {
      if (this.running[i]) this.journal.push(`-${i}`);
      this.running[i] = false;
    }
  }
}

Deno.test("a supervisor does what OTP's does, whatever ends when", async () => {
  const kinds = fc.array(fc.constantFrom<Kind>("permanent", "transient", "temporary"), { minLength: 1, maxLength: 5 });
  const steps = fc.array(
    fc.record({ who: fc.nat(4), how: fc.constantFrom<Step["how"]>("exit", "crash"), after: fc.nat(400) }),
    { maxLength: 25 },
  );
  const strategy = fc.constantFrom<Strategy>("one_for_one", "one_for_all", "rest_for_one");
  await fc.assert(
    fc.asyncProperty(kinds, steps, strategy, fc.nat(4), async (kinds, steps, strategy, max) => {
      const r = rig();
      const within = 1_000;
      const model = new Model(kinds, strategy, max, within);
      const journal: string[] = [];
      const children = kinds.map((restart, i) => new Puppet(String(i), journal, { restart }));
      const { stop, run, ended } = await supervise(r, { strategy, restarts: { max, within }, children });
      for (const { who, how, after } of steps) {
        await r.clock.advance(after);
        if (who >= kinds.length || !model.running[who] || model.gone) continue;
        children[who]![how]();
        model.end(who, how, r.clock.monotonic());
        await r.clock.settle();
        assert.deepEqual(children.map(({ running }) => running), model.running);
        assert.equal(ended() !== undefined, model.gone);
      }
      if (!model.gone) model.stop(model.all);
      stop.abort();
      await r.clock.until(run);
      assert.deepEqual(journal, model.journal);
    }),
    { numRuns: 300 },
  );
});
