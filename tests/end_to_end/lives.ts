/** A program that dies and comes back, again and again in one folder, traced by strace while it lives. */
import assert from "node:assert/strict";
import type { SeededRandom } from "../../adapters/simulation/random.ts";
import { until } from "../until.ts";
import { Book, events, moves, stands } from "./kill_load.ts";
import { DIED_EARLY, Program } from "./program.ts";

export class Lives {
  readonly data: string;
  private readonly book = new Book();
  private readonly trace: string;
  private count = 0;

  constructor(private readonly dir: string, private readonly random: SeededRandom) {
    this.data = `${dir}/data`;
    this.trace = `${dir}/trace`;
  }

  /** One life under load; `begun` is called when it is busy. Answers the calls that were made, each with its thread. */
  async traced(filters: readonly string[], begun: (program: Program) => void): Promise<readonly string[]> {
    // The tracer is nobody's parent (-D), so that signals and how it ended are the program's own.
    const under = ["strace", "-D", "-f", "-q", "-o", this.trace, ...filters];
    const program = await Program.start(this.data, {}, { under }).catch((error) => {
      if (!DIED_EARLY.test(String(error))) throw error;
    });
    if (program) {
      await this.book.load(program, {
        name: `${this.count++}`,
        kinds: [events(4), events(4), moves],
        random: this.random,
        dead: program.died,
        begun: () => begun(program),
      });
    }
    const told = async () => (await Deno.readTextFile(this.trace)).trimEnd().split("\n");
    return await until("the tracer has told how each thread ended", told, (lines) => running(lines).size === 0);
  }

  /** A life that nothing cuts off finds all that was answered, and ends in order; what it leaves verifies. */
  async whole(): Promise<void> {
    const { book, data } = this;
    const program = await Program.start(data);
    await book.repeat(program);
    await book.check(program);
    const { code, err } = await program.end("SIGTERM");
    assert.equal(code, 0, err);
    await stands(this.dir);
  }
}

/** Threads of which no end was told. */
const running = (lines: readonly string[]): ReadonlySet<string> => {
  const ended = new Set(lines.flatMap((line) => /^(\d+) +\+\+\+ /.exec(line)?.[1] ?? []));
  return new Set(lines.map((line) => line.split(" ", 1)[0]!)).difference(ended);
};
