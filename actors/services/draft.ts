/** A decision about a stack while it is made. */
import { type ServiceFact } from "../../events/services.ts";
import type { Context, Timer } from "../types.ts";
import { evolve, type Life, type Service, serviceOf, type Stack } from "./state.ts";

/** What a decision may come to before the rest is left for later: a log takes 1,000 events and 720,000 bytes at once. */
const ROUND = { events_max: 500, chars_max: 200_000 } as const;

/** A decision under way: facts so far, and the stack as they leave it. */
export class Draft {
  readonly facts: ServiceFact[] = [];
  readonly timers: Timer[] = [];
  private nonces = 0;
  private chars = 0;

  constructor(public stack: Stack, private readonly context: Pick<Context, "at" | "fresh">) {}

  get at(): number {
    return this.context.at;
  }

  /** What follows further does so in a decision of its own. */
  get isFull(): boolean {
    return this.facts.length + this.timers.length >= ROUND.events_max || this.chars >= ROUND.chars_max;
  }

  add(fact: ServiceFact): void {
    this.facts.push(fact);
    this.chars += JSON.stringify(fact.data).length;
    this.stack = evolve(this.stack, fact);
  }

  nonce(): string {
    return `${this.context.fresh}.${this.nonces++}`;
  }

  /** In [0, 1), from what is fresh in the context, so that deciding stays a function. */
  chance(): number {
    let hash = 0x811c9dc5;
    for (const char of `${this.context.fresh}/${this.nonces++}`) {
      hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
    }
    return hash / 2 ** 32;
  }

  service(name: string): Service | undefined {
    return serviceOf(this.stack, name);
  }

  life(name: string, replica: number): Life | undefined {
    return serviceOf(this.stack, name)?.lives[replica];
  }
}
