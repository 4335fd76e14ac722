/**
 * Metrics of services' own: what each running instance told last, in memory and nowhere else (`docs/decisions/0177`). Of one that cannot
 * be read nothing is known but that: `up` is 0.
 */
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { type Asked, get } from "../../process/loopback.ts";
import { scrape } from "../../prometheus/scrape.ts";
import type { Sample } from "../../prometheus/text.ts";
import type { MetricsLaunch } from "./launch.ts";
import type { Of } from "./reports.ts";

/** A series of an instance. */
export interface ServiceSample extends Sample {
  readonly service: string;
  readonly replica: number;
}

/** `up`, as Prometheus has it, is ours: whether the instance could be read. */
export const samplesOf = ({ service, replica, up, samples }: Scraped): readonly ServiceSample[] => [
  { service, replica, name: "up", labels: {}, value: up ? 1 : 0 },
  ...samples.filter(({ name }) => name !== "up").map((sample) => ({ service, replica, ...sample })),
];

export interface Scraped extends Of {
  readonly up: boolean;
  readonly samples: readonly Sample[];
  /** How long the look took. */
  readonly ms: number;
  /** What was wrong, of one that is not up. */
  readonly because?: string;
}

export type Scraping = MetricsLaunch & Pick<Asked, "trusted">;

export class Scrapes {
  /** By nonce; nothing is found until the first look has ended. */
  private readonly entries = new Map<string, { found?: Scraped }>();

  constructor(private readonly clock: Clock) {}

  /** Looks again and again, until the signal aborts; then nothing is known of the instance any more. Never rejects. */
  async follow(
    of: Of,
    nonce: string,
    { interval_ms, ...endpoint }: Scraping,
    signal: AbortSignal,
  ): Promise<void> {
    const entry: { found?: Scraped } = {};
    this.entries.set(nonce, entry);
    while (!signal.aborted) {
      const found = await this.look(of, endpoint, signal);
      if (signal.aborted) break;
      entry.found = found;
      await pause(this.clock, interval_ms, signal);
    }
    // Another one may look by now.
    if (this.entries.get(nonce) === entry) this.entries.delete(nonce);
  }

  /** What an instance told last. */
  of(nonce: string): Scraped | undefined {
    return this.entries.get(nonce)?.found;
  }

  get all(): readonly Scraped[] {
    return [...this.entries.values()].flatMap(({ found }) => found ?? []);
  }

  private async look(
    of: Of,
    { timeout_ms, trusted, ...endpoint }: Omit<Scraping, "interval_ms">,
    stopped: AbortSignal,
  ): Promise<Scraped> {
    const { clock } = this;
    const began = clock.monotonic();
    const late = new AbortController();
    const cancel = clock.schedule(timeout_ms, () => late.abort(new Error(`no answer within ${timeout_ms} ms`)));
    try {
      const samples = await scrape(endpoint, {
        get: (url, asked) => get(url, { ...asked, trusted }),
        signal: AbortSignal.any([late.signal, stopped]),
      });
      return { ...of, up: true, samples, ms: clock.monotonic() - began };
    } catch (error) {
      const because = (late.signal.aborted ? late.signal.reason as Error : error as Error).message.split("\n", 1)[0]!;
      return { ...of, up: false, samples: [], ms: clock.monotonic() - began, because: because.slice(0, 300) };
    } finally {
      cancel();
    }
  }
}
