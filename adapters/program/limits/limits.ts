/** Every limit of a running server: how often accounts, tokens and addresses may ask, what is kept of it, and what is told of it. */
import type { Child } from "../../../actors/kernel/child.ts";
import { type Clock, pause, type Random } from "../../../actors/kernel/world.ts";
import type { Config } from "../../../config/config.ts";
import type { Millis } from "../../../events/event.ts";
import type { Append } from "../../../events/log.ts";
import { looksSealed } from "../../../events/personal.ts";
import type { DoorFact } from "../../../events/kernel_door.ts";
import { Addresses, type AddressOptions } from "../../http/addresses.ts";
import type { Measure } from "../../http/metrics.ts";
import { type Rate, RateLimiter } from "../../http/rate.ts";
import { Connections } from "./connections.ts";
import { DoorFacts } from "./door_facts.ts";
import { Quotas } from "./quotas.ts";
import { AheadFiles, ANYBODY } from "./ahead.ts";
import {
  type Hashed,
  hashedUnder,
  type Instant,
  isKept,
  readSnapshot,
  resumeFrom,
  SNAPSHOT,
  type Snapshot,
  snapshotOf,
  type Used,
  usedBefore,
} from "./snapshot.ts";

type Crossed = Extract<DoorFact, { type: "kernel.limit.crossed" }>["data"];
type Whose = "principal" | "address" | "name" | "nobody";

export interface LimitsOptions {
  readonly config: Config;
  /** Seals on the way. Throws `LogFault`. */
  readonly append: (batch: Append) => Promise<unknown>;
  readonly clock: Clock;
  readonly random: Random;
  /** Under which callers are hashed in the file. */
  readonly secret: () => Uint8Array;
  /** Of the snapshot; absent: none is kept. */
  readonly file: string | undefined;
  /** Told once of a snapshot that cannot be written. */
  readonly report: (line: string) => void;
  /** What blocks addresses. */
  readonly blocks?: Pick<AddressOptions, "blocked" | "blocking">;
}

/** New connections are told of so often, where there were any. */
const COUNTED_MS = 60_000;
/** Of an address that goes on asking, one fact in so long. */
const REFUSED: Rate = { max: 1, window_ms: 60_000 };
const GRACE_MS = 5_000;
const CHARS_MAX = 256;
const CREDENTIAL = "signin_credential";

export class Limits {
  readonly user: RateLimiter;
  readonly token: RateLimiter;
  readonly denied: RateLimiter;
  readonly signin: { readonly name: RateLimiter; readonly address: RateLimiter; readonly credential: RateLimiter };
  readonly addresses: Addresses;
  readonly quotas: Quotas;
  private readonly connections = new Connections();
  private readonly refusals = new RateLimiter(REFUSED);
  private readonly all = new Map<string, RateLimiter>();
  private readonly facts: DoorFacts;
  private readonly hashed: Hashed;
  private readonly ahead: AheadFiles | undefined;
  private before: Used = {};
  private turn = 0;
  /** Whether the snapshot of this turn is still to be written. */
  private turning = false;
  private written = -1;
  private unwritable = false;

  constructor(private readonly options: LimitsOptions) {
    const { config: { server, identity }, append, clock } = options;
    this.facts = new DoorFacts(append, options);
    const hashed = hashedUnder(options.secret);
    // Hashes of passwords lie nowhere but among keys.
    this.hashed = (limit, caller) => limit === CREDENTIAL ? ANYBODY : hashed(limit, caller);
    this.ahead = options.file === undefined ? undefined : new AheadFiles(options.file);
    const { rate } = server;
    this.user = this.add("user", { max: rate.user.requests_max, window_ms: rate.user.window_ms }, "principal");
    this.token = this.add("token", { max: rate.requests_max, window_ms: rate.window_ms }, "principal");
    this.denied = this.add("denied", { max: rate.denied_max, window_ms: rate.window_ms }, "address");
    const { window_ms, name_max, address_max, credential_max } = identity.rate;
    this.signin = {
      name: this.add("signin_name", { max: name_max, window_ms }, "name"),
      address: this.add("signin_address", { max: address_max, window_ms }, "address"),
      credential: this.add(CREDENTIAL, { max: credential_max, window_ms }, "nobody"),
    };
    this.quotas = new Quotas({
      tenants: identity.tenants,
      clock,
      // Told of by the tenant, not by a caller.
      add: (name, max, window_ms) => this.limiter(name, { max, window_ms }),
      tell: (fact) => this.tell(fact),
    });
    this.addresses = new Addresses({
      allow: server.allow,
      ...options.blocks,
      refused: (rule, address) => {
        this.connections.refused();
        if (address === "" || this.refusals.take(`${rule} ${address}`, clock.monotonic()) > 0) return;
        this.tell({ type: "kernel.address.refused", data: { rule, address: address.slice(0, CHARS_MAX) } });
      },
    });
  }

  /** A limit that is told of, measured and kept across restarts. */
  add(name: string, rate: Rate, whose: Whose): RateLimiter {
    return this.limiter(name, rate, (caller) => this.crossed(name, rate, whose, caller));
  }

  private limiter(name: string, rate: Rate, crossed: (caller: string) => void = () => {}): RateLimiter {
    const kept = (caller: string) => this.hashed(name, caller);
    const ahead = (caller: string, used: number) => this.tellAhead(name, caller, used);
    const limiter = new RateLimiter(rate, { crossed, kept, ...(this.ahead && isKept(rate) && { ahead }) });
    this.all.set(name, limiter);
    return limiter;
  }

  tell(fact: DoorFact): void {
    this.facts.tell(fact);
  }

  readonly connected = (address: string, port: number): void => this.connections.request(address, port);

  /** Reads what callers had before; to be called before anybody is let in. */
  async resume(): Promise<void> {
    const { file } = this.options;
    if (file === undefined) return;
    const now = this.now();
    const lost: Error[] = [];
    const unread = (error: Error): undefined => void lost.push(error);
    const snapshot = await snapshotIn(file).catch(unread);
    const ahead = this.ahead!.read(unread);
    if (lost[0]) this.options.report(`what limits were used is not known, so everybody waits: ${lost[0].message}`);
    this.before = usedBefore(snapshot, ahead, now.wall);
    resumeFrom(lost[0] ? "lost" : this.before, this.all, now);
    this.turn = 1 + ahead.reduce((last, { turn }) => Math.max(last, turn), snapshot?.turn ?? 0);
    this.ahead!.begin(this.turn);
    this.turning = true;
    await this.keep(false).then(() => this.ahead!.clear()).catch(this.failed);
  }

  /** Keeps and tells, every second. */
  get child(): Child {
    return {
      id: "limits",
      restart: "permanent",
      grace: GRACE_MS,
      run: async (signal) => {
        const { clock } = this.options;
        let counted = clock.monotonic();
        let from = clock.now();
        while (!signal.aborted) {
          await this.keep(false).catch(this.failed);
          if (clock.monotonic() - counted >= COUNTED_MS) {
            this.count(from);
            [counted, from] = [clock.monotonic(), clock.now()];
          }
          await this.facts.flush();
          await pause(clock, SNAPSHOT.every_ms, signal);
        }
        this.count(from);
        await this.facts.flush();
        await this.keep(true).catch(this.failed);
      },
    };
  }

  /** Limits hold without the files, so a disk that is full or a folder that is shut ends nothing: it is tried again with the next round. */
  private readonly failed = (error: Error): void => {
    if (!this.unwritable) this.options.report(`limits are not kept for a restart: ${error.message}`);
    this.unwritable = true;
  };

  private tellAhead(limit: string, caller: string, used: number): void {
    try {
      this.ahead!.tell(limit, caller, used);
    } catch (error) {
      this.failed(error as Error);
    }
  }

  /** Writes the snapshot if there is anything new in it. */
  async keep(clean: boolean): Promise<void> {
    const { file } = this.options;
    const changes = [...this.all.values()].reduce((sum, { changes }) => sum + changes, 0);
    if (file === undefined || (changes === this.written && !clean)) return;
    // Turns stand still until one is written: what was told in both that there are files for counts until then.
    if (!this.turning) {
      this.turn = this.ahead!.next();
      for (const limiter of this.all.values()) limiter.turn();
    }
    this.turning = true;
    const { before, turn } = this;
    const text = JSON.stringify(snapshotOf(this.all, this.now(), { before, clean, turn }));
    await Deno.writeTextFile(`${file}.new`, text, { mode: 0o600 });
    await Deno.rename(`${file}.new`, file);
    this.turning = false;
    // A file that is full begins anew with the next turn.
    this.unwritable = this.ahead!.isFull;
    this.written = changes;
    if (clean) this.ahead!.clear();
  }

  private count(from: Millis): void {
    const { clock } = this.options;
    const counted = this.connections.take();
    if (counted.connections + counted.refused === 0) return;
    this.tell({
      type: "kernel.connection.counted",
      data: { from: new Date(from).toISOString(), until: new Date(clock.now()).toISOString(), ...counted },
    });
  }

  private now(): Instant {
    return { wall: this.options.clock.now(), monotonic: this.options.clock.monotonic() };
  }

  private crossed(limit: string, { max, window_ms }: Rate, whose: Whose, caller: string): void {
    const text = caller.slice(0, CHARS_MAX).toWellFormed();
    const who: Partial<Crossed> = whose === "nobody" || text === "" || looksSealed(text) ? {} : { [whose]: text };
    this.tell({ type: "kernel.limit.crossed", data: { limit, max, window_ms, ...who } });
  }

  get measures(): readonly Measure[] {
    const each = (
      kind: Measure["kind"],
      name: string,
      help: string,
      value: (limiter: RateLimiter) => number,
    ): Measure => ({
      name: `daybook_limit_${name}`,
      help,
      kind,
      samples: () => [...this.all].map(([limit, limiter]) => ({ labels: { limit }, value: value(limiter) })),
    });
    return [
      each("gauge", "callers", "Callers whose arrivals are remembered.", ({ keys }) => keys),
      each("counter", "refused_total", "Arrivals that were refused.", ({ counts }) => counts.refused),
      each(
        "counter",
        "shared_total",
        "Arrivals of callers that had to share one stricter window, because too many others were remembered.",
        ({ counts }) => counts.shared,
      ),
    ];
  }
}

/** Nothing where there is none yet. Throws what the disk says, and of a file that is none. */
const snapshotIn = async (file: string): Promise<Snapshot | undefined> => {
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const snapshot = readSnapshot(text);
  if (!snapshot) throw new Error(`${file} is damaged`);
  return snapshot;
};
