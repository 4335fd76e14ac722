/**
 * The program is killed (SIGKILL) at every point it has a name for, and at none in particular, under load, again and again on
 * one folder for each. Whatever was answered must be there, once and in its place; what was not may be repeated.
 */
import assert from "node:assert/strict";
import Table from "cli-table3";
import { CRASH_POINTS, CRASH_VARIABLE, type CrashPoint } from "../../adapters/process/crash.ts";
import { type SeededRandom, seededRandom } from "../../adapters/simulation/random.ts";
import { bells, blobs, Book, events, type Kind, moves, stands, timersFired } from "./kill_load.ts";
import { DIED_EARLY, Program } from "./program.ts";

/** Rounds that count, over all points, each of which has at least one; `deno task soak` runs more of the same. */
const ROUNDS = Number(Deno.env.get("DAYBOOK_KILL_ROUNDS") ?? 1);
const ANYWHERE = "at any moment";
/** Passed by what an operator asks for, not under load; `rotate_log_test.ts`, `privacy_test.ts`, `stack_test.ts` and `identity_kill_test.ts` die there. */
const ASKED_FOR = /^(start|stop|archive|period|log_key|root_key|erasure|account|password|signing_key)\./;
const PLACES = [
  ...(Object.keys(CRASH_POINTS) as CrashPoint[]).filter((point) => !ASKED_FOR.test(point)),
  ANYWHERE,
] as const;
type Place = typeof PLACES[number];
/** Once more in a folder that is sealed at rest; with `DAYBOOK__LOG__SEALED_AT_REST=true` all are. */
const SEALED: readonly Place[] = ["append.flushing", "projection.half", ANYWHERE];
const FOLDERS = [...PLACES.map((place) => [place, false] as const), ...SEALED.map((place) => [place, true] as const)];
/** Tries at a point in one round, where nobody happened to wait. */
const TRIES_MAX = 20;
/** A point is reached by then, however busy the machine is. */
const REACHED_MS_MAX = 120_000;

const TIMERS = new URL("./kill_program.ts", import.meta.url);

const clients = (count: number, kind: Kind): readonly Kind[] => Array(count).fill(kind);
const MIXED = [...clients(8, events(4)), ...clients(2, moves), blobs];

/** What is sent so that the point is reached. */
const kindsOf = (place: Place): readonly Kind[] => {
  if (place.startsWith("index.")) return clients(6, events(500));
  if (place.startsWith("snapshot.")) return [...clients(12, moves), ...clients(2, events(4))];
  if (place.startsWith("timer.")) return [...clients(6, bells), ...clients(2, events(4))];
  if (place.startsWith("blob.")) return [...clients(4, blobs), ...clients(4, events(4))];
  return MIXED;
};

/** The point is passed so often before it is fatal, at most. */
const passes = (place: Place): number =>
  place.startsWith("append.") ? 60 : /^(projection|timer)\./.test(place) ? 8 : place.startsWith("blob.") ? 3 : 1;

interface Told {
  rounds: number;
  unanswered: number;
  durable: number;
}

class Rounds {
  readonly told: Told = { rounds: 0, unanswered: 0, durable: 0 };
  private readonly book = new Book();
  private tries = 0;
  private readonly data: string;

  constructor(
    private readonly place: Place,
    private readonly dir: string,
    private readonly random: SeededRandom,
    private readonly sealed: boolean,
  ) {
    this.data = `${dir}/data`;
  }

  private start(env: Readonly<Record<string, string>> = {}): Promise<Program> {
    const lies: Record<string, string> = this.sealed ? { DAYBOOK__LOG__SEALED_AT_REST: "true" } : {};
    return Program.start(this.data, { ...lies, ...env }, this.place.startsWith("timer.") ? { other: TIMERS } : {});
  }

  /** A program that dies at the point; `later`: it is passed so often more before. */
  private mortal(later: number): Promise<Program> {
    return this.start({ [CRASH_VARIABLE]: `${this.place}:${1 + later + this.random.between(0, passes(this.place))}` });
  }

  /** One life under load, which ends by itself or as `begun` has it. Answers how many waited when it did. */
  private live(program: Program, begun?: () => void): Promise<number> {
    const { random, place } = this;
    const name = `${this.told.rounds}-${this.tries++}`;
    return this.book.load(program, { name, kinds: kindsOf(place), random, dead: program.died, begun });
  }

  /** Killed at no point in particular. */
  private async killed(): Promise<number> {
    const program = await this.start();
    return await this.live(program, () => setTimeout(() => void program.end("SIGKILL"), this.random.between(0, 250)));
  }

  /** Killed at the point. */
  private async reached(tries: number): Promise<number> {
    const { place } = this;
    if (place === ANYWHERE) return await this.killed();
    // Nobody can be served before the start is over or after the end; those who were cut off before wait through it.
    const cut = /^(lock|shutdown)\./.test(place) ? await this.killed() : 0;
    if (place.startsWith("lock.")) {
      await assert.rejects(this.mortal(0), DIED_EARLY);
      return cut;
    }
    const program = await this.mortal(tries).catch((error) => {
      if (!DIED_EARLY.test(String(error))) throw error;
    });
    // A start passes some points, too.
    if (!program) return cut;
    const stop = place.startsWith("shutdown.") ? () => void program.end("SIGTERM") : undefined;
    const late = setTimeout(() => void program.end("SIGTERM"), REACHED_MS_MAX);
    const waiting = await this.live(program, stop);
    clearTimeout(late);
    assert.equal(
      (await program.died).signal,
      "SIGKILL",
      `${place} was not reached:\n${(await program.end("SIGKILL")).err}`,
    );
    return cut + waiting;
  }

  async round(): Promise<void> {
    const { book, told, dir, place } = this;
    for (let tries = 0;; tries++) {
      const waiting = await this.reached(tries);
      const after = await this.start();
      told.durable += await book.repeat(after);
      await book.check(after);
      if (place.startsWith("timer.")) await timersFired(after);
      const { code, err } = await after.end(told.rounds % 2 ? "SIGKILL" : "SIGTERM");
      assert.equal(code, told.rounds % 2 ? 137 : 0, err);
      await stands(dir);
      told.unanswered += waiting;
      if (waiting > 0) break; // else nobody was waiting: the round shows nothing
      assert.ok(tries < TRIES_MAX, `nobody waits at ${place}`);
    }
    told.rounds++;
  }
}

Deno.test("killed at every point and at any moment over HTTP, nothing that was answered is lost, doubled or moved", async (t) => {
  const random = seededRandom(Number(Deno.env.get("DAYBOOK_SIM_SEED") ?? 1));
  const only = Deno.env.get("DAYBOOK_KILL_AT");
  const all: [string, Told][] = [];
  for (const [place, sealed] of FOLDERS.filter(([place]) => only === undefined || place.startsWith(only))) {
    const name = sealed ? `${place}, sealed at rest` : place;
    await t.step(name, async () => {
      const dir = await Deno.makeTempDir();
      try {
        const rounds = new Rounds(place, dir, random.split(), sealed);
        while (rounds.told.rounds * PLACES.length < ROUNDS) await rounds.round();
        all.push([name, rounds.told]);
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
  const sum = (of: keyof Told) => all.reduce((sum, [, told]) => sum + told[of], 0);
  const table = new Table({ head: ["killed", "rounds", "unanswered", "durable"], style: { head: [], border: [] } });
  for (const [place, told] of all) table.push([place, told.rounds, told.unanswered, told.durable]);
  console.log(table.toString());
  console.log(
    `killed in ${sum("rounds")} rounds at ${all.length} places with ${sum("unanswered")} requests unanswered; ` +
      `${sum("durable")} of them were durable all the same`,
  );
});
