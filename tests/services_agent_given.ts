/** The agent as a process of its own, spoken to as Daybook speaks to it. */
import { fileURLToPath } from "node:url";
import type { Answer, Asks, FromAgent, ToAgent } from "../adapters/process/agent/protocol.ts";
import { fromAgent } from "../adapters/process/agent/protocol.ts";
import { V8_FLAGS } from "../adapters/process/reexec.ts";
import { inFolder } from "./folder_given.ts";
import { within } from "./until.ts";

const FILE = fileURLToPath(new URL("../adapters/process/agent/agent.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../deno.json", import.meta.url));

type AskOf<A extends Asks> = Omit<Extract<ToAgent, { readonly ask: A }>, "ask" | "id">;

export class Agent {
  private readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  private readonly heard: FromAgent[] = [];
  private waiting: (() => void)[] = [];
  private ids = 0;
  private over = false;
  private readonly reading: Promise<void>;

  private constructor(readonly process: Deno.ChildProcess) {
    this.writer = process.stdin.getWriter();
    this.reading = this.read();
  }

  /** One that is ready, with a folder of its own; it is gone when the body is over. `before`: what a shell does before it is it. */
  static with(body: (agent: Agent, folder: string) => Promise<void>, before = ""): Promise<void> {
    return inFolder(async (folder) => {
      const program = [Deno.execPath(), "run", "-q", V8_FLAGS, "-A", "--no-lock", "--config", CONFIG, FILE];
      const agent = new Agent(
        new Deno.Command("/bin/sh", {
          args: ["-c", `${before} exec "$0" "$@"`, ...program],
          stdin: "piped",
          stdout: "piped",
          stderr: "inherit",
        }).spawn(),
      );
      try {
        await agent.said((said) => "said" in said && said.said === "ready");
        await body(agent, folder);
      } finally {
        await agent.writer.close().catch(() => {});
        await agent.reading;
        await agent.process.status;
      }
    });
  }

  /** Asks all in one go, so that none is answered before the last is heard. */
  async asks<A extends Asks>(ask: A, about: readonly AskOf<A>[]): Promise<Answer<A>[]> {
    const ids = about.map(() => this.ids++);
    const lines = about.map((each, i) => `${JSON.stringify({ ask, id: ids[i], ...each })}\n`).join("");
    await this.writer.write(new TextEncoder().encode(lines));
    const answers: Answer<A>[] = [];
    for (const id of ids) {
      const answer = await this.said((said) => "id" in said && said.id === id) as {
        answer: Answer<A>;
        failed?: string;
      };
      if (answer.failed !== undefined) throw new Error(answer.failed);
      answers.push(answer.answer);
    }
    return answers;
  }

  async ask<A extends Asks>(ask: A, about: AskOf<A>): Promise<Answer<A>> {
    const [answer] = await this.asks(ask, [about]);
    return answer!;
  }

  /** The next of these that it says; each is given once. */
  async said(is: (said: FromAgent) => boolean): Promise<FromAgent> {
    for (;;) {
      const at = this.heard.findIndex(is);
      if (at >= 0) return this.heard.splice(at, 1)[0]!;
      if (this.over) throw new Error("the agent has ended");
      const { promise, resolve } = Promise.withResolvers<void>();
      this.waiting.push(resolve);
      await within(`the agent says: ${is}`, promise, { seen: () => this.heard });
    }
  }

  /** What it has said and nobody was given yet. */
  get left(): readonly FromAgent[] {
    return this.heard;
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  private async read(): Promise<void> {
    let rest = "";
    for await (const text of this.process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.heard.push(fromAgent.parse(JSON.parse(line)));
      this.wake();
    }
    this.over = true;
    this.wake();
  }
}

/** Processes are found by it on the whole machine. */
export const nonce = (): string => crypto.randomUUID();

/** A start of a shell script, with everything that a start must say. */
export const starting = (folder: string, nonce: string, script: string): AskOf<"start"> => ({
  nonce,
  command: "/bin/sh",
  arguments: ["-c", script],
  folder,
  environment: {},
  inherit: ["PATH"],
  limits: {},
  leftovers: [],
  traces: `${folder}/started`,
  log: { path: `${folder}/out.log`, bytes_max: 4_096, keep: 1 },
});

/** The same, run to its end. */
export const running = (
  { command, arguments: given, folder, environment, inherit, traces }: AskOf<"start">,
  timeout_ms: number,
): AskOf<"run"> => ({ command, arguments: given, folder, environment, inherit, traces, timeout_ms });
