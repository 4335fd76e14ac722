/** Responses that stand right now, followed in the log, for the door to hold to on every route. */
import type { Child } from "../../../actors/kernel/child.ts";
import { readableFrom } from "../../../actors/kernel/kept.ts";
import type { Clock } from "../../../actors/kernel/world.ts";
import { type Event, type Millis, millis } from "../../../events/event.ts";
import type { EventLog } from "../../../events/log.ts";
import type { ThreatFact } from "../../../events/threats.ts";
import type { Views } from "../../../projections/views.ts";
import { BlockList, isIP } from "node:net";
import { LRUCache } from "lru-cache";
import { addressOf, listOf } from "../../http/addresses.ts";

const HEARD = ["threats.response.taken", "threats.response.lifted"] as const;
/** Pseudonyms of addresses that asked lately. */
const ADDRESSES_MAX = 10_000;
/** Those whose time is over are looked for so often. */
const FORGET_MS = 60_000;
/** How far back a response may have been taken that still stands. */
const GRACE_MS = 5_000;

interface Standing {
  readonly rule: string;
  readonly until: Millis;
}

/** What stands at a size of the log, by what it is about. */
interface Noted {
  readonly size: number;
  readonly blocks: readonly (readonly [string, Standing])[];
  readonly challenges: readonly (readonly [string, Standing])[];
}

const NOTE = "responses/standing";

export interface EnforcedOptions {
  readonly views: Pick<Views, "note" | "setNote">;
  readonly log: Pick<EventLog, "hear" | "read" | "size">;
  readonly clock: Clock;
  /** Networks that are never blocked. */
  readonly never: readonly string[];
  /** Of an address, in the month of that time; `undefined` where nobody has one in that month. */
  readonly pseudonym: (address: string, time: string) => string | undefined;
}

export class Enforced {
  private readonly blocks = new Map<string, Standing>();
  private readonly challenges = new Map<string, Standing>();
  private readonly pseudonyms = new LRUCache<string, readonly string[]>({
    maxSize: ADDRESSES_MAX,
    sizeCalculation: () => 1,
  });
  private readonly never: BlockList;
  private month = "";
  /** Until then nobody looks for those whose time is over. */
  private kept = -Infinity;

  constructor(private readonly options: EnforcedOptions) {
    this.never = listOf(options.never);
  }

  /** All that was ever done, before anybody is let in; answers from where to go on. */
  begin(): number {
    const { log } = this.options;
    const { size } = log;
    for (const page of log.read({ types: HEARD, from: this.recall(), until: size })) {
      page.forEach((event) => this.take(event));
    }
    return size;
  }

  /** Notes what stands, for when what led to it lies in an archive. */
  note(size: number): void {
    const now = this.options.clock.now();
    const standing = (kept: ReadonlyMap<string, Standing>) => [...kept].filter(([, { until }]) => now < until);
    const noted: Noted = { size, blocks: standing(this.blocks), challenges: standing(this.challenges) };
    this.options.views.setNote(NOTE, noted);
  }

  /** Takes up what was noted; answers from where on the log tells more. Where the note is lost, what was archived is, too. */
  private recall(): number {
    const { log, views } = this.options;
    const readable = readableFrom(log);
    if (readable === 0) return 0;
    const noted = views.note(NOTE) as Noted | undefined;
    if (!noted || noted.size > log.size) return readable;
    for (const [id, standing] of noted.blocks) this.blocks.set(id, standing);
    for (const [id, standing] of noted.challenges) this.challenges.set(id, standing);
    return Math.max(readable, noted.size);
  }

  child(from: number): Child {
    let next = from;
    return {
      id: "responses",
      restart: "permanent",
      grace: GRACE_MS,
      run: async (signal) => {
        for await (const { events, size } of this.options.log.hear(HEARD, next, signal)) {
          for (const event of events) this.take(event);
          next = size;
        }
      },
    };
  }

  readonly blocking = (): boolean => this.blocks.size > 0;

  readonly blocked = (address: string): { readonly rule: string; readonly ms: Millis } | undefined => {
    const now = this.options.clock.now();
    this.forgetOver(now);
    for (const pseudonym of this.pseudonymsOf(address, now)) {
      const block = standing(this.blocks, pseudonym, now);
      if (block && !this.isExempt(address)) return { rule: block.rule, ms: block.until - now };
    }
    return undefined;
  };

  /** Whether sessions of this account show a second factor again and again. */
  isChallenged(account: string): boolean {
    return standing(this.challenges, account, this.options.clock.now()) !== undefined;
  }

  private take(event: Event): void {
    const { type, data: { response, subject: { id }, ...data } } = event as Event<
      Extract<ThreatFact, { type: typeof HEARD[number] }>
    >;
    const kept = response === "block" ? this.blocks : response === "step_up" ? this.challenges : undefined;
    const now = this.options.clock.now();
    if (type === "threats.response.lifted") kept?.delete(id);
    // A start reads all that was ever done.
    else if ("until" in data && now < millis(data.until)) {
      kept?.set(id, { rule: data.rule, until: millis(data.until) });
    }
    this.forgetOver(now);
  }

  /** Most of those that were blocked never ask again. */
  private forgetOver(now: Millis): void {
    // A clock that was set back is no reason to wait.
    if (now < this.kept && now >= this.kept - FORGET_MS) return;
    this.kept = now + FORGET_MS;
    for (const kept of [this.blocks, this.challenges]) {
      for (const [id, { until }] of kept) if (now >= until) kept.delete(id);
    }
  }

  /** Of this month and of the one before: a block may reach over the turn. */
  private pseudonymsOf(address: string, now: Millis): readonly string[] {
    const at = new Date(now);
    const month = at.toISOString().slice(0, "2026-11".length);
    if (month !== this.month) this.pseudonyms.clear();
    this.month = month;
    let known = this.pseudonyms.get(address);
    if (known) return known;
    const before = new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 0));
    known = [at, before].flatMap((time) => this.options.pseudonym(address, time.toISOString()) ?? []);
    this.pseudonyms.set(address, known);
    return known;
  }

  private isExempt(address: string): boolean {
    const plain = addressOf(address);
    const family = isIP(plain);
    return family !== 0 && this.never.check(plain, family === 6 ? "ipv6" : "ipv4");
  }
}

/** One whose time is over is forgotten when somebody asks for it. */
const standing = (kept: Map<string, Standing>, id: string, now: Millis): Standing | undefined => {
  const found = kept.get(id);
  if (found === undefined || now < found.until) return found;
  kept.delete(id);
  return undefined;
};
