/** The near end of the agent: starts it, asks it, hears from it, and notices when it dies or says nothing. */
import { fileURLToPath } from "node:url";
import type { Child, Self } from "../../../actors/kernel/child.ts";
import { Silence } from "../../../actors/kernel/silence.ts";
import { type Clock, pause } from "../../../actors/kernel/world.ts";
import { V8_FLAGS } from "../reexec.ts";
import { type Answer, answers, type Asks, fromAgent, type How, PROTOCOL, type ToAgent } from "./protocol.ts";

const AGENT = {
  /** Asked so often whether it is there. */
  ping_ms: 2_000,
  /** No answer for so long, and it is taken for dead. */
  silent_ms: 15_000,
  ready_ms: 20_000,
  grace_ms: 3_000,
} as const;

/** What it says by itself. */
export interface Heard {
  exited(nonce: string, how: How): void;
  line(nonce: string): void;
  lost(nonce: string, bytes: number): void;
}

type AskOf<A extends Asks> = Omit<Extract<ToAgent, { readonly ask: A }>, "ask" | "id">;

/** It is not there, or died before it answered. What was asked may have been done. */
export class AgentGone extends Error {
  override readonly name = "AgentGone";
}

const TOO_LONG = `what it is started with has more than ${PROTOCOL.line_max} characters`;

/** What is longer than a line may be is never said: it is answered as the agent answers what it refuses. */
const tooLong: { readonly [A in Asks]?: Answer<A> } = {
  start: { refused: TOO_LONG },
  look: { refused: TOO_LONG },
  inspect: { refused: TOO_LONG },
  run: { code: null, timed_out: false, because: TOO_LONG },
};

interface Run {
  readonly process: Deno.ChildProcess;
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly asked: Map<number, { readonly ask: Asks; readonly answer: PromiseWithResolvers<unknown> }>;
  readonly silence: Silence;
}

/** A child of the tree; each run is an agent anew. */
export class AgentLine implements Child {
  readonly id = "agent";
  readonly restart = "permanent";
  readonly grace = AGENT.grace_ms;
  readonly readyWithin = AGENT.ready_ms;
  private present: Run | undefined;
  private waiting: (() => void)[] = [];
  private ids = 0;

  /** `heard` may be called as soon as a run is ready. */
  constructor(
    private readonly clock: Clock,
    private readonly heard: Heard,
    /** Called at each run, when it can be asked. */
    private readonly began: () => void,
  ) {}

  /** Resolves when it can be asked; rejects where it does not come within `AGENT.ready_ms`. */
  async there(): Promise<void> {
    if (this.present) return;
    const there = Promise.withResolvers<void>();
    this.waiting.push(there.resolve);
    const late = () => there.reject(new Error(`the agent was not ready within ${AGENT.ready_ms} ms`));
    const cancel = this.clock.schedule(AGENT.ready_ms, late);
    await there.promise.finally(cancel);
  }

  /** Rejects with `AgentGone`, or with what the agent says of why it could not. May be repeated. */
  ask<A extends Asks>(ask: A, about: AskOf<A>): Promise<Answer<A>> {
    const id = this.ids++;
    const line = JSON.stringify({ ask, id, ...about });
    if (line.length > PROTOCOL.line_max) {
      const refused = tooLong[ask];
      return refused ? Promise.resolve(refused) : Promise.reject(new Error(`${ask}: ${TOO_LONG}`));
    }
    const run = this.present;
    if (!run) return Promise.reject(new AgentGone("the agent is not running"));
    const answer = Promise.withResolvers<unknown>();
    run.asked.set(id, { ask, answer });
    run.writer.write(new TextEncoder().encode(`${line}\n`)).catch(() => {}); // its end is noticed where it is read
    return answer.promise as Promise<Answer<A>>;
  }

  async run(signal: AbortSignal, self: Self): Promise<void> {
    const process = ahead ?? spawn();
    ahead = undefined;
    const run: Run = {
      process,
      writer: process.stdin.getWriter(),
      asked: new Map(),
      silence: new Silence(this.clock, AGENT.ping_ms),
    };
    const stop = () => void run.writer.close().catch(() => {});
    signal.addEventListener("abort", stop, { once: true });
    const over = new AbortController();
    try {
      const listening = this.listen(run, self);
      await Promise.race([listening, this.watch(run, over.signal)]);
      const { code, signal: by } = await process.status;
      if (!signal.aborted) throw new Error(`the agent has ended: ${by ?? `code ${code}`}`);
    } finally {
      over.abort();
      this.present = undefined;
      signal.removeEventListener("abort", stop);
      for (const { answer } of run.asked.values()) answer.reject(new AgentGone("the agent has ended"));
      kill(process);
      await run.writer.abort().catch(() => {});
      await process.status;
    }
  }

  private async listen(run: Run, self: Self): Promise<void> {
    let rest = "";
    for await (const text of run.process.stdout.pipeThrough(new TextDecoderStream())) {
      run.silence.broken();
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      if (rest.length > PROTOCOL.line_max) throw new Error("the agent says more than a line may hold");
      for (const line of lines) this.take(run, fromAgent.parse(JSON.parse(line)), self);
    }
  }

  private take(run: Run, said: ReturnType<typeof fromAgent.parse>, self: Self): void {
    if ("said" in said) {
      switch (said.said) {
        case "ready":
          this.present = run;
          for (const resolve of this.waiting.splice(0)) resolve();
          self.ready();
          return this.began();
        case "exited":
          return this.heard.exited(said.nonce, said.how);
        case "line":
          return this.heard.line(said.nonce);
        case "lost":
          return this.heard.lost(said.nonce, said.bytes);
      }
    }
    const asked = run.asked.get(said.id);
    run.asked.delete(said.id);
    if (!asked) return;
    if ("failed" in said) asked.answer.reject(new Error(said.failed));
    else asked.answer.resolve(answers[asked.ask].parse(said.answer));
  }

  private async watch(run: Run, signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.clock, AGENT.ping_ms, signal);
      if (signal.aborted) return;
      if (run.silence.look() > AGENT.silent_ms) {
        throw new Error(`the agent has said nothing for ${AGENT.silent_ms} ms`);
      }
      if (this.present === run) this.ask("ping", {}).catch(() => {});
    }
  }
}

/** Begun by a program that is sure to run an agent soon, so that it is ready sooner. It ends with the program, whatever becomes of that. */
let ahead: Deno.ChildProcess | undefined;
export const beginAhead = (): void => void (ahead ??= spawn());

const spawn = (): Deno.ChildProcess =>
  new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-q",
      V8_FLAGS,
      "-A",
      "--no-lock",
      ...configOf(),
      fileURLToPath(new URL("./agent.ts", import.meta.url)),
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();

const kill = (process: Deno.ChildProcess | undefined): void => {
  try {
    process?.kill("SIGKILL");
  } catch {
    // it has ended
  }
};

/** The import map is needed where the program is run from elsewhere than its folder. */
const configOf = (): readonly string[] => [
  "--config",
  fileURLToPath(new URL("../../../deno.json", import.meta.url)),
];
