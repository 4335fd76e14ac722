/** Services that leave a trace of their own of every start, so that what Daybook says can be held against what happened. */
import assert from "node:assert/strict";
import { inFolder } from "../folder_given.ts";
import { Program, run } from "./program.ts";
import { until } from "../until.ts";

export interface Row {
  readonly service: string;
  readonly state: string;
  readonly nonce?: string;
  readonly pid?: number;
  readonly starts: number;
  readonly adopted: number;
  readonly last_exit?: string;
  readonly because?: string;
}

/** A service that writes `name nonce pid` when it begins, and then is what `then` says. */
export const tracing = (traces: string, name: string, then: string): string =>
  `command: /bin/sh\n    arguments: [-c, ${
    JSON.stringify(`echo "${name} $$DAYBOOK_NONCE $$$$" >> ${traces}; ${then}`)
  }]`;

/** Every start that really happened. */
export const startsIn = async (traces: string): Promise<readonly { name: string; nonce: string; pid: number }[]> => {
  const text = await Deno.readTextFile(traces).catch(() => "");
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [name, nonce, pid] = line.split(" ") as [string, string, string];
    return { name, nonce, pid: Number(pid) };
  });
};

const LIST = `for p in /proc/[0-9]*; do
  n=$(tr '\\0' '\\n' < $p/environ | grep ^DAYBOOK_NONCE=) && echo "\${p#/proc/} \${n#*=} $(sed 's/.*) //' $p/stat)"
done 2> /dev/null; :`;

/** Processes of the machine that were started under a nonce, zombies left out. */
export const running = async (nonces: ReadonlySet<string>): Promise<readonly { pid: number; nonce: string }[]> => {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", LIST] }).output();
  return new TextDecoder().decode(stdout).split("\n").flatMap((line) => {
    const [pid, nonce, state] = line.split(" ");
    return nonce !== undefined && nonces.has(nonce) && state !== "Z" ? [{ pid: Number(pid), nonce }] : [];
  });
};

export class Stand {
  private present: Program | undefined;

  private constructor(readonly data: string, readonly file: string, readonly traces: string) {}

  /** With a folder of its own; afterwards nothing of it is left, however the test ends. */
  static with(yaml: (traces: string) => string, body: (stand: Stand) => Promise<void>): Promise<void> {
    return inFolder(async (dir) => {
      const [file, traces] = [`${dir}/stack.yaml`, `${dir}/traces`];
      await Deno.writeTextFile(file, yaml(traces));
      const stand = new Stand(`${dir}/data`, file, traces);
      try {
        await body(stand);
      } finally {
        await stand.present?.end("SIGKILL");
        for (let left = await stand.alive(); left.length > 0; left = await stand.alive()) {
          for (const { pid } of left) {
            try {
              Deno.kill(pid, "SIGKILL");
            } catch {
              // it has ended
            }
          }
        }
      }
    });
  }

  async start(env: Readonly<Record<string, string>> = {}, more: readonly string[] = []): Promise<void> {
    this.present = await Program.start(this.data, env, { more: ["--stack", this.file, ...more] });
  }

  get program(): Program {
    return this.present!;
  }

  /** What is on record of the stack; `Told`: as much of an event as the test looks at. */
  async events<Told>(): Promise<readonly Told[]> {
    const told = await run("events", "--stream", "services/main", "--limit", "1000000", "--json", "--data", this.data);
    return (JSON.parse(told.out) as { readonly events: readonly Told[] }).events;
  }

  async board(): Promise<readonly Row[]> {
    const { url, token } = this.program;
    const response = await fetch(`${url}/views/services.board?limit=500`, {
      headers: { authorization: `Bearer ${token}` },
    });
    // Until the view is there for the first time.
    const { rows = [] } = await response.json() as { rows?: { row: Row }[] };
    return rows.map(({ row }) => row);
  }

  /** Until the board is so, and what is healthy has left its trace: without a probe it is that before its shell has come to write it. */
  async until(holds: (rows: readonly Row[]) => boolean, seconds?: number): Promise<readonly Row[]> {
    const rows = await until("the board is so", () => this.board(), holds, { seconds, every_ms: 50 });
    const yaml = await Deno.readTextFile(this.file);
    const traces = ({ service }: Row) => yaml.includes(`echo \\"${service} $$DAYBOOK_NONCE`);
    const healthy = rows.filter((row) => row.state === "healthy" && traces(row)).map(({ nonce }) => nonce!);
    const traced = async () => new Set((await startsIn(this.traces)).map(({ nonce }) => nonce));
    await until(`traces of ${healthy}`, traced, (nonces) => healthy.every((nonce) => nonces.has(nonce)), { seconds });
    return rows;
  }

  async send(type: string, data: unknown = {}): Promise<void> {
    const ran = await run("send", type, "main", JSON.stringify(data), "--data", this.data);
    assert.equal(ran.code, 0, ran.err);
  }

  /** Everything down; nothing may be left of all that was ever started. */
  async down(): Promise<void> {
    await this.send("services.stack.down");
    await this.until((rows) =>
      rows.every(({ state }) => ["stopped", "completed", "failed", "skipped"].includes(state))
    );
    assert.deepEqual(await this.alive(), []);
  }

  /** Of every start that happened, who is still there. */
  async alive(): Promise<readonly { pid: number; nonce: string }[]> {
    return running(new Set((await startsIn(this.traces)).map(({ nonce }) => nonce)));
  }
}
